//! Describes the needs of a plugin to the operator who has to approve them.

use std::fmt::Write as _;

use crate::operation::plugins::{Candidate, Changes};
use crate::plugin::{Need, Resource, Role};

/// The description and the requests of a component.
pub(super) fn introduction(candidate: &Candidate, role: Role) -> String {
    let said = &candidate.description;
    let mut text = format!(
        "{} {}, a {}: {}\n",
        said.name,
        said.version,
        role.word(),
        said.summary
    );
    let _ = writeln!(text, "from    {}", candidate.location);
    let _ = writeln!(text, "digest  {}\n", candidate.digest);
    let (optional, needed): (Vec<_>, Vec<_>) = said.needs.iter().partition(|need| need.optional);
    for (heading, needs) in [("It needs", needed), ("It can do without", optional)] {
        if !needs.is_empty() {
            let needs: Vec<_> = needs
                .into_iter()
                .map(|need| format!("  {}\n", sentence(need)))
                .collect();
            let _ = write!(text, "{heading}:\n{}", needs.concat());
        }
    }
    text + if said.needs.is_empty() {
        "It asks for nothing: no files, programs, secrets or servers.\n"
    } else {
        "It gets no other files, programs, secrets or servers than those that you grant.\n"
    }
}

/// The requests of a plugin.
pub(super) fn sentence(need: &Need) -> String {
    let name = &need.name;
    let what = match (need.resource, need.is_named_freely()) {
        (Resource::Directory, false) => format!("read-only access to one directory, called {name}"),
        (Resource::Directory, true) => "read-only access to directories that you name".into(),
        (Resource::WritableDirectory, false) => {
            format!("read-write access to one directory, called {name}")
        }
        (Resource::WritableDirectory, true) => {
            "read-write access to directories that you name".into()
        }
        (Resource::Tree, false) => format!("one tree of files or Docker volume, called {name}"),
        (Resource::Tree, true) => "the trees of files and Docker volumes that you name".into(),
        (Resource::Command, false) => format!("may run a program called {name}"),
        (Resource::Command, true) => "may run the programs that you name".into(),
        (Resource::Secret, false) => format!("the secret {name}"),
        (Resource::Secret, true) => "the secrets that you name".into(),
        (Resource::Network, _) => format!("HTTP requests to {name}"),
    };
    format!("{what}: {}", need.reason)
}

/// The differences from the installed version.
pub(super) fn difference(changes: &Changes, candidate: &Candidate) -> String {
    let new = &candidate.description;
    let mut text = format!(
        "{} {} -> {} {}\n",
        changes.name, changes.version, new.name, new.version
    );
    let _ = writeln!(
        text,
        "digest  sha256:{}\n     -> {}\n",
        changes.sha256, candidate.digest
    );
    let needs = |needs: &[Need]| -> Vec<String> {
        let needs = needs.iter().map(|need| {
            let optional = if need.optional {
                " (it can do without)"
            } else {
                ""
            };
            format!("{}{optional}", sentence(need))
        });
        needs.collect()
    };
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mut parts = String::new();
    for (what, added, removed) in [
        (
            "asks for",
            needs(&changes.needs_added),
            needs(&changes.needs_removed),
        ),
        (
            "imports",
            changes.imports_added.clone(),
            changes.imports_removed.clone(),
        ),
        (
            "has settings",
            changes.settings_added.clone(),
            changes.settings_removed.clone(),
        ),
        (
            "can",
            owned(&changes.capabilities_added),
            owned(&changes.capabilities_removed),
        ),
    ] {
        for (mark, lines) in [("+", added), ("-", removed)] {
            for line in lines {
                let _ = writeln!(parts, "  {mark} {what} {line}");
            }
        }
    }
    if parts.is_empty() {
        parts = "It asks for the same, imports the same and has the same settings.\n".into();
    }
    text + &parts
        + "Its limits stay as they are. What it no longer asks for, it is no longer granted.\n"
}
