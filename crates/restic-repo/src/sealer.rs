//! The trait for heavy computing: digests, compression, encryption, key derivation.

use crate::{Id, Result, SealedBlob};

/// Bytes in their sealed form.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Nonce, ciphertext and tag.
    pub bytes: Vec<u8>,
    /// Whether they were compressed before.
    pub compressed: bool,
}

/// What sealed bytes have to turn out to be.
#[derive(Clone, Copy, Debug)]
pub struct Expectation {
    /// Whether they were compressed with zstd.
    pub compressed: bool,
    /// More than this many bytes are corrupt.
    pub max_length: u64,
    /// What their SHA-256 must be.
    pub digest: Option<Id>,
}

/// Computes. Several calls may be under way at once.
pub trait Sealer {
    /// A key that was handed over.
    type Key;
    /// Pieces of bytes whose digests are known and that wait to be sealed.
    type Staged;

    /// Takes over key material: AES-256 key (32 bytes), Poly1305-AES k (16) and r (16).
    fn import_key(&self, material: &[u8; 64]) -> Result<Self::Key>;

    /// Computes the SHA-256 of each piece and keeps them for sealing.
    async fn stage(&self, pieces: Vec<Vec<u8>>) -> Result<Self::Staged>;

    /// The digests of staged pieces and how many bytes they have, in their order.
    fn pieces_of(&self, staged: &Self::Staged) -> Vec<(Id, usize)>;

    /// Seals those of the staged pieces that have these indices, compressed with zstd at a level
    /// where one is given and it helps. Answers them in this order.
    async fn seal_staged(
        &self,
        staged: Self::Staged,
        pieces: Vec<usize>,
        key: &Self::Key,
        level: Option<i32>,
    ) -> Result<Vec<Sealed>>;

    /// Seals in one step what needs no digest.
    async fn seal(&self, key: &Self::Key, bytes: Vec<u8>, level: Option<i32>) -> Result<Sealed>;

    /// Opens sealed bytes: [`crate::Error::Unauthenticated`] when the key does not fit,
    /// [`crate::Error::Corrupt`] when they are not what was expected.
    async fn open(
        &self,
        key: &Self::Key,
        bytes: Vec<u8>,
        expectation: Expectation,
    ) -> Result<Vec<u8>>;

    /// Opens blobs together, and answers what they hold in their order. What is not as expected
    /// is [`crate::Error::Corrupt`] and named.
    async fn open_all(&self, key: &Self::Key, blobs: Vec<SealedBlob>) -> Result<Vec<Vec<u8>>>;

    /// Compresses with zstd.
    async fn compress(&self, bytes: Vec<u8>, level: i32) -> Result<Vec<u8>>;

    /// Decompresses a zstd frame that holds at most so many bytes.
    async fn decompress(&self, bytes: Vec<u8>, max_length: u64) -> Result<Vec<u8>>;

    /// The SHA-256 of bytes that are in pieces.
    fn digest(&self, pieces: &[impl AsRef<[u8]>]) -> Result<Id>;

    /// Derives 64 bytes from a password with scrypt.
    async fn scrypt(&self, password: &[u8], salt: &[u8], n: u64, r: u32, p: u32)
    -> Result<Vec<u8>>;
}
