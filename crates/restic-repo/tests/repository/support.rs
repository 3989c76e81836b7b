//! A repository in a directory, computed natively, and the real restic beside it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use restic_repo::{
    Access, Backend, Caller, Contents, Draft, Ending, Entry, Environment, Error, Expectation,
    FileKind, Id, Instant, Kind, Listed, Metadata, Repository, Result, Sealed, SealedBlob, Sealer,
    Writer,
};
use tthost_chunker::{Chunker, Cutting};
use tthost_tests::cheap_key::cheapen;

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
        Native {
            root: self.path(),
            now: Rc::new(Cell::new(None)),
            access: Access::Full,
            fuse: Rc::new(Cell::new(None)),
            leftovers: Rc::default(),
            warnings: Rc::default(),
            predecessor_died: Rc::default(),
            ranges: Rc::default(),
            whole: Rc::default(),
            loses_answers: Rc::default(),
        }
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
        let platform = Native {
            access,
            ..self.platform()
        };
        self.open_on(platform).await
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

/// Pieces that wait to be sealed.
type Staged = Vec<(Id, Vec<u8>)>;

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

/// Files in a directory, and computing on the spot.
#[derive(Clone)]
pub struct Native {
    root: PathBuf,
    now: Rc<Cell<Option<i64>>>,
    access: Access,
    fuse: Rc<Cell<Option<u32>>>,
    leftovers: Rc<RefCell<BTreeSet<String>>>,
    warnings: Rc<RefCell<Vec<String>>>,
    predecessor_died: Rc<Cell<bool>>,
    ranges: Rc<Cell<u32>>,
    whole: Rc<Cell<u32>>,
    loses_answers: Rc<Cell<bool>>,
}

impl Native {
    /// Says that it has failed to write, though it has written.
    pub fn lose_answers(&self, loses_answers: bool) {
        self.loses_answers.set(loses_answers);
    }

    /// How many files were read whole.
    pub fn whole(&self) -> u32 {
        self.whole.get()
    }

    /// How many parts of files were read.
    pub fn ranges(&self) -> u32 {
        self.ranges.get()
    }

    /// What the operator was told.
    pub fn warnings(&self) -> String {
        self.warnings.borrow().join("\n")
    }

    /// What was written down so far was written down by a process that is gone.
    pub fn die(&self) {
        self.predecessor_died.set(true);
    }

    pub fn time(&self) -> Option<i64> {
        self.now.get()
    }

    pub fn set_time(&self, seconds: i64) {
        self.now.set(Some(seconds));
    }

    /// Lets so many more files be written or removed, and none after that.
    pub fn fail_after(&self, changes: u32) {
        self.fuse.set(Some(changes));
    }

    fn change(&self) -> Result<()> {
        match self.fuse.get() {
            None => Ok(()),
            Some(0) => Err(Error::Unavailable("the disk is gone".into())),
            Some(left) => {
                self.fuse.set(Some(left - 1));
                Ok(())
            }
        }
    }

    fn path(&self, kind: FileKind, id: Id) -> PathBuf {
        self.root.join(kind.path(id))
    }
}

fn io(path: &Path, cause: &std::io::Error) -> Error {
    let text = format!("{}: {cause}", path.display());
    if cause.kind() == ErrorKind::NotFound {
        Error::NotFound(text)
    } else {
        Error::Other(text)
    }
}

impl Backend for Native {
    fn access(&self) -> Access {
        self.access
    }

