//! Writes a snapshot.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures::future::{Either, select};
use tthost_chunker::{Chunker, Cutting};

use super::Cleanup;
use super::packer::{Packer, Tally, Ticket};
use super::parent::Parent;
use crate::core::Core;
use crate::guard::Guard;
use crate::snapshot::{self, Snapshot, Summary};
use crate::tree::{Node, Tree};
use crate::{Entry, Error, FileKind, Id, Instant, Kind, Platform, Result, Sealer};

/// The tag of a snapshot that lacks something. restic has no other mark that its users would see.
pub(super) const INCOMPLETE: &str = "incomplete";

/// What is known of a snapshot before its tree is.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The time that it bears.
    pub time: Instant,
    /// The host whose data it is.
    pub hostname: String,
    /// The user who takes it.
    pub username: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The paths that it holds.
    pub paths: Vec<String>,
    /// Do all the work, store nothing.
    pub dry_run: bool,
    /// Take no file for unchanged.
    pub force: bool,
}

/// How many there are, against the snapshot before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They were not there.
    pub new: u64,
    /// They were, and differ in contents or metadata.
    pub changed: u64,
    /// They were the same.
    pub unmodified: u64,
}

impl Counts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.new + self.changed + self.unmodified
    }

    fn count(&mut self, before: Option<&Node>, now: &Node) {
        *match before {
            None => &mut self.new,
            Some(before) if before == now => &mut self.unmodified,
            Some(_) => &mut self.changed,
        } += 1;
    }
}

/// What a writer did; see the plugin contract.
#[derive(Clone, Debug, Default)]
pub struct Receipt {
    /// The snapshot that now exists; none after a dry run.
    pub snapshot: Option<Id>,
    /// Files of the tree.
    pub files: Counts,
    /// Directories of the tree.
    pub directories: Counts,
    /// Blobs of contents that were new.
    pub data_blobs: u64,
    /// Blobs of trees that were new.
    pub tree_blobs: u64,
    /// Bytes that were new.
    pub bytes_added: u64,
    /// The same as stored.
    pub bytes_stored: u64,
    /// The sum of the files' sizes.
    pub bytes: u64,
}

/// How the contents of a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All of them came.
    Whole,
    /// The file changed while it was read, and what was there came.
    Changed,
    /// They cannot be had, and the file is left out.
    Omitted,
}

/// Whether a tree is what its source was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It is.
    Complete,
    /// Something is missing, or changed while it was read.
    Incomplete,
}

/// The contents of a file, cut as they come.
pub trait Contents<S: Sealer> {
    /// The next chunks, cut as the [writer](Writer::cutting) does it; none at the end, which says nothing about success.
    fn next(&mut self) -> impl Future<Output = Result<Option<S::Staged>>>;

    /// Whether these were all the contents. Asked once, after their end.
    fn verdict(self) -> impl Future<Output = Result<Ending>>;
}

/// Writes a tree and, when it is committed, a snapshot of it. When it is dropped before,
/// closing the repository removes what it left.
pub struct Writer<P: Platform> {
    core: Rc<Core<P>>,
    cleanup: Cleanup,
    guard: Guard,
    draft: Draft,
    started: Instant,
    packer: Packer<P>,
    chunker: Chunker,
    parent: Parent<P>,
    /// What the parent has in the place of entries of the batch.
    before: HashMap<u64, Node>,
    /// The entries that were offered last. They are put into their directories when their
    /// contents are there, which is when the next ones are offered.
    batch: Vec<Entry>,
    /// Contents of files of the batch. Files that are not here have the contents that they had
    /// before.
    contents: HashMap<u64, ContentState>,
    /// The directories that are not complete, outermost first; the first is the top.
    open: Vec<Directory>,
    receipt: Receipt,
    /// Some contents did not come whole.
    failed: bool,
}

struct Directory {
    /// The number of its entry, 0 for the top.
    id: u64,
    /// Its own node; none for the top.
    node: Option<Node>,
    /// The parent's.
    before: Option<Node>,
    nodes: Vec<Node>,
}

/// What became of contents that were asked for.
enum ContentState {
    Awaited,
    Stored(Stored),
    Omitted,
}

/// The contents of a file: its size, and the blobs in their order.
struct Stored {
    size: u64,
    blobs: Vec<Ticket>,
}

impl Stored {
    async fn add<P: Platform>(&mut self, packer: &mut Packer<P>, chunk: Vec<u8>) -> Result<()> {
        self.size += chunk.len() as u64;
        self.blobs.push(packer.add_data(chunk).await?);
        Ok(())
    }

    async fn add_staged<P: Platform>(
        &mut self,
        packer: &mut Packer<P>,
        chunks: P::Staged,
    ) -> Result<()> {
        for (ticket, length) in packer.add_staged(chunks).await? {
            self.size += length as u64;
            self.blobs.push(ticket);
        }
        Ok(())
    }
}

