//! A repository's files in a directory that the host granted.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use restic_repo::{Backend, CopyStorage, Error, FileKind, Id, Instant, Listed, Result};
use wasip2::filesystem::types as data;
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};

use crate::bindings::tthost::backup::leftovers;
use crate::bindings::tthost::backup::log::{Level, log};
use crate::fault::failed;
use crate::file_data::unchanged;
use crate::{compute, file_data, platform};

/// How the names of files that are not whole go on after the name that they are going to have.
const PARTIAL: &str = ".partial-";

/// Levels of directories below a repository's own that may hold its files.
const DEEPEST: u32 = 3;

/// What becomes of a file that is there already.
#[derive(Clone, Copy)]
enum Existing {
    Replaced,
    Kept,
}

/// A directory with the layout of a repository.
#[derive(Clone)]
pub struct Directory {
    root: Rc<Descriptor>,
    /// The same directory, for the data of files.
    data: Rc<data::Descriptor>,
    partial: Rc<Partial>,
}

/// The files of a directory that are not whole yet.
#[derive(Default)]
struct Partial {
    names: RefCell<BTreeSet<String>>,
    /// How all of their names end, as soon as there is one. It is written down for as long as there may be some.
    suffix: RefCell<Option<String>>,
}

impl Directory {
    /// The directory that the host granted under this name; none where it did not.
    pub fn granted(grant: &str) -> Option<Self> {
        let name = format!("/{grant}");
        let (root, _) = get_directories()
            .into_iter()
            .find(|(_, found)| *found == name)?;
        Some(Self {
            root: Rc::new(root),
            data: Rc::new(file_data::granted(&name)?),
            partial: Rc::default(),
        })
    }

    /// A directory in this one, made when it is missing.
    pub async fn enter(&self, name: &str) -> Result<Self> {
        self.create_directory(name).await?;
        let opened = self.root.open_at(
            PathFlags::empty(),
            name.into(),
            OpenFlags::DIRECTORY,
            DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
        );
        let root = opened
            .await
            .map_err(|cause| failed(name, "opened", &cause))?;
        Ok(Self {
            root: Rc::new(root),
            data: Rc::new(file_data::enter(&self.data, name)?),
            partial: Rc::default(),
        })
    }

