//! Heavy computing that the host does for its plugins: digests, compression, authenticated encryption and key
//! derivation, as plain functions.

mod cipher;
mod compression;
mod digest;
mod kdf;

pub use cipher::{Key, OpenError};
use compression::are_noise;
pub use compression::{
    DecompressError, compress, compression_memory, decompress, longest_compressed,
};
pub use digest::{Digester, digest, digest_all};
pub use kdf::{ScryptError, scrypt, scrypt_memory};

/// Bytes in their sealed form.
#[derive(Debug)]
pub struct Sealed {
    /// Nonce, ciphertext and tag.
    pub bytes: Vec<u8>,
    /// Whether the plaintext was compressed before.
    pub compressed: bool,
}

/// Compresses with zstd at this level, where one is given and the result is smaller,
/// and encrypts.
pub fn seal(key: &Key, bytes: &[u8], level: Option<i32>) -> Sealed {
    let smaller = level
        .filter(|level| !are_noise(bytes, *level))
        .and_then(|level| compress(bytes, level))
        .filter(|compressed| compressed.len() < bytes.len());
    match smaller {
        Some(compressed) => Sealed {
            bytes: key.seal(&compressed),
            compressed: true,
        },
        None => Sealed {
            bytes: key.seal(bytes),
            compressed: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_compress_is_sealed_as_it_is() {
        let key = Key::from_material(&[7; 64]);
        let mut noise = vec![0; 10_000];
        getrandom::fill(&mut noise).expect("there is randomness");
        let mut sealed = seal(&key, &noise, Some(3));
        assert!(!sealed.compressed);
        assert_eq!(key.open(&mut sealed.bytes), Ok(noise.as_slice()));
    }

    #[test]
    fn what_compresses_comes_back_whole() {
        let key = Key::from_material(&[7; 64]);
        let text = b"INSERT INTO shop VALUES (1, 'tea');\n".repeat(1000);
        let mut sealed = seal(&key, &text, Some(3));
        assert!(sealed.compressed && sealed.bytes.len() < text.len() / 10);
        let opened = key.open(&mut sealed.bytes).expect("it opens");
        let mut whole = Vec::new();
        decompress(opened, text.len(), &mut whole, |_| true).expect("it is whole");
        assert_eq!(whole, text);
    }
}