impl<P: Platform> Writer<P> {
    /// A writer whose parent is one of these snapshots, if one fits.
    pub(crate) async fn new(
        core: Rc<Core<P>>,
        draft: Draft,
        candidates: &[Snapshot],
        cleanup: Cleanup,
        guard: Guard,
    ) -> Result<Self> {
        Ok(Self {
            started: core.platform.now(),
            parent: Parent::choose(core.clone(), &draft, candidates).await?,
            before: HashMap::new(),
            packer: Packer::new(core.clone(), cleanup.clone(), draft.dry_run),
            chunker: Chunker::new(core.config.cutting.clone()?),
            batch: Vec::new(),
            contents: HashMap::new(),
            open: vec![Directory {
                id: 0,
                node: None,
                before: None,
                nodes: Vec::new(),
            }],
            receipt: Receipt::default(),
            failed: false,
            core,
            cleanup,
            guard,
            draft,
        })
    }

    /// How the repository's files are cut.
    pub fn cutting(&self) -> Cutting {
        self.chunker.cutting()
    }

    /// Takes the next entries and answers the numbers of those whose contents it needs: the
    /// regular files that are not known to be unchanged.
    pub async fn offer(&mut self, entries: Vec<Entry>) -> Result<Vec<u64>> {
        self.place_batch().await?;
        let mut needed = Vec::new();
        for entry in &entries {
            let before = self.parent.node(entry).await?;
            let current = before
                .as_ref()
                .is_some_and(|node| node.is_current(entry) && self.parent.has_contents(node));
            if matches!(entry.kind, Kind::File(_)) && !current {
                needed.push(entry.id);
            }
            self.before.extend(before.map(|node| (entry.id, node)));
        }
        self.contents
            .extend(needed.iter().map(|id| (*id, ContentState::Awaited)));
        self.batch = entries;
        self.packer.wait_until_idle().await?;
        Ok(needed)
    }

    /// Takes the contents of a small file, whole.
    pub async fn put_small(&mut self, id: u64, contents: Vec<u8>) -> Result<()> {
        self.expect(id)?;
        let mut stored = Stored {
            size: 0,
            blobs: Vec::new(),
        };
        if contents.len() > self.chunker.cutting().smallest() {
            self.chunker.buffer().extend_from_slice(&contents);
            while let Some(chunk) = self.chunker.finish() {
                stored.add(&mut self.packer, chunk).await?;
            }
        } else if !contents.is_empty() {
            stored.add(&mut self.packer, contents).await?;
        }
        self.contents.insert(id, ContentState::Stored(stored));
        Ok(())
    }

    /// Leaves a file out whose contents cannot be had.
    pub fn omit(&mut self, id: u64) -> Result<()> {
        self.expect(id)?;
        self.contents.insert(id, ContentState::Omitted);
        Ok(())
    }

    /// Takes the contents of a file, and waits for their verdict. Without a good one, nothing
    /// can be committed any more.
    pub async fn put(&mut self, id: u64, contents: impl Contents<P>) -> Result<()> {
        self.expect(id)?;
        match self.store(contents).await {
            Ok(stored) => {
                let came = stored.map_or(ContentState::Omitted, ContentState::Stored);
                self.contents.insert(id, came);
                Ok(())
            }
            Err(error) => {
                self.failed = true;
                // What is under way must have ended before what it stored can be removed.
                while self.packer.is_busy() {
                    // The first error is the one to tell.
                    let _ = self.packer.step().await;
                }
                self.cleanup.run(&self.core).await?;
                Err(error)
            }
        }
    }

    /// Stores what is left, then the index, then the snapshot.
    pub async fn commit(mut self, completeness: Completeness) -> Result<Receipt> {
        if self.failed {
            return Err(Error::Other(
                "the contents of a file did not come whole".into(),
            ));
        }
        self.place_batch().await?;
        self.close_until(0).await?;
        let top = self.open.pop().map(|top| top.nodes).unwrap_or_default();
        let top = Tree { nodes: top };
        let tree = self.packer.add_tree(top.to_bytes()).await?;
        let (tally, packs) = self.packer.finish().await?;
        let Tally {
            data_blobs,
            tree_blobs,
            bytes_added,
            bytes_stored,
        } = tally;
        let mut receipt = Receipt {
            data_blobs,
            tree_blobs,
            bytes_added,
            bytes_stored,
            ..self.receipt
        };
        if completeness == Completeness::Incomplete {
            self.draft.tags.push(INCOMPLETE.into());
        }
        if !self.draft.dry_run {
            self.guard.extend(packs);
            self.core.confirm_lock().await?;
            self.guard.confirm(&self.core).await?;
            let parent = self.parent.id();
            let file = snapshot_file(
                &self.core,
                self.draft,
                self.started,
                (parent, tree),
                &receipt,
            );
            let snapshot = self.core.save(FileKind::Snapshot, &file).await?;
            self.guard.confirm_after(&self.core, snapshot).await?;
            receipt.snapshot = Some(snapshot);
        }
        Ok(receipt)
    }