    /// A file of this directory, whole; none when it is not there.
    pub fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match file_data::read(&self.data, path, 0, None) {
            Err(Error::NotFound(_)) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Stores a file, which has its name only once all of it is on stable storage. When this
    /// fails, nothing is left of it.
    pub async fn write_file(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.write_whole(path, vec![bytes], Existing::Replaced)
            .await
    }

    async fn write_whole(
        &self,
        path: &str,
        pieces: Vec<Vec<u8>>,
        existing: Existing,
    ) -> Result<()> {
        let aside = format!("{path}{}", self.suffix().await);
        self.partial.names.borrow_mut().insert(aside.clone());
        let mut first = file_data::write(&self.data, &aside, &pieces);
        if matches!(first, Err(Error::NotFound(_))) {
            self.create_parents(path).await?;
            first = file_data::write(&self.data, &aside, &pieces);
        }
        let written = match first {
            Ok(()) => {
                // Syncing takes its time: the room is better used by others.
                drop(pieces);
                let published = self.publish(&aside, path, existing).await;
                published.map_err(|cause| unchanged(&self.data, path, "written", cause))
            }
            Err(error) => Err(error),
        };
        // The write's own error is the one to tell.
        if written.is_ok() || self.discard(&aside).await {
            self.partial.names.borrow_mut().remove(&aside);
        }
        written
    }

    /// Removes a file that is not whole, and answers whether it is gone.
    async fn discard(&self, aside: &str) -> bool {
        let removed = self.root.unlink_file_at(aside.to_owned()).await;
        matches!(removed, Ok(()) | Err(ErrorCode::NoEntry))
    }

    /// Makes the directories that lead to a file.
    async fn create_parents(&self, path: &str) -> Result<()> {
        for (end, _) in path.match_indices('/') {
            self.create_directory(&path[..end]).await?;
        }
        Ok(())
    }

    /// Removes a file; fine when it is not there.
    pub async fn remove_file(&self, path: &str) -> Result<()> {
        match self.root.unlink_file_at(path.into()).await {
            Ok(()) | Err(ErrorCode::NoEntry) => Ok(()),
            Err(ErrorCode::IsDirectory) => Err(Error::Other(format!(
                "{path} is a directory, which no program for repositories has made: move it away by hand"
            ))),
            Err(cause) => Err(unchanged(&self.data, path, "removed", cause)),
        }
    }

    /// The names of what is in a directory of this one; none when it is not there.
    pub fn list_names(&self, path: &str) -> Result<Vec<String>> {
        let entries = file_data::list(&self.data, path)?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    /// Removes what was being written when its writer was given up. What cannot be removed, the next process removes.
    pub async fn remove_partial(&self) {
        let mut are_gone = true;
        for path in self.partial.names.take() {
            // It may have been renamed or removed already; nobody reads such names.
            are_gone &= self.discard(&path).await;
        }
        if let Some(suffix) = self.partial.suffix.take()
            && are_gone
        {
            platform::clear(&suffix).await;
        }
    }

    /// Removes what processes were writing that are gone.
    pub async fn remove_leftovers(&self) {
        for suffix in leftovers::left().await {
            if suffix.starts_with(PARTIAL) && self.remove_ending(".", &suffix, 0).await.is_ok() {
                platform::clear(&suffix).await;
            }
        }
    }

    /// Removes the files whose names end so, here and below.
    async fn remove_ending(&self, path: &str, suffix: &str, depth: u32) -> Result<()> {
        for entry in file_data::list(&self.data, path)? {
            let below = format!("{path}/{}", entry.name);
            if entry.type_ == data::DescriptorType::Directory {
                if depth < DEEPEST {
                    Box::pin(self.remove_ending(&below, suffix, depth + 1)).await?;
                }
            } else if entry.name.ends_with(suffix) {
                self.remove_file(&below).await?;
            }
        }
        Ok(())
    }

    /// How the names of files end that are not whole yet.
    async fn suffix(&self) -> String {
        if let Some(suffix) = &*self.partial.suffix.borrow() {
            return suffix.clone();
        }
        let mut number = [0; 8];
        platform::random(&mut number);
        let suffix = format!("{PARTIAL}{:016x}", u64::from_ne_bytes(number));
        let chosen = self.partial.suffix.borrow_mut().insert(suffix).clone();
        platform::note(&chosen).await;
        chosen
    }

    async fn open(&self, path: &str) -> Result<Descriptor, ErrorCode> {
        self.root
            .open_at(
                PathFlags::empty(),
                path.into(),
                OpenFlags::empty(),
                DescriptorFlags::READ,
            )
            .await
    }

    async fn create_directory(&self, path: &str) -> Result<()> {
        match self.root.create_directory_at(path.into()).await {
            Ok(()) | Err(ErrorCode::Exist) => Ok(()),
            Err(cause) => Err(unchanged(&self.data, path, "created", cause)),
        }
    }

    async fn publish(&self, aside: &str, path: &str, existing: Existing) -> Result<(), ErrorCode> {
        self.open(aside).await?.sync().await?;
        let (aside, root) = (aside.to_owned(), &self.root);
        let is_new = matches!(
            root.stat_at(PathFlags::empty(), path.into()).await,
            Err(ErrorCode::NoEntry)
        );
        match existing {
            Existing::Replaced => root.rename_at(aside, root, path.into()).await?,
            Existing::Kept => self.rename_if_free(aside, path).await?,
        }
        let synced = self.sync_name(path).await;
        if synced.is_err() && is_new {
            // What failed is not to be found later. Where it stays all the same, it is whole.
            let _ = root.unlink_file_at(path.into()).await;
        }
        synced
    }

    /// Brings the name of a file to stable storage, which is in its directory.
    async fn sync_name(&self, path: &str) -> Result<(), ErrorCode> {
        let directory = path
            .rsplit_once('/')
            .map_or(".", |(directory, _)| directory);
        self.open(directory).await?.sync().await
    }

    /// Gives a file another name, unless that is taken.
    async fn rename_if_free(&self, from: String, to: &str) -> Result<(), ErrorCode> {
        let root = &self.root;
        let linked = root.link_at(PathFlags::empty(), from.clone(), root, to.into());
        match linked.await {
            Ok(()) => root.unlink_file_at(from).await,
            Err(ErrorCode::Exist) => Err(ErrorCode::Exist),
            // Some file systems know one name of a file alone, and can only be asked before.
            Err(_) => match root.stat_at(PathFlags::empty(), to.into()).await {
                Err(ErrorCode::NoEntry) => root.rename_at(from, root, to.into()).await,
                Ok(_) => Err(ErrorCode::Exist),
                Err(cause) => Err(cause),
            },
        }
    }

    async fn list_into(&self, kind: FileKind, path: &str, listed: &mut Vec<Listed>) -> Result<()> {
        // A pack that is not a file is missing. Anything else is read, and told to be damaged; and what nobody has made as
        // a lock keeps nobody out.
        let files_alone = matches!(kind, FileKind::Pack | FileKind::Lock);

        let mut unseen = Vec::new();
        let before = listed.len();
        for entry in file_data::list(&self.data, path)? {
            let Ok(id) = entry.name.parse() else { continue };
            let file = format!("{path}/{}", entry.name);
            match self.root.stat_at(PathFlags::empty(), file.clone()).await {
                Ok(stat) if !files_alone || matches!(stat.type_, DescriptorType::RegularFile) => {
                    listed.push(Listed {
                        id,
                        length: stat.size,
                    });
                }
                // It was removed meanwhile, or is not a file.
                Ok(_) | Err(ErrorCode::NoEntry) => {}
                Err(cause) => unseen.push((id, failed(&file, "examined", &cause))),
            }
        }
        if listed.len() == before
            && let Some((_, error)) = unseen.pop()
        {
            // It is the directory that cannot be used.
            return Err(error);
        }
        // A pack is missing then. Anything else is read, and that tells of it.
        if kind != FileKind::Pack {
            listed.extend(unseen.into_iter().map(|(id, _)| Listed { id, length: 0 }));
        }
        Ok(())
    }
}

impl Backend for Directory {
    async fn create_layout(&self) -> Result<()> {
        for kind in [
            FileKind::Key,
            FileKind::Lock,
            FileKind::Snapshot,
            FileKind::Index,
            FileKind::Pack,
        ] {
            if let Some(path) = kind.directory() {
                self.create_directory(path).await?;
            }
        }
        for byte in 0..=u8::MAX {
            self.create_directory(&format!("data/{byte:02x}")).await?;
        }
        Ok(())
    }

    async fn exists(&self) -> Result<bool> {
        let config = FileKind::Config.path(Id([0; 32]));
        match self.root.stat_at(PathFlags::empty(), config.clone()).await {
            Ok(_) => Ok(true),
            Err(ErrorCode::NoEntry) => Ok(false),
            Err(cause) => Err(failed(&config, "examined", &cause)),
        }
    }

    async fn list(&self, kind: FileKind) -> Result<Vec<Listed>> {
        let Some(path) = kind.directory() else {
            return Ok(Vec::new());
        };
        let mut listed = Vec::new();
        if kind != FileKind::Pack {
            self.list_into(kind, path, &mut listed).await?;
            return Ok(listed);
        }
        for entry in file_data::list(&self.data, path)? {
            if entry.type_ == data::DescriptorType::Directory {
                let first = listed.len();
                let directory = format!("{path}/{}", entry.name);
                self.list_into(kind, &directory, &mut listed).await?;
                // A pack in another directory than its own is not found when it is needed.
                let mut at = 0;
                listed.retain(|pack| {
                    at += 1;
                    at <= first || kind.path(pack.id).starts_with(&format!("{directory}/"))
                });
            }
        }
        Ok(listed)
    }

    async fn read(&self, kind: FileKind, id: Id) -> Result<Vec<u8>> {
        file_data::read(&self.data, &kind.path(id), 0, None)
    }

    async fn read_range(
        &self,
        kind: FileKind,
        id: Id,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        file_data::read(&self.data, &kind.path(id), offset, Some(length))
    }

    async fn write(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        let existing = match kind {
            FileKind::Config => Existing::Kept,
            _ => Existing::Replaced,
        };
        self.write_whole(&kind.path(id), vec![bytes], existing)
            .await
    }

    async fn write_pack(&self, kind: FileKind, id: Id, pieces: Vec<Vec<u8>>) -> Result<()> {
        self.write_whole(&kind.path(id), pieces, Existing::Replaced)
            .await
    }

    async fn length(&self, kind: FileKind, id: Id) -> Result<Option<u64>> {
        let path = kind.path(id);
        match self.root.stat_at(PathFlags::empty(), path.clone()).await {
            Ok(stat) if matches!(stat.type_, DescriptorType::RegularFile) => Ok(Some(stat.size)),
            // What is not a file is not listed either.
            Ok(_) | Err(ErrorCode::NoEntry) => Ok(None),
            Err(cause) => Err(failed(&path, "examined", &cause)),
        }
    }

    async fn stored(&self, kind: FileKind, id: Id) -> Result<Option<Instant>> {
        let path = kind.path(id);
        match self.root.stat_at(PathFlags::empty(), path.clone()).await {
            Ok(stat) => Ok(stat.data_modification_timestamp.map(|time| Instant {
                seconds: time.seconds,
                nanoseconds: time.nanoseconds,
            })),
            Err(ErrorCode::NoEntry) => Ok(None),
            Err(cause) => Err(failed(&path, "examined", &cause)),
        }
    }

    async fn remove(&self, kind: FileKind, id: Id) -> Result<()> {
        self.remove_file(&kind.path(id)).await
    }
}

impl CopyStorage for Directory {
    fn digest(&self, bytes: &[u8]) -> Result<Id> {
        compute::digest(&[bytes])
    }

    fn warn(&self, text: &str) {
        log(Level::Warn, text);
    }
}
