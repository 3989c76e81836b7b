//! The traits that a host implements for the suite.
//!
//! Each method of these traits is one call of the contract, or something that only a host can do: start a new
//! instance, kill one in the middle, abandon a writer, inspect the directory of a plugin's store. If the host refuses
//! an answer of the plugin, the method returns an error of the case [`Case::Broken`](crate::model::Case::Broken).

use std::path::Path;
use std::time::Duration;

use futures::future::LocalBoxFuture;

use crate::model::{
    Access, Completeness, Depth, Description, Draft, Ending, Entry, Existing, Findings, Identity,
    Page, Range, Receipt, Reclaimed, Result, Rights, Role, Selection, Small, Snapshot, Subset,
    Usage,
};
use crate::tree::Body;

/// An answer that takes its time.
pub type CallFuture<'a, T> = LocalBoxFuture<'a, Result<T>>;

/// Runs one plugin, as often as it takes.
pub trait Host {
    /// What the plugin is used as.
    fn role(&self) -> Role;

    /// Lets a new instance without any grant describe the plugin.
    fn describe(&self) -> CallFuture<'_, Description>;

    /// Starts the plugin with one more key in its settings, and ends it again.
    fn start_with_key<'a>(&'a self, key: &'a str) -> CallFuture<'a, ()>;

    /// A fixture without a store.
    fn store_fixture(&self) -> CallFuture<'_, Box<dyn StoreFixture>>;

    /// A fixture without objects.
    fn object_store_fixture(&self) -> CallFuture<'_, Box<dyn ObjectStoreFixture>>;

    /// The source, where its programs are as given.
    fn source(&self, programs: Programs) -> CallFuture<'_, Box<dyn Source>>;

    /// What the plugin has said so far: in its messages, and on its standard streams.
    fn plugin_output(&self) -> String;

    /// What must not be seen: the secrets that are granted.
    fn secrets(&self) -> Vec<Vec<u8>>;

    /// Waits.
    fn sleep(&self, time: Duration) -> LocalBoxFuture<'static, ()>;
}

/// What the programs are that a plugin was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programs {
    /// As the operator said.
    Granted,
    /// None of them can be started.
    Missing,
    /// They end with a failure after so many bytes of output.
    Failing(u64),
}

/// How much a plugin may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: u64,
}

/// Where one check has its store.
pub trait StoreFixture {
    /// Gives the plugin no more than this, where it had more.
    fn limit(&mut self, limits: Limits);

    /// Starts a new instance and opens the store.
    fn open(&self, access: Access) -> CallFuture<'_, Box<dyn Store>>;

    /// Starts a new instance and makes a store.
    fn create(&self) -> CallFuture<'_, Box<dyn Store>>;

    /// Starts a new instance and finds out what can be done.
    fn probe(&self) -> CallFuture<'_, Rights>;

    /// Starts a new instance and removes locks. None where the plugin does not export that.
    fn unlock(&self) -> CallFuture<'_, Option<u64>>;

    /// The directory that holds all that the plugin stores. None where that is somewhere else.
    fn directory(&self) -> Option<&Path>;

    /// Takes from the plugin the right to change anything there. Whether that is possible.
    fn protect(&mut self) -> bool;
}

/// An open store, in an instance of its own.
pub trait Store {
    /// `identity`
    fn identity(&self) -> CallFuture<'_, Identity>;
    /// `begin`
    fn begin(&self, draft: Draft) -> CallFuture<'_, Box<dyn Writer>>;
    /// `snapshots`
    fn snapshots(&self) -> CallFuture<'_, Vec<Snapshot>>;
    /// `read`
    fn read(&self, selection: Selection) -> CallFuture<'_, Box<dyn Reader>>;
    /// `usage`
    fn usage(&self, subset: Subset) -> CallFuture<'_, Usage>;
    /// `check`
    fn check(&self, depth: Depth) -> CallFuture<'_, Findings>;
    /// `forget`
    fn forget(&self, ids: Vec<String>) -> CallFuture<'_, ()>;
    /// `reclaim`
    fn reclaim(&self, assume_forgotten: Vec<String>, dry_run: bool) -> CallFuture<'_, Reclaimed>;
    /// `close`, and the end of the instance.
    fn close(self: Box<Self>) -> CallFuture<'static, ()>;
    /// Ends the instance at once.
    fn kill(&self);
}

