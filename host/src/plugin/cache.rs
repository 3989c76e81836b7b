//! The cache of compiled components.
//!
//! The cache contains machine code that runs outside of the sandbox and without a check of the pin. So it is refused, like the
//! keys of sshd, if another user owns a directory or file of the cache, can write to one, or can replace a directory on the
//! way to it.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Seek as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::error::{Error, Kind, Result};

/// The oldest files go, so the cache has a directory to itself.
const DIRECTORY: &str = "compiled";

/// Directories below the cache, at most.
const DEEPEST: usize = 8;

/// Files that are kept, the last used.
const MAX: usize = 64;

/// A directory of compiled components that no other user can write to.
#[derive(Clone, Debug)]
pub(super) struct Cache(PathBuf);

/// A file on its way into the cache. It goes again if it does not get there.
struct Draft {
    file: File,
    path: PathBuf,
}

impl Cache {
    /// Opens the file of this name, after checking that no other user can have written it.
    pub(super) fn find(&self, name: &str) -> Option<File> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let path = self.0.join(name);
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(&path)
            .ok()?;
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || check_one(&path, &metadata, geteuid().as_raw(), false).is_err() {
            return None;
        }
        // The time of last use decides what to evict. Without it, the component is compiled again: a failure here is harmless.
        let _ = file.set_modified(SystemTime::now());
        Some(file)
    }

    /// Stores the contents of a file under this name.
    pub(super) fn keep(&self, name: &str, contents: &File) -> io::Result<()> {
        let draft = self.create(name)?;
        let mut contents = contents.try_clone()?;
        contents.rewind()?;
        io::copy(&mut contents, &mut &draft.file)?;
        draft.file.sync_data()?;
        fs::rename(&draft.path, self.0.join(name))?;
        self.remove_stale()
    }

    /// A new file that is to have this name.
    fn create(&self, name: &str) -> io::Result<Draft> {
        let path = self.0.join(format!("{name}.{}.new", std::process::id()));
        // One of a process that had this number and ended in the middle.
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Draft { file, path })
    }

    /// Removes all but the files that were used last.
    fn remove_stale(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if let Ok(metadata) = entry.metadata()
                && metadata.is_file()
            {
                files.push((metadata.modified()?, entry.path()));
            }
        }
        files.sort_unstable();
        let superfluous = files.len().saturating_sub(MAX);
        files
            .drain(..superfluous)
            .try_for_each(|(_, path)| fs::remove_file(path))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a success it has another name.
        let _ = fs::remove_file(&self.path);
    }
}

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
    Ok(Cache(absolute))
}

/// Refuses a directory whose contents somebody else than this user or root may have written. Its path holds no symbolic link.
fn check(directory: &Path, user: u32) -> Result<()> {
    for ancestor in directory.ancestors() {
        let metadata =
            fs::symlink_metadata(ancestor).map_err(|cause| unreadable(ancestor, &cause))?;
        // In a sticky directory like /tmp, only the owner of an entry or of the directory can rename it.
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
    fn what_is_kept_is_found_again_unless_somebody_else_may_have_written_it() {
        let home = TempDir::new().expect("there is room");
        let cache = open(home.path()).expect("it is our own");
        let draft = cache.create("module").expect("it is our own");
        assert!(cache.find("module").is_none(), "it is not whole");
        drop(draft);
        let contents = tempfile::tempfile().expect("there is room");
        cache.keep("module", &contents).expect("it is our own");
        assert!(cache.find("module").is_some());
        let path = home.path().join(DIRECTORY).join("module");
        fs::set_permissions(&path, Permissions::from_mode(0o620)).expect("it is our own");
        assert!(cache.find("module").is_none(), "others can write to it");
        symlink(&path, home.path().join(DIRECTORY).join("link")).expect("it is our own");
        assert!(cache.find("link").is_none(), "it leads elsewhere");
    }

    #[test]
    fn the_files_that_were_used_last_are_kept() {
        let home = TempDir::new().expect("there is room");
        let cache = open(home.path()).expect("it is our own");
        for number in 0..=MAX {
            let contents = tempfile::tempfile().expect("there is room");
            cache
                .keep(&number.to_string(), &contents)
                .expect("it is our own");
            assert!(cache.find("0").is_some(), "it was used just now");
        }
        assert!(cache.find("1").is_none());
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
            // Only root can change the owner of a file. As another user, the test uses files of root.
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
    fn a_parent_like_tmp_is_used_and_a_cache_like_tmp_is_not() {
        let home = TempDir::new().expect("there is room");
        let set = |path: &Path, mode| {
            let mode = Permissions::from_mode(mode);
            fs::set_permissions(path, mode).expect("it is our own");
        };
        let shared = home.path().join("shared");
        fs::create_dir(&shared).expect("there is room");
        set(&shared, 0o1777);
        let cache = shared.join("cache");
        open(&cache).expect("only its owner can rename it");
        set(&shared, 0o777);
        open(&cache).expect_err("everybody can rename it");
        set(&shared, 0o1777);
        set(&cache.join(DIRECTORY), 0o1777);
        open(&cache).expect_err("everybody can add files");
        if geteuid().is_root() {
            set(&cache.join(DIRECTORY), 0o700);
            chown(&shared, Some(65534), None).expect("root may");
            open(&cache).expect_err("whoever owns it can rename everything");
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
