//! Projects in Python.

use super::templates::{Given, Readme};
use crate::plugin::Role;

/// The build script of all kinds.
const BUILD: &str = r#"#!/bin/sh
# Makes plugin.wasm. The first time, it gets what that takes into .venv.
set -eu
cd "$(dirname "$0")"
[ -d .venv ] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
.venv/bin/componentize-py -d wit -w tthost:backup/WORLD componentize app -o plugin.wasm
"#;

macro_rules! example {
    ($name:literal: $($file:literal),+) => {
        &[$((
            $file,
            include_str!(concat!("../../../../../examples/", $name, "/", $file)),
        )),+]
    };
}

/// The template for one kind of plugin.
struct Template {
    /// The name in its example.
    example: &'static str,
    files: &'static [Given],
    world: &'static str,
    about: &'static str,
}

impl Template {
    fn of(role: Role) -> Self {
        match role {
            Role::Source => Self {
                example: "python-program-source",
                files: example!("python-program-source": "app.py", "transfer.py", "requirements.txt"),
                world: "source-plugin",
                about: "A source for tthost, in Python. It backs up what the granted program `export` writes, as one file. Replace `next` in \
                        `transfer.py` by the files and directories that you have, and `read` by the way to their contents.",
            },
            Role::Sink => Self {
                example: "python-files-sink",
                files: example!("python-files-sink": "app.py", "layout.py", "records.py", "sink.py", "snapshots.py", "transfer.py", "requirements.txt"),
                world: "sink-plugin",
                about: "A sink for tthost, in Python. It stores each snapshot as a list and a file in the granted directory `store`. Replace \
                        that by your format: `transfer.py` writes and reads a snapshot, `sink.py` has the rest.",
            },
            Role::Store => Self {
                example: "python-directory-store",
                files: example!("python-directory-store": "app.py", "files.py", "requirements.txt"),
                world: "object-store",
                about: "A store for tthost, in Python. It keeps objects as files in the granted directory `objects`. Replace `files.py` by the \
                        place that you have. `restic-sink` makes a repository of the objects.",
            },
        }
    }
}

/// The files of a project, but for the contract.
pub(super) fn files(name: &str, role: Role, contract: &str) -> Vec<(&'static str, String)> {
    let template = Template::of(role);
    let readme = Readme {
        name,
        role,
        about: template.about,
        build: "sh build.sh\n",
        file: "plugin.wasm",
        contract,
    };
    let mut files = vec![
        ("README.md", readme.text()),
        ("build.sh", BUILD.replace("WORLD", template.world)),
        (".gitignore", "/.venv/\n/plugin.wasm\n__pycache__/\n".into()),
    ];
    let own = template.files.iter();
    files.extend(own.map(|(path, text)| (*path, text.replace(template.example, name))));
    files
}
