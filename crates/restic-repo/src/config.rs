//! The repository's configuration: the file `config`.

use serde::{Deserialize, Serialize};

use crate::chunker::Polynomial;
use crate::error::corrupt;
use crate::tree::to_vec;
use crate::{Error, Id, Result};

/// The version of new repositories; the first one that compresses.
const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    id: Id,
    chunker_polynomial: String,
}

/// What a repository is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) version: u32,
    pub(crate) id: Id,
    pub(crate) polynomial: Polynomial,
}

impl Config {
    /// The configuration of a new repository.
    pub(crate) fn new(mut random: impl FnMut(&mut [u8])) -> Self {
        let mut id = [0; 32];
        random(&mut id);
        let polynomial = Polynomial::random(|| {
            let mut bits = [0; 8];
            random(&mut bits);
            u64::from_le_bytes(bits)
        });
        Self {
            version: VERSION,
            id: Id(id),
            polynomial,
        }
    }

    /// Whether blobs may be compressed.
    pub(crate) fn compresses(&self) -> bool {
        self.version >= 2
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        to_vec(&File {
            version: self.version,
            id: self.id,
            chunker_polynomial: self.polynomial.to_string(),
        })
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file: File = serde_json::from_slice(bytes)
            .map_err(|cause| corrupt(format!("the repository's config cannot be read: {cause}")))?;
        if !(1..=VERSION).contains(&file.version) {
            return Err(Error::Unsupported(format!(
                "the repository has version {}, and this program knows versions 1 and 2",
                file.version
            )));
        }
        let polynomial = file
            .chunker_polynomial
            .parse()
            .map_err(|cause| corrupt(format!("{cause}")))?;
        Ok(Self {
            version: file.version,
            id: file.id,
            polynomial,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_config_can_be_read_back() {
        let mut next = 0_u8;
        let config = Config::new(|bytes| {
            bytes.fill_with(|| {
                next = next.wrapping_mul(73).wrapping_add(91);
                next
            });
        });
        let read = Config::from_bytes(&config.to_bytes()).expect("it is a config");
        assert_eq!(
            (read.version, read.id, read.polynomial),
            (2, config.id, config.polynomial)
        );
    }

    #[test]
    fn a_version_of_the_future_is_unsupported() {
        let id = "0".repeat(64);
        let future =
            format!("{{\"version\":3,\"id\":\"{id}\",\"chunker_polynomial\":\"3da3358b4dc173\"}}");
        assert!(matches!(
            Config::from_bytes(future.as_bytes()),
            Err(Error::Unsupported(_))
        ));
    }
}
