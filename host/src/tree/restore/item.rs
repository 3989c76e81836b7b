//! One entry on its way to its place.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::contract::{EntryKind, Metadata};
use crate::tree::metadata::{Object, Shortfall, settle};
use crate::tree::sparse::SparseFile;
use crate::tree::target_dir::{Before, TargetDir};

/// Something with its place.
pub(super) struct Item {
    pub(super) parent: Arc<TargetDir>,
    pub(super) name: OsString,
    /// Below the root.
    pub(super) path: PathBuf,
    pub(super) kind: EntryKind,
    pub(super) metadata: Metadata,
}

/// What there is to say of something that took its name.
pub(super) struct Made {
    pub(super) before: Before,
    pub(super) shortfall: Shortfall,
}

impl Item {
    /// Makes what is neither file nor directory.
    pub(super) fn special(&self) -> io::Result<Made> {
        self.or_nothing(|| {
            let object = self.parent.special(&self.kind)?;
            self.settle_and_keep(Object::Named(object.as_fd()))
        })
    }

    /// Makes another name of the file that has this path below the root.
    pub(super) fn link(&self, root: &TargetDir, first: &Path) -> io::Result<Before> {
        let place = root.walk(first.parent().unwrap_or(Path::new("")))?;
        self.or_nothing(|| {
            let first = first.file_name().unwrap_or_default();
            self.parent.link(&place, first)?;
            let before = self.parent.keep(&self.name)?;
            // Renaming does nothing, and succeeds, where both names are of one file already.
            self.parent.clear()?;
            Ok(before)
        })
    }

    /// A file to write the contents to.
    pub(super) fn begin(&self) -> io::Result<SparseFile> {
        self.parent.file().map(SparseFile::new)
    }

    /// A file with these contents, whole.
    pub(super) fn whole(&self, contents: &[u8]) -> io::Result<Made> {
        let mut file = self.begin()?;
        self.or_nothing(|| file.write(contents))?;
        self.complete(file)
    }

    /// The file has its contents: gives it its metadata and its name.
    pub(super) fn complete(&self, file: SparseFile) -> io::Result<Made> {
        self.or_nothing(|| self.settle_and_keep(Object::Open(file.finish()?.as_fd())))
    }

    /// Removes what was begun and will not be completed.
    pub(super) fn give_up(&self) {
        // Nothing more can be done about it.
        let _ = self.parent.clear();
    }

    fn settle_and_keep(&self, object: Object<'_>) -> io::Result<Made> {
        let may_have_acls = self.parent.has_default_acl();
        let shortfall = settle(object, &self.kind, &self.metadata, may_have_acls)?;
        let before = self.parent.keep(&self.name)?;
        Ok(Made { before, shortfall })
    }

    /// Makes it; what is left of it after an error is nothing that anybody asked for.
    fn or_nothing<T>(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        make().inspect_err(|_| self.give_up())
    }
}
