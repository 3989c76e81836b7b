//! The types of the contract. They are not validated, because a plugin under test may return anything.

use std::fmt;

/// Which call failed in which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The contract's case.
    pub case: Case,
    /// The sentence.
    pub text: String,
}

/// The cases of the contract's `error`, and one for a plugin that gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// `config`
    Config,
    /// `denied`
    Denied,
    /// `not-found`
    NotFound,
    /// `exists`
    Exists,
    /// `locked`
    Locked,
    /// `busy`
    Busy,
    /// `unauthenticated`
    Unauthenticated,
    /// `corrupt`
    Corrupt,
    /// `no-space`
    NoSpace,
    /// `read-only`
    ReadOnly,
    /// `unavailable`
    Unavailable,
    /// `unsupported`
    Unsupported,
    /// `cancelled`
    Cancelled,
    /// `other`
    Other,
    /// No answer at all: the plugin broke down, went beyond a limit, or said what the host does not take.
    Broken,
}

/// A result of a call.
pub type Result<T> = std::result::Result<T, Error>;

impl Case {
    /// As the contract calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Denied => "denied",
            Self::NotFound => "not-found",
            Self::Exists => "exists",
            Self::Locked => "locked",
            Self::Busy => "busy",
            Self::Unauthenticated => "unauthenticated",
            Self::Corrupt => "corrupt",
            Self::NoSpace => "no-space",
            Self::ReadOnly => "read-only",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::Cancelled => "cancelled",
            Self::Other => "other",
            Self::Broken => "no answer",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.case.name(), self.text)
    }
}

/// What a plugin is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is backed up.
    Source,
    /// It stores snapshots.
    Sink,
    /// It stores objects for a sink.
    Store,
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The schema of its settings.
    pub config_schema: serde_json::Value,
    /// What it asks for.
    pub needs: Vec<Need>,
    /// The optional interfaces that it exports, by their full names.
    pub capabilities: Vec<String>,
}

/// Something that a plugin asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What it is, for example `secret`.
    pub resource: String,
    /// Its name.
    pub name: String,
    /// One sentence on what it is for.
    pub reason: String,
}

/// A point in time, like the contract's `instant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    /// Seconds since 1970.
    pub seconds: i64,
    /// They count forward.
    pub nanoseconds: u32,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file, with its size where that is announced.
    File(Option<u64>),
    /// A directory.
    Directory,
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharacterDevice(u64),
    /// A block device.
    BlockDevice(u64),
}

/// POSIX metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The owner's name.
    pub user: Option<String>,
    /// The group's name.
    pub group: Option<String>,
    /// When the contents were changed.
    pub modified: Instant,
    /// When it was read.
    pub accessed: Option<Instant>,
    /// When the inode was changed.
    pub changed: Option<Instant>,
    /// `st_dev`
    pub device: u64,
    /// The inode's number.
    pub inode: u64,
    /// Hard links.
    pub links: u64,
    /// Names and values of extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: u64,
    /// The number of its directory.
    pub parent: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Its metadata.
    pub metadata: Metadata,
    /// The store's name for all that is below it.
    pub subtree: Option<Vec<u8>>,
}

/// How contents ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All of them came.
    Whole,
    /// They changed meanwhile.
    Changed,
    /// They cannot be had.
    Omitted,
}

/// Contents of a small file that a reader gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Small {
    /// The entry.
    pub id: u64,
    /// How they ended.
    pub ending: Ending,
    /// What there was.
    pub bytes: Vec<u8>,
}

/// Whether a tree is what its source was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It is.
    Complete,
    /// Something is missing, or changed.
    Incomplete,
}

/// What may be done in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Looking.
    ReadOnly,
    /// Everything.
    ReadWrite,
}

/// What is known of a snapshot before its tree is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The time that it bears.
    pub time: Instant,
    /// Whose data it is.
    pub hostname: String,
    /// Who took it.
    pub username: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its paths.
    pub paths: Vec<String>,
    /// Store nothing.
    pub dry_run: bool,
    /// Ask for all contents.
    pub force: bool,
}

/// A snapshot that is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its full id.
    pub id: String,
    /// The time that it bears.
    pub time: Instant,
    /// Whose data it is.
    pub hostname: String,
    /// Who took it.
    pub username: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its paths.
    pub paths: Vec<String>,
    /// Why nothing else is known of it.
    pub damaged: Option<String>,
}

/// What a writer says that it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The new snapshot.
    pub snapshot: Option<String>,
    /// Files that were seen, of whatever sort.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What becomes of an object that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// The new one takes its place.
    Replaced,
    /// It stays.
    Kept,
}

/// Some of a listing of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Names and sizes.
    pub objects: Vec<(String, u64)>,
    /// What to ask for the rest with.
    pub next: Option<String>,
}

/// What store it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: String,
    /// The version of its format.
    pub version: u32,
}

/// Which part of a snapshot is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Its id, or a prefix of it.
    pub snapshot: String,
    /// Paths; all where there are none.
    pub paths: Vec<Vec<u8>>,
    /// Levels below them.
    pub levels: Option<u32>,
    /// Leave out what is damaged.
    pub skip_damaged: bool,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first byte.
    pub offset: u64,
    /// The number of bytes.
    pub length: u64,
}

/// A part of the stored objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subset {
    /// The first place.
    pub first: u32,
    /// The last place.
    pub last: u32,
}

impl Subset {
    /// Everything.
    pub const ALL: Self = Self {
        first: 0,
        last: u32::MAX,
    };
}

/// How much is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How thorough a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Listings and references.
    Structure,
    /// Every byte of these.
    Data(Subset),
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// The sentences of findings that are errors.
    pub errors: Vec<String>,
    /// Bytes that were read back.
    pub bytes_read: u64,
}

/// What was removed, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reclaimed {
    /// Objects that were removed.
    pub objects_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
}

/// Whether something can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It can.
    Yes,
    /// It cannot.
    No,
    /// Nobody knows.
    Unknown,
}

/// What can be done in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Store something new.
    pub put: Answer,
    /// Read it.
    pub get: Answer,
    /// See it.
    pub list: Answer,
    /// Remove it.
    pub delete: Answer,
}
