//! Replaces a file atomically.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use crate::own_file;

/// Writes a file beside its place, and then puts it there. One that is replaced leaves its mode and its owner to it; a new
/// one has this mode.
pub(super) fn replace(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let name = name.to_string_lossy();
    let aside = directory.join(format!(".{name}.{}", hex::encode(random)));
    let mut options = File::options();
    // For nobody else before it is known who may read it.
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&aside)?;
    let written = || -> io::Result<()> {
        file.write_all(contents)?;
        let mode = match path.metadata() {
            Ok(old) => {
                let new = file.metadata()?;
                if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                    fchown(&file, Some(old.uid()), Some(old.gid()))?;
                }
                old.mode() & 0o7777
            }
            Err(cause) if cause.kind() == ErrorKind::NotFound => mode,
            Err(cause) => return Err(cause),
        };
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        own_file::sync_names(directory)
    };
    let mut written = written;
    written().inspect_err(|_| {
        // It is of no use; that it stays does no harm.
        let _ = fs::remove_file(&aside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("tthost.toml");
        replace(&path, b"new", 0o640).expect("there is room");
        let mode = || path.metadata().expect("it is there").mode() & 0o777;
        assert_eq!(mode(), 0o640);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).expect("it is ours");
        replace(&path, b"newer", 0o640).expect("there is room");
        assert_eq!(mode(), 0o604);
        assert_eq!(fs::read(&path).expect("it is there"), b"newer");
        let all = fs::read_dir(directory.path()).expect("it is there");
        assert_eq!(all.count(), 1);
        replace(&directory.path().join("none/file"), b"", 0o600).expect_err("it has no directory");
    }
}
