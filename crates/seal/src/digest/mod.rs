//! SHA-256.

mod lanes;
#[cfg(target_arch = "x86_64")]
mod sha_ni;

use sha2::{Digest as _, Sha256};

pub use lanes::digest_all;

/// The SHA-256 of the bytes (FIPS 180-4).
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The SHA-256 of bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Digester(Sha256);

impl Digester {
    /// The digest of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes that were added.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
