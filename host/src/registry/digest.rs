//! Digests.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// A SHA-256, written `sha256:` with 64 hexadecimal digits behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 32]);

/// The prefix of the digits.
const ALGORITHM: &str = "sha256:";

impl Digest {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digits alone, as a configuration has them.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// Its bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix(ALGORITHM);
        let mut bytes = [0; 32];
        let decoded = digits.map(|digits| hex::decode_to_slice(digits, &mut bytes));
        match decoded {
            Some(Ok(())) => Ok(Self(bytes)),
            Some(Err(_)) | None => {
                Err("a digest is sha256: with 64 hexadecimal digits behind it".into())
            }
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", self.to_hex())
    }
}
