//! The shared state of an open repository, and its encrypted files.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::CONFIG;
use crate::config::Config;
use crate::error::corrupt;
use crate::index::{Index, IndexFile, Rest};
use crate::isolating::Isolating;
use crate::lock::Lock;
use crate::tree::to_vec;
use crate::{Access, Caller, Error, Expectation, FileKind, Id, Listed, Platform, Result};

/// The level of compression; zstd's own default, and about what restic uses.
pub(crate) const LEVEL: i32 = 3;

/// Files read concurrently.
const READERS: usize = 8;

/// The largest encrypted JSON file that is read, in bytes: an index of about a million blobs.
const MAX_LENGTH: u64 = 256 << 20;

/// What a compressed file begins with, inside the encryption.
const COMPRESSED: u8 = 2;

/// An open repository.
pub(crate) struct Core<P: Platform> {
    pub(crate) platform: Isolating<P>,
    pub(crate) caller: Caller,
    pub(crate) key: P::Key,
    pub(crate) config: Config,
    pub(crate) index: RefCell<Index>,
    pub(crate) lock: Cell<Option<Lock>>,
    /// Whether the lock was lost.
    pub(crate) lock_is_lost: Cell<bool>,
}

impl<P: Platform> Core<P> {
    /// Reads an encrypted JSON file.
    pub(crate) async fn load<T: DeserializeOwned>(&self, kind: FileKind, id: Id) -> Result<T> {
        let sealed = self.platform.read(kind, id).await?;
        self.decode(kind, id, sealed).await
    }

    /// Decrypts and parses a JSON file.
    pub(crate) async fn decode<T: DeserializeOwned>(
        &self,
        kind: FileKind,
        id: Id,
        sealed: Vec<u8>,
    ) -> Result<T> {
        let bytes = self.open_file(kind, id, sealed).await?;
        serde_json::from_slice(&bytes)
            .map_err(|cause| corrupt(format!("the {kind} {} cannot be read: {cause}", id.short())))
    }

    async fn open_file(&self, kind: FileKind, id: Id, sealed: Vec<u8>) -> Result<Vec<u8>> {
        let named = |error: Error| match error {
            Error::Corrupt(text) | Error::Unauthenticated(text) => {
                corrupt(format!("the {kind} {} is damaged: {text}", id.short()))
            }
            other => other,
        };
        if self.platform.digest(&[&sealed])? != id {
            return Err(corrupt(format!(
                "the {kind} {} is damaged: its contents do not match its name",
                id.short()
            )));
        }
        let expectation = Expectation {
            compressed: false,
            max_length: MAX_LENGTH,
            digest: None,
        };
        let mut bytes = self
            .platform
            .open(&self.key, sealed, expectation)
            .await
            .map_err(named)?;
        match bytes.first() {
            Some(b'{' | b'[') => Ok(bytes),
            Some(&COMPRESSED) => {
                bytes.remove(0);
                self.platform
                    .decompress(bytes, MAX_LENGTH)
                    .await
                    .map_err(named)
            }
            _ => Err(corrupt(format!(
                "the {kind} {} has an encoding that is unknown",
                id.short()
            ))),
        }
    }

    /// Reads listed JSON files concurrently. Returns an error for each damaged one. Skips files that were removed
    /// since the listing.
    pub(crate) async fn try_load_these<T: DeserializeOwned>(
        &self,
        kind: FileKind,
        listed: Vec<Listed>,
    ) -> Result<Vec<(Id, Result<T>)>> {
        let mut loaded = self.load_listed(kind, listed).await?;
        loaded.retain(|(_, file)| !matches!(file, Err(Error::NotFound(_))));
        Ok(loaded)
    }

    /// Reads all files of a kind under the exclusive lock, to decide what to remove. Nobody else removes files then, so a listed
    /// file that is not found is an error of the store.
    pub(crate) async fn try_load_all_alone<T: DeserializeOwned>(
        &self,
        kind: FileKind,
    ) -> Result<Vec<(Id, Result<T>)>> {
        let listed = self.platform.list(kind).await?;
        let loaded = self.load_listed(kind, listed).await?;
        let told = loaded.into_iter().map(|(id, file)| match file {
            Err(error @ Error::NotFound(_)) => Err(untruthful(kind, id, error)),
            file => Ok((id, file)),
        });
        told.collect()
    }

