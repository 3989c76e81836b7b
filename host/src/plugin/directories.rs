//! Directories that a sink was granted and that need not be there yet.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::plugin::Spec;

/// What a sink calls the directory in which it keeps things between runs. It holds nothing that
/// somebody has to put there first.
pub(super) const STATE: &str = "state";

/// Makes the directory that is only for the sink itself, where it is missing.
pub(super) fn make_state(sink: &Spec) -> Result<()> {
    make(sink, |name| name == STATE)
}

/// Makes all that may be written to, where they are missing, for a new store.
pub(super) fn make_writable(sink: &Spec) -> Result<()> {
    make(sink, |_| true)
}

fn make(sink: &Spec, is_meant: impl Fn(&str) -> bool) -> Result<()> {
    for (name, directory) in &sink.grants.directories {
        if directory.access != Access::ReadWrite || !is_meant(name) {
            continue;
        }
        let mode = if name == STATE { 0o700 } else { 0o777 };
        let created = DirBuilder::new()
            .recursive(true)
            .mode(mode)
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
