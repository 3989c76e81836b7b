//! Lists the entries of a snapshot.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::instrument;
use vec1::Vec1;

use super::snapshot::{depth, pick, within};
use super::{Context, Snapshot, SnapshotRef, open};
use crate::contract::{self, Entry, EntryKind};
use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::json;
use crate::plugin::{Repository, Spec};
use crate::text::printable;

/// Entries that are asked for at a time.
const BATCH: u32 = 1024;

/// The most bytes that a listing takes.
const MAX: usize = 1 << 30;

/// A part of a snapshot that is to be listed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The store that has it.
    pub sink: Spec,
    /// Which snapshot.
    pub snapshot: SnapshotRef,
    /// The folder of it that is taken for its top.
    pub folder: Option<Vec<u8>>,
    /// The directory or file that is listed; the top where there is none.
    pub path: Option<Vec<u8>>,
    /// Also list what is in the directories below.
    pub recursive: bool,
}

/// The contents of a snapshot.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The entries at or below the path, in the order of the snapshot.
    pub entries: Vec<Listed>,
}

/// Something in a snapshot.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Listed {
    /// Its absolute path in the snapshot.
    pub path: String,
    /// The type of the entry.
    #[serde(rename = "type")]
    pub file_type: FileType,
    /// The size of a file in bytes.
    pub size: Option<u64>,
    /// Where a symbolic link leads.
    #[serde(rename = "linktarget")]
    pub target: Option<String>,
    /// The permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// When its contents were changed last; none where no calendar has that time.
    #[serde(rename = "mtime", serialize_with = "json::optional_time")]
    pub modified: Option<Timestamp>,
    /// The store's name for all that is below a directory, in hexadecimal. Equal names mean equal
    /// contents.
    pub subtree: Option<String>,
}

/// The type of an entry in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    #[serde(rename = "dir")]
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    #[serde(rename = "chardev")]
    CharacterDevice,
    /// A block device.
    #[serde(rename = "dev")]
    BlockDevice,
}

impl super::Report for Report {}

/// Lists a part of a snapshot. Of a repository, only the listings on the way there are read.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "ls"))]
pub async fn ls(context: &Context, plan: Plan) -> Result<Report> {
    let repository = open(context, &plan.sink, Access::ReadOnly).await?;
    let listing = list(&repository, &plan);
    Box::pin(repository.use_and_close(context, listing)).await
}

async fn list(repository: &Repository, plan: &Plan) -> Result<Report> {
    let snapshot = pick(repository, &plan.snapshot).await?;
    let folder = plan.folder.as_deref();
    let path = within(folder, plan.path.as_deref().unwrap_or_default());
    let (hidden, top) = (depth(folder.unwrap_or_default()), depth(&path));
    let selection = contract::Selection {
        snapshot: snapshot.id.clone(),
        paths: (top > 0).then(|| Vec1::new(path)),
        levels: (!plan.recursive).then_some(1),
        skip_damaged: false,
    };
    let mut reader = repository.read(selection).await?;
    let mut listing = Listing::default();
    // The directories that hold what comes next, outermost first.
    let mut above: Vec<(u64, Vec<u8>)> = Vec::new();
    loop {
        let batch = reader.next(BATCH).await?;
        if batch.is_empty() {
            break;
        }
        for entry in batch.iter() {
            while above.pop_if(|(id, _)| *id != entry.parent).is_some() {}
            let parent = above.last().map_or(&[][..], |(_, path)| path);
            let is_directory = matches!(entry.kind, EntryKind::Directory);
            let depth = above.len() + 1;
            let path = if depth > hidden {
                [parent, b"/", entry.name.as_bytes()].concat()
            } else if is_directory {
                Vec::new()
            } else {
                let text = format!("{} is not a folder of the snapshot", entry.name);
                return Err(Error::new(Kind::NotFound, text));
            };
            // A directory that is named is listed by what is in it.
            if depth > top || (depth == top && !is_directory) {
                listing.add(Listed::new(&path, entry))?;
            }
            if is_directory {
                above.push((entry.id, path));
            }
        }
    }
    reader.finish().await?;
    let entries = listing.entries;
    Ok(Report { snapshot, entries })
}

/// The listed entries and the size of the answer in bytes.
#[derive(Default)]
struct Listing {
    entries: Vec<Listed>,
    bytes: usize,
}

impl Listing {
    fn add(&mut self, listed: Listed) -> Result<()> {
        let texts = [
            Some(&listed.path),
            listed.target.as_ref(),
            listed.subtree.as_ref(),
        ];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        self.bytes += size_of::<Listed>() + texts;
        if self.bytes > MAX {
            let text = format!(
                "there is more in it than fits into {} MiB: {} entries were listed",
                MAX >> 20,
                self.entries.len()
            );
            return Err(Error::new(Kind::Other, text)
                .help("name a folder of the snapshot, or list without --recursive"));
        }
        self.entries.push(listed);
        Ok(())
    }
}

impl Listed {
    fn new(path: &[u8], entry: &Entry) -> Self {
        let metadata = &entry.metadata;
        Self {
            path: printable(&String::from_utf8_lossy(path)),
            file_type: match entry.kind {
                EntryKind::File(_) => FileType::File,
                EntryKind::Directory => FileType::Directory,
                EntryKind::Symlink(_) => FileType::Symlink,
                EntryKind::Fifo => FileType::Fifo,
                EntryKind::Socket => FileType::Socket,
                EntryKind::CharacterDevice(_) => FileType::CharacterDevice,
                EntryKind::BlockDevice(_) => FileType::BlockDevice,
            },
            size: match entry.kind {
                EntryKind::File(size) => size,
                _ => None,
            },
            target: match &entry.kind {
                EntryKind::Symlink(target) => Some(printable(&target.as_c_str().to_string_lossy())),
                _ => None,
            },
            mode: metadata.permissions.bits(),
            uid: metadata.uid.get(),
            gid: metadata.gid.get(),
            modified: Timestamp::try_from(metadata.modified).ok(),
            subtree: entry
                .subtree
                .as_ref()
                .map(|subtree| hex::encode(subtree.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_that_has_no_end_is_an_error() {
        let mut listing = Listing::default();
        let mut listed = 0;
        let error = loop {
            let entry = Listed {
                path: "x".repeat(4 << 20),
                file_type: FileType::File,
                size: None,
                target: None,
                mode: 0,
                uid: 0,
                gid: 0,
                modified: None,
                subtree: None,
            };
            // What was listed is not needed here.
            listing.entries.clear();
            match listing.add(entry) {
                Ok(()) => listed += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(listed, 255);
        assert!(error.message().contains("1024 MiB"), "{error}");
    }
}