/// Contents on their way into a plugin.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// What they are.
    pub body: Body,
    /// How many bytes of them come.
    pub sent: u64,
    /// What comes after them.
    pub then: Then,
}

/// What comes after the bytes of contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The end of the stream, and a good verdict.
    Ends(Ending),
    /// The end of the stream, and an error as its verdict.
    Fails,
    /// The end of the stream, and no verdict: whoever was to give it is gone.
    Unsaid,
    /// Nothing: neither an end nor a verdict.
    Stalls,
}

impl Given {
    /// All of it, with a good verdict.
    pub fn whole(body: Body) -> Self {
        Self {
            body,
            sent: body.length,
            then: Then::Ends(Ending::Whole),
        }
    }
}

/// Takes a tree.
pub trait Writer {
    /// `concurrency`
    fn concurrency(&self, wanted: u32) -> CallFuture<'_, u32>;
    /// `offer`
    fn offer(&mut self, entries: Vec<Entry>) -> CallFuture<'_, Vec<u64>>;
    /// `put-small`, with the contents of these files.
    fn put_small(&mut self, files: Vec<Small>) -> CallFuture<'_, ()>;
    /// `put`
    fn put(&self, id: u64, contents: Given) -> CallFuture<'_, ()>;
    /// `commit`
    fn commit(self: Box<Self>, completeness: Completeness) -> CallFuture<'static, Receipt>;
    /// Drops the writer as a host does, and answers how long the plugin took to tidy up.
    fn give_up(self: Box<Self>) -> LocalBoxFuture<'static, Duration>;
}

/// Gives a tree.
pub trait Reader {
    /// `next`
    fn next(&mut self, max: u32) -> CallFuture<'_, Vec<Entry>>;
    /// `read-small`, of files with these numbers and announced sizes.
    fn read_small(&mut self, files: Vec<(u64, u64)>) -> CallFuture<'_, Vec<Small>>;
    /// `read`, of a file with this announced size. What comes is taken piece by piece, until `take` wants no
    /// more: then the contents are given up, and the answer is `cancelled`.
    fn read<'a>(
        &'a self,
        id: u64,
        size: Option<u64>,
        range: Option<Range>,
        take: &'a mut dyn FnMut(&[u8]) -> bool,
    ) -> CallFuture<'a, Ending>;
    /// `finish`
    fn finish(self: Box<Self>) -> CallFuture<'static, Completeness>;
    /// Drops the reader as a host does, and answers how long the plugin took to tidy up.
    fn give_up(self: Box<Self>) -> LocalBoxFuture<'static, Duration>;
}

/// Where one check has its objects.
pub trait ObjectStoreFixture {
    /// Starts a new instance and opens the store.
    fn open(&self, access: Access) -> CallFuture<'_, Box<dyn Objects>>;

    /// The directory that holds all that the plugin stores. None where that is somewhere else.
    fn directory(&self) -> Option<&Path>;
}

/// An open store of objects, in an instance of its own.
pub trait Objects {
    /// `create`
    fn create(&self) -> CallFuture<'_, ()>;
    /// `put`, of as many bytes as the contents have. Without an `omitted`, which objects do not know.
    fn put<'a>(&'a self, name: &'a str, existing: Existing, contents: Given) -> CallFuture<'a, ()>;
    /// `get`. What comes is taken piece by piece, until `take` wants no more: then the contents are given up, and the answer
    /// is `cancelled`.
    fn get<'a>(
        &'a self,
        name: &'a str,
        part: Option<Range>,
        take: &'a mut dyn FnMut(&[u8]) -> bool,
    ) -> CallFuture<'a, ()>;
    /// `list`
    fn list<'a>(&'a self, prefix: &'a str, after: Option<String>) -> CallFuture<'a, Page>;
    /// `stat`: the size, where it is there.
    fn stat<'a>(&'a self, name: &'a str) -> CallFuture<'a, Option<u64>>;
    /// `remove`
    fn remove<'a>(&'a self, name: &'a str) -> CallFuture<'a, ()>;
    /// `close`, and the end of the instance.
    fn close(self: Box<Self>) -> CallFuture<'static, ()>;
    /// Ends the instance at once.
    fn kill(&self);
}

/// A source, which is never restored to.
pub trait Source {
    /// Starts a new instance and opens a capture: its paths, and its reader.
    fn open(&self) -> CallFuture<'_, (Vec<String>, Box<dyn Reader>)>;

    /// The names of the programs that it was granted.
    fn programs(&self) -> Vec<String>;
}
