//! Which file is read from where, with both backends in memory.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::*;
use crate::backend::CONFIG;

/// A place for files, shared by all clones.
#[derive(Clone, Default)]
struct Memory(Rc<Inner>);

#[derive(Default)]
struct Inner {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Files that listings lack.
    unlisted: RefCell<BTreeSet<Id>>,
    access: Cell<Option<Access>>,
    /// Nothing more can be stored.
    full: Cell<bool>,
    /// What was asked for since it was last looked at.
    requests: RefCell<Vec<String>>,
    warnings: RefCell<Vec<String>>,
}

impl Memory {
    fn note(&self, what: &str, path: &str) {
        self.0.requests.borrow_mut().push(format!("{what} {path}"));
    }

    /// What was asked for since the last call.
    fn requests(&self) -> Vec<String> {
        self.0.requests.take()
    }

    fn has(&self, kind: FileKind, id: Id) -> bool {
        self.0.files.borrow().contains_key(&kind.path(id))
    }

    fn put(&self, kind: FileKind, id: Id, bytes: &[u8]) {
        let mut files = self.0.files.borrow_mut();
        files.insert(kind.path(id), bytes.to_vec());
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        let found = self.0.files.borrow().get(path).cloned();
        found.ok_or_else(|| Error::NotFound(format!("{path} is not there")))
    }
}

impl Backend for Memory {
    fn access(&self) -> Access {
        self.0.access.get().unwrap_or(Access::Full)
    }

    fn writers(&self) -> usize {
        7
    }

    async fn create_layout(&self) -> Result<()> {
        Ok(())
    }

    async fn exists(&self) -> Result<bool> {
        self.note("look for", "config");
        Ok(self.has(FileKind::Config, CONFIG))
    }

    async fn list(&self, kind: FileKind) -> Result<Vec<Listed>> {
        let Some(directory) = kind.directory() else {
            return Ok(Vec::new());
        };
        self.note("list", directory);
        let files = self.0.files.borrow();
        let listed = files.iter().filter_map(|(path, bytes)| {
            let id = path.rsplit('/').next()?.parse().ok()?;
            let is_listed = path.starts_with(&format!("{directory}/"))
                && !self.0.unlisted.borrow().contains(&id);
            is_listed.then_some(Listed {
                id,
                length: bytes.len() as u64,
            })
        });
        Ok(listed.collect())
    }

    async fn read(&self, kind: FileKind, id: Id) -> Result<Vec<u8>> {
        let path = kind.path(id);
        self.note("read", &path);
        self.get(&path)
    }

    async fn read_range(
        &self,
        kind: FileKind,
        id: Id,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        let path = kind.path(id);
        self.note("read a part of", &path);
        Ok(part(&self.get(&path)?, offset, length))
    }

    async fn write(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        if self.0.full.get() {
            return Err(Error::Other("no space left".into()));
        }
        if kind == FileKind::Config && self.has(kind, id) {
            return Err(Error::Exists("there is a configuration".into()));
        }
        self.note("write", &kind.path(id));
        self.put(kind, id, &bytes);
        Ok(())
    }

    async fn remove(&self, kind: FileKind, id: Id) -> Result<()> {
        let path = kind.path(id);
        self.note("remove", &path);
        self.0.files.borrow_mut().remove(&path);
        Ok(())
    }

    async fn length(&self, kind: FileKind, id: Id) -> Result<Option<u64>> {
        let path = kind.path(id);
        self.note("measure", &path);
        Ok(self.get(&path).ok().map(|bytes| bytes.len() as u64))
    }

    async fn stored(&self, _: FileKind, _: Id) -> Result<Option<Instant>> {
        Ok(None)
    }
}

impl CopyStorage for Memory {
    fn digest(&self, bytes: &[u8]) -> Result<Id> {
        Ok(id(bytes))
    }

    fn warn(&self, text: &str) {
        self.0.warnings.borrow_mut().push(text.to_owned());
    }
}

fn id(bytes: &[u8]) -> Id {
    Id(tthost_seal::digest(bytes))
}