    async fn create_layout(&self) -> Result<()> {
        for name in ["keys", "locks", "snapshots", "index", "data"] {
            let path = self.root.join(name);
            fs::create_dir_all(&path).map_err(|cause| io(&path, &cause))?;
        }
        for byte in 0..=255 {
            let path = self.root.join(format!("data/{byte:02x}"));
            fs::create_dir_all(&path).map_err(|cause| io(&path, &cause))?;
        }
        Ok(())
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.root.join("config").exists())
    }

    async fn list(&self, kind: FileKind) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        let mut next = vec![self.root.join(kind.directory().expect("it has one"))];
        while let Some(path) = next.pop() {
            let entries = match fs::read_dir(&path) {
                Err(cause) if cause.kind() == ErrorKind::NotFound => continue,
                entries => entries.map_err(|cause| io(&path, &cause))?,
            };
            for entry in entries {
                let entry = entry.map_err(|cause| io(&path, &cause))?;
                let metadata = entry.metadata().map_err(|cause| io(&path, &cause))?;
                if metadata.is_dir() {
                    next.push(entry.path());
                } else if let Ok(id) = entry.file_name().to_string_lossy().parse() {
                    listed.push(Listed {
                        id,
                        length: metadata.len(),
                    });
                }
            }
        }
        Ok(listed)
    }

    async fn read(&self, kind: FileKind, id: Id) -> Result<Vec<u8>> {
        self.whole.set(self.whole.get() + 1);
        let path = self.path(kind, id);
        fs::read(&path).map_err(|cause| io(&path, &cause))
    }

    async fn read_range(
        &self,
        kind: FileKind,
        id: Id,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        use std::os::unix::fs::FileExt as _;
        self.ranges.set(self.ranges.get() + 1);
        let path = self.path(kind, id);
        let mut bytes = vec![0; usize::try_from(length).expect("it fits")];
        let file = fs::File::open(&path).map_err(|cause| io(&path, &cause))?;
        file.read_exact_at(&mut bytes, offset)
            .map_err(|cause| match cause.kind() {
                ErrorKind::UnexpectedEof => {
                    Error::Corrupt(format!("{} is cut off", path.display()))
                }
                _ => io(&path, &cause),
            })?;
        Ok(bytes)
    }

    async fn write(&self, kind: FileKind, id: Id, bytes: Vec<u8>) -> Result<()> {
        self.change()?;
        let path = self.path(kind, id);
        fs::create_dir_all(path.parent().expect("it has one"))
            .map_err(|cause| io(&path, &cause))?;
        fs::write(&path, bytes).map_err(|cause| io(&path, &cause))?;
        if self.loses_answers.get() {
            return Err(Error::Unavailable("there is no answer".into()));
        }
        Ok(())
    }

    async fn length(&self, kind: FileKind, id: Id) -> Result<Option<u64>> {
        let path = self.path(kind, id);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(io(&path, &cause)),
        }
    }

    async fn stored(&self, kind: FileKind, id: Id) -> Result<Option<Instant>> {
        let path = self.path(kind, id);
        let found = fs::metadata(&path).map_err(|cause| io(&path, &cause))?;
        Ok(Some(Instant {
            seconds: found.mtime(),
            nanoseconds: 0,
        }))
    }

    async fn remove(&self, kind: FileKind, id: Id) -> Result<()> {
        self.change()?;
        let path = self.path(kind, id);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(io(&path, &cause)),
            _ => Ok(()),
        }
    }
}

impl Sealer for Native {
    type Key = tthost_seal::Key;
    type Staged = Staged;

    fn import_key(&self, material: &[u8; 64]) -> Result<Self::Key> {
        Ok(tthost_seal::Key::from_material(material))
    }

    async fn stage(&self, pieces: Vec<Vec<u8>>) -> Result<Self::Staged> {
        // As in the plugin, nothing is done the first time it is asked for.
        tokio::task::yield_now().await;
        let staged = |bytes: Vec<u8>| (Id(tthost_seal::digest(&bytes)), bytes);
        Ok(pieces.into_iter().map(staged).collect())
    }

    fn pieces_of(&self, staged: &Self::Staged) -> Vec<(Id, usize)> {
        let pieces = staged.iter();
        pieces.map(|(id, bytes)| (*id, bytes.len())).collect()
    }

    async fn seal_staged(
        &self,
        mut staged: Self::Staged,
        pieces: Vec<usize>,
        key: &Self::Key,
        level: Option<i32>,
    ) -> Result<Vec<Sealed>> {
        tokio::task::yield_now().await;
        let mut sealed = Vec::new();
        for piece in pieces {
            let bytes = std::mem::take(&mut staged[piece].1);
            sealed.push(self.seal(key, bytes, level).await?);
        }
        Ok(sealed)
    }

