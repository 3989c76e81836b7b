//! AES-256 in counter mode with Poly1305-AES over the ciphertext, laid out as restic does
//! (<https://restic.readthedocs.io/en/stable/100_references.html#keys-encryption-and-mac>):
//! a random nonce of 16 bytes, the ciphertext, a tag of 16 bytes.

use std::fmt;

use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _, KeyIvInit as _, StreamCipher as _};
use aes::{Aes128, Aes256};
use poly1305::Poly1305;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

const NONCE: usize = 16;
const TAG: usize = 16;

/// Counts through all 128 bits of the nonce, as Go's counter mode does.
type Counter = ctr::Ctr128BE<Aes256>;

/// The keys of the cipher and of its authenticator.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Key {
    encrypt: [u8; 32],
    mac_k: [u8; 16],
    mac_r: [u8; 16],
}

/// The sealed bytes are not authentic.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the data is damaged, or was sealed with another key")]
pub struct OpenError;

impl Key {
    /// A key from its parts: 32 bytes for AES-256, then 16 each of Poly1305-AES's k and r.
    pub fn from_material(material: &[u8; 64]) -> Self {
        let part = |from: usize| {
            <[u8; 16]>::try_from(&material[from..from + 16]).expect("it has 16 bytes")
        };
        let mut encrypt = [0; 32];
        encrypt.copy_from_slice(&material[..32]);
        Self {
            encrypt,
            mac_k: part(32),
            mac_r: part(48),
        }
    }

    /// Encrypts under a fresh random nonce.
    ///
    /// # Panics
    ///
    /// When the system has no random numbers to give.
    pub fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(NONCE + plaintext.len() + TAG);
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).expect("the system gives random numbers");
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        self.counter(&nonce).apply_keystream(&mut sealed[NONCE..]);
        let tag = self.tag(&nonce, &sealed[NONCE..]);
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// Authenticates, then decrypts in place.
    pub fn open<'a>(&self, sealed: &'a mut [u8]) -> Result<&'a [u8], OpenError> {
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE>().ok_or(OpenError)?;
        let (ciphertext, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(OpenError)?;
        if !bool::from(self.tag(nonce, ciphertext).ct_eq(tag)) {
            return Err(OpenError);
        }
        self.counter(nonce).apply_keystream(ciphertext);
        Ok(ciphertext)
    }

    fn counter(&self, nonce: &[u8; NONCE]) -> Counter {
        Counter::new(&self.encrypt.into(), &(*nonce).into())
    }

    /// Poly1305-AES: Poly1305 under r, with the nonce encrypted under k added at the end.
    fn tag(&self, nonce: &[u8; NONCE], ciphertext: &[u8]) -> [u8; TAG] {
        let mut s = (*nonce).into();
        Aes128::new(&self.mac_k.into()).encrypt_block(&mut s);
        let mut one_time = Zeroizing::new([0; 32]);
        one_time[..16].copy_from_slice(&self.mac_r);
        one_time[16..].copy_from_slice(&s);
        s.as_mut_slice().zeroize();
        Poly1305::new((&*one_time).into())
            .compute_unpadded(ciphertext)
            .into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Bernstein, "The Poly1305-AES message-authentication code", appendix B.
    #[test]
    fn the_tag_is_that_of_poly1305_aes() {
        let mut material = [0; 64];
        material[32..48].copy_from_slice(&[
            0xec, 0x07, 0x4c, 0x83, 0x55, 0x80, 0x74, 0x17, 0x01, 0x42, 0x5b, 0x62, 0x32, 0x35,
            0xad, 0xd6,
        ]);
        material[48..].copy_from_slice(&[
            0x85, 0x1f, 0xc4, 0x0c, 0x34, 0x67, 0xac, 0x0b, 0xe0, 0x5c, 0xc2, 0x04, 0x04, 0xf3,
            0xf7, 0x00,
        ]);
        let nonce = [
            0xfb, 0x44, 0x73, 0x50, 0xc4, 0xe8, 0x68, 0xc5, 0x2a, 0xc3, 0x27, 0x5c, 0xf9, 0xd4,
            0x32, 0x7e,
        ];
        let tag = Key::from_material(&material).tag(&nonce, &[0xf3, 0xf6]);
        assert_eq!(
            tag,
            [
                0xf4, 0xc6, 0x33, 0xc3, 0x04, 0x4f, 0xc1, 0x45, 0xf8, 0x4f, 0x33, 0x5c, 0xb8, 0x19,
                0x53, 0xde
            ]
        );
    }

    #[test]
    fn the_counter_carries_through_all_of_the_nonce() {
        let key = Key::from_material(&[3; 64]);
        let mut long = [0; 48];
        key.counter(&[0xff; 16]).apply_keystream(&mut long);
        let mut second = [0; 16];
        key.counter(&[0; 16]).apply_keystream(&mut second);
        assert_eq!(long[16..32], second);
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let key = Key::from_material(&[9; 64]);
        let sealed = key.seal(b"attack at dawn");
        assert_eq!(
            key.open(&mut sealed.clone()),
            Ok(b"attack at dawn".as_slice())
        );
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&mut changed), Err(OpenError), "bit {bit}");
        }
        assert_eq!(key.open(&mut sealed[..31].to_vec()), Err(OpenError));
        let other = Key::from_material(&[8; 64]);
        assert_eq!(other.open(&mut sealed.clone()), Err(OpenError));
    }

    #[test]
    fn nothing_prints_a_key() {
        assert_eq!(format!("{:?}", Key::from_material(&[1; 64])), "Key(..)");
    }
}