/// A repository for who may do this with it, its copies, and both as one.
fn cached(access: Access) -> (Memory, Memory, Cached<Memory, Memory>) {
    let (remote, local) = (Memory::default(), Memory::default());
    remote.0.access.set(Some(access));
    let cached = Cached::new(remote.clone(), Some(local.clone()));
    (remote, local, cached)
}

/// The kinds that are copied whenever one passes.
const COPIED: [FileKind; 4] = [
    FileKind::Key,
    FileKind::Index,
    FileKind::Snapshot,
    FileKind::TreePack,
];

#[tokio::test]
async fn what_is_needed_again_is_read_from_the_repository_once() -> Result<()> {
    let (remote, local, cached) = cached(Access::Full);
    let bytes = b"contents";
    for kind in [FileKind::Key, FileKind::Index, FileKind::Snapshot] {
        remote.put(kind, id(bytes), bytes);
        assert_eq!(cached.read(kind, id(bytes)).await?, bytes);
        assert_eq!(
            remote.requests(),
            [format!("read {}", kind.path(id(bytes)))]
        );
        assert_eq!(cached.read(kind, id(bytes)).await?, bytes);
        assert!(remote.requests().is_empty(), "the {kind} was read again");
        assert!(local.has(kind, id(bytes)));
    }
    for kind in [FileKind::Config, FileKind::Lock] {
        remote.put(kind, CONFIG, bytes);
        cached.read(kind, CONFIG).await?;
        cached.read(kind, CONFIG).await?;
        assert_eq!(remote.requests().len(), 2, "the {kind} may have changed");
    }
    assert!(local.has(FileKind::Config, CONFIG) && !local.has(FileKind::Lock, CONFIG));
    Ok(())
}

#[tokio::test]
async fn what_is_stored_is_copied_unless_it_is_large_or_goes_away_again() -> Result<()> {
    let (remote, local, cached) = cached(Access::AppendOnly);
    for (number, kind) in [FileKind::Config, FileKind::Lock, FileKind::Pack]
        .into_iter()
        .chain(COPIED)
        .enumerate()
    {
        let bytes = number.to_string().into_bytes();
        cached.write(kind, id(&bytes), bytes.clone()).await?;
        assert!(remote.has(kind, id(&bytes)), "{kind:?}");
        let is_copied = !matches!(kind, FileKind::Lock | FileKind::Pack);
        assert_eq!(local.has(kind, id(&bytes)), is_copied, "{kind:?}");
        cached.remove(kind, id(&bytes)).await?;
        assert!(!remote.has(kind, id(&bytes)) && !local.has(kind, id(&bytes)));
    }
    Ok(())
}

#[tokio::test]
async fn packs_of_trees_are_read_whole_once_and_others_in_parts() -> Result<()> {
    let (remote, local, cached) = cached(Access::ReadOnly);
    let (trees, data) = (b"0123456789", b"abcdefghij");
    remote.put(FileKind::TreePack, id(trees), trees);
    remote.put(FileKind::Pack, id(data), data);
    for (offset, expected) in [(4, &b"456"[..]), (8, b"89"), (20, b"")] {
        let part = cached.read_range(FileKind::TreePack, id(trees), offset, 3);
        assert_eq!(part.await?, expected);
    }
    let read = format!("read {}", FileKind::TreePack.path(id(trees)));
    assert_eq!(remote.requests(), [read]);
    let part = cached.read_range(FileKind::Pack, id(data), 4, 3).await?;
    assert_eq!(part, b"efg");
    let read = format!("read a part of {}", FileKind::Pack.path(id(data)));
    assert_eq!(remote.requests(), [read]);
    assert!(!local.has(FileKind::Pack, id(data)));
    Ok(())
}

