//! The templates of projects.

use std::path::Path;

use crate::plugin::{Role, spoken};

/// A file of a project: where it is, and what it holds.
pub(super) type Given = (&'static str, &'static str);

/// The contract, which authors read.
pub(super) const CONTRACT: &[Given] = &[
    ("wit/host.wit", include_str!("../../../../../wit/host.wit")),
    (
        "wit/plugin.wit",
        include_str!("../../../../../wit/plugin.wit"),
    ),
    ("wit/sink.wit", include_str!("../../../../../wit/sink.wit")),
    (
        "wit/source.wit",
        include_str!("../../../../../wit/source.wit"),
    ),
    (
        "wit/store.wit",
        include_str!("../../../../../wit/store.wit"),
    ),
    (
        "wit/transfer.wit",
        include_str!("../../../../../wit/transfer.wit"),
    ),
    (
        "wit/trees.wit",
        include_str!("../../../../../wit/trees.wit"),
    ),
    (
        "wit/types.wit",
        include_str!("../../../../../wit/types.wit"),
    ),
    (
        "wit/world.wit",
        include_str!("../../../../../wit/world.wit"),
    ),
];

/// The template for one kind of plugin.
pub(super) struct Template {
    pub(super) files: &'static [Given],
    /// The manifest of the example, of which a project has the dependencies.
    pub(super) example: &'static str,
    /// A description of the code and the next steps.
    about: &'static str,
}

/// One screen on how to go on.
pub(super) struct Readme<'a> {
    pub(super) name: &'a str,
    pub(super) role: Role,
    /// A description of the code and the next steps.
    pub(super) about: &'a str,
    /// Commands that build it.
    pub(super) build: &'a str,
    /// The component that comes of them.
    pub(super) file: &'a str,
    /// The digest of the contract.
    pub(super) contract: &'a str,
}

macro_rules! example {
    ($name:literal: $($file:literal),+) => {(
        &[$((
            concat!("src/", $file),
            include_str!(concat!("../../../../../examples/", $name, "/src/", $file)),
        )),+],
        include_str!(concat!("../../../../../examples/", $name, "/Cargo.toml")),
    )};
}

const SOURCE: (&[Given], &str) = example!("program-source": "lib.rs");
const STORE: (&[Given], &str) = example!("directory-store": "lib.rs");
const SINK: (&[Given], &str) = example!("plain-files-sink": "lib.rs", "audit.rs", "layout.rs", "pending.rs", "reading.rs", "record.rs");

impl Template {
    pub(super) fn of(role: Role) -> Self {
        match role {
            Role::Source => Self {
                files: SOURCE.0,
                example: SOURCE.1,
                about: "A source for tthost. It backs up what the granted program `export` writes, as one file. Replace `entries` by the \
                        files and directories that you have, and `read` by the way to their contents.",
            },
            Role::Sink => Self {
                files: SINK.0,
                example: SINK.1,
                about: "A sink for tthost. It stores each snapshot as plain files in the granted directory `store`. Replace that by your format: \
                        `pending.rs` writes a snapshot, `reading.rs` reads one, `lib.rs` has the rest.",
            },
            Role::Store => Self {
                files: STORE.0,
                example: STORE.1,
                about: "A store for tthost. It keeps objects as files in the granted directory `objects`. Replace that by the place that you \
                        have. `restic-sink` makes a repository of the objects.",
            },
        }
    }

    /// The manifest of a package that stands for itself.
    pub(super) fn manifest(&self, name: &str, sdk: &Path) -> String {
        let sdk = toml::Value::from(&*sdk.to_string_lossy());
        let (_, dependencies) = self
            .example
            .split_once("[dependencies]\n")
            .unwrap_or_default();
        let dependencies = dependencies.replace(
            "tthost-plugin.workspace = true",
            &format!("tthost-plugin = {{ path = {sdk} }}"),
        );
        format!(
            "[package]\n\
             name = \"{name}\"\n\
             version = \"0.1.0\"\n\
             edition = \"2024\"\n\
             publish = false\n\n\
             [lib]\n\
             crate-type = [\"cdylib\"]\n\n\
             [dependencies]\n\
             {dependencies}\n\
             [profile.release]\n\
             opt-level = \"s\"\n\
             lto = \"thin\"\n\
             panic = \"abort\"\n\
             strip = \"debuginfo\"\n\n\
             # It is not a part of a workspace that it may be in.\n\
             [workspace]\n"
        )
    }

    /// One screen on how to go on.
    pub(super) fn readme(&self, name: &str, role: Role, contract: &str) -> String {
        let file = format!(
            "target/wasm32-wasip2/release/{}.wasm",
            name.replace('-', "_")
        );
        let readme = Readme {
            name,
            role,
            about: self.about,
            build: "rustup target add wasm32-wasip2\n\
                    cargo test\n\
                    cargo build --release --target wasm32-wasip2\n",
            file: &file,
            contract,
        };
        readme.text()
    }
}

impl Readme<'_> {
    /// The page.
    pub(super) fn text(&self) -> String {
        let Self {
            name,
            about,
            build,
            file,
            contract,
            ..
        } = self;
        let version = spoken().last;
        let (configuration, trial) = (self.configuration(), self.trial());
        format!(
            "# {name}\n\n\
             {about}\n\n\
             ```sh\n\
             {build}\
             tthost plugin inspect {file}\n\
             ```\n\n\
             To use it, write into `tthost.toml`:\n\n\
             ```toml\n\
             {configuration}\
             ```\n\n\
             Try it. The first command goes on: it builds and tests again on each change.\n\n\
             ```sh\n\
             tthost plugin dev .\n\
             {trial}\
             ```\n\n\
             It is written against the contract `tthost:backup@{version}`, which is in `wit/`, to read (sha256:{contract}). The plugin \
             author's guide of tthost has the rules that types cannot express.\n"
        )
    }

    /// A configuration that uses the component.
    fn configuration(&self) -> String {
        let configuration = match self.role {
            Role::Source => {
                "[sources.mine]\n\
                 plugin = { path = \"FILE\" }\n\
                 config = { file = \"export.json\" }\n\
                 grants.commands.export.argv = [\"echo\", \"{}\"]\n"
            }
            Role::Sink => {
                "[sinks.mine]\n\
                 plugin = { path = \"FILE\" }\n\
                 grants.directories.store = { path = \"store\", access = \"read-write\" }\n"
            }
            Role::Store => {
                "[sinks.mine]\n\
                 plugin = \"restic-sink\"\n\
                 grants.secrets.password.command = [\"echo\", \"a password\"]\n\
                 [sinks.mine.store]\n\
                 plugin = { path = \"FILE\" }\n\
                 grants.directories.objects = { path = \"objects\", access = \"read-write\" }\n"
            }
        };
        configuration.replace("FILE", self.file)
    }

    /// Commands that try it.
    fn trial(&self) -> String {
        let trial = match self.role {
            Role::Source => "tthost plugin test mine --source mine\n",
            Role::Sink => "tthost plugin test FILE\n",
            Role::Store => {
                "tthost plugin test FILE\n\
                 tthost init --sink mine\n\
                 tthost run --source dir:wit --sink mine\n\
                 tthost check --sink mine --read-data\n"
            }
        };
        trial.replace("FILE", self.file)
    }
}
