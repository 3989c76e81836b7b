//! A substitute for inode numbers.
//!
//! An archive contains neither inodes nor change times, and its modification times have whole seconds. A file that changed within
//! a second and kept its size would look unchanged. The archive contains its contents anyway, so the number is computed from
//! them.

use sha2::{Digest as _, Sha256};

/// Takes in the contents of a file.
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Starts with the path of a file, so that two files are two.
    pub(super) fn of(path: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update((path.len() as u64).to_le_bytes());
        digest.update(path);
        Self(digest)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn inode(self) -> u64 {
        let digest = self.0.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_le_bytes(first)
    }
}