    async fn seal(&self, key: &Self::Key, bytes: Vec<u8>, level: Option<i32>) -> Result<Sealed> {
        let sealed = tthost_seal::seal(key, &bytes, level);
        Ok(Sealed {
            bytes: sealed.bytes,
            compressed: sealed.compressed,
        })
    }

    async fn open(
        &self,
        key: &Self::Key,
        mut bytes: Vec<u8>,
        expectation: Expectation,
    ) -> Result<Vec<u8>> {
        let mut opened = key
            .open(&mut bytes)
            .map_err(|cause| Error::Unauthenticated(cause.to_string()))?
            .to_vec();
        if expectation.compressed {
            opened = self.decompress(opened, expectation.max_length).await?;
        }
        match expectation.digest {
            Some(digest) if digest.0 != tthost_seal::digest(&opened) => {
                Err(Error::Corrupt("another digest".into()))
            }
            _ => Ok(opened),
        }
    }

    async fn open_all(&self, key: &Self::Key, blobs: Vec<SealedBlob>) -> Result<Vec<Vec<u8>>> {
        let mut opened = Vec::new();
        for blob in blobs {
            let contents = self.open(key, blob.bytes, blob.expectation).await;
            let named = |error| Error::Corrupt(format!("{}: {error}", blob.name));
            opened.push(contents.map_err(named)?);
        }
        Ok(opened)
    }

    async fn compress(&self, bytes: Vec<u8>, level: i32) -> Result<Vec<u8>> {
        tthost_seal::compress(&bytes, level).ok_or_else(|| Error::Other("zstd failed".into()))
    }

    async fn decompress(&self, bytes: Vec<u8>, max_length: u64) -> Result<Vec<u8>> {
        let longest = usize::try_from(max_length).expect("it fits");
        let mut whole = Vec::new();
        tthost_seal::decompress(&bytes, longest, &mut whole, |_| true)
            .map_err(|cause| Error::Corrupt(cause.to_string()))?;
        Ok(whole)
    }

    fn digest(&self, bytes: &[u8]) -> Result<Id> {
        Ok(Id(tthost_seal::digest(bytes)))
    }

    async fn scrypt(
        &self,
        password: &[u8],
        salt: &[u8],
        n: u64,
        r: u32,
        p: u32,
    ) -> Result<Vec<u8>> {
        let key = tthost_seal::scrypt(password, salt, n, r, p, 64);
        key.map(|key| key.to_vec())
            .map_err(|cause| Error::Unsupported(cause.to_string()))
    }
}

impl Environment for Native {
    fn now(&self) -> Instant {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("it is after 1970")
            .as_secs();
        let seconds = self
            .now
            .get()
            .unwrap_or(i64::try_from(now).expect("it fits"));
        Instant {
            seconds,
            nanoseconds: 0,
        }
    }

    fn random(&self, bytes: &mut [u8]) {
        use std::io::Read as _;
        fs::File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(bytes))
            .expect("there is randomness");
    }

    fn progress(&self, _: &str, _: u64, _: u64) {}

    fn warn(&self, text: &str) {
        self.warnings.borrow_mut().push(text.to_owned());
    }

    /// The clock that a test has set moves on by itself.
    async fn sleep(&self, seconds: u64) {
        match self.now.get() {
            Some(now) => self.set_time(now + i64::try_from(seconds).expect("it fits")),
            None => tokio::time::sleep(std::time::Duration::from_secs(seconds)).await,
        }
        tokio::task::yield_now().await;
    }

    async fn note(&self, name: &str) {
        self.leftovers.borrow_mut().insert(name.to_owned());
    }

    async fn clear(&self, name: &str) {
        self.leftovers.borrow_mut().remove(name);
    }

    async fn left(&self) -> Vec<String> {
        if self.predecessor_died.get() {
            self.leftovers.borrow().iter().cloned().collect()
        } else {
            Vec::new()
        }
    }
}

/// Bytes that neither compress nor come twice.
pub fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    NativeRepository::new().platform().random(&mut noise);
    noise
}
