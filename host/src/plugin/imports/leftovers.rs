//! `leftovers`: records the temporary things of a plugin, so that they are removed in any case.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use wasmtime::component::{Accessor, HasSelf};

use crate::grant::{Purpose, Restoration};
use crate::journal::{Journal, Leftover, Note};
use crate::plugin::bindings::common::tthost::backup::leftovers;
use crate::plugin::bindings::types;
use crate::plugin::state::State;
use crate::plugin::{Role, Spec};

/// Names of an instance that may stand at a time.
const MAX: usize = 64;

/// Names that an instance may note in all: each takes room on the disk as long as the process lives.
const MAX_NOTED: usize = 4096;

/// The longest name, in bytes.
const MAX_LENGTH: usize = 256;

/// The leftovers that one plugin has noted.
pub(crate) struct Leftovers {
    journal: Journal,
    /// Which source or sink it is, with its configuration.
    owner: String,
    is_read_only: bool,
    /// Whether the plugin may list the leftovers of earlier instances.
    lists_earlier: bool,
    own: BTreeMap<String, Note>,
    /// How many names it has noted.
    noted: usize,
}

impl Leftovers {
    /// Nothing yet.
    pub(crate) fn new(journal: &Journal, spec: &Spec) -> Self {
        Self {
            journal: journal.clone(),
            owner: owner(spec),
            is_read_only: matches!(
                spec.grants.purpose,
                Purpose::Inspect | Purpose::Restore(Restoration::DryRun { .. })
            ),
            lists_earlier: !matches!(
                spec.grants.purpose,
                Purpose::Restore(Restoration::DryRun { .. })
            ),
            own: BTreeMap::new(),
            noted: 0,
        }
    }

    /// Where everything of this process is written down.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        // The instance is gone. The next one finds the leftovers.
        for note in self.own.values() {
            self.journal.orphan(*note);
        }
    }
}

/// The state of what a source or sink has noted in this process and not cleared.
pub(crate) fn state_of(journal: &Journal, spec: &Spec) -> LeftoverState {
    let owner = owner(spec);
    let all = of(&owner, journal.outstanding()).count();
    match of(&owner, journal.orphans()).count() {
        _ if all == 0 => LeftoverState::None,
        orphans if orphans == all => LeftoverState::Orphaned,
        _ => LeftoverState::InUse,
    }
}

/// The state of the leftovers of one source or sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftoverState {
    None,
    /// An instance still has to remove them.
    InUse,
    /// The instances that had to remove them are gone.
    Orphaned,
}

/// A key that is equal for two processes with the same plugin and configuration.
fn owner(spec: &Spec) -> String {
    let directories = &spec.grants.directories;
    let directories: Vec<_> = directories
        .iter()
        .map(|(name, directory)| (name, directory.path.as_os_str().as_encoded_bytes()))
        .collect();
    // The same repository can be known by several names.
    let said = (spec.role == Role::Sink, spec.config_json(), directories);
    let said = serde_json::to_vec(&said).expect("text and numbers are JSON");
    hex::encode(Sha256::digest(said))
}

/// The names that instances have left that are gone, of this process or another.
fn leftovers_of(journal: &Journal, owner: &str) -> io::Result<Vec<String>> {
    let orphans = of(owner, journal.orphans());
    let mut names: Vec<_> = orphans.map(|(_, name)| name).collect();
    for abandoned in journal.abandoned()? {
        names.extend(of(owner, abandoned.outstanding()).map(|(_, name)| name));
    }
    Ok(names)
}

/// One of these names has gone.
fn clear_note(journal: &Journal, owner: &str, gone: &str) -> io::Result<()> {
    for (note, name) in of(owner, journal.orphans()) {
        if name == gone {
            journal.clear(note)?;
        }
    }
    for mut abandoned in journal.abandoned()? {
        for (note, name) in of(owner, abandoned.outstanding()) {
            if name == gone {
                abandoned.clear(note)?;
            }
        }
    }
    Ok(())
}

fn of(owner: &str, outstanding: Vec<(Note, Leftover)>) -> impl Iterator<Item = (Note, String)> {
    outstanding
        .into_iter()
        .filter_map(move |(note, leftover)| match leftover {
            Leftover::OfPlugin { owner: whose, name } if whose == owner => Some((note, name)),
            _ => None,
        })
}

