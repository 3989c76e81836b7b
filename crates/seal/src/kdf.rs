//! Derives keys from passwords: scrypt (RFC 7914).

use std::num::NonZero;

use scrypt::Params;
use zeroize::Zeroizing;

/// The largest memory of a derivation, in bytes: 1 GiB.
const MAX_MEMORY: usize = 1 << 30;

/// How much it may compute, in units of `n * r * p`; about a minute of one core.
const MAX_WORK: u64 = 1 << 26;

/// The cost is none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ScryptError {
    /// `n` is not a power of two, or something is zero or too large for scrypt.
    #[error("scrypt has no cost N={n}, r={r}, p={p}")]
    Invalid {
        /// The cost in memory and time.
        n: u64,
        /// The size of a block.
        r: u32,
        /// How often all is done.
        p: u32,
    },
    /// It would take more than 1 GiB of memory, or minutes.
    #[error("scrypt with the cost N={n}, r={r}, p={p} takes more memory or time than is allowed")]
    TooCostly {
        /// The cost in memory and time.
        n: u64,
        /// The size of a block.
        r: u32,
        /// How often all is done.
        p: u32,
    },
}

/// The bytes that a derivation takes meanwhile; too many to be had, where the cost is refused anyhow.
pub fn scrypt_memory(n: u64, r: u32, p: u32) -> usize {
    // Lanes are computed side by side, one on each core; what goes in and out of them is there for all.
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let lanes = n.saturating_mul(u64::from(p).min(cores));
    let blocks = lanes.saturating_add(u64::from(p));
    let bytes = blocks.saturating_mul(u64::from(r)).saturating_mul(128);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Derives `length` bytes from a password.
pub fn scrypt(
    password: &[u8],
    salt: &[u8],
    n: u64,
    r: u32,
    p: u32,
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, ScryptError> {
    let invalid = || ScryptError::Invalid { n, r, p };
    if !n.is_power_of_two() || n < 2 || r == 0 || p == 0 || !(1..=1024).contains(&length) {
        return Err(invalid());
    }
    let block = n.checked_mul(u64::from(r)).ok_or_else(invalid)?;
    let work = block.saturating_mul(u64::from(p));
    if scrypt_memory(n, r, p) > MAX_MEMORY || work > MAX_WORK {
        return Err(ScryptError::TooCostly { n, r, p });
    }
    let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| invalid())?;
    let params = Params::new(log_n, r, p).map_err(|_| invalid())?;
    let mut key = Zeroizing::new(vec![0; length]);
    scrypt::scrypt(password, salt, &params, &mut key).map_err(|_| invalid())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7914, section 12.
    #[test]
    fn it_is_scrypt() {
        let key = scrypt(b"password", b"NaCl", 1024, 8, 16, 64).expect("it is a cost");
        assert_eq!(key[..8], [0xfd, 0xba, 0xbe, 0x1c, 0x9d, 0x34, 0x72, 0x00]);
    }

    #[test]
    fn costs_that_hurt_are_refused() {
        for (n, r, p) in [
            (0, 8, 1),
            (3, 8, 1),
            (1 << 40, 8, 1),
            (1 << 15, u32::MAX, 1),
            (1 << 15, 8, u32::MAX),
            (2, 0, 1),
        ] {
            assert!(
                scrypt(b"", b"", n, r, p, 64).is_err(),
                "N={n}, r={r}, p={p}"
            );
        }
    }
}
