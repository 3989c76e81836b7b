//! The plugins that ship inside this program.

use super::Role;

/// A plugin that ships inside this program.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// The name that a configuration uses, for example `restic-sink`.
    pub name: &'static str,
    /// What it can be used as.
    pub role: Role,
    /// The component.
    pub bytes: &'static [u8],
}

/// All plugins that ship inside this program.
pub fn bundled() -> &'static [Bundled] {
    &[
        Bundled {
            name: "postgres-source",
            role: Role::Source,
            bytes: include_bytes!(env!("TTHOST_POSTGRES_SOURCE")),
        },
        Bundled {
            name: "restic-sink",
            role: Role::Sink,
            bytes: include_bytes!(env!("TTHOST_RESTIC_SINK")),
        },
        Bundled {
            name: "s3-sink",
            role: Role::Sink,
            bytes: include_bytes!(env!("TTHOST_S3_SINK")),
        },
        Bundled {
            name: "volume-source",
            role: Role::Source,
            bytes: include_bytes!(env!("TTHOST_VOLUME_SOURCE")),
        },
    ]
}