impl leftovers::Host for State {
    fn is_gone(&mut self, process_id: u32) -> wasmtime::Result<bool> {
        let may_change = self.leftovers.as_ref().is_some_and(|own| !own.is_read_only);
        Ok(may_change && is_gone(process_id))
    }
}

/// Whether this process sees all processes of the machine, and not one of this number.
fn is_gone(process_id: u32) -> bool {
    /// The namespace of processes that the kernel begins with (`PROC_PID_INIT_INO`).
    const OF_ALL: &str = "pid:[4026531836]";
    let sees_all = fs::read_link("/proc/self/ns/pid").is_ok_and(|own| own == Path::new(OF_ALL));
    let process = i32::try_from(process_id).ok().and_then(Pid::from_raw);
    let asked = process.map(test_kill_process);
    sees_all && asked == Some(Err(Errno::SRCH))
}

impl leftovers::HostWithStore<State> for HasSelf<State> {
    async fn note(
        accessor: &Accessor<State, Self>,
        name: String,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        if !is_name(&name) {
            let text =
                format!("a leftover has a name of 1 to {MAX_LENGTH} printable characters of ASCII");
            return Ok(Err(types::Error::Denied(text)));
        }
        let begun = accessor.with(|mut access| {
            let found = access.get().leftovers.as_mut();
            let found =
                found.ok_or_else(|| types::Error::Denied("nothing is noted here".into()))?;
            if found.is_read_only {
                return Err(types::Error::ReadOnly("nothing may be changed".into()));
            }
            if found.own.len() >= MAX {
                return Err(types::Error::Denied(format!(
                    "{MAX} leftovers stand already"
                )));
            }
            if found.noted >= MAX_NOTED {
                return Err(types::Error::Denied(format!(
                    "{MAX_NOTED} leftovers were noted already"
                )));
            }
            found.noted += 1;
            Ok((found.journal.clone(), found.owner.clone()))
        });
        let (journal, owner) = match begun {
            Ok(begun) => begun,
            Err(error) => return Ok(Err(error)),
        };
        let leftover = Leftover::OfPlugin {
            owner,
            name: name.clone(),
        };
        let noted = spawn_blocking(move || journal.note(leftover)).await?;
        Ok(accessor.with(|mut access| {
            let found = access.get().leftovers.as_mut();
            let note = noted.map_err(|cause| unusable(&cause))?;
            if let Some(found) = found {
                found.own.insert(name, note);
            }
            Ok(())
        }))
    }

    async fn clear(
        accessor: &Accessor<State, Self>,
        name: String,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        if !is_name(&name) {
            return Ok(Ok(()));
        }
        let found = accessor.with(|mut access| {
            let found = access.get().leftovers.as_mut()?;
            let note = found.own.remove(&name);
            (!found.is_read_only).then(|| (found.journal.clone(), found.owner.clone(), note))
        });
        let Some((journal, owner, note)) = found else {
            return Ok(Ok(()));
        };
        let cleared = spawn_blocking(move || match note {
            Some(note) => journal.clear(note),
            None => clear_note(&journal, &owner, &name),
        });
        Ok(cleared.await?.map_err(|cause| unusable(&cause)))
    }

    async fn left(accessor: &Accessor<State, Self>) -> wasmtime::Result<Vec<String>> {
        let found = accessor.with(|mut access| {
            let found = access.get().leftovers.as_ref()?;
            let told = found.lists_earlier;
            told.then(|| (found.journal.clone(), found.owner.clone()))
        });
        let Some((journal, owner)) = found else {
            return Ok(Vec::new());
        };
        // What cannot be read can be removed another time.
        let left = spawn_blocking(move || leftovers_of(&journal, &owner)).await?;
        Ok(left.unwrap_or_default())
    }
}

/// Whether a leftover can have this name.
fn is_name(name: &str) -> bool {
    let is_printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    (1..=MAX_LENGTH).contains(&name.len()) && name.bytes().all(is_printable)
}

fn unusable(cause: &io::Error) -> types::Error {
    types::Error::Other(format!(
        "the host's state directory cannot be used: {cause}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_gone_when_it_has_ended_and_not_before() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        let own = std::process::id();
        assert!(!is_gone(own) && !is_gone(child.id()) && !is_gone(0) && !is_gone(u32::MAX));
        drop(child.stdin.take());
        child.wait().expect("it ends");
        let sees_all = fs::read_link("/proc/self/ns/pid").expect("it has one");
        let sees_all = sees_all == Path::new("pid:[4026531836]");
        assert_eq!(is_gone(child.id()), sees_all);
    }
}
