//! One entry of a tree. Each part that can be wrong has a type of its own, which cannot hold a wrong value.

use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use jiff::Timestamp;

/// The longest name, in bytes. Linux has 255; other systems count characters, of up to four bytes.
const MAX_NAME_LENGTH: usize = 255 * 4;

/// The longest target of a symbolic link, in bytes: Linux's `PATH_MAX`.
const MAX_TARGET_LENGTH: usize = 4096;

/// The longest name of an extended attribute, in bytes: Linux's `XATTR_NAME_MAX`.
const MAX_XATTR_NAME_LENGTH: usize = 255;

/// The largest value of an extended attribute, in bytes. Linux has 64 KiB; the resource forks of other
/// systems are larger.
const MAX_XATTR_SIZE: usize = 16 << 20;

/// The most that names and values of all extended attributes of an entry have together, in bytes.
const MAX_XATTRS_SIZE: usize = 32 << 20;

/// The longest name of a user or group, in bytes.
const MAX_ACCOUNT_LENGTH: usize = 1024;

/// The longest name of a subtree, in bytes.
const MAX_SUBTREE_LENGTH: usize = 64;

/// A value that breaks a rule of the contract. The text names the value and the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// As the error of a file system that has what the contract does not take.
impl From<Invalid> for std::io::Error {
    fn from(invalid: Invalid) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, invalid)
    }
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its number in the tree.
    pub(crate) id: u64,
    /// The number of its directory, 0 at the root of the tree.
    pub(crate) parent: u64,
    pub(crate) name: Name,
    pub(crate) kind: EntryKind,
    pub(crate) metadata: Metadata,
    /// The identifier of a directory's whole contents in its store.
    pub(crate) subtree: Option<Subtree>,
}

impl Entry {
    /// Its approximate size in memory, in bytes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + self.name.0.count_bytes()
            + self.kind.more_weight()
            + self.metadata.more_weight()
    }
}

/// The type of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A regular file, with its size in bytes if that is announced.
    File(Option<u64>),
    Directory,
    Symlink(LinkTarget),
    Fifo,
    Socket,
    /// With its device number (Linux `dev_t`).
    CharacterDevice(u64),
    /// With its device number (Linux `dev_t`).
    BlockDevice(u64),
}

impl EntryKind {
    /// The bytes that it takes in memory besides its own size, about.
    pub(crate) fn more_weight(&self) -> usize {
        match self {
            Self::Symlink(target) => target.0.count_bytes(),
            _ => 0,
        }
    }
}

/// A store's name for all that is below a directory. Equal names mean equal subtrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subtree(Box<[u8]>);

impl Subtree {
    /// Takes over a name.
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self, Invalid> {
        if bytes.is_empty() || bytes.len() > MAX_SUBTREE_LENGTH {
            return Err(Invalid(format!(
                "the name of a subtree has {} bytes; from 1 to {MAX_SUBTREE_LENGTH} are possible",
                bytes.len()
            )));
        }
        Ok(Self(bytes.into()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// POSIX metadata of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) permissions: Permissions,
    pub(crate) uid: OwnerId,
    pub(crate) gid: OwnerId,
    pub(crate) user: Option<AccountName>,
    pub(crate) group: Option<AccountName>,
    pub(crate) modified: Instant,
    pub(crate) accessed: Option<Instant>,
    pub(crate) changed: Option<Instant>,
    /// `st_dev`, or 0.
    pub(crate) device: u64,
    /// The inode number, or 0.
    pub(crate) inode: u64,
    /// The number of hard links.
    pub(crate) links: u64,
    pub(crate) xattrs: Vec<Xattr>,
}

impl Metadata {
    /// The bytes that they take in memory besides their own size, about.
    pub(crate) fn more_weight(&self) -> usize {
        let accounts = self.user.iter().chain(&self.group);
        let accounts = accounts.map(|name| name.0.len());
        accounts.chain(self.xattrs.iter().map(Xattr::weight)).sum()
    }
}

/// The name of something in a directory: one component of a path, never a way to somewhere else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(CString);

impl Name {
    /// Takes over a name.
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, Invalid> {
        let bytes = bytes.into();
        let shown = || Shown(&bytes).to_string();
        if bytes.len() > MAX_NAME_LENGTH {
            return Err(Invalid(format!(
                "the name {} is longer than {MAX_NAME_LENGTH} bytes",
                shown()
            )));
        }
        if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
            return Err(Invalid(format!("{} is not a file name", shown())));
        }
        CString::new(bytes).map(Self).map_err(|cause| {
            let shown = Shown(&cause.into_vec()).to_string();
            Invalid(format!("the name {shown} contains NUL"))
        })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self.as_bytes())
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", Shown(self.as_bytes()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", Shown(self.as_bytes()))
    }
}

