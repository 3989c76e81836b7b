//! Compiled components, kept between runs.
//!
//! The cache holds machine code that runs as it is, outside of every sandbox and past every pin. What this defends
//! against: somebody else who owns a directory or file of the cache, or may write to one, or may swap a directory on the
//! way to it. Like the keys of sshd, the cache is refused then.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use rustix::process::geteuid;
use wasmtime::{Cache, CacheConfig};

use crate::error::{Error, Kind, Result};

/// wasmtime removes whatever it finds in its directory and does not know, so the cache has one to itself.
const DIRECTORY: &str = "compiled";

/// Directories below the cache, at most; wasmtime's has one level.
const DEEPEST: usize = 8;

/// Opens the cache in this directory, which is created when it is missing.
pub(super) fn open(directory: &Path) -> Result<Cache> {
    let directory = directory.join(DIRECTORY);
    let unusable = |cause: &dyn std::fmt::Display| {
        let text = format!("the cache directory {} cannot be used", directory.display());
        Error::new(Kind::Other, text)
            .caused_by(cause.to_string())
            .help("name another one with --cache-dir")
    };
    let created = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory);
    created.map_err(|cause| unusable(&cause))?;
    let absolute = directory.canonicalize().map_err(|cause| unusable(&cause))?;
    check(&absolute, geteuid().as_raw())?;
    let mut config = CacheConfig::new();
    config.with_directory(absolute);
    Cache::new(config).map_err(|cause| unusable(&cause))
}

/// Refuses a directory whose contents somebody else than this user or root may have written. Its path holds no symbolic link.
fn check(directory: &Path, user: u32) -> Result<()> {
    for ancestor in directory.ancestors() {
        let metadata =
            fs::symlink_metadata(ancestor).map_err(|cause| unreadable(ancestor, &cause))?;
        // In a directory like /tmp, only the owner can rename what is there.
        let is_shared = ancestor != directory && metadata.mode() & 0o1000 != 0;
        check_one(ancestor, &metadata, user, is_shared)?;
    }
    check_contents(directory, user, 0)
}

fn check_contents(directory: &Path, user: u32, depth: usize) -> Result<()> {
    if depth > DEEPEST {
        return Err(refused(directory, "is not a cache of tthost"));
    }
    let entries = fs::read_dir(directory).map_err(|cause| unreadable(directory, &cause))?;
    for entry in entries {
        let path = entry.map_err(|cause| unreadable(directory, &cause))?.path();
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            // Another run has tidied up meanwhile.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(unreadable(&path, &cause)),
        };
        if metadata.is_symlink() {
            return Err(refused(&path, "is a symbolic link"));
        }
        check_one(&path, &metadata, user, false)?;
        if metadata.is_dir() {
            check_contents(&path, user, depth + 1)?;
        }
    }
    Ok(())
}

fn check_one(path: &Path, metadata: &Metadata, user: u32, is_shared: bool) -> Result<()> {
    let owner = metadata.uid();
    if owner != 0 && owner != user {
        return Err(refused(path, "belongs to another user"));
    }
    // A right to write from an ACL shows in the bits of the group.
    if metadata.mode() & 0o022 != 0 && !is_shared {
        return Err(refused(path, "can be written to by other users"));
    }
    Ok(())
}

fn refused(path: &Path, why: &str) -> Error {
    let text = format!(
        "the cache of compiled plugins is not used: {} {why}, and compiled plugins run outside of the sandbox",
        path.display()
    );
    Error::new(Kind::Denied, text).help(
        "check what is there, then remove it or make it your own; or name another directory with --cache-dir",
    )
}

fn unreadable(path: &Path, cause: &io::Error) -> Error {
    let text = format!("the cache {} cannot be read", path.display());
    Error::new(Kind::Other, text)
        .caused_by(cause.to_string())
        .help("name another one with --cache-dir")
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    /// A cache that was used.
    fn cache() -> (TempDir, PathBuf) {
        let home = TempDir::new().expect("there is room");
        open(home.path()).expect("it is our own");
        let modules = home.path().join(DIRECTORY).join("modules");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&modules)
            .expect("it is our own");
        let file = modules.join("module");
        fs::write(&file, "code").expect("it is our own");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("it is our own");
        (home, file)
    }

    fn refusal(home: &TempDir) -> String {
        open(home.path())
            .map(drop)
            .expect_err("it is refused")
            .to_string()
    }

    #[test]
    fn a_cache_of_ones_own_is_used_again() {
        let (home, _) = cache();
        open(home.path()).expect("nothing has changed");
    }

    #[test]
    fn nothing_that_others_may_write_to_is_used() {
        for mode in [0o020, 0o002] {
            let (home, file) = cache();
            for path in file.ancestors().take(4) {
                let before = fs::metadata(path).expect("it is there").permissions();
                let open = Permissions::from_mode(before.mode() | mode);
                fs::set_permissions(path, open).expect("it is our own");
                assert!(
                    refusal(&home).contains("can be written to by other users"),
                    "{}",
                    path.display()
                );
                fs::set_permissions(path, before).expect("it is our own");
            }
        }
    }

    #[test]
    fn nothing_that_others_own_is_used() {
        let (home, file) = cache();
        let user = geteuid().as_raw();
        if user != 0 {
            // Only root can give files away; to somebody else, these are another user's.
            let error = check(&home.path().join(DIRECTORY), user + 1).expect_err("they are ours");
            assert!(error.to_string().contains("belongs to another user"));
            return;
        }
        for path in file.ancestors().take(4) {
            chown(path, Some(65534), None).expect("root may");
            assert!(
                refusal(&home).contains("belongs to another user"),
                "{}",
                path.display()
            );
            chown(path, Some(0), None).expect("root may");
        }
    }

    #[test]
    fn a_link_to_somewhere_else_is_not_used() {
        let (home, file) = cache();
        fs::remove_file(&file).expect("it is our own");
        symlink("/etc/passwd", &file).expect("it is our own");
        assert!(refusal(&home).contains("symbolic link"));
    }
}
