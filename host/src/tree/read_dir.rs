//! The trait of a directory that can be read: its entries with their metadata, and the contents of its files.

use std::ffi::{CStr, CString};
use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use crate::contract::{EntryKind, Instant, Metadata};

/// A directory of a tree that is read, wherever the tree is. A call may wait for a disk or for
/// somebody's answer.
pub(crate) trait ReadDir: Debug + Send + Sync {
    /// Whether its files come one after the other, so that nobody gains by asking for several at once.
    fn is_sequential(&self) -> bool {
        false
    }

    /// The names of all that is in it, in byte order. Asks before it keeps one in memory.
    fn list(&self, keep: &mut dyn FnMut(&CStr) -> io::Result<()>) -> io::Result<Vec<CString>>;

    /// The kind and the metadata of the entry of this name.
    fn stat(&self, name: &CStr) -> io::Result<(EntryKind, Metadata)>;

    /// The metadata of the directory itself.
    fn stat_self(&self) -> io::Result<Metadata>;

    /// The directory of this name.
    fn enter(&self, name: &CStr) -> io::Result<Arc<dyn ReadDir>>;

    /// The first `length` bytes of the regular file of this name, or all if it is shorter.
    fn open(&self, name: &CStr, length: u64) -> io::Result<Box<dyn FileReader>>;
}

/// A file that is read, from its beginning on.
pub(crate) trait FileReader: Send {
    /// The next bytes; fewer than there is room for are the last.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// The state of the file after all that was read.
    fn stamp(&mut self) -> io::Result<Stamp>;
}

/// The state of a file that shows whether it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    pub(crate) modified: Instant,
    pub(crate) changed: Instant,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}
