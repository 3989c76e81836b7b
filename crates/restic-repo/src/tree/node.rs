//! One entry of a tree in restic's format.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::quote::{quote, unquote};
use super::time;
use crate::error::corrupt;
use crate::{Entry, Id, Instant, Kind, Metadata, Result, Xattr};

/// Bits of Go's `os.FileMode` (<https://pkg.go.dev/io/fs#FileMode>).
mod go {
    pub(super) const DIRECTORY: u32 = 1 << 31;
    pub(super) const SYMLINK: u32 = 1 << 27;
    pub(super) const DEVICE: u32 = 1 << 26;
    pub(super) const FIFO: u32 = 1 << 25;
    pub(super) const SOCKET: u32 = 1 << 24;
    pub(super) const SET_UID: u32 = 1 << 23;
    pub(super) const SET_GID: u32 = 1 << 22;
    pub(super) const CHARACTER_DEVICE: u32 = 1 << 21;
    pub(super) const STICKY: u32 = 1 << 20;
}

/// The longest name that a file system has, in bytes: 255 characters of four bytes each.
const MAX_NAME_LENGTH: usize = 1020;

/// Pairs of a POSIX mode bit and Go's.
const SPECIAL: [(u32, u32); 3] = [
    (0o4000, go::SET_UID),
    (0o2000, go::SET_GID),
    (0o1000, go::STICKY),
];

/// An entry of a tree. The fields stand in the order in which restic writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    #[serde(serialize_with = "write_name", deserialize_with = "read_name")]
    pub(crate) name: Vec<u8>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    mode: u32,
    /// restic writes all three times, rustic those that it knows.
    #[serde(with = "time", default)]
    mtime: Instant,
    #[serde(with = "time", default)]
    atime: Instant,
    #[serde(with = "time", default)]
    ctime: Instant,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    group: String,
    #[serde(default, skip_serializing_if = "is_zero64")]
    inode: u64,
    #[serde(default, skip_serializing_if = "is_zero64")]
    device_id: u64,
    #[serde(default, skip_serializing_if = "is_zero64")]
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "is_zero64")]
    links: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    linktarget: String,
    /// The target in base64, where it is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    linktarget_raw: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extended_attributes: Option<Vec<Attribute>>,
    #[serde(default, skip_serializing_if = "is_zero64")]
    device: u64,
    /// The blobs of a file; none for everything else.
    #[serde(default)]
    pub(crate) content: Option<Vec<Id>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subtree: Option<Id>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Attribute {
    name: String,
    /// In base64; none is empty.
    value: Option<String>,
}

impl Node {
    /// The node of an entry, without its contents or subtree.
    pub(crate) fn new(entry: &Entry) -> Self {
        let metadata = &entry.metadata;
        let (kind, kind_bits, device) = match entry.kind {
            Kind::File(_) => ("file", 0, 0),
            Kind::Directory => ("dir", go::DIRECTORY, 0),
            Kind::Symlink(_) => ("symlink", go::SYMLINK, 0),
            Kind::Fifo => ("fifo", go::FIFO, 0),
            Kind::Socket => ("socket", go::SOCKET, 0),
            Kind::CharacterDevice(number) => ("chardev", go::DEVICE | go::CHARACTER_DEVICE, number),
            Kind::BlockDevice(number) => ("dev", go::DEVICE, number),
        };
        let special = SPECIAL
            .iter()
            .filter(|(bit, _)| metadata.mode & bit != 0)
            .fold(0, |bits, (_, go)| bits | go);
        let target = match &entry.kind {
            Kind::Symlink(target) => target.as_slice(),
            _ => &[],
        };
        Self {
            name: entry.name.clone(),
            kind: kind.into(),
            mode: metadata.mode & 0o777 | special | kind_bits,
            mtime: metadata.modified,
            atime: metadata.accessed.unwrap_or(metadata.modified),
            ctime: metadata.changed.unwrap_or(metadata.modified),
            uid: metadata.uid,
            gid: metadata.gid,
            user: metadata.user.clone().unwrap_or_default(),
            group: metadata.group.clone().unwrap_or_default(),
            inode: metadata.inode,
            // Since 0.17 restic keeps it for hard links alone; until then it did for everything,
            // and then sees its own tree here.
            device_id: metadata.device,
            size: 0,
            // restic counts the names of what can have several.
            links: match entry.kind {
                Kind::Directory | Kind::Fifo | Kind::Socket => 0,
                _ => metadata.links,
            },
            linktarget: String::from_utf8_lossy(target).into_owned(),
            linktarget_raw: std::str::from_utf8(target)
                .is_err()
                .then(|| BASE64.encode(target)),
            extended_attributes: attributes(&metadata.xattrs),
            device,
            content: None,
            subtree: None,
        }
    }

