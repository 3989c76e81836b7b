//! Digests, compression and encryption by the host.

use restic_repo::{Backend, Expectation, Id, Result, Sealed, SealedBlob, Sealer};

use tthost_chunker::Cutting;
use wit_bindgen::StreamReader;

use crate::bindings::tthost::backup::seal::{
    self, Compression, Cutter, Digester, Key, Piece, Staged,
};
use crate::convert::repository_error as failed;
use crate::platform::Platform;

const CIPHER: &str = "aes-256-ctr+poly1305-aes";
const DIGEST: &str = "sha-256";
const ZSTD: &str = "zstd";

impl<B: Backend> Sealer for Platform<B> {
    type Key = Key;
    type Staged = Staged;

    fn import_key(&self, material: &[u8; 64]) -> Result<Key> {
        Key::import(CIPHER, material).map_err(failed)
    }

    async fn stage(&self, pieces: Vec<Vec<u8>>) -> Result<Staged> {
        Staged::stage(DIGEST.into(), pieces).await.map_err(failed)
    }

    fn pieces_of(&self, staged: &Staged) -> Vec<(Id, usize)> {
        let digests = staged.digests();
        let ids = digests.iter().map(|digest| id(digest));
        let lengths = staged.lengths();
        ids.zip(lengths.into_iter().map(|length| length as usize))
            .collect()
    }

    async fn seal_staged(
        &self,
        staged: Staged,
        pieces: Vec<usize>,
        key: &Key,
        level: Option<i32>,
    ) -> Result<Vec<Sealed>> {
        let pieces = pieces
            .into_iter()
            .map(u32::try_from)
            .collect::<Result<_, _>>()
            .expect("there are fewer pieces than an address space has bytes");
        let sealed = Staged::seal(staged, pieces, key, level.map(zstd)).await;
        Ok(sealed
            .map_err(failed)?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    async fn seal(&self, key: &Key, bytes: Vec<u8>, level: Option<i32>) -> Result<Sealed> {
        let sealed = seal::seal(key, bytes, level.map(zstd)).await;
        sealed.map(Into::into).map_err(failed)
    }

    async fn open(&self, key: &Key, bytes: Vec<u8>, expectation: Expectation) -> Result<Vec<u8>> {
        seal::open(key, bytes, self::expectation(expectation))
            .await
            .map_err(failed)
    }

    async fn open_all(&self, key: &Key, blobs: Vec<SealedBlob>) -> Result<Vec<Vec<u8>>> {
        let pieces = blobs.into_iter().map(piece).collect();
        seal::open_all(key, pieces).await.map_err(failed)
    }

    async fn compress(&self, bytes: Vec<u8>, level: i32) -> Result<Vec<u8>> {
        seal::compress(bytes, zstd(level)).await.map_err(failed)
    }

    async fn decompress(&self, bytes: Vec<u8>, max_length: u64) -> Result<Vec<u8>> {
        seal::decompress(ZSTD.into(), bytes, max_length)
            .await
            .map_err(failed)
    }

    fn digest(&self, pieces: &[impl AsRef<[u8]>]) -> Result<Id> {
        digest(pieces)
    }

    async fn scrypt(
        &self,
        password: &[u8],
        salt: &[u8],
        n: u64,
        r: u32,
        p: u32,
    ) -> Result<Vec<u8>> {
        /// Bytes of a key.
        const LENGTH: u32 = 64;
        seal::scrypt(password.to_vec(), salt.to_vec(), n, r, p, LENGTH)
            .await
            .map_err(failed)
    }
}

impl From<seal::Sealed> for Sealed {
    fn from(sealed: seal::Sealed) -> Self {
        Self {
            bytes: sealed.bytes,
            compressed: sealed.compressed,
        }
    }
}

/// The SHA-256 of bytes, computed by the host.
pub fn digest(pieces: &[impl AsRef<[u8]>]) -> Result<Id> {
    /// Bytes passed to the host in one call.
    const PIECE: usize = 1 << 20;
    let digester = Digester::begin(DIGEST).map_err(failed)?;
    let pieces = pieces.iter().flat_map(|bytes| bytes.as_ref().chunks(PIECE));
    pieces.for_each(|piece| digester.update(piece));
    Ok(id(&Digester::finish(digester)))
}

/// The contract's form of a blob.
pub(crate) fn piece(blob: SealedBlob) -> Piece {
    Piece {
        name: blob.name,
        bytes: blob.bytes,
        expectation: expectation(blob.expectation),
    }
}

fn expectation(expectation: Expectation) -> seal::Expectation {
    seal::Expectation {
        compression: expectation.compressed.then(|| ZSTD.into()),
        max_length: expectation.max_length,
        digest: expectation.digest.map(|id| (DIGEST.into(), id.0.to_vec())),
    }
}

fn zstd(level: i32) -> Compression {
    Compression {
        algorithm: ZSTD.into(),
        level,
    }
}

/// Starts to chunk contents.
pub(crate) fn begin_to_cut(contents: StreamReader<u8>, cutting: Cutting) -> Result<Cutter> {
    let bytes = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    let cutting = match cutting {
        Cutting::Rabin(polynomial, sizes) => {
            let sizes = seal::Sizes {
                smallest: bytes(sizes.smallest),
                usual: bytes(sizes.usual),
                largest: bytes(sizes.largest),
            };
            seal::Cutting::Rabin((polynomial.bits(), sizes))
        }
        Cutting::Fixed(size) => seal::Cutting::Fixed(bytes(size)),
    };
    Cutter::begin(contents, cutting, DIGEST).map_err(failed)
}

/// The host's digests have 32 bytes.
fn id(digest: &[u8]) -> Id {
    Id(digest.try_into().expect("a SHA-256 has 32 bytes"))
}
