//! The top of a tree that was granted, and the way to it.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Place, View};
use crate::plugin::bindings::types::{Instant, Metadata};

/// The top of a tree. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    view: Arc<View>,
    /// Where it is, for messages.
    path: Arc<Path>,
    way: Way,
    writable: bool,
}

/// How a snapshot names the way to the top.
#[derive(Clone, Debug)]
enum Way {
    /// As the directories that there are.
    Path(PathBuf),
    /// By these names, for a place that is an accident of how something is stored.
    Names(Vec<Vec<u8>>),
}

impl Root {
    /// The directory at this path, by the path that it has without symbolic links.
    pub(crate) fn at(path: &Path, writable: bool) -> io::Result<Self> {
        let path = path.canonicalize()?;
        Ok(Self {
            view: Arc::new(View::top(&path)?),
            path: path.as_path().into(),
            way: Way::Path(path),
            writable,
        })
    }

    /// The directory at this path, by other names.
    pub(crate) fn named(path: &Path, names: Vec<Vec<u8>>, writable: bool) -> io::Result<Self> {
        Ok(Self {
            view: Arc::new(View::top(path)?),
            path: path.into(),
            way: Way::Names(names),
            writable,
        })
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory, to be read.
    pub(crate) fn view(&self) -> io::Result<View> {
        self.view.again()
    }

    /// The directory, to be written to; none when it was granted for reading only.
    pub(crate) fn place(&self) -> io::Result<Option<Place>> {
        self.writable.then(|| Place::of(&*self.view)).transpose()
    }

    /// The directories that lead to it and itself, the outermost first.
    pub(crate) fn way(&self) -> io::Result<Vec<(Vec<u8>, Metadata)>> {
        let own = self.view.own()?;
        let mut way = match &self.way {
            Way::Path(path) => self.directories_above(path)?,
            Way::Names(names) => names
                .iter()
                .map(|name| (name.clone(), nobody_in_particular()))
                .collect(),
        };
        if let Some((_, metadata)) = way.last_mut() {
            *metadata = own;
        }
        Ok(way)
    }

    fn directories_above(&self, path: &Path) -> io::Result<Vec<(Vec<u8>, Metadata)>> {
        let mut way = Vec::new();
        for directory in path.ancestors() {
            if let Some(name) = directory.file_name().map(OsStr::as_bytes) {
                way.push((name.to_vec(), self.view.elsewhere(directory)?));
            }
        }
        way.reverse();
        Ok(way)
    }
}

/// The metadata of a directory that there is only in snapshots.
fn nobody_in_particular() -> Metadata {
    Metadata {
        mode: 0o755,
        uid: 0,
        gid: 0,
        user: None,
        group: None,
        modified: Instant {
            seconds: 0,
            nanoseconds: 0,
        },
        accessed: None,
        changed: None,
        device: 0,
        inode: 0,
        links: 1,
        xattrs: Vec::new(),
    }
}
