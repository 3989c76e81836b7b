//! A repository in a granted directory.

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

/// The part after the final name in the name of a temporary file.
const PARTIAL: &str = ".partial-";

/// Levels of directories below a repository's own that may hold its files.
const DEEPEST: u32 = 3;

/// How to treat an existing file.
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

/// The temporary files of a directory.
#[derive(Default)]
struct Partial {
    names: RefCell<BTreeSet<String>>,
    /// The suffix of their names, from the first one on. A note with it exists while there may be such files.
    suffix: RefCell<Option<String>>,
}

impl Directory {
    /// The directory granted under this name. `None` without a grant.
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

    /// A subdirectory, created if missing.
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

    /// Reads a file. `None` if it does not exist.
    pub fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match file_data::read(&self.data, path, 0, None) {
            Err(Error::NotFound(_)) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Stores a file. It gets its name only when it is completely on stable storage. On failure,
    /// nothing remains.
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
                // Frees the memory before the slow sync.
                drop(pieces);
                let published = self.publish(&aside, path, existing).await;
                published.map_err(|cause| unchanged(&self.data, path, "written", cause))
            }
            Err(error) => Err(error),
        };
        // Reports the error of the write.
        if written.is_ok() || self.discard(&aside).await {
            self.partial.names.borrow_mut().remove(&aside);
        }
        written
    }

    /// Removes a temporary file. Returns whether it is gone.
    async fn discard(&self, aside: &str) -> bool {
        let removed = self.root.unlink_file_at(aside.to_owned()).await;
        matches!(removed, Ok(()) | Err(ErrorCode::NoEntry))
    }

    /// Creates the parent directories of a file.
    async fn create_parents(&self, path: &str) -> Result<()> {
        for (end, _) in path.match_indices('/') {
            self.create_directory(&path[..end]).await?;
        }
        Ok(())
    }

    /// Removes a file, if it exists.
    pub async fn remove_file(&self, path: &str) -> Result<()> {
        match self.root.unlink_file_at(path.into()).await {
            Ok(()) | Err(ErrorCode::NoEntry) => Ok(()),
            Err(ErrorCode::IsDirectory) => Err(Error::Other(format!(
                "{path} is a directory, which no program for repositories has made: move it away by hand"
            ))),
            Err(cause) => Err(unchanged(&self.data, path, "removed", cause)),
        }
    }

    /// The names in a subdirectory. Empty if it does not exist.
    pub fn list_names(&self, path: &str) -> Result<Vec<String>> {
        let entries = file_data::list(&self.data, path)?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    /// Removes the temporary files of abandoned writers. The next process removes the rest.
    pub async fn remove_partial(&self) {
        let mut are_gone = true;
        for path in self.partial.names.take() {
            // It may be renamed or removed already. Nobody reads such names.
            are_gone &= self.discard(&path).await;
        }
        if let Some(suffix) = self.partial.suffix.take()
            && are_gone
        {
            platform::clear(&suffix).await;
        }
    }

    /// Removes the temporary files of dead processes.
    pub async fn remove_leftovers(&self) {
        for suffix in leftovers::left().await {
            if suffix.starts_with(PARTIAL) && self.remove_ending(".", &suffix, 0).await.is_ok() {
                platform::clear(&suffix).await;
            }
        }
    }

    /// Removes the files with this suffix, recursively.
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

    /// The suffix of temporary files.
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
            // A failed write must leave no file. If one stays all the same, it is complete.
            let _ = root.unlink_file_at(path.into()).await;
        }
        synced
    }

    /// Syncs the directory of a file, which contains its name.
    async fn sync_name(&self, path: &str) -> Result<(), ErrorCode> {
        let directory = path
            .rsplit_once('/')
            .map_or(".", |(directory, _)| directory);
        self.open(directory).await?.sync().await
    }

    /// Renames a file, unless the new name exists.
    async fn rename_if_free(&self, from: String, to: &str) -> Result<(), ErrorCode> {
        let root = &self.root;
        let linked = root.link_at(PathFlags::empty(), from.clone(), root, to.into());
        match linked.await {
            Ok(()) => root.unlink_file_at(from).await,
            Err(ErrorCode::Exist) => Err(ErrorCode::Exist),
            // Some file systems have no hard links. Then only a check beforehand remains.
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
                // It was removed, or is not a file.
                Ok(_) | Err(ErrorCode::NoEntry) => {}
                Err(cause) => unseen.push((id, failed(&file, "examined", &cause))),
            }
        }
        if listed.len() == before
            && let Some((_, error)) = unseen.pop()
        {
            // The directory itself is unusable.
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
                // A pack in the wrong directory cannot be read later.
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
            // Only files are listed.
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
