//! What is where in the store.
//!
//! - `store.json`: the store's own id.
//! - `snapshots/ID/`: a snapshot. `files/` has its directories and files, `entries.jsonl` a line for each entry, `SHA256SUMS` what
//!   `sha256sum -c` reads, and `snapshot.json` the rest.
//! - `partial/ID/`: a snapshot that is written. It is renamed when it is whole.
//! - `forgotten/ID/`: a snapshot that is not listed any more, and whose space was not reclaimed yet.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tthost_plugin::snapshots::Snapshot;
use tthost_plugin::{Error, Instant, Result};

/// Where the host puts the granted directory.
pub const ROOT: &str = "/store";

/// What somebody reads who finds the store.
pub const README: &str = "\
These are backups that tthost made with its plugin plain-files-sink. Each directory in snapshots/ is one, with its time (UTC) in its name.

files/          the files and directories as they were; a character that a file name cannot hold is written as %XX
entries.jsonl   owners, rights, times, links and all else that the files themselves do not show
SHA256SUMS      checksums: run sha256sum -c SHA256SUMS in the snapshot's directory
snapshot.json   what was backed up, where and when

To restore, copy files/, or use tthost, which restores what is in entries.jsonl as well.
";

/// What is known of a snapshot as a whole.
#[derive(Serialize, Deserialize)]
pub struct Description {
    pub time: (i64, u32),
    pub hostname: String,
    pub username: String,
    pub tags: Vec<String>,
    pub paths: Vec<String>,
    pub complete: bool,
    pub files: u64,
    pub bytes: u64,
    /// Checksums of the two lists.
    pub entries: String,
    pub sums: String,
}

impl Description {
    pub fn of(id: &str) -> Result<Self> {
        read(&format!("snapshots/{id}/snapshot.json"))
    }

    pub fn snapshot(self, id: String) -> Snapshot {
        Snapshot {
            id,
            time: Instant {
                seconds: self.time.0,
                nanoseconds: self.time.1,
            },
            hostname: self.hostname,
            username: self.username,
            tags: self.tags,
            paths: self.paths,
            program: None,
            files: Some(self.files),
            bytes: Some(self.bytes),
            bytes_added: None,
            bytes_stored: None,
            damaged: None,
        }
    }
}

/// Something with a checksum of it.
#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    content: T,
    sha256: String,
}

/// As a file that tells whether it is damaged.
pub fn sealed<T: Serialize>(content: &T) -> Result<Vec<u8>> {
    let failed = |cause: serde_json::Error| Error::Other(cause.to_string());
    let sha256 = digest(&serde_json::to_vec(content).map_err(failed)?);
    let mut bytes = serde_json::to_vec_pretty(&Sealed { content, sha256 }).map_err(failed)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads what was sealed.
pub fn read<T: Serialize + DeserializeOwned>(name: &str) -> Result<T> {
    let bytes = fs::read(path(name)).map_err(|cause| failed(name, &cause))?;
    let read = serde_json::from_slice::<Sealed<T>>(&bytes);
    match read.map(|read| read.content) {
        Ok(content) if sealed(&content)? == bytes => Ok(content),
        _ => Err(Error::Corrupt(format!("{name} is damaged"))),
    }
}

/// The id of a new snapshot: a number, because lists show the beginning of it alone, and its time, as people write it.
pub fn new_id(time: Instant, number: u64) -> String {
    let shown = Timestamp::from_second(time.seconds).map_or_else(
        |_| time.seconds.to_string(),
        |time| time.strftime("%Y-%m-%dT%H-%M-%SZ").to_string(),
    );
    format!("{:08x}-{shown}", number >> 32)
}

/// The path of something in the store.
pub fn path(name: &str) -> String {
    format!("{ROOT}/{name}")
}

/// What a failed access to something in the store means.
pub fn failed(name: &str, cause: &io::Error) -> Error {
    let text = format!("{name}: {cause}");
    match cause.kind() {
        ErrorKind::NotFound => Error::Corrupt(format!("{name} is missing")),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Error::ReadOnly(text),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::NoSpace(text),
        _ => Error::Other(text),
    }
}

/// What an error says, for a finding.
pub fn text(error: Error) -> String {
    match error {
        Error::Config(text)
        | Error::Denied(text)
        | Error::NotFound(text)
        | Error::Exists(text)
        | Error::Locked(text)
        | Error::Busy(text)
        | Error::Unauthenticated(text)
        | Error::Corrupt(text)
        | Error::NoSpace(text)
        | Error::ReadOnly(text)
        | Error::Unavailable(text)
        | Error::Unsupported(text)
        | Error::Cancelled(text)
        | Error::Other(text) => text,
    }
}

/// Writes a file for good.
pub fn write(name: &str, bytes: &[u8]) -> Result<()> {
    let written = File::create(path(name)).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|cause| failed(name, &cause))
}

/// Sees to it that what was made in a directory is there for good.
pub fn sync(directory: &str) -> Result<()> {
    let synced = File::open(path(directory)).and_then(|directory| directory.sync_all());
    synced.map_err(|cause| failed(directory, &cause))
}

/// The names in a directory.
pub fn names(directory: &str) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(path(directory)).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    });
    entries.map_err(|cause| failed(directory, &cause))
}

/// Removes a directory with all that is in it. Fine when it is not there.
pub fn remove(directory: &str) -> Result<()> {
    match fs::remove_dir_all(path(directory)) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(failed(directory, &cause)),
        _ => Ok(()),
    }
}

pub fn digest(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

pub fn hex(hasher: Sha256) -> String {
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
