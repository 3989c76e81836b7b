//! Directories that a sink was granted and that need not be there yet.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::plugin::Spec;

/// What a sink calls the directory in which it keeps things between runs. It holds nothing that
/// somebody has to put there first.
const STATE: &str = "state";

/// Which directories are made when they are missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All that may be written to, for a new store.
    All,
    /// The one that is only for the sink itself.
    State,
}

/// Makes them.
pub(super) fn make(sink: &Spec, which: Which) -> Result<()> {
    for (name, directory) in &sink.grants.directories {
        let is_state = name == STATE;
        if directory.access != Access::ReadWrite || !(is_state || which == Which::All) {
            continue;
        }
        let mode = if is_state { 0o700 } else { 0o777 };
        let created = DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(&directory.path);
        created.map_err(|cause| {
            let path = directory.path.display();
            Error::new(Kind::Denied, format!("{path} cannot be created: {cause}"))
                .of(sink.subject())
        })?;
    }
    Ok(())
}