    async fn load_listed<T: DeserializeOwned>(
        &self,
        kind: FileKind,
        listed: Vec<Listed>,
    ) -> Result<Vec<(Id, Result<T>)>> {
        let mut loaded = Vec::new();
        self.load_each(kind, listed, |id, file| {
            loaded.push((id, file));
            Ok(())
        })
        .await?;
        Ok(loaded)
    }

    /// Reads JSON files concurrently, and passes each file or its error to `take`.
    async fn load_each<T: DeserializeOwned>(
        &self,
        kind: FileKind,
        listed: Vec<Listed>,
        mut take: impl FnMut(Id, Result<T>) -> Result<()>,
    ) -> Result<()> {
        let mut loading = stream::iter(listed)
            .map(async |file| (file.id, self.load(kind, file.id).await))
            .buffer_unordered(READERS);
        while let Some((id, file)) = loading.next().await {
            match file {
                Ok(_) | Err(Error::Corrupt(_) | Error::NotFound(_)) => take(id, file)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes an encrypted JSON file and returns its name.
    pub(crate) async fn save(&self, kind: FileKind, value: &impl Serialize) -> Result<Id> {
        let (id, bytes) = self.encode(value).await?;
        self.platform.store(kind, id, bytes).await?;
        Ok(id)
    }

    /// An encrypted JSON file and its name.
    pub(crate) async fn encode(&self, value: &impl Serialize) -> Result<(Id, Vec<u8>)> {
        let mut json = to_vec(value);
        if let Some(level) = self.config.level() {
            let mut compressed = self.platform.compress(json, level).await?;
            compressed.insert(0, COMPRESSED);
            json = compressed;
        }
        let sealed = self.platform.seal(&self.key, json, None).await?;
        Ok((self.platform.digest(&[&sealed.bytes])?, sealed.bytes))
    }

    /// Confirms that these packs are stored.
    pub(crate) async fn confirm_packs(&self, stored: &[Listed]) -> Result<()> {
        stream::iter(stored)
            .map(|pack| self.platform.confirm(FileKind::Pack, *pack))
            .buffer_unordered(READERS)
            .try_collect()
            .await
    }

    /// Reads the index, unless it is loaded.
    pub(crate) async fn load_index(&self) -> Result<()> {
        if self.index.borrow().is_loaded() {
            return Ok(());
        }
        let mut index = self.read_index().await?;
        if index.has_repeated_blobs() && self.platform.access() != Access::WriteOnly {
            // One of the packs may be missing or truncated. Then the other one counts.
            let there = self.packs_there(&index).await?;
            index.rely_on(&there, Rest::Kept);
        }
        self.index.replace(index);
        Ok(())
    }

    /// Reads the index anew without blobs in missing or truncated packs: a snapshot that refers to them could not be
    /// restored. Returns the stored packs.
    pub(crate) async fn load_index_of_what_is_there(&self) -> Result<HashSet<Id>> {
        if self.platform.access() == Access::WriteOnly {
            self.load_index().await?;
            return Ok(HashSet::new());
        }
        let mut index = self.read_index().await?;
        let there = self.packs_there(&index).await?;
        index.rely_on(&there, Rest::Dropped);
        self.index.replace(index);
        Ok(there.into_keys().collect())
    }

    /// Reads all index files. Warns of damaged ones and skips them.
    async fn read_index(&self) -> Result<Index> {
        let mut index = Index::default();
        let listed = self.platform.list(FileKind::Index).await?;
        self.load_each::<IndexFile>(FileKind::Index, listed, |_, file| {
            match file {
                Ok(file) => index.add_file(file),
                // It was removed since the listing.
                Err(Error::NotFound(_)) => {}
                Err(error) => self
                    .platform
                    .warn(&format!("{error}; what it lists is taken for missing")),
            }
            Ok(())
        })
        .await?;
        index.loaded();
        Ok(index)
    }

    /// Reads all index files to decide what to remove. Fails if one is damaged or missing. Returns the ids of the files,
    /// too.
    pub(crate) async fn read_whole_index(&self) -> Result<(Index, Vec<Id>)> {
        let mut index = Index::default();
        let listed = self.platform.list(FileKind::Index).await?;
        let files = listed.iter().map(|file| file.id).collect();
        self.load_each::<IndexFile>(FileKind::Index, listed, |id, file| {
            index.add_file(file.map_err(|error| untruthful(FileKind::Index, id, error))?);
            Ok(())
        })
        .await?;
        index.loaded();
        Ok((index, files))
    }

    /// The stored packs, with their lengths in bytes. If packs cannot be listed, looks up those of the index.
    async fn packs_there(&self, index: &Index) -> Result<HashMap<Id, u64>> {
        let indexed = index.packs().iter().map(|pack| pack.id);
        let Packs { there, unlisted } = self.find_packs(indexed).await?;
        if let Some(cause) = unlisted {
            self.platform.warn(&cause);
        }
        Ok(there)
    }

    /// The stored packs. If packs cannot be listed but the repository is readable, looks up the expected ones one by one.
    pub(crate) async fn find_packs(&self, expected: impl Iterator<Item = Id>) -> Result<Packs> {
        let error = match self.platform.list(FileKind::Pack).await {
            Ok(listed) => {
                let there = listed.into_iter().map(|pack| (pack.id, pack.length));
                return Ok(Packs {
                    there: there.collect(),
                    unlisted: None,
                });
            }
            Err(error) => error,
        };
        if !self.platform.is_isolated(&error).await {
            return Err(error);
        }
        let mut looked = stream::iter(expected)
            .map(async |id| (id, self.platform.length(FileKind::Pack, id).await))
            .buffer_unordered(READERS);
        let mut there = HashMap::new();
        while let Some((id, length)) = looked.next().await {
            match length {
                Ok(length) => there.extend(length.map(|length| (id, length))),
                Err(Error::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Packs {
            there,
            unlisted: Some(format!("the packs cannot be listed: {error}")),
        })
    }

    /// The packs that are there.
    pub(crate) async fn list_packs(&self) -> Result<HashSet<Id>> {
        let listed = self.platform.list(FileKind::Pack).await?;
        Ok(listed.into_iter().map(|pack| pack.id).collect())
    }
}

/// The packs that are there.
pub(crate) struct Packs {
    /// With their lengths in bytes.
    pub(crate) there: HashMap<Id, u64>,
    /// Why they cannot be listed. There may be more.
    pub(crate) unlisted: Option<String>,
}

/// Turns the error of a listed file that is not found into one that says that nothing was removed.
fn untruthful(kind: FileKind, id: Id, error: Error) -> Error {
    match error {
        Error::NotFound(text) => Error::Unavailable(format!(
            "the {kind} {} is listed, and the store says that it is not there: nothing was removed, because it may be \
             needed ({text}); run it again later",
            id.short()
        )),
        other => other,
    }
}

/// Writes the configuration of a new repository.
pub(crate) async fn save_config<P: Platform>(
    platform: &Isolating<P>,
    key: &P::Key,
    config: &Config,
) -> Result<()> {
    let sealed = platform.seal(key, config.to_bytes(), None).await?;
    platform.store(FileKind::Config, CONFIG, sealed.bytes).await
}

/// Reads the configuration.
pub(crate) async fn load_config<P: Platform>(
    platform: &Isolating<P>,
    key: &P::Key,
) -> Result<Config> {
    let sealed = platform.read(FileKind::Config, CONFIG).await?;
    let expectation = Expectation {
        compressed: false,
        max_length: MAX_LENGTH,
        digest: None,
    };
    let opened = platform.open(key, sealed, expectation).await;
    Config::from_bytes(
        &opened.map_err(|cause| corrupt(format!("the repository's config is damaged: {cause}")))?,
    )
}