    /// The entry of a node, which comes from a repository that anybody may have written.
    pub(crate) fn entry(&self, id: u64, parent: u64) -> Result<Entry> {
        let kind = match self.kind.as_str() {
            "file" => Kind::File(Some(self.size)),
            "dir" => Kind::Directory,
            "symlink" => Kind::Symlink(self.target()?),
            "fifo" => Kind::Fifo,
            "socket" => Kind::Socket,
            "chardev" => Kind::CharacterDevice(self.device),
            "dev" => Kind::BlockDevice(self.device),
            other => {
                return Err(corrupt(format!(
                    "a tree holds an entry of the unknown type {other}"
                )));
            }
        };
        let special = SPECIAL
            .iter()
            .filter(|(_, go)| self.mode & go != 0)
            .fold(0, |bits, (bit, _)| bits | bit);
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        Ok(Entry {
            id,
            parent,
            name: self.name.clone(),
            kind,
            metadata: Metadata {
                mode: self.mode & 0o777 | special,
                uid: self.uid,
                gid: self.gid,
                user: some(&self.user),
                group: some(&self.group),
                modified: self.mtime,
                accessed: Some(self.atime),
                changed: Some(self.ctime),
                device: self.device_id,
                inode: self.inode,
                links: self.links.max(1),
                xattrs: self.xattrs()?,
            },
            subtree: self.subtree,
        })
    }

    /// What keeps it from being restored, whatever its contents are.
    pub(crate) fn flaw(&self) -> Option<String> {
        let name = self.name.as_slice();
        if name.is_empty()
            || name == b"."
            || name == b".."
            || name.iter().any(|byte| matches!(byte, 0 | b'/'))
        {
            return Some("its name is none".into());
        }
        if name.len() > MAX_NAME_LENGTH {
            return Some(format!("its name has {} bytes", name.len()));
        }
        if self.is_directory() && self.subtree.is_none() {
            return Some("it is a directory without a tree".into());
        }
        self.entry(1, 0).err().map(|error| error.to_string())
    }

    /// Whether this node's contents are still those of the file, by all that tells of a change
    /// without reading it.
    pub(crate) fn is_current(&self, entry: &Entry) -> bool {
        let metadata = &entry.metadata;
        self.kind == "file"
            && entry.kind == Kind::File(Some(self.size))
            && self.mtime == metadata.modified
            && Some(self.ctime) == metadata.changed
            && self.inode == metadata.inode
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.kind == "dir"
    }

    fn target(&self) -> Result<Vec<u8>> {
        match &self.linktarget_raw {
            Some(raw) => BASE64
                .decode(raw)
                .map_err(|_| corrupt("the target of a symbolic link is not base64")),
            None => Ok(self.linktarget.clone().into_bytes()),
        }
    }

    fn xattrs(&self) -> Result<Vec<Xattr>> {
        let attributes = self.extended_attributes.iter().flatten();
        attributes
            .map(|attribute| {
                let value = BASE64.decode(attribute.value.as_deref().unwrap_or_default());
                let value = value
                    .map_err(|_| corrupt("the value of an extended attribute is not base64"))?;
                Ok(Xattr {
                    name: attribute.name.clone().into_bytes(),
                    value,
                })
            })
            .collect()
    }
}

fn attributes(xattrs: &[Xattr]) -> Option<Vec<Attribute>> {
    let attribute = |xattr: &Xattr| Attribute {
        name: String::from_utf8_lossy(&xattr.name).into_owned(),
        value: Some(BASE64.encode(&xattr.value)),
    };
    (!xattrs.is_empty()).then(|| xattrs.iter().map(attribute).collect())
}

fn write_name<S: Serializer>(name: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&quote(name))
}

/// A name that is none could lead a restoration astray, so it is refused where it is read.
fn read_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let quoted = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
    match unquote(&quoted) {
        Some(name)
            if name.is_empty()
                || name.contains(&b'/')
                || name.contains(&0)
                || name == b"."
                || name == b".." =>
        {
            Err(de::Error::custom(format!(
                "\"{quoted}\" is not a name of a file"
            )))
        }
        Some(name) => Ok(name),
        None => Err(de::Error::custom(format!(
            "\"{quoted}\" is not quoted as a name is"
        ))),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero64(number: &u64) -> bool {
    *number == 0
}