/// The target of a symbolic link. Nothing follows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct LinkTarget(CString);

impl LinkTarget {
    /// Takes over a target.
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, Invalid> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > MAX_TARGET_LENGTH {
            return Err(Invalid(format!(
                "the target of a symbolic link has {} bytes; from 1 to {MAX_TARGET_LENGTH} are possible",
                bytes.len()
            )));
        }
        CString::new(bytes)
            .map(Self)
            .map_err(|_| Invalid::new("the target of a symbolic link contains NUL"))
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

impl fmt::Debug for LinkTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", Shown(self.0.as_bytes()))
    }
}

/// Permission bits with set-uid, set-gid and sticky.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permissions(u32);

impl Permissions {
    /// Readable by everybody, and writable by the owner.
    pub(crate) const SHARED_DIRECTORY: Self = Self(0o755);

    /// Takes bits that permissions have.
    pub(crate) fn new(bits: u32) -> Result<Self, Invalid> {
        if bits & !0o7777 == 0 {
            Ok(Self(bits))
        } else {
            Err(Invalid(format!(
                "the mode {bits:#o} has more bits than 0o7777"
            )))
        }
    }

    /// The permissions in a mode that also tells the type of a file (`st_mode`).
    pub(crate) fn of_mode(mode: u32) -> Self {
        Self(mode & 0o7777)
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }
}

/// The number of a user or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnerId(u32);

impl OwnerId {
    /// The superuser and its group.
    pub(crate) const ROOT: Self = Self(0);

    /// Takes a number. The last one is nobody's: to the system it means "do not change the owner".
    pub(crate) fn new(id: u32) -> Result<Self, Invalid> {
        if id == u32::MAX {
            return Err(Invalid(format!(
                "{id} is not the number of a user or group"
            )));
        }
        Ok(Self(id))
    }

    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

/// The name of a user or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountName(String);

impl AccountName {
    /// Takes over a name.
    pub(crate) fn new(name: impl Into<String>) -> Result<Self, Invalid> {
        let name = name.into();
        if name.len() > MAX_ACCOUNT_LENGTH {
            return Err(Invalid(format!(
                "the name of a user or group is longer than {MAX_ACCOUNT_LENGTH} bytes"
            )));
        }
        Ok(Self(name))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// A point in time, counted from 1970-01-01T00:00:00Z. The nanoseconds always count forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Instant {
    seconds: i64,
    nanoseconds: u32,
}

impl Instant {
    /// The beginning of 1970.
    pub(crate) const EPOCH: Self = Self {
        seconds: 0,
        nanoseconds: 0,
    };

    /// Takes seconds and nanoseconds.
    pub(crate) fn new(seconds: i64, nanoseconds: u32) -> Result<Self, Invalid> {
        if nanoseconds >= 1_000_000_000 {
            return Err(Invalid(format!("a time has {nanoseconds} nanoseconds")));
        }
        Ok(Self {
            seconds,
            nanoseconds,
        })
    }

    pub(crate) fn seconds(self) -> i64 {
        self.seconds
    }

    pub(crate) fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

impl TryFrom<Instant> for Timestamp {
    type Error = jiff::Error;

    fn try_from(instant: Instant) -> Result<Self, jiff::Error> {
        // Fewer than a billion fit.
        Self::new(instant.seconds, instant.nanoseconds.cast_signed())
    }
}

impl From<Timestamp> for Instant {
    fn from(time: Timestamp) -> Self {
        let (seconds, nanoseconds) = (time.as_second(), time.subsec_nanosecond());
        // Before 1970, a timestamp's fraction counts backwards.
        if nanoseconds < 0 {
            return Self {
                seconds: seconds - 1,
                nanoseconds: (1_000_000_000 + nanoseconds).cast_unsigned(),
            };
        }
        Self {
            seconds,
            nanoseconds: nanoseconds.cast_unsigned(),
        }
    }
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Xattr {
    name: CString,
    value: Vec<u8>,
}

impl Xattr {
    /// Takes over a name and a value.
    pub(crate) fn new(name: impl Into<Vec<u8>>, value: Vec<u8>) -> Result<Self, Invalid> {
        let name = name.into();
        if name.is_empty() || name.len() > MAX_XATTR_NAME_LENGTH {
            return Err(Invalid(format!(
                "the name of an extended attribute has {} bytes; from 1 to {MAX_XATTR_NAME_LENGTH} are possible",
                name.len()
            )));
        }
        if value.len() > MAX_XATTR_SIZE {
            return Err(Invalid(format!(
                "the extended attribute {} is larger than {MAX_XATTR_SIZE} bytes",
                Shown(&name)
            )));
        }
        let name = CString::new(name)
            .map_err(|_| Invalid::new("the name of an extended attribute contains NUL"))?;
        Ok(Self { name, value })
    }

