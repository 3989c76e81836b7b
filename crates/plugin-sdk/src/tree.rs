//! Trees of entries. They leave a plugin through a [`Reader`], and enter it through a [`Writer`].
//!
//! A source's capture and a stored snapshot are both a reader. A new snapshot and a restoration are both a writer.

use std::rc::Rc;

use futures::stream::{self, LocalBoxStream, StreamExt as _};

use crate::{Error, Result};

pub use crate::bindings::trees::exports::tthost::backup::transfer::{Counts, Range, Receipt};
pub use crate::bindings::tthost::backup::types::Contents as SmallContents;
pub use crate::bindings::tthost::backup::types::{
    Completeness, Ending, Entry, Instant, Kind, Metadata, Small, Xattr,
};
pub use crate::body::{Body, Check, Contents, Output};

/// A tree on its way out of the plugin.
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Reader: Sized + 'static {
    /// A handle of the contents of a file.
    type File: 'static;

    /// The entries, depth first: a directory before its children, and children in byte order of their names. The SDK calls this
    /// once.
    fn entries(&mut self) -> Entries<Self::File>;

    /// The contents of a file. Do nothing expensive before this call, because the host does not ask for every file.
    async fn read(&self, file: &Self::File) -> Result<Contents>;

    /// A range of a file. A source need not support ranges.
    async fn read_part(&self, file: &Self::File, part: Range) -> Result<Contents> {
        let _ = (file, part);
        Err(Error::Unsupported("files are read whole".into()))
    }

    /// The contents of small files, in this order. Override this if reading many at once is cheaper.
    async fn read_small(&self, files: &[Rc<Self::File>]) -> Result<Vec<SmallContents>> {
        let mut read = Vec::with_capacity(files.len());
        for file in files {
            read.push(match self.read(file).await?.collect().await? {
                (bytes, Ending::Whole) => SmallContents::Whole(bytes),
                (bytes, Ending::Changed) => SmallContents::Changed(bytes),
                (_, Ending::Omitted) => SmallContents::Omitted,
            });
        }
        Ok(read)
    }

    /// The number of files that can be read at once, at most `wanted`.
    fn at_once(&self, wanted: u32) -> u32 {
        let _ = wanted;
        1
    }

    /// The verdict on the whole tree, after its last entry. The SDK handles contents: a file that was not read to the end without an
    /// error fails the capture, and a changed or omitted file makes the tree incomplete.
    async fn finish(&self) -> Result<Completeness> {
        Ok(Completeness::Complete)
    }
}

/// An entry of a tree on its way out of the plugin. It is identified by its path. The SDK numbers it.
pub struct Node<F> {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) subtree: Option<Vec<u8>>,
    pub(crate) file: Option<F>,
}

impl<F> Node<F> {
    /// A regular file: its path from the top of the tree, like `/shop/orders.db`, its size if that is known before it is read, and
    /// the handle of its contents. **The size is a promise.**
    pub fn file(path: impl Into<Vec<u8>>, size: Option<u64>, file: F) -> Self {
        let file = Some(file);
        Self {
            file,
            ..Self::new(path, Kind::File(size))
        }
    }

    /// A directory. Its children follow it.
    pub fn directory(path: impl Into<Vec<u8>>) -> Self {
        Self::new(path, Kind::Directory)
    }

    /// An entry of any kind. A regular file without a handle is omitted.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
            metadata: None,
            subtree: None,
            file: None,
        }
    }

    /// Sets the handle of its contents, if it is a file.
    #[must_use]
    pub fn with_file(self, file: Option<F>) -> Self {
        Self { file, ..self }
    }

    /// Sets its metadata. By default, it belongs to the user who runs tthost, only this user may read it, and its time is now.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        let metadata = Some(metadata);
        Self { metadata, ..self }
    }

    /// Sets an identifier of the whole contents of a directory. Two directories with equal identifiers have equal contents.
    #[must_use]
    pub fn with_subtree(self, subtree: Option<Vec<u8>>) -> Self {
        Self { subtree, ..self }
    }

    /// Its path.
    pub fn path(&self) -> &[u8] {
        &self.path
    }
}

