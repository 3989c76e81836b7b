//! Restores trees: each part of a snapshot into its granted directory.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tthost_plugin::Error;
use tthost_plugin::source;
use tthost_plugin::tree::{
    Completeness, Contents, Counts, Entry, Kind, Metadata, Receipt, Small, Writer,
};
use tthost_plugin::trees::{self, Changes};

use crate::roots;

/// Puts trees back.
pub(crate) struct Restoration {
    targets: Vec<Target>,
    state: RefCell<TransferState>,
}

/// Where a part of the snapshot goes.
struct Target {
    /// The part, as names from the top of the snapshot.
    part: Vec<Vec<u8>>,
    restoration: Rc<trees::Restoration>,
}

/// How far the snapshot has come.
#[derive(Default)]
struct TransferState {
    /// The parent directories of the next entry, outermost first.
    open: Vec<Directory>,
    /// For each target: the entries that it got, and the metadata of its top.
    got: Vec<(u64, Option<Metadata>)>,
    /// Files of the last batch: their targets, and their numbers there.
    files: HashMap<u64, (usize, u64)>,
}

struct Directory {
    id: u64,
    path: Vec<Vec<u8>>,
    /// The target that it is in, and its number there, 0 for the top.
    inside: Option<(usize, u64)>,
}

impl Restoration {
    /// Finds the granted directory for each path of the snapshot. Nothing is changed yet.
    pub(crate) async fn begin(wanted: source::Restoration) -> Result<Self, Error> {
        if wanted.role.is_some() {
            return Err(Error::Unsupported(
                "files have no roles: restore without --role".into(),
            ));
        }
        if wanted.target.is_some() {
            return Err(Error::Config(
                "a target of a tree is dir:PATH or volume:NAME".into(),
            ));
        }
        let mut granted = Vec::new();
        for name in trees::granted() {
            for (index, root) in (0..).zip(trees::open(name.clone()).await?) {
                granted.push((name.clone(), index, roots::path(&root.ancestors)));
            }
        }
        let mut targets = Vec::new();
        for path in &wanted.paths {
            let only = wanted.paths.len() == 1 && granted.len() == 1;
            let target = granted.iter().find(|(_, _, own)| only || own == path);
            let Some((name, index, _)) = target else {
                let own: Vec<_> = granted.iter().map(|(_, _, path)| path.as_str()).collect();
                return Err(Error::Config(format!(
                    "the snapshot holds {}, and the source {}: select one with --path, or name another target with --target",
                    wanted.paths.join(", "),
                    own.join(", ")
                )));
            };
            let restoration = trees::Restoration::begin(name.clone(), *index).await?;
            targets.push(Target {
                part: names(path),
                restoration: Rc::new(restoration),
            });
        }
        let got = targets.iter().map(|_| (0, None)).collect();
        Ok(Self {
            targets,
            state: RefCell::new(TransferState {
                got,
                ..TransferState::default()
            }),
        })
    }

    /// Sorts entries by where they go, with the parents and numbers that they have there.
    fn sort(&self, entries: Vec<Entry>) -> Result<Vec<Vec<Entry>>, Error> {
        let state = &mut *self.state.borrow_mut();
        state.files.clear();
        let mut parts: Vec<_> = self.targets.iter().map(|_| Vec::new()).collect();
        for mut entry in entries {
            while state
                .open
                .pop_if(|directory| directory.id != entry.parent)
                .is_some()
            {}
            let (mut path, above) = match state.open.last() {
                Some(directory) => (directory.path.clone(), directory.inside),
                None => (Vec::new(), self.top()),
            };
            let is_directory = matches!(entry.kind, Kind::Directory);
            let id = entry.id;
            path.push(entry.name.clone());
            let inside = match above {
                Some((target, parent)) => {
                    let (last, _) = &mut state.got[target];
                    *last += 1;
                    (entry.id, entry.parent) = (*last, parent);
                    if matches!(entry.kind, Kind::File(_)) {
                        state.files.insert(id, (target, *last));
                    }
                    parts[target].push(entry);
                    Some((target, *last))
                }
                None => self.arrive(&path, entry, &mut state.got)?,
            };
            if is_directory {
                state.open.push(Directory { id, path, inside });
            }
        }
        Ok(parts)
    }

    /// The target that is the top of the snapshot itself.
    fn top(&self) -> Option<(usize, u64)> {
        let index = self
            .targets
            .iter()
            .position(|target| target.part.is_empty());
        index.map(|index| (index, 0))
    }

