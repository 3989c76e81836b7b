//! The plugins that ship inside this program.

use super::Role;

/// A plugin that ships inside this program.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// The name that a configuration uses, for example `restic-sink`.
    pub name: &'static str,
    /// The roles that it supports.
    pub role: Role,
    /// SHA-256 of the component.
    pub(super) sha256: [u8; 32],
    /// The component, as the build script compressed it.
    compressed: &'static [u8],
}

impl Bundled {
    /// The component. Not needed if the cache holds the compiled code.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        tthost_seal::decompress(self.compressed, MAX_LENGTH, &mut bytes, |_| true)
            .expect("the build script compressed it");
        bytes
    }
}

/// More than any bundled component has, in bytes.
const MAX_LENGTH: usize = 16 << 20;

macro_rules! bundled {
    ($name:literal, $role:expr, $variable:literal) => {
        Bundled {
            name: $name,
            role: $role,
            sha256: *include_bytes!(concat!(env!($variable), ".sha256")),
            compressed: include_bytes!(concat!(env!($variable), ".zst")),
        }
    };
}

/// All plugins that ship inside this program.
pub fn bundled() -> &'static [Bundled] {
    static BUNDLED: [Bundled; 4] = [
        bundled!("postgres-source", Role::Source, "TTHOST_POSTGRES_SOURCE"),
        bundled!("restic-sink", Role::Sink, "TTHOST_RESTIC_SINK"),
        bundled!("s3-sink", Role::Sink, "TTHOST_S3_SINK"),
        bundled!("volume-source", Role::Source, "TTHOST_VOLUME_SOURCE"),
    ];
    &BUNDLED
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn a_bundled_component_is_the_one_that_its_digest_names() {
        for plugin in bundled() {
            let sha256: [u8; 32] = Sha256::digest(plugin.bytes()).into();
            assert_eq!(plugin.sha256, sha256, "{}", plugin.name);
        }
    }
}
