//! Walks the trees: depth first, in byte order.

use std::collections::VecDeque;
use std::collections::btree_map;
use std::rc::Rc;

use tthost_patterns::Patterns;
use tthost_plugin::Error;
use tthost_plugin::tree::{Kind, Metadata, Node};
use tthost_plugin::trees::{self, Directory, Item, Wanted};

use crate::capture::{File, stamp};
use crate::config::Config;
use crate::notes::Notes;
use crate::roots::{Granted, PathTrie};

/// Things that are asked for at a time.
const BATCH: u32 = 256;

/// Directories below each other that are walked, at most; the host takes no trees that are deeper
/// than 4096.
const DEEPEST: usize = 4000;

/// The file that marks a directory as a cache, and its first bytes
/// (<https://bford.info/cachedir/>).
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Goes through trees.
pub(crate) struct Walk {
    patterns: Patterns,
    exclude_caches: bool,
    one_file_system: bool,
    notes: Rc<Notes>,
    /// Where it is, the top first.
    levels: Vec<Level>,
    /// What it came to: a step can bring the directories above it along.
    steps: VecDeque<Node<File>>,
}

/// A directory that the walk is in.
struct Level {
    /// Its metadata as long as it was not given, because nothing in it is taken yet.
    pending: Option<Metadata>,
    /// Its path.
    path: Vec<u8>,
    inside: Inside,
}

enum Inside {
    /// On the way to the trees.
    Ancestors(btree_map::IntoIter<Vec<u8>, (Metadata, PathTrie)>),
    /// In one of them.
    Tree(Listing),
}

struct Listing {
    directory: Rc<Directory>,
    /// Bytes of the path that lead to the top of the tree.
    top: usize,
    /// The device of the top.
    device: u64,
    /// Everything in it is taken that is not left out.
    included: bool,
    /// It is a cache, of which only the tag is taken.
    is_cache: bool,
    next: VecDeque<Result<Item, (Vec<u8>, Error)>>,
    ended: bool,
}

impl Walk {
    pub(crate) fn new(config: &Config, top: PathTrie, notes: Rc<Notes>) -> Result<Self, Error> {
        let patterns = Patterns::new(&config.exclude, &config.include)
            .map_err(|cause| Error::Config(cause.to_string()))?;
        let mut walk = Self {
            exclude_caches: config.exclude_caches,
            one_file_system: config.one_file_system,
            notes,
            levels: Vec::new(),
            steps: VecDeque::new(),
            patterns,
        };
        let inside = walk.inside(top, 0);
        walk.levels.push(Level {
            pending: None,
            path: Vec::new(),
            inside,
        });
        Ok(walk)
    }

