//! Creates one entry.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;

use super::place::Place;
use crate::contract::{EntryKind, Metadata};
use crate::tree::metadata::{Object, Shortfall, apply};
use crate::tree::sparse::SparseFile;
use crate::tree::target_dir::{PartialName, Previous, TargetDir};

/// Something with its place.
pub(super) struct Item {
    /// The thread that makes it, if it is a small file.
    pub(super) worker: usize,
    pub(super) parent: Arc<TargetDir>,
    pub(super) name: OsString,
    pub(super) at: Place,
    pub(super) kind: EntryKind,
    pub(super) metadata: Metadata,
}

/// What there is to say of something that took its name.
pub(super) struct Made {
    pub(super) before: Previous,
    pub(super) shortfall: Shortfall,
}

/// A file that has not got all of its contents. What is dropped before it is complete goes from the
/// disk, whoever gave it up.
pub(super) struct Partial {
    /// None when it is complete.
    file: Option<SparseFile>,
    name: PartialName,
    parent: Arc<TargetDir>,
}

impl Partial {
    /// Adds bytes at the end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Nothing more can be done about it.
            let _ = self.parent.clear(&self.name);
        }
    }
}

impl Item {
    /// Makes what is neither file nor directory.
    pub(super) fn special(&self) -> io::Result<Made> {
        let partial = self.parent.partial();
        self.or_nothing(&partial, || {
            let object = self.parent.special(&partial, &self.kind)?;
            self.publish(&partial, Object::Named(object.as_fd()))
        })
    }

    /// Makes another name of the file that has this path below the root.
    pub(super) fn link(&self, root: &TargetDir, first: &Path) -> io::Result<Previous> {
        let place = root.walk(first.parent().unwrap_or(Path::new("")))?;
        let partial = self.parent.partial();
        self.or_nothing(&partial, || {
            let first = first.file_name().unwrap_or_default();
            self.parent.link(&partial, &place, first)?;
            let before = self.parent.keep(&partial, &self.name)?;
            // Renaming does nothing, and succeeds, where both names are of one file already.
            self.parent.clear(&partial)?;
            Ok(before)
        })
    }

    /// A file to write the contents to.
    pub(super) fn begin(&self) -> io::Result<Partial> {
        let partial = self.parent.partial();
        let file = SparseFile::new(self.parent.file(&partial)?);
        Ok(Partial {
            file: Some(file),
            name: partial,
            parent: self.parent.clone(),
        })
    }

    /// A file with these contents, whole.
    pub(super) fn write_file(&self, contents: &[u8]) -> io::Result<Made> {
        let mut partial = self.begin()?;
        partial.write(contents)?;
        self.complete(partial)
    }

    /// The file has its contents: gives it its metadata and its name.
    pub(super) fn complete(&self, mut partial: Partial) -> io::Result<Made> {
        let Some(file) = partial.file.take() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let partial = &partial.name;
        self.or_nothing(partial, || {
            self.publish(partial, Object::Open(file.finish()?.as_fd()))
        })
    }

    fn publish(&self, partial: &PartialName, object: Object<'_>) -> io::Result<Made> {
        let may_have_acls = self.parent.has_default_acl();
        let shortfall = apply(object, &self.kind, &self.metadata, may_have_acls)?;
        let before = self.parent.keep(partial, &self.name)?;
        Ok(Made { before, shortfall })
    }

    /// Makes it; what is left of it after an error is nothing that anybody asked for.
    fn or_nothing<T>(
        &self,
        partial: &PartialName,
        make: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        make().inspect_err(|_| {
            // Nothing more can be done about it.
            let _ = self.parent.clear(partial);
        })
    }
}
