//! Trees of entries: those that leave the plugin through a [`Reader`], and those that enter it through a [`Writer`].
//!
//! A source's capture and a snapshot that is read are both a reader. A snapshot that is written and a restoration are both a writer.

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
    /// What leads to the contents of a file.
    type File: 'static;

    /// The entries, depth first: a directory before what is in it, and what is in it in byte order of the names. It is asked for
    /// once.
    fn entries(&mut self) -> Entries<Self::File>;

    /// The contents of a file. Nothing expensive happens before this: not every file is asked for.
    async fn read(&self, file: &Self::File) -> Result<Contents>;

    /// A part of a file. A source need not know parts.
    async fn read_part(&self, file: &Self::File, part: Range) -> Result<Contents> {
        let _ = (file, part);
        Err(Error::Unsupported("files are read whole".into()))
    }

    /// The contents of small files, in this order. Where reading many at once is cheaper than one after the other, do that here.
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

    /// How many files may be read at once, of the `wanted` that the host would.
    fn at_once(&self, wanted: u32) -> u32 {
        let _ = wanted;
        1
    }

    /// The verdict on the whole tree, behind its last entry. The SDK sees to contents: a file that was not read to its good end is an
    /// error, and one that changed or was left out makes the tree incomplete.
    async fn finish(&self) -> Result<Completeness> {
        Ok(Completeness::Complete)
    }
}

/// An entry of a tree that leaves the plugin. Its place is its path; the SDK numbers it.
pub struct Node<F> {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) subtree: Option<Vec<u8>>,
    pub(crate) file: Option<F>,
}

impl<F> Node<F> {
    /// A regular file: its path from the top of the tree, like `/shop/orders.db`, its size where that is known before it is
    /// read, and what leads to its contents. **The size is a promise.**
    pub fn file(path: impl Into<Vec<u8>>, size: Option<u64>, file: F) -> Self {
        let file = Some(file);
        Self {
            file,
            ..Self::new(path, Kind::File(size))
        }
    }

    /// A directory. All that is in it comes behind it.
    pub fn directory(path: impl Into<Vec<u8>>) -> Self {
        Self::new(path, Kind::Directory)
    }

    /// Anything. A regular file without what leads to its contents is left out.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
            metadata: None,
            subtree: None,
            file: None,
        }
    }

    /// What leads to its contents, if it is a file.
    #[must_use]
    pub fn with_file(self, file: Option<F>) -> Self {
        Self { file, ..self }
    }

    /// Its metadata. Without any, it belongs to whoever runs tthost, nobody else may read it, and its time is now.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        let metadata = Some(metadata);
        Self { metadata, ..self }
    }

    /// A name for all that is below a directory of a snapshot. Two directories with equal names hold the same.
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
    /// Those of an iterator.
    pub fn of<I>(nodes: I) -> Self
    where
        I: IntoIterator<Item = Node<F>>,
        I::IntoIter: 'static,
    {
        Self(stream::iter(nodes.into_iter().map(Ok)).boxed_local())
    }

    /// Those that this finds one after the other, until there is none.
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

/// A tree on its way into the plugin. The calls come one at a time, but for [`put`](Self::put).
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Writer: Sized + 'static {
    /// Takes the next entries, and answers the numbers of those whose contents it needs, in their order. Only regular files have
    /// contents.
    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>>;

    /// Takes the contents of a file that it asked for, and waits for the verdict on them: their end says nothing. An error is an error of
    /// this call. A file that is [omitted](Ending::Omitted) is left out.
    async fn put(&self, file: u64, contents: Contents) -> Result<()>;

    /// The same of several small files.
    async fn put_small(&self, files: Vec<Small>) -> Result<()> {
        for Small { id, contents } in files {
            self.put(id, contents.into()).await?;
        }
        Ok(())
    }

    /// How many files it takes at once, of the `wanted` that the host would give.
    fn at_once(&self, wanted: u32) -> u32 {
        let _ = wanted;
        1
    }

    /// All of the tree came, and every verdict was good: makes it permanent. A writer that is dropped before that leaves nothing.
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

/// That nothing was done, or nobody knows.
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

/// The paths of entries that come one after the other.
#[derive(Default)]
pub struct Paths {
    /// The directories that hold what comes next: their numbers and paths, the outermost first.
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

/// What a plugin that cannot restore has in the place of a writer.
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
