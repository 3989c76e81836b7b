//! A repository in a directory, computed natively, and the real restic beside it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use restic_repo::{
    Access, Caller, Contents, Draft, Ending, Entry, Environment as _, Error, Id, Instant, Kind,
    Metadata, Repository, Result, Writer,
};
use tthost_chunker::{Chunker, Cutting};
use tthost_tests::cheap_key::cheapen;

use crate::native::{Native, Staged};

pub const PASSWORD: &str = "correct horse";

/// So much noise fills a pack for certain: blobs are dealt among two packs of 16 MiB, while six bundles with up to 8.5 MiB
/// each are still computed.
pub const FILLS_A_PACK: usize = 84 << 20;

/// A repository's directory.
pub struct NativeRepository {
    directory: tempfile::TempDir,
}

impl NativeRepository {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("there is room for a directory"),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("repository")
    }

    pub fn platform(&self) -> Native {
        Native::at(self.path())
    }

    pub async fn create(&self) -> Repository<Native> {
        fs::create_dir(self.path()).expect("it is not there yet");
        let created = Repository::create(self.platform(), caller(), PASSWORD.as_bytes()).await;
        cheapen(&self.path(), PASSWORD).expect("the key can be sealed anew");
        created.expect("a repository can be made")
    }

    pub async fn open(&self) -> Repository<Native> {
        self.open_with(Access::Full).await
    }

    /// Opens it for who may do no more than this.
    pub async fn open_with(&self, access: Access) -> Repository<Native> {
        self.open_on(self.platform().with(access)).await
    }

    pub async fn open_on(&self, platform: Native) -> Repository<Native> {
        Repository::open(platform, caller(), PASSWORD.as_bytes())
            .await
            .expect("the repository opens")
    }

    /// The same repository once more, in another native.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        let copied = Command::new("cp")
            .arg("-a")
            .args([self.path(), copy.path()])
            .status()
            .expect("there is cp");
        assert!(copied.success(), "it cannot be copied");
        copy
    }

    /// Runs the real restic on the repository and answers what it wrote to standard output.
    pub fn restic(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.try_restic(arguments);
        assert!(
            output.status.success(),
            "restic {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    pub fn try_restic(&self, arguments: &[&str]) -> Output {
        Command::new("restic")
            .args(["--no-cache", "--repo"])
            .arg(self.path())
            .args(arguments)
            .env("RESTIC_PASSWORD", PASSWORD)
            .output()
            .expect("restic is installed")
    }

    /// The files of a directory of the repository, with all below it.
    pub fn files(&self, directory: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut next = vec![self.path().join(directory)];
        while let Some(path) = next.pop() {
            for entry in fs::read_dir(path).into_iter().flatten() {
                let path = entry.expect("it can be listed").path();
                if path.is_dir() {
                    next.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found
    }

    /// The pack with the most data, which holds contents: the packs of trees are small here.
    pub fn largest_pack(&self) -> PathBuf {
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let largest = self.files("data").into_iter().max_by_key(size);
        largest.expect("there is a pack")
    }
}

pub fn caller() -> Caller {
    Caller {
        program: "tthost test".into(),
        hostname: "here".into(),
        username: "me".into(),
        process_id: std::process::id(),
        user_id: 1000,
        group_id: 1000,
    }
}

pub fn draft() -> Draft {
    Draft {
        time: Instant {
            seconds: 1_700_000_000,
            nanoseconds: 123_000_000,
        },
        hostname: "here".into(),
        username: "me".into(),
        tags: vec!["db".into()],
        paths: vec!["/database.sql".into()],
        dry_run: false,
        force: false,
    }
}

pub fn entry(id: u64, parent: u64, name: &[u8], kind: Kind) -> Entry {
    let metadata = Metadata {
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        user: Some("me".into()),
        group: None,
        modified: Instant {
            seconds: 1_600_000_000,
            nanoseconds: 1,
        },
        accessed: None,
        changed: None,
        device: 0,
        inode: 0,
        links: 1,
        xattrs: Vec::new(),
    };
    Entry {
        id,
        parent,
        name: name.to_vec(),
        kind,
        metadata,
        subtree: None,
    }
}

/// The entry of a file that is on disk.
pub fn entry_of(id: u64, parent: u64, path: &Path) -> Entry {
    let found = path.symlink_metadata().expect("it is there");
    let kind = if found.is_dir() {
        Kind::Directory
    } else {
        Kind::File(Some(found.len()))
    };
    let name = path.file_name().expect("it has a name");
    let mut entry = entry(id, parent, name.as_encoded_bytes(), kind);
    let instant = |seconds, nanoseconds: i64| Instant {
        seconds,
        nanoseconds: u32::try_from(nanoseconds).expect("it is less than a second"),
    };
    entry.metadata.modified = instant(found.mtime(), found.mtime_nsec());
    entry.metadata.changed = Some(instant(found.ctime(), found.ctime_nsec()));
    entry.metadata.inode = found.ino();
    entry
}

/// Contents that come in pieces, with a verdict at the end.
pub struct Pieces {
    cutting: Cutting,
    pub bytes: Vec<u8>,
    pub position: usize,
    pub verdict: Result<Ending>,
}

impl Pieces {
    pub fn good(writer: &Writer<Native>, bytes: Vec<u8>) -> Self {
        Self {
            cutting: writer.cutting(),
            bytes,
            position: 0,
            verdict: Ok(Ending::Whole),
        }
    }

    pub fn bad(writer: &Writer<Native>, bytes: Vec<u8>) -> Self {
        Self {
            cutting: writer.cutting(),
            bytes,
            position: 0,
            verdict: Err(Error::Other("pg_dump ended with exit code 1".into())),
        }
    }
}

impl Contents<Native> for Pieces {
    async fn next(&mut self) -> Result<Option<Staged>> {
        // As in the plugin, nothing is done the first time it is asked for.
        tokio::task::yield_now().await;
        let rest = &self.bytes[self.position..];
        let mut chunker = Chunker::new(self.cutting);
        let visible = rest.len().min(self.cutting.largest());
        chunker.buffer().extend_from_slice(&rest[..visible]);
        let Some(chunk) = chunker.next_chunk().or_else(|| chunker.finish()) else {
            return Ok(None);
        };
        self.position += chunk.len();
        Ok(Some(vec![(Id(tthost_seal::digest(&chunk)), chunk)]))
    }

    async fn verdict(self) -> Result<Ending> {
        self.verdict
    }
}

/// Lines of SQL that compress, and that no two seeds have in common.
pub fn sql(bytes: usize, seed: u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 100);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend_from_slice(
            format!("INSERT INTO t VALUES ({state}, 'customer', true);\n").as_bytes(),
        );
    }
    text.truncate(bytes);
    text
}

/// Bytes that neither compress nor come twice.
pub fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    NativeRepository::new().platform().random(&mut noise);
    noise
}
