//! Decides whether to use a configuration that the operator did not name. It decides which programs run, so a
//! directory of another user must not provide one.

use std::env;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::geteuid;

use crate::error::{Error, Kind, Result};

/// Writing, for everybody.
const FOR_ALL: u32 = 0o002;

/// Refuses a file that another user owns or can replace.
pub(super) fn expect_own(path: &Path) -> Result<()> {
    let trusted = trusted();
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    for (place, is_file) in [(path, true), (directory.unwrap_or(Path::new(".")), false)] {
        let Ok(metadata) = place.metadata() else {
            continue;
        };
        let owner = metadata.uid();
        let is_sticky = !is_file && metadata.mode() & 0o1000 != 0;
        let why = if !trusted.contains(&owner) {
            format!("belongs to user {owner}")
        } else if metadata.mode() & FOR_ALL != 0 && !is_sticky {
            "can be changed by everybody".to_owned()
        } else {
            continue;
        };
        let (shown, place) = (path.display(), place.display());
        let text =
            format!("{shown} is not used: {place} {why}, and it would say which programs run");
        return Err(Error::new(Kind::Denied, text)
            .help(format!("if it is meant, name it: --config {shown}")));
    }
    Ok(())
}

/// This user, root, and who has become root with sudo.
fn trusted() -> Vec<u32> {
    let user = geteuid();
    let mut trusted = vec![user.as_raw(), 0];
    if user.is_root() {
        let before = env::var("SUDO_UID").ok();
        trusted.extend(before.and_then(|uid| uid.parse::<u32>().ok()));
    }
    trusted
}
