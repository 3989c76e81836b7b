//! The tree of an archive.

use std::ffi::{CStr, CString};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use super::Helpers;
use super::index::Index;
use super::pass::{Pass, request, serve};
use crate::contract::{EntryKind, Metadata};
use crate::tree::{FileReader, ReadDir};
use crate::volume::engine::Engine;

/// A volume that is read through an engine.
pub(super) struct Archive {
    engine: Engine,
    helpers: Helpers,
    index: Arc<Index>,
    pass: Mutex<Option<Pass>>,
    runtime: Handle,
}

/// A directory of it.
struct Directory {
    archive: Arc<Archive>,
    number: usize,
}

impl Archive {
    /// Must be called in a runtime, in which the passes run.
    pub(super) fn new(engine: Engine, helpers: Helpers, index: Index) -> Arc<Self> {
        Arc::new(Self {
            engine,
            helpers,
            index: Arc::new(index),
            pass: Mutex::default(),
            runtime: Handle::current(),
        })
    }

    /// The volume itself.
    pub(super) fn top(self: Arc<Self>) -> Arc<dyn ReadDir> {
        Arc::new(Directory {
            archive: self,
            number: 0,
        })
    }

    fn read(&self, number: usize, length: u64) -> Box<dyn FileReader> {
        let node = self.index.node(number);
        let (mut request, contents) = request(node.first, length);
        let mut pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        // Who reads the beginning only, may still want what comes before.
        let is_beginning = matches!(node.kind, EntryKind::File(Some(size)) if length < size);
        let has_passed = pass
            .as_ref()
            .is_some_and(|pass| !pass.is_before(node.first));
        // The engine is asked for paths in UTF-8 only.
        if (is_beginning || has_passed) && std::str::from_utf8(&node.path).is_ok() {
            let helper = &self.helpers.aside;
            let archive = self.engine.archive(helper, &node.path);
            let handed = serve(archive, self.index.clone(), request);
            self.runtime.spawn(helper.clone().while_there(handed));
            return Box::new(contents);
        }
        if !has_passed && let Some(pass) = &mut *pass {
            match pass.ask(request) {
                Ok(()) => return Box::new(contents),
                Err(unheard) => request = unheard,
            }
        }
        let helper = &self.helpers.along;
        let archive = self.engine.archive(helper, b"");
        let (mut fresh, going) = Pass::new(archive, self.index.clone());
        self.runtime.spawn(helper.clone().while_there(going));
        // It has just begun; if it ends at once, its request does so too.
        let _ = fresh.ask(request);
        *pass = Some(fresh);
        Box::new(contents)
    }
}

impl Directory {
    fn child(&self, name: &CStr) -> io::Result<usize> {
        let child = self.archive.index.child(self.number, name);
        child.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Directory")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl ReadDir for Directory {
    fn is_sequential(&self) -> bool {
        true
    }

    fn list(&self, keep: &mut dyn FnMut(&CStr) -> io::Result<()>) -> io::Result<Vec<CString>> {
        let names = self.archive.index.names(self.number);
        names
            .map(|name| keep(name).map(|()| name.clone()))
            .collect()
    }

    fn stat(&self, name: &CStr) -> io::Result<(EntryKind, Metadata)> {
        let node = self.archive.index.node(self.child(name)?);
        Ok((node.kind.clone(), node.metadata.clone()))
    }

    fn stat_self(&self) -> io::Result<Metadata> {
        Ok(self.archive.index.node(self.number).metadata.clone())
    }

    fn enter(&self, name: &CStr) -> io::Result<Arc<dyn ReadDir>> {
        let number = self.child(name)?;
        match self.archive.index.node(number).kind {
            EntryKind::Directory => Ok(Arc::new(Self {
                archive: self.archive.clone(),
                number,
            })),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn open(&self, name: &CStr, length: u64) -> io::Result<Box<dyn FileReader>> {
        let number = self.child(name)?;
        match self.archive.index.node(number).kind {
            EntryKind::File(_) => Ok(self.archive.read(number, length)),
            _ => Err(io::Error::other("it is not a regular file")),
        }
    }
}
