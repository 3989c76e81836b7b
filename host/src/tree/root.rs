//! The root of a granted tree, and its ancestors.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use super::{DiskDir, OperatorPath, ReadDir, TargetDir};
use crate::contract::{Instant, Metadata, OwnerId, Permissions};

/// The root of a tree. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    view: Arc<dyn ReadDir>,
    /// The directory on disk, where it may be written to, and its path for messages.
    writable: Option<(Arc<DiskDir>, OperatorPath)>,
    ancestors: Ancestors,
}

/// How a snapshot names the directories that lead to the root.
#[derive(Clone, Debug)]
enum Ancestors {
    /// As the directories that there are.
    Path(Arc<DiskDir>, OperatorPath),
    /// By these names, for a place that is an accident of how something is stored.
    Names(Vec<Vec<u8>>),
}

impl Root {
    /// The directory at this path, by the names that lead there.
    pub(crate) fn at(path: &OperatorPath, writable: bool) -> io::Result<Self> {
        let path = path.direct()?;
        let view = Arc::new(DiskDir::root(path.open()?));
        Ok(Self {
            writable: writable.then(|| (view.clone(), path.clone())),
            ancestors: Ancestors::Path(view.clone(), path),
            view,
        })
    }

    /// The directory at this path, by other names.
    pub(crate) fn named(
        path: &OperatorPath,
        names: Vec<Vec<u8>>,
        writable: bool,
    ) -> io::Result<Self> {
        let view = Arc::new(DiskDir::root(path.open()?));
        Ok(Self {
            writable: writable.then(|| (view.clone(), path.clone())),
            ancestors: Ancestors::Names(names),
            view,
        })
    }

    /// A directory that is to be had for reading only, by these names.
    pub(crate) fn elsewhere(view: Arc<dyn ReadDir>, names: Vec<Vec<u8>>) -> Self {
        Self {
            view,
            writable: None,
            ancestors: Ancestors::Names(names),
        }
    }

    /// The directory, to be read.
    pub(crate) fn view(&self) -> &Arc<dyn ReadDir> {
        &self.view
    }

    /// The directory, to be written to, and its path for messages; none when it was granted
    /// for reading only.
    pub(crate) fn target(&self) -> io::Result<Option<(TargetDir, &Path)>> {
        let Some((view, path)) = &self.writable else {
            return Ok(None);
        };
        Ok(Some((TargetDir::root(view.handle()?)?, path.as_path())))
    }

    /// The directories that lead to it and itself, the outermost first.
    pub(crate) fn ancestors(&self) -> io::Result<Vec<(Vec<u8>, Metadata)>> {
        let own = self.view.stat_self()?;
        let mut ancestors = match &self.ancestors {
            Ancestors::Path(view, path) => directories_above(view, path)?,
            Ancestors::Names(names) => names
                .iter()
                .map(|name| (name.clone(), nobody_in_particular()))
                .collect(),
        };
        if let Some((_, metadata)) = ancestors.last_mut() {
            *metadata = own;
        }
        Ok(ancestors)
    }
}

fn directories_above(view: &DiskDir, path: &OperatorPath) -> io::Result<Vec<(Vec<u8>, Metadata)>> {
    let mut ancestors = Vec::new();
    for directory in path.upwards() {
        if let Some(name) = directory.as_path().file_name().map(OsStr::as_bytes) {
            ancestors.push((name.to_vec(), view.elsewhere(&directory)?));
        }
    }
    ancestors.reverse();
    Ok(ancestors)
}

/// The metadata of a directory that there is only in snapshots.
fn nobody_in_particular() -> Metadata {
    Metadata {
        permissions: Permissions::SHARED_DIRECTORY,
        uid: OwnerId::ROOT,
        gid: OwnerId::ROOT,
        user: None,
        group: None,
        modified: Instant::EPOCH,
        accessed: None,
        changed: None,
        device: 0,
        inode: 0,
        links: 1,
        xattrs: Vec::new(),
    }
}