    /// Attributes of one entry, unless they are too much together.
    pub(crate) fn all<E: From<Invalid>>(
        xattrs: impl Iterator<Item = Result<Self, E>>,
    ) -> Result<Vec<Self>, E> {
        let mut bytes = 0;
        xattrs
            .map(|xattr| {
                let xattr = xattr?;
                bytes += xattr.weight();
                if bytes > MAX_XATTRS_SIZE {
                    let text = format!(
                        "the extended attributes of one entry have more than {MAX_XATTRS_SIZE} bytes together"
                    );
                    return Err(Invalid(text).into());
                }
                Ok(xattr)
            })
            .collect()
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.name.count_bytes() + self.value.len()
    }

    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    pub(crate) fn value(&self) -> &[u8] {
        &self.value
    }

    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<u8>) {
        (self.name.into_bytes(), self.value)
    }
}

/// Shows arbitrary bytes, in quotes and truncated.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_LENGTH: usize = 200;
        let cut = &self.0[..self.0.len().min(MAX_LENGTH)];
        let text = String::from_utf8_lossy(cut);
        let dots = if cut.len() < self.0.len() { "…" } else { "" };
        write!(formatter, "\"{}{dots}\"", text.escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_component_of_a_path() {
        for name in ["a", "...", "a b", "-rf", "\u{1b}[2J", "ü"] {
            assert_eq!(Name::new(name).expect(name).as_bytes(), name.as_bytes());
        }
        for name in ["", ".", "..", "/", "a/b", "../x", "/etc/passwd", "a\0b"] {
            Name::new(name).expect_err(name);
        }
        Name::new(vec![b'x'; MAX_NAME_LENGTH]).expect("it is just short enough");
        let error = Name::new(vec![b'x'; MAX_NAME_LENGTH + 1]).expect_err("it is too long");
        assert!(error.to_string().len() < 400, "{error}");
    }

    #[test]
    fn a_time_survives_the_way_to_a_timestamp_and_back() {
        for (seconds, nanoseconds) in [(0, 0), (-1, 999_999_999), (-1, 1), (1_800_000_000, 5)] {
            let instant = Instant::new(seconds, nanoseconds).expect("it is a time");
            let timestamp = Timestamp::try_from(instant).expect("it is near enough");
            assert_eq!(Instant::from(timestamp), instant);
        }
        let far = Instant::new(i64::MAX, 0).expect("the contract has no last year");
        Timestamp::try_from(far).expect_err("it is too far away");
    }

    #[test]
    fn parts_that_the_system_would_take_for_something_else_are_refused() {
        LinkTarget::new("").expect_err("a link leads somewhere");
        LinkTarget::new("a\0b").expect_err("a target ends at NUL");
        LinkTarget::new(vec![b'x'; MAX_TARGET_LENGTH + 1]).expect_err("a target has a limit");
        Subtree::new(vec![0; MAX_SUBTREE_LENGTH + 1]).expect_err("it is too long");
        Permissions::new(0o10_0644).expect_err("the type of a file is not a permission");
        OwnerId::new(u32::MAX).expect_err("it means not to change the owner");
        Instant::new(0, 1_000_000_000).expect_err("that is a second");
        Xattr::new("", Vec::new()).expect_err("an attribute has a name");
        Xattr::new("user.a\0b", Vec::new()).expect_err("a name ends at NUL");
        Xattr::new(vec![b'x'; MAX_XATTR_NAME_LENGTH + 1], Vec::new()).expect_err("it is too long");
        Xattr::new("user.a", vec![0; MAX_XATTR_SIZE + 1]).expect_err("it is too large");
        let large = (0..3).map(|_| Xattr::new("user.a", vec![0; MAX_XATTR_SIZE]));
        Xattr::all(large).expect_err("they are too much together");
        AccountName::new("x".repeat(MAX_ACCOUNT_LENGTH + 1)).expect_err("it is too long");
    }
}