    /// Stores contents; none when they turn out to be omitted.
    async fn store(&mut self, mut contents: impl Contents<P>) -> Result<Option<Stored>> {
        let mut stored = Stored {
            size: 0,
            blobs: Vec::new(),
        };
        // The last chunks wait for the verdict: without it, they are not worth storing.
        let mut last = None;
        while let Some(chunks) = next(&mut self.packer, &mut contents).await? {
            if let Some(before) = last.replace(chunks) {
                stored.add_staged(&mut self.packer, before).await?;
            }
        }
        if contents.verdict().await? == Ending::Omitted {
            return Ok(None);
        }
        if let Some(last) = last {
            stored.add_staged(&mut self.packer, last).await?;
        }
        Ok(Some(stored))
    }

    /// Puts the entries of the last batch, whose contents are there now, into their directories.
    async fn place_batch(&mut self) -> Result<()> {
        for entry in std::mem::take(&mut self.batch) {
            self.close_until(entry.parent).await?;
            let before = self.before.remove(&entry.id);
            let mut node = Node::new(&entry);
            match entry.kind {
                Kind::Directory => {
                    self.open.push(Directory {
                        id: entry.id,
                        node: Some(node),
                        before,
                        nodes: Vec::new(),
                    });
                    continue;
                }
                Kind::File(_) => {
                    let Some(contents) = self.contents_of(&entry, before.as_ref()).await? else {
                        continue;
                    };
                    (node.size, node.content) = contents;
                    self.receipt.files.count(before.as_ref(), &node);
                    self.receipt.bytes += node.size;
                }
                _ => {}
            }
            if let Some(directory) = self.open.last_mut() {
                directory.nodes.push(node);
            }
        }
        Ok(())
    }

    /// The size and the blobs of a file: those that came, or else those that it had before. None
    /// when it is left out.
    async fn contents_of(
        &mut self,
        entry: &Entry,
        before: Option<&Node>,
    ) -> Result<Option<(u64, Option<Vec<Id>>)>> {
        match (self.contents.remove(&entry.id), before) {
            (Some(ContentState::Omitted), _) => Ok(None),
            (Some(ContentState::Stored(Stored { size, blobs })), _) => {
                let mut content = Vec::with_capacity(blobs.len());
                for blob in blobs {
                    content.push(self.packer.id(blob).await?);
                }
                Ok(Some((size, Some(content))))
            }
            (None, Some(before)) => Ok(Some((before.size, before.content.clone()))),
            _ => Err(Error::Other(format!(
                "the contents of \"{}\" never came",
                String::from_utf8_lossy(&entry.name)
            ))),
        }
    }

    /// Stores the directories that do not hold what comes next.
    async fn close_until(&mut self, parent: u64) -> Result<()> {
        while let Some(directory) = self
            .open
            .pop_if(|directory| directory.id != parent && directory.node.is_some())
        {
            let bytes = Tree {
                nodes: directory.nodes,
            }
            .to_bytes();
            let subtree = self.packer.add_tree(bytes).await?;
            if let (Some(mut node), Some(above)) = (directory.node, self.open.last_mut()) {
                node.subtree = Some(subtree);
                let counts = &mut self.receipt.directories;
                counts.count(directory.before.as_ref(), &node);
                above.nodes.push(node);
            }
        }
        match self.open.last() {
            Some(directory) if directory.id == parent => Ok(()),
            _ => Err(Error::Other(format!(
                "entry {parent} is not an open directory, and has children"
            ))),
        }
    }

    fn expect(&self, id: u64) -> Result<()> {
        match self.contents.get(&id) {
            Some(ContentState::Awaited) => Ok(()),
            _ => Err(Error::Other(format!(
                "contents came for entry {id}, which needs none"
            ))),
        }
    }
}

/// Waits for the next chunks while those before are worked on.
async fn next<P: Platform>(
    packer: &mut Packer<P>,
    contents: &mut impl Contents<P>,
) -> Result<Option<P::Staged>> {
    let mut next = pin!(contents.next());
    while packer.is_busy() {
        match select(next.as_mut(), pin!(packer.step())).await {
            Either::Left((chunks, _)) => return chunks,
            Either::Right((step, _)) => step?,
        }
    }
    next.await
}

fn snapshot_file<P: Platform>(
    core: &Core<P>,
    draft: Draft,
    started: Instant,
    (parent, tree): (Option<Id>, Id),
    receipt: &Receipt,
) -> snapshot::File {
    snapshot::File {
        time: draft.time,
        parent,
        tree,
        paths: Some(draft.paths),
        hostname: draft.hostname,
        username: draft.username,
        uid: core.caller.user_id,
        gid: core.caller.group_id,
        tags: (!draft.tags.is_empty()).then_some(draft.tags),
        program_version: Some(core.caller.program.clone()),
        summary: Some(Summary {
            backup_start: started,
            backup_end: core.platform.now(),
            files_new: receipt.files.new,
            files_changed: receipt.files.changed,
            files_unmodified: receipt.files.unmodified,
            dirs_new: receipt.directories.new,
            dirs_changed: receipt.directories.changed,
            dirs_unmodified: receipt.directories.unmodified,
            data_blobs: receipt.data_blobs,
            tree_blobs: receipt.tree_blobs,
            data_added: receipt.bytes_added,
            data_added_packed: receipt.bytes_stored,
            total_files_processed: receipt.files.total(),
            total_bytes_processed: receipt.bytes,
        }),
    }
}
