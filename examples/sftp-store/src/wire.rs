//! The bytes of SFTP, version 3 (draft-ietf-secsh-filexfer-02), as far as a store needs them.

use tthost_plugin::{Error, Result};

/// What a packet is.
pub(crate) mod kind {
    pub(crate) const INIT: u8 = 1;
    pub(crate) const VERSION: u8 = 2;
    pub(crate) const OPEN: u8 = 3;
    pub(crate) const CLOSE: u8 = 4;
    pub(crate) const READ: u8 = 5;
    pub(crate) const WRITE: u8 = 6;
    pub(crate) const OPENDIR: u8 = 11;
    pub(crate) const READDIR: u8 = 12;
    pub(crate) const REMOVE: u8 = 13;
    pub(crate) const MKDIR: u8 = 14;
    pub(crate) const STAT: u8 = 17;
    pub(crate) const RENAME: u8 = 18;
    pub(crate) const STATUS: u8 = 101;
    pub(crate) const HANDLE: u8 = 102;
    pub(crate) const DATA: u8 = 103;
    pub(crate) const NAME: u8 = 104;
    pub(crate) const ATTRS: u8 = 105;
    pub(crate) const EXTENDED: u8 = 200;
}

/// How a request ended.
pub(crate) mod status {
    pub(crate) const OK: u32 = 0;
    pub(crate) const END: u32 = 1;
    pub(crate) const MISSING: u32 = 2;
    pub(crate) const DENIED: u32 = 3;
}

/// How a file is opened.
pub(crate) mod flags {
    pub(crate) const READ: u32 = 1;
    pub(crate) const WRITE: u32 = 2;
    pub(crate) const CREATE: u32 = 8;
    pub(crate) const TRUNCATE: u32 = 16;
}

/// The longest packet that is taken, in bytes. Servers send no more than 256 KiB.
const MAX_LENGTH: usize = 1 << 20;

/// A packet that is being written.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(kind: u8) -> Self {
        Self(vec![0, 0, 0, 0, kind])
    }

    pub(crate) fn int(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn long(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).expect("packets are short");
        let mut writer = self.int(length);
        writer.0.extend_from_slice(bytes);
        writer
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len() - 4).expect("packets are short");
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

/// A packet that came.
pub(crate) struct Packet {
    pub(crate) kind: u8,
    rest: Vec<u8>,
    at: usize,
}

impl Packet {
    /// Takes the first packet out of what came; none where more has to come.
    pub(crate) fn take(received: &mut Vec<u8>) -> Result<Option<Self>> {
        let Some((length, _)) = received.split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length == 0 || length > MAX_LENGTH {
            return Err(broken());
        }
        if received.len() < 4 + length {
            return Ok(None);
        }
        let kind = received[4];
        let rest = received.drain(..4 + length).skip(5).collect();
        Ok(Some(Self { kind, rest, at: 0 }))
    }

    fn slice(&mut self, length: usize) -> Result<&[u8]> {
        let end = self.at.checked_add(length).ok_or_else(broken)?;
        let slice = self.rest.get(self.at..end).ok_or_else(broken)?;
        self.at = end;
        Ok(slice)
    }

    pub(crate) fn int(&mut self) -> Result<u32> {
        let bytes = self.slice(4)?.try_into().map_err(|_| broken())?;
        Ok(u32::from_be_bytes(bytes))
    }

    pub(crate) fn long(&mut self) -> Result<u64> {
        let bytes = self.slice(8)?.try_into().map_err(|_| broken())?;
        Ok(u64::from_be_bytes(bytes))
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>> {
        let length = self.int()? as usize;
        Ok(self.slice(length)?.to_vec())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.rest.len()
    }

    /// The attributes of a file that come next.
    pub(crate) fn attributes(&mut self) -> Result<Attributes> {
        let flags = self.int()?;
        let mut attributes = Attributes::default();
        if flags & 1 != 0 {
            attributes.size = Some(self.long()?);
        }
        if flags & 2 != 0 {
            self.slice(8)?;
        }
        if flags & 4 != 0 {
            attributes.is_directory = self.int()? & 0o170_000 == 0o040_000;
        }
        if flags & 8 != 0 {
            self.int()?;
            attributes.modified = Some(self.int()?);
        }
        if flags & (1 << 31) != 0 {
            for _ in 0..self.int()? {
                self.bytes()?;
                self.bytes()?;
            }
        }
        Ok(attributes)
    }
}

/// What is known of a file.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) size: Option<u64>,
    pub(crate) is_directory: bool,
    /// Seconds since 1970.
    pub(crate) modified: Option<u32>,
}

pub(crate) fn broken() -> Error {
    Error::Corrupt("what the server says is not SFTP".into())
}
