//! Creates missing directories of a sink's grants, and sets the permissions of what is created in them.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::sync::{Mutex, PoisonError};

use rustix::fs::Mode;
use rustix::process::umask;

use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::plugin::Spec;

/// What a sink calls the directory in which it keeps things between runs. It holds nothing that
/// somebody has to put there first.
pub(super) const STATE: &str = "state";

/// A directory that only its owner may read.
const PRIVATE: u32 = 0o700;

/// Lets those who may use the directories of a sink use what is made in them, and nobody else. Plugins cannot say who may use
/// a file.
pub(super) fn share(sink: &Spec) {
    /// The permissions at the start of the process, and those that its sinks share now.
    static SHARED: Mutex<Option<(Mode, Mode)>> = Mutex::new(None);
    let mut known = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let private = Mode::RWXG | Mode::RWXO;
    let (start, mut shared) = known.unwrap_or_else(|| (umask(private), Mode::empty()));
    let directories = sink
        .with_store()
        .flat_map(|spec| spec.grants.directories.values());
    for directory in directories {
        if let Ok(metadata) = directory.path.metadata() {
            shared |= Mode::from_raw_mode(metadata.mode()) & private;
        }
    }
    umask(start | private.difference(shared));
    *known = Some((start, shared));
}

/// Makes the directory that is only for the sink itself, where it is missing.
pub(super) fn make_state(sink: &Spec) -> Result<()> {
    make(sink, |name| name == STATE)
}

/// Makes all that may be written to, where they are missing, for a new store.
pub(super) fn make_writable(sink: &Spec) -> Result<()> {
    make(sink, |_| true)
}

fn make(sink: &Spec, is_meant: impl Fn(&str) -> bool) -> Result<()> {
    let directories = sink.with_store().flat_map(|spec| &spec.grants.directories);
    for (name, directory) in directories {
        if directory.access != Access::ReadWrite || !is_meant(name) {
            continue;
        }
        let created = DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE)
            .create(&directory.path);
        created.map_err(|cause| {
            let path = directory.path.display();
            Error::new(Kind::Denied, format!("{path} cannot be created"))
                .caused_by(cause)
                .of(sink.subject())
        })?;
    }
    Ok(())
}