    /// The next step; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Node<File>>, Error> {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return Ok(Some(step));
            }
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            match &mut level.inside {
                Inside::Ancestors(branches) => match branches.next() {
                    Some((name, (metadata, fork))) => self.go(&name, metadata, fork),
                    None => drop(self.levels.pop()),
                },
                Inside::Tree(listing) => match listing.step(&level.path, &self.notes).await {
                    Some(item) => self.take(item).await,
                    None => drop(self.levels.pop()),
                },
            }
        }
    }

    /// Goes one step on the way to a tree.
    fn go(&mut self, name: &[u8], metadata: Metadata, fork: PathTrie) {
        let path = self.path_of(name);
        let inside = self.inside(fork, path.len());
        self.descend(metadata, path, inside, true);
    }

    /// Takes something in a tree, or leaves it out.
    async fn take(&mut self, item: Item) {
        let path = self.path_of(&item.name);
        let Some(Level {
            inside: Inside::Tree(listing),
            ..
        }) = self.levels.last()
        else {
            return;
        };
        let is_directory = matches!(item.kind, Kind::Directory);
        // From the top of the tree, where the patterns are.
        let below = &path[listing.top..];
        let below = below.strip_prefix(b"/").unwrap_or(below);
        if (listing.is_cache && item.name != CACHE_TAG)
            || self.patterns.exclude(below, is_directory)
        {
            return;
        }
        let included = listing.included || self.patterns.include(below, is_directory);
        match item.kind {
            Kind::Socket => {
                // Only the program that listens on it can make one that is of use.
                Notes::skipped(&path, "is a socket and is left out");
            }
            Kind::Directory if self.levels.len() > DEEPEST => {
                let cause = Error::Other(format!("it is deeper than {DEEPEST} directories"));
                self.notes.unreadable(&path, &cause);
            }
            Kind::Directory => {
                let (directory, top, device) =
                    (listing.directory.clone(), listing.top, listing.device);
                let is_elsewhere = item.metadata.device != device;
                let mut listing = match directory.enter(item.name.clone()).await {
                    Ok(directory) => Listing::new(directory.into(), top, device, included),
                    Err(error) => return self.notes.unreadable(&path, &error),
                };
                if self.one_file_system && is_elsewhere {
                    listing.ended = true;
                }
                if self.exclude_caches {
                    listing.is_cache = is_cache(&listing.directory).await;
                }
                let inside = Inside::Tree(listing);
                self.descend(item.metadata, path, inside, included);
            }
            _ if !included => {}
            _ => {
                let file = match item.kind {
                    Kind::File(Some(size)) => Some(File {
                        directory: listing.directory.clone(),
                        name: item.name,
                        path: path.clone(),
                        stamp: stamp(size, &item.metadata),
                    }),
                    _ => None,
                };
                self.announce();
                let step = Node::new(path, item.kind).with_metadata(item.metadata);
                self.steps.push_back(step.with_file(file));
            }
        }
    }

    /// Goes into a directory, which is given at once if it is taken itself.
    fn descend(&mut self, metadata: Metadata, path: Vec<u8>, inside: Inside, included: bool) {
        self.levels.push(Level {
            pending: Some(metadata),
            path,
            inside,
        });
        if included {
            self.announce();
        }
    }

    /// Returns the parent directories of the next entry.
    fn announce(&mut self) {
        for level in &mut self.levels {
            if let Some(metadata) = level.pending.take() {
                let step = Node::directory(level.path.clone()).with_metadata(metadata);
                self.steps.push_back(step);
            }
        }
    }

    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let above = self.levels.last().map_or(&[][..], |level| &level.path);
        [above, b"/", name].concat()
    }

    fn inside(&self, fork: PathTrie, top: usize) -> Inside {
        match fork.directory {
            Some(Granted { directory, device }) => {
                let included = !self.patterns.are_selective();
                Inside::Tree(Listing::new(directory, top, device, included))
            }
            None => Inside::Ancestors(fork.branches.into_iter()),
        }
    }
}

impl Listing {
    fn new(directory: Rc<Directory>, top: usize, device: u64, included: bool) -> Self {
        Self {
            directory,
            top,
            device,
            included,
            is_cache: false,
            next: VecDeque::new(),
            ended: false,
        }
    }

    /// The next thing in the directory that can be looked at.
    async fn step(&mut self, path: &[u8], notes: &Notes) -> Option<Item> {
        loop {
            match self.next.pop_front() {
                Some(Ok(item)) => return Some(item),
                Some(Err((name, error))) => {
                    notes.unreadable(&[path, b"/", &name].concat(), &error);
                }
                None if self.ended => return None,
                None => match self.directory.next(BATCH).await {
                    Ok(next) => {
                        self.ended = next.len() < BATCH as usize;
                        self.next = next.into();
                    }
                    Err(error) => {
                        notes.unreadable(path, &error);
                        return None;
                    }
                },
            }
        }
    }
}

async fn is_cache(directory: &Directory) -> bool {
    let tag = Wanted {
        in_: directory,
        name: CACHE_TAG.to_vec(),
        length: CACHE_SIGNATURE.len() as u64,
    };
    let read = trees::read_small(vec![tag]).await;
    let tag = read.ok().and_then(|mut read| read.pop()?.ok());
    tag.is_some_and(|tag| tag.bytes == CACHE_SIGNATURE)
}