    /// Whether this is the top of a target, which a way to one has come to.
    fn arrive(
        &self,
        path: &[Vec<u8>],
        entry: Entry,
        got: &mut [(u64, Option<Metadata>)],
    ) -> Result<Option<(usize, u64)>, Error> {
        if let Some(index) = self.targets.iter().position(|target| target.part == path) {
            if !matches!(entry.kind, Kind::Directory) {
                let path = String::from_utf8_lossy(&path.join(&b'/')).into_owned();
                return Err(Error::Config(format!(
                    "/{path} is not a directory in the snapshot, and the source is one: restore the snapshot to the source that it \
                     is of, or with --to"
                )));
            }
            got[index].1 = Some(entry.metadata);
            return Ok(Some((index, 0)));
        }
        if self
            .targets
            .iter()
            .any(|target| target.part.starts_with(path))
        {
            return Ok(None);
        }
        let path = String::from_utf8_lossy(&path.join(&b'/')).into_owned();
        Err(Error::Config(format!(
            "the snapshot holds /{path}, which is in none of the paths that it says it is of: restore it with --to"
        )))
    }

    fn file(&self, id: u64) -> Result<(Rc<trees::Restoration>, u64), Error> {
        let state = self.state.borrow();
        let (target, id) = state.files.get(&id).ok_or_else(|| {
            Error::Other(format!("contents came for entry {id}, which is not a file"))
        })?;
        Ok((self.targets[*target].restoration.clone(), *id))
    }
}

impl Writer for Restoration {
    fn at_once(&self, wanted: u32) -> u32 {
        let targets = self.targets.iter();
        let most = targets.map(|target| target.restoration.concurrency(wanted));
        most.min().unwrap_or(1)
    }

    async fn offer(&self, entries: Vec<Entry>) -> Result<Vec<u64>, Error> {
        let parts = self.sort(entries)?;
        let mut needed = Vec::new();
        for (index, (target, part)) in self.targets.iter().zip(parts).enumerate() {
            if part.is_empty() {
                continue;
            }
            let asked = target.restoration.offer(part).await?;
            needed.extend(asked.into_iter().map(|id| (index, id)));
        }
        needed.sort_unstable();
        let state = self.state.borrow();
        let is_needed = |file: &(usize, u64)| needed.binary_search(file).is_ok();
        let mut ids: Vec<_> = state
            .files
            .iter()
            .filter(|(_, file)| is_needed(file))
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    async fn put_small(&self, files: Vec<Small>) -> Result<(), Error> {
        let mut parts: Vec<(Rc<trees::Restoration>, Vec<Small>)> = Vec::new();
        for file in files {
            let (restoration, id) = self.file(file.id)?;
            let small = Small {
                id,
                contents: file.contents,
            };
            match parts.last_mut() {
                Some((last, part)) if Rc::ptr_eq(last, &restoration) => part.push(small),
                _ => parts.push((restoration, vec![small])),
            }
        }
        for (restoration, part) in parts {
            restoration.put_small(part).await?;
        }
        Ok(())
    }

    async fn put(&self, id: u64, contents: Contents) -> Result<(), Error> {
        let (restoration, id) = self.file(id)?;
        let (contents, verdict) = contents.into_given()?;
        restoration.put(id, contents, verdict).await
    }

    async fn commit(self, _: Completeness) -> Result<Receipt, Error> {
        let Self { targets, state } = self;
        let mut total = Changes {
            created: 0,
            replaced: 0,
            removed: 0,
            files: 0,
            bytes: 0,
        };
        for (target, (_, top)) in targets.into_iter().zip(state.into_inner().got) {
            let restoration = Rc::into_inner(target.restoration)
                .ok_or_else(|| Error::Other("contents are still on their way".into()))?;
            let changes = trees::Restoration::commit(restoration, top).await?;
            total.created += changes.created;
            total.replaced += changes.replaced;
            total.removed += changes.removed;
            total.files += changes.files;
            total.bytes += changes.bytes;
        }
        Ok(Receipt {
            files: Counts {
                new: total.created,
                changed: total.replaced,
                ..Counts::default()
            },
            bytes_total: total.bytes,
            removed: total.removed,
            ..Receipt::default()
        })
    }
}

fn names(path: &str) -> Vec<Vec<u8>> {
    let names = path.split('/').filter(|name| !name.is_empty());
    names.map(|name| name.as_bytes().to_vec()).collect()
}