#[tokio::test]
async fn a_copy_that_is_damaged_is_replaced() -> Result<()> {
    let (remote, local, cached) = cached(Access::Full);
    let bytes = b"contents";
    for kind in COPIED {
        remote.put(kind, id(bytes), bytes);
        local.put(kind, id(bytes), b"c0ntents");
        let read = match kind {
            FileKind::TreePack => cached.read_range(kind, id(bytes), 0, 100).await?,
            _ => cached.read(kind, id(bytes)).await?,
        };
        assert_eq!(read, bytes, "{kind:?}");
        assert_eq!(local.get(&kind.path(id(bytes)))?, bytes, "{kind:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_configuration_of_another_repository_makes_way_for_the_new_one() -> Result<()> {
    let (remote, local, cached) = cached(Access::Full);
    for config in [&b"first"[..], b"second", b"second"] {
        remote.put(FileKind::Config, CONFIG, config);
        cached.read(FileKind::Config, CONFIG).await?;
        assert_eq!(local.get(&FileKind::Config.path(CONFIG))?, config);
    }
    assert!(local.0.warnings.borrow().is_empty());
    let written = local.requests().into_iter();
    let written = written.filter(|request| request.starts_with("write"));
    assert_eq!(written.count(), 2, "a copy that is right is kept");
    Ok(())
}

#[tokio::test]
async fn a_copy_is_compared_with_its_name_once() -> Result<()> {
    let (_, local, cached) = cached(Access::Full);
    let pack = b"0123456789";
    local.put(FileKind::TreePack, id(pack), pack);
    for _ in 0..2 {
        cached
            .read_range(FileKind::TreePack, id(pack), 2, 2)
            .await?;
    }
    let path = FileKind::TreePack.path(id(pack));
    let part = format!("read a part of {path}");
    assert_eq!(
        local.requests(),
        [format!("read {path}"), part.clone(), part]
    );
    Ok(())
}

#[tokio::test]
async fn without_the_right_to_read_copies_are_all_there_is() -> Result<()> {
    let (remote, local, cached) = cached(Access::WriteOnly);
    let (own, foreign) = (b"own", b"of another machine");
    assert!(!cached.exists().await?);
    cached.write(FileKind::Config, CONFIG, own.to_vec()).await?;
    for kind in COPIED {
        remote.put(kind, id(foreign), foreign);
        cached.write(kind, id(own), own.to_vec()).await?;
    }
    remote.requests();
    assert!(cached.exists().await?);
    assert_eq!(cached.read(FileKind::Config, CONFIG).await?, own);
    let missing = |result: Result<Vec<u8>>| matches!(result, Err(Error::NotFound(_)));
    for kind in COPIED {
        let listed = cached.list(kind).await?;
        assert!(listed.iter().all(|file| file.id == id(own)), "{kind:?}");
        assert_eq!(listed.len(), 1, "{kind:?}");
        assert_eq!(cached.read(kind, id(own)).await?, own, "{kind:?}");
        assert!(missing(cached.read(kind, id(foreign)).await), "{kind:?}");
    }
    let part = cached.read_range(FileKind::TreePack, id(own), 1, 2).await?;
    assert_eq!(part, b"wn");
    for kind in [FileKind::TreePack, FileKind::Pack] {
        assert!(missing(cached.read_range(kind, id(foreign), 0, 1).await));
    }
    assert!(remote.requests().is_empty(), "it was asked all the same");

    local.0.full.set(true);
    let kept = cached.write(FileKind::Index, id(foreign), foreign.to_vec());
    kept.await
        .expect_err("the next run could not go on from here");
    Ok(())
}

#[tokio::test]
async fn where_no_copy_can_be_kept_work_goes_on_with_a_warning() -> Result<()> {
    let (remote, local, cached) = cached(Access::Full);
    let bytes = b"contents";
    local.0.full.set(true);
    remote.put(FileKind::Key, id(bytes), bytes);
    assert_eq!(cached.read(FileKind::Key, id(bytes)).await?, bytes);
    cached
        .write(FileKind::Index, id(bytes), bytes.to_vec())
        .await?;
    let warnings = local.0.warnings.take();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("no space left"), "{warnings:?}");
    Ok(())
}

#[tokio::test]
async fn a_listing_that_lags_behind_is_made_up_for() -> Result<()> {
    let (remote, local, cached) = cached(Access::Full);
    let [listed, new, gone] = [b"listed", b"newest", b"absent"];
    for kind in [FileKind::Snapshot, FileKind::Index, FileKind::Pack] {
        for bytes in [listed, new] {
            remote.put(kind, id(bytes), bytes);
        }
        for bytes in [new, gone] {
            local.put(kind, id(bytes), bytes);
        }
        remote.0.unlisted.replace([id(new)].into());
        remote.requests();
        let mut found: Vec<_> = cached
            .list(kind)
            .await?
            .iter()
            .map(|file| file.id)
            .collect();
        found.sort();
        let mut expected = vec![id(listed), id(new)];
        expected.sort();
        assert_eq!(found, expected, "{kind:?}");
        // Only what the listing lacks is looked for.
        assert_eq!(remote.requests().len(), 3, "{kind:?}");
        assert!(!local.has(kind, id(gone)), "{kind:?}: a copy of nothing");
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_not_listed_counts_if_it_is_there_and_its_last_copy_stays() -> Result<()> {
    let (remote, local, cached) = cached(Access::Full);
    let key = id(b"key");
    local.put(FileKind::Key, key, b"key");
    assert_eq!(cached.list(FileKind::Key).await?, []);
    assert!(local.has(FileKind::Key, key), "it may be the only one");
    remote.put(FileKind::Key, key, b"key");
    remote.0.unlisted.borrow_mut().insert(key);
    assert_eq!(cached.list(FileKind::Key).await?.len(), 1);
    remote.put(FileKind::Lock, id(b"lock"), b"lock");
    // Locks come and go: only the repository knows them.
    assert_eq!(cached.list(FileKind::Lock).await?.len(), 1);
    assert_eq!(local.requests(), ["list keys", "list keys"]);
    Ok(())
}

#[tokio::test]
async fn copies_that_are_distrusted_are_made_anew_and_then_read() -> Result<()> {
    for kind in COPIED {
        let (remote, local, cached) = cached(Access::Full);
        let (good, bad) = (b"what was stored", b"what has rotted");
        let name = id(good);
        remote.put(kind, name, good);
        let length = good.len() as u64;
        let read = async || match kind {
            FileKind::TreePack => cached.read_range(kind, name, 0, length).await,
            _ => cached.read(kind, name).await,
        };
        assert_eq!(read().await?, good);
        remote.put(kind, name, bad);
        assert_eq!(read().await?, good, "{kind:?}: there is a copy");
        cached.distrust_copies();
        assert_eq!(read().await?, bad, "{kind:?}");
        assert!(local.has(kind, name), "{kind:?}: the copy is good");
        remote.put(kind, name, good);
        assert_eq!(read().await?, good);
        remote.requests();
        assert_eq!(read().await?, good);
        assert_eq!(remote.requests(), [""; 0], "{kind:?}: it was compared");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_place_for_copies_everything_passes_through() -> Result<()> {
    let remote = Memory::default();
    let cached: Cached<_, Memory> = Cached::new(remote.clone(), None);
    let bytes = b"0123456789";
    for kind in COPIED {
        cached.write(kind, id(bytes), bytes.to_vec()).await?;
        for _ in 0..2 {
            assert_eq!(cached.read(kind, id(bytes)).await?, bytes);
            assert_eq!(cached.read_range(kind, id(bytes), 2, 3).await?, b"234");
        }
        assert_eq!(cached.list(kind).await?.len(), 1);
        assert_eq!(remote.requests().len(), 6, "{kind:?}");
        cached.remove(kind, id(bytes)).await?;
        remote.requests();
    }
    assert_eq!(cached.writers(), remote.writers());
    Ok(())
}

#[tokio::test]
async fn all_copies_can_be_removed() -> Result<()> {
    let local = Memory::default();
    local.put(FileKind::Config, CONFIG, b"config");
    for (number, kind) in COPIED.into_iter().enumerate() {
        let bytes = number.to_string().into_bytes();
        local.put(kind, id(&bytes), &bytes);
    }
    remove_copies(&local).await?;
    assert!(local.0.files.borrow().is_empty());
    Ok(())
}