/// Entries, one after the other.
pub struct Entries<F>(LocalBoxStream<'static, Result<Node<F>>>);

impl<F: 'static> Entries<F> {
    /// The entries of an iterator.
    pub fn of<I>(nodes: I) -> Self
    where
        I: IntoIterator<Item = Node<F>>,
        I::IntoIter: 'static,
    {
        Self(stream::iter(nodes.into_iter().map(Ok)).boxed_local())
    }

    /// The entries that this function returns one after the other, until `None`.
    pub fn found<S: 'static>(
        state: S,
        next: impl AsyncFnMut(&mut S) -> Result<Option<Node<F>>> + 'static,
    ) -> Self {
        let found = stream::try_unfold((state, next), |(mut state, mut next)| async move {
            let node = next(&mut state).await?;
            Ok(node.map(|node| (node, (state, next))))
        });
        Self(found.boxed_local())
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Node<F>>> {
        self.0.next().await
    }
}

/// A tree on its way into the plugin. The calls come one at a time, except for [`put`](Self::put).
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Writer: Sized + 'static {
    /// Takes the next entries, and returns the numbers of those whose contents it needs, in order. Only regular files have
    /// contents.
    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>>;

    /// Takes the contents of a requested file, and waits for their verdict. The end of the contents does not mean success. Return
    /// the error of the verdict. Drop the entry of an [omitted](Ending::Omitted) file.
    async fn put(&self, file: u64, contents: Contents) -> Result<()>;

    /// The same for several small files.
    async fn put_small(&self, files: Vec<Small>) -> Result<()> {
        for Small { id, contents } in files {
            self.put(id, contents.into()).await?;
        }
        Ok(())
    }

    /// The number of files that it accepts at once, at most `wanted`.
    fn at_once(&self, wanted: u32) -> u32 {
        let _ = wanted;
        1
    }

    /// Makes the complete tree permanent, after every verdict was `ok`. A writer that is dropped without `commit` leaves nothing behind.
    async fn commit(self, completeness: Completeness) -> Result<Receipt>;
}

impl From<SmallContents> for Contents {
    fn from(contents: SmallContents) -> Self {
        match contents {
            SmallContents::Whole(bytes) => Self::whole(bytes),
            SmallContents::Changed(bytes) => Self::ended(bytes, Ending::Changed),
            SmallContents::Omitted => Self::omitted(),
        }
    }
}

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for Counts {
    fn default() -> Self {
        Self {
            new: 0,
            changed: 0,
            unmodified: 0,
        }
    }
}

/// All numbers are 0: nothing was done, or they are unknown.
impl Default for Receipt {
    fn default() -> Self {
        Self {
            snapshot: None,
            files: Counts::default(),
            directories: Counts::default(),
            objects_added: 0,
            bytes_added: 0,
            bytes_stored: 0,
            bytes_total: 0,
            removed: 0,
            failed: 0,
        }
    }
}

/// Computes the paths of consecutive entries.
#[derive(Default)]
pub struct Paths {
    /// The open directories: their numbers and paths, the outermost first.
    open: Vec<(u64, Vec<u8>)>,
}

impl Paths {
    /// The path of the next entry, from the top of the tree, with a `/` before each name.
    pub fn enter(&mut self, entry: &Entry) -> Vec<u8> {
        while self
            .open
            .pop_if(|(directory, _)| *directory != entry.parent)
            .is_some()
        {}
        let above = self.open.last().map_or(&[][..], |(_, path)| path);
        let path = [above, b"/", &entry.name].concat();
        if matches!(entry.kind, Kind::Directory) {
            self.open.push((entry.id, path.clone()));
        }
        path
    }
}

/// The writer of a source that cannot restore.
pub enum Nothing {}

impl Writer for Nothing {
    async fn offer(&self, _: Vec<Entry>) -> Result<Vec<u64>> {
        match *self {}
    }

    async fn put(&self, _: u64, _: Contents) -> Result<()> {
        match *self {}
    }

    async fn commit(self, _: Completeness) -> Result<Receipt> {
        match self {}
    }
}
