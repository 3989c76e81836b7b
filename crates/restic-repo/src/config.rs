//! The repository's configuration: the file `config`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::LEVEL;
use crate::error::corrupt;
use crate::tree::to_vec;
use crate::{Error, Id, Result};
use tthost_chunker::{Cutting, MAX_SIZE, MIN_SIZE, Polynomial, Sizes};

/// The version of new repositories; the first one that compresses.
const VERSION: u32 = 2;

/// The highest level of compression. Higher ones take more memory than a plugin has.
const HIGHEST_LEVEL: i32 = 12;

/// What rustic writes besides, and what another program need not do the same way: how large packs are, and how often rustic
/// looks at what it stores.
const TUNING: [&str; 9] = [
    "treepack_size",
    "treepack_growfactor",
    "treepack_size_limit",
    "datapack_size",
    "datapack_growfactor",
    "datapack_size_limit",
    "min_packsize_tolerate_percent",
    "max_packsize_tolerate_percent",
    "extra_verify",
];

/// The file of a new repository, as restic writes it.
#[derive(Serialize)]
struct NewFile {
    version: u32,
    id: Id,
    chunker_polynomial: String,
}

/// The file with all that restic or rustic may have written into it. rustic's fields are those of
/// <https://github.com/rustic-rs/rustic_core>, `repofile/configfile.rs`.
#[derive(Deserialize)]
struct File {
    version: u32,
    id: Id,
    chunker_polynomial: String,
    chunker: Option<String>,
    chunk_size: Option<usize>,
    chunk_min_size: Option<usize>,
    chunk_max_size: Option<usize>,
    is_hot: Option<bool>,
    append_only: Option<bool>,
    compression: Option<i32>,
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

/// What a repository is.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) version: u32,
    pub(crate) id: Id,
    polynomial: Polynomial,
    /// How files are cut, or why they cannot be: what is stored can be read all the same.
    pub(crate) cutting: Result<Cutting>,
    /// Nothing is to be removed.
    pub(crate) append_only: bool,
    compression: Option<i32>,
    /// Fields that nobody knows here.
    pub(crate) unknown: Vec<String>,
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
            cutting: Ok(Cutting::Rabin(polynomial, Sizes::RESTIC)),
            append_only: false,
            compression: None,
            unknown: Vec::new(),
        }
    }

    /// The level at which what is stored is compressed, if it is.
    pub(crate) fn level(&self) -> Option<i32> {
        match (self.version, self.compression) {
            (1, _) | (_, Some(0)) => None,
            (_, None) => Some(LEVEL),
            (_, Some(level)) => Some(level.clamp(1, HIGHEST_LEVEL)),
        }
    }

    /// The file of a new one.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        to_vec(&NewFile {
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
        if file.is_hot == Some(true) {
            return Err(Error::Unsupported(
                "this is the hot part of a repository of rustic (is_hot in its config), which lacks the contents of files: name the \
                 cold part, which has everything"
                    .into(),
            ));
        }
        let polynomial = file
            .chunker_polynomial
            .parse()
            .map_err(|cause| corrupt(format!("{cause}")))?;
        Ok(Self {
            version: file.version,
            id: file.id,
            polynomial,
            cutting: file.cutting(polynomial),
            append_only: file.append_only == Some(true),
            compression: file.compression,
            unknown: file
                .others
                .into_keys()
                .filter(|name| !TUNING.contains(&name.as_str()))
                .collect(),
        })
    }
}

impl File {
    fn cutting(&self, polynomial: Polynomial) -> Result<Cutting> {
        let size = |name: &str, given: Option<usize>, usual: usize| match given.unwrap_or(usual) {
            size @ MIN_SIZE..=MAX_SIZE => Ok(size),
            size => Err(refused(&format!(
                "{name} is {size}, and this program cuts chunks of {MIN_SIZE} to {MAX_SIZE} bytes"
            ))),
        };
        let usual = Sizes::RESTIC;
        let chunk_size = size("chunk_size", self.chunk_size, usual.usual)?;
        match self.chunker.as_deref() {
            Some("FixedSize") => Ok(Cutting::Fixed(chunk_size)),
            None | Some("Rabin") => {
                let sizes = Sizes {
                    smallest: size("chunk_min_size", self.chunk_min_size, usual.smallest)?,
                    usual: chunk_size,
                    largest: size("chunk_max_size", self.chunk_max_size, usual.largest)?,
                };
                if !chunk_size.is_power_of_two() {
                    return Err(refused(&format!(
                        "chunk_size is {chunk_size}, and no power of two"
                    )));
                }
                if sizes.smallest > sizes.largest {
                    return Err(refused("chunk_min_size is larger than chunk_max_size"));
                }
                Ok(Cutting::Rabin(polynomial, sizes))
            }
            Some(other) => Err(refused(&format!(
                "chunker is {other:?}, and this program knows Rabin and FixedSize"
            ))),
        }
    }
}

/// Why nothing can be stored.
fn refused(why: &str) -> Error {
    Error::Unsupported(format!(
        "nothing can be added to this repository: in its config, {why}; what is stored can be read"
    ))
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
        assert_eq!((read.level(), read.unknown), (Some(LEVEL), Vec::new()));
    }

    /// A configuration with these fields besides.
    fn with(fields: &str) -> Result<Config> {
        let id = "0".repeat(64);
        let text = format!(
            "{{\"version\":2,\"id\":\"{id}\",\"chunker_polynomial\":\"3da3358b4dc173\",{fields}}}"
        );
        Config::from_bytes(text.as_bytes())
    }

    #[test]
    fn what_rustic_sets_is_kept_to() {
        let fixed = with("\"chunker\":\"FixedSize\",\"chunk_size\":65536,\"compression\":0");
        let fixed = fixed.expect("it is a config");
        assert_eq!(fixed.level(), None);
        assert!(matches!(fixed.cutting, Ok(Cutting::Fixed(65536))));
        let tuned = with("\"datapack_size\":1,\"append_only\":true,\"compression\":19");
        let tuned = tuned.expect("it is a config");
        assert!(tuned.append_only && tuned.unknown.is_empty());
        assert_eq!(tuned.level(), Some(HIGHEST_LEVEL));
        assert!(matches!(
            tuned.cutting,
            Ok(Cutting::Rabin(_, Sizes::RESTIC))
        ));
    }

    #[test]
    fn what_cannot_be_kept_to_is_named_and_what_is_stored_can_be_read() {
        for (fields, named) in [
            ("\"chunker\":\"FastCDC\"", "FastCDC"),
            ("\"chunk_size\":1000000", "chunk_size"),
            ("\"chunk_size\":1", "chunk_size"),
            ("\"chunk_max_size\":9000000000", "chunk_max_size"),
            (
                "\"chunk_min_size\":8388608,\"chunk_max_size\":4194304",
                "chunk_min_size",
            ),
        ] {
            let config = with(fields).expect("it can be read");
            let error = config.cutting.expect_err(fields).to_string();
            assert!(error.contains(named), "{error}");
        }
        let hot = with("\"is_hot\":true").expect_err("its contents are elsewhere");
        assert!(hot.to_string().contains("is_hot"), "{hot}");
        let newer = with("\"chunk_size\":1048576,\"sharding\":3").expect("it can be read");
        assert_eq!(newer.unknown, ["sharding"]);
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
