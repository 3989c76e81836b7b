//! What a repository stands on in these tests: files in a directory, and computing on the spot.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use restic_repo::{
    Access, Backend, Environment, Error, Expectation, FileKind, Id, Instant, Listed, Result,
    Sealed, SealedBlob, Sealer,
};

/// Pieces that wait to be sealed.
pub type Staged = Vec<(Id, Vec<u8>)>;

/// What a look at a path of the repository fails with.
type Refusal = Box<dyn Fn(&str) -> Option<Error>>;

/// Files in a directory, and computing on the spot.
#[derive(Clone)]
pub struct Native {
    root: PathBuf,
    now: Rc<Cell<Option<i64>>>,
    /// By the clock of the store.
    stored: Rc<Cell<Option<i64>>>,
    access: Access,
    fuse: Rc<Cell<Option<u32>>>,
    leftovers: Rc<RefCell<BTreeSet<String>>>,
    warnings: Rc<RefCell<Vec<String>>>,
    predecessor_died: Rc<Cell<bool>>,
    ranges: Rc<Cell<u32>>,
    whole: Rc<Cell<u32>>,
    loses_answers: Rc<Cell<bool>>,
    refusal: Rc<RefCell<Option<Refusal>>>,
}

impl Native {
    /// In this directory, which need not be there yet.
    pub fn at(root: PathBuf) -> Self {
        Self {
            root,
            now: Rc::default(),
            stored: Rc::default(),
            access: Access::Full,
            fuse: Rc::new(Cell::new(None)),
            leftovers: Rc::default(),
            warnings: Rc::default(),
            predecessor_died: Rc::default(),
            ranges: Rc::default(),
            whole: Rc::default(),
            loses_answers: Rc::default(),
            refusal: Rc::default(),
        }
    }

    /// For who may do no more than this.
    pub fn with(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Says that it has failed to write, though it has written.
    pub fn lose_answers(&self, loses_answers: bool) {
        self.loses_answers.set(loses_answers);
    }

    /// Whatever is read, or listed, fails with what this says of its path.
    pub fn refuse(&self, refusal: impl Fn(&str) -> Option<Error> + 'static) {
        self.refusal.replace(Some(Box::new(refusal)));
    }

    fn look(&self, path: &str) -> Result<()> {
        let refusal = self.refusal.borrow();
        let refused = refusal.as_ref().and_then(|refusal| refusal(path));
        refused.map_or(Ok(()), Err)
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
        self.set_clock(seconds);
        self.stored.set(Some(seconds));
    }

    /// The clock of this machine alone, and not that of the store.
    pub fn set_clock(&self, seconds: i64) {
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
        let directory = kind.directory().expect("it has one");
        self.look(directory)?;
        let mut listed = Vec::new();
        let mut next = vec![self.root.join(directory)];
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
        self.look(&kind.path(id))?;
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
        self.look(&kind.path(id))?;
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
        if let Some(now) = self.stored.get() {
            let file = fs::File::options().write(true).open(&path);
            let time = UNIX_EPOCH + Duration::from_secs(now.unsigned_abs());
            file.and_then(|file| file.set_modified(time))
                .map_err(|cause| io(&path, &cause))?;
        }
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

    fn digest(&self, pieces: &[impl AsRef<[u8]>]) -> Result<Id> {
        let mut digester = tthost_seal::Digester::default();
        for piece in pieces {
            digester.update(piece.as_ref());
        }
        Ok(Id(digester.finish()))
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
            None => tokio::time::sleep(Duration::from_secs(seconds)).await,
        }
        tokio::task::yield_now().await;
    }

    async fn note(&self, name: &str) {
        self.leftovers.borrow_mut().insert(name.to_owned());
    }

    async fn clear(&self, name: &str) {
        self.leftovers.borrow_mut().remove(name);
    }

    fn is_gone(&self, process: u32) -> bool {
        !Path::new("/proc").join(process.to_string()).exists()
    }

    async fn left(&self) -> Vec<String> {
        if self.predecessor_died.get() {
            self.leftovers.borrow().iter().cloned().collect()
        } else {
            Vec::new()
        }
    }
}
