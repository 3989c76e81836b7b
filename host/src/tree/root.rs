//! The top of a tree that was granted, and the way to it.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DiskView, Place, View};
use crate::plugin::bindings::types::{Instant, Metadata};

/// The top of a tree. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    view: Arc<dyn View>,
    /// The directory on disk, where it may be written to, and its path for messages.
    writable: Option<(Arc<DiskView>, Arc<Path>)>,
    way: Way,
}

/// How a snapshot names the way to the top.
#[derive(Clone, Debug)]
enum Way {
    /// As the directories that there are.
    Path(Arc<DiskView>, PathBuf),
    /// By these names, for a place that is an accident of how something is stored.
    Names(Vec<Vec<u8>>),
}

impl Root {
    /// The directory at this path, by the path that it has without symbolic links.
    pub(crate) fn at(path: &Path, writable: bool) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let view = Arc::new(DiskView::top(&path)?);
        Ok(Self {
            writable: writable.then(|| (view.clone(), path.as_path().into())),
            way: Way::Path(view.clone(), path),
            view,
        })
    }

    /// The directory at this path, by other names.
    pub(crate) fn named(path: &Path, names: Vec<Vec<u8>>, writable: bool) -> io::Result<Self> {
        let view = Arc::new(DiskView::top(path)?);
        Ok(Self {
            writable: writable.then(|| (view.clone(), path.into())),
            way: Way::Names(names),
            view,
        })
    }

    /// A directory that is to be had for reading only, by these names.
    pub(crate) fn elsewhere(view: Arc<dyn View>, names: Vec<Vec<u8>>) -> Self {
        Self {
            view,
            writable: None,
            way: Way::Names(names),
        }
    }

    /// The directory, to be read.
    pub(crate) fn view(&self) -> &Arc<dyn View> {
        &self.view
    }

    /// The directory, to be written to, and its path for messages; none when it was granted
    /// for reading only.
    pub(crate) fn place(&self) -> io::Result<Option<(Place, &Path)>> {
        let Some((view, path)) = &self.writable else {
            return Ok(None);
        };
        Ok(Some((Place::of(&**view)?, path)))
    }

    /// The directories that lead to it and itself, the outermost first.
    pub(crate) fn way(&self) -> io::Result<Vec<(Vec<u8>, Metadata)>> {
        let own = self.view.own()?;
        let mut way = match &self.way {
            Way::Path(view, path) => directories_above(view, path)?,
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
}

fn directories_above(view: &DiskView, path: &Path) -> io::Result<Vec<(Vec<u8>, Metadata)>> {
    let mut way = Vec::new();
    for directory in path.ancestors() {
        if let Some(name) = directory.file_name().map(OsStr::as_bytes) {
            way.push((name.to_vec(), view.elsewhere(directory)?));
        }
    }
    way.reverse();
    Ok(way)
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
