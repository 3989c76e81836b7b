//! A path from outside that leads into a tree.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File};

use super::open_directory;

/// A path that the operator gave, or an engine that the operator named. It is the only thing that
/// is looked up from the root of the file system, and whose symbolic links are followed. What was
/// opened by it is a [`Dir`], and everything below is reached from that.
#[derive(Clone, Debug)]
pub(crate) struct OperatorPath(Arc<Path>);

impl OperatorPath {
    /// Takes the operator's word for this path.
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.into())
    }

    /// The directory at this path.
    pub(crate) fn open(&self) -> io::Result<Dir> {
        let directory = File::open_ambient_with(&self.0, &open_directory(), ambient_authority())?;
        Ok(Dir::from_std_file(directory.into_std()))
    }

    /// Makes the directory at this path, and those above it, where they are missing.
    pub(crate) fn make(&self) -> io::Result<()> {
        let made = Dir::create_ambient_dir_all(&self.0, ambient_authority());
        made.map_err(|cause| self.obstacle().unwrap_or(cause))
    }

    /// What keeps a directory from being made at this path, in words: something that is none, on the way there or at its end.
    pub(crate) fn obstacle(&self) -> Option<io::Error> {
        let path = std::path::absolute(&self.0).ok()?;
        let mut way: Vec<_> = path.ancestors().collect();
        way.reverse();
        for place in way {
            // From here on, directories can be made.
            let found = place.symlink_metadata().ok()?;
            let what = match place.metadata() {
                Ok(found) if found.is_dir() => continue,
                Ok(_) => "is not a directory".to_owned(),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound && found.is_symlink() => {
                    let target = std::fs::read_link(place).unwrap_or_default();
                    format!(
                        "is a symbolic link to {}, which is not there",
                        target.display()
                    )
                }
                Err(_) => return None,
            };
            let text = format!(
                "{} {what}: change that, or name another place",
                place.display()
            );
            return Some(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        None
    }

    /// The same place by an absolute path, which says nothing twice. It keeps symbolic links, which people use to give a
    /// place one name, unless what follows on one of them goes back up.
    pub(crate) fn direct(&self) -> io::Result<Self> {
        let absolute = std::path::absolute(&self.0)?;
        let goes_up = absolute
            .components()
            .any(|component| component == Component::ParentDir);
        let direct: PathBuf = if goes_up {
            absolute.canonicalize()?
        } else {
            absolute.components().collect()
        };
        Ok(Self(direct.into()))
    }

    /// This path and those of the directories above, the innermost first.
    pub(super) fn upwards(&self) -> impl Iterator<Item = Self> {
        self.0.ancestors().map(Self::new)
    }

    /// The path itself, for messages and for what a handle is no use for.
    pub(crate) fn as_path(&self) -> &Path {
        &self.0
    }
}
