//! An entry of a tree, as a line of `entries.jsonl`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use tthost_plugin::tree::{Entry, Instant, Kind, Metadata, Xattr};

use crate::layout;

/// A file system takes no longer names, in bytes.
const MAX_NAME_LENGTH: usize = 255;

/// Bytes that are text mostly. All else, and the `%` itself, is written as `%XX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub Vec<u8>);

impl Text {
    fn encoded(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() || matches!(character, '%' | '\\') {
                    let mut buffer = [0; 4];
                    escape(character.encode_utf8(&mut buffer).as_bytes(), &mut text);
                } else {
                    text.push(character);
                }
            }
            escape(chunk.invalid(), &mut text);
        }
        text
    }

    fn decoded(text: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            if *first == b'%' {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            } else {
                bytes.push(*first);
            }
        }
        Some(Self(bytes))
    }
}

fn escape(bytes: &[u8], text: &mut String) {
    use std::fmt::Write as _;
    for byte in bytes {
        // A string takes everything.
        let _ = write!(text, "%{byte:02X}");
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encoded())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decoded(&text).ok_or_else(|| serde::de::Error::custom("a % without two digits"))
    }
}

/// A point in time: seconds and nanoseconds.
type Time = (i64, u32);

#[derive(Serialize, Deserialize)]
pub struct Record {
    pub path: Text,
    #[serde(flatten)]
    pub kind: RecordKind,
    mode: u32,
    uid: u32,
    gid: u32,
    user: Option<String>,
    group: Option<String>,
    modified: Time,
    accessed: Option<Time>,
    changed: Option<Time>,
    device: u64,
    inode: u64,
    links: u64,
    xattrs: Vec<(Text, Text)>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum RecordKind {
    File { size: u64, sha256: String },
    Directory,
    Symlink { target: Text },
    Fifo,
    Socket,
    CharacterDevice { number: u64 },
    BlockDevice { number: u64 },
}

impl Record {
    /// An entry at this path. The contents of a file are not known yet.
    pub fn new(path: Vec<u8>, entry: Entry) -> Self {
        let time = |time: Instant| (time.seconds, time.nanoseconds);
        let metadata = entry.metadata;
        let xattrs = metadata.xattrs.into_iter();
        Self {
            path: Text(path),
            kind: match entry.kind {
                Kind::File(_) => RecordKind::File {
                    size: 0,
                    sha256: String::new(),
                },
                Kind::Directory => RecordKind::Directory,
                Kind::Symlink(target) => RecordKind::Symlink {
                    target: Text(target),
                },
                Kind::Fifo => RecordKind::Fifo,
                Kind::Socket => RecordKind::Socket,
                Kind::CharacterDevice(number) => RecordKind::CharacterDevice { number },
                Kind::BlockDevice(number) => RecordKind::BlockDevice { number },
            },
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            user: metadata.user,
            group: metadata.group,
            modified: time(metadata.modified),
            accessed: metadata.accessed.map(time),
            changed: metadata.changed.map(time),
            device: metadata.device,
            inode: metadata.inode,
            links: metadata.links,
            xattrs: xattrs
                .map(|xattr| (Text(xattr.name), Text(xattr.value)))
                .collect(),
        }
    }

    pub fn kind(&self) -> Kind {
        match &self.kind {
            RecordKind::File { size, .. } => Kind::File(Some(*size)),
            RecordKind::Directory => Kind::Directory,
            RecordKind::Symlink { target } => Kind::Symlink(target.0.clone()),
            RecordKind::Fifo => Kind::Fifo,
            RecordKind::Socket => Kind::Socket,
            RecordKind::CharacterDevice { number } => Kind::CharacterDevice(*number),
            RecordKind::BlockDevice { number } => Kind::BlockDevice(*number),
        }
    }

    pub fn metadata(self) -> Metadata {
        let time = |(seconds, nanoseconds): Time| Instant {
            seconds,
            nanoseconds,
        };
        let xattrs = self.xattrs.into_iter();
        Metadata {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            user: self.user,
            group: self.group,
            modified: time(self.modified),
            accessed: self.accessed.map(time),
            changed: self.changed.map(time),
            device: self.device,
            inode: self.inode,
            links: self.links,
            xattrs: xattrs
                .map(|(name, value)| Xattr {
                    name: name.0,
                    value: value.0,
                })
                .collect(),
        }
    }

    /// Where its contents are below a snapshot's directory. A name that is too long is cut, and its checksum tells it from others.
    pub fn stored(&self) -> String {
        let names = self.path.0.split(|byte| *byte == b'/').skip(1);
        let names = names.map(|name| {
            let mut encoded = Text(name.to_vec()).encoded();
            if encoded.len() > MAX_NAME_LENGTH {
                let sum = layout::hex(Sha256::new_with_prefix(name));
                encoded.truncate(encoded.floor_char_boundary(180));
                encoded = format!("{encoded}%~{sum}");
            }
            encoded
        });
        std::iter::once("files".to_owned())
            .chain(names)
            .collect::<Vec<_>>()
            .join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_written_and_read() {
        for (name, written) in [
            (&b"shop.sql"[..], "shop.sql"),
            ("50 % \u{fc}".as_bytes(), "50 %25 \u{fc}"),
            (b"a\nb\\c", "a%0Ab%5Cc"),
            (b"\xff\xfe-\x80", "%FF%FE-%80"),
        ] {
            let text = Text(name.to_vec());
            assert_eq!(text.encoded(), written);
            assert_eq!(Text::decoded(written), Some(text));
        }
        for damaged in ["%", "%4", "%zz"] {
            assert_eq!(Text::decoded(damaged), None);
        }
    }
}
