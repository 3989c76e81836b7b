//! Components in OCI registries and on web servers.
//!
//! A run uses none of this. The operator names a location, and the host treats its answers as untrusted bytes. It defends
//! against malicious locations:
//!
//! | attempt | defence |
//! |---|---|
//! | other bytes than those that were named | the SHA-256 of every manifest and every blob is verified (`pull`) |
//! | answers without end | every answer has a limit (`exchange`) |
//! | a redirect to elsewhere, with the operator's credentials | credentials go to the registry that they are for, and to where it gives out tokens (`exchange`, `challenge`) |
//! | a redirect into the private network | only a registry in the private network may redirect there |
//! | a connection without TLS | only to this machine, or at the operator's request |
//! | an image, an index or an artifact that is not a plugin | the kinds of the manifest and of what it names are compared (`manifest`) |

mod challenge;
mod credentials;
mod digest;
mod exchange;
mod manifest;
mod pull;
mod push;
mod reference;

use std::path::PathBuf;

pub use credentials::CredentialStore;
pub use digest::Digest;
pub(crate) use pull::{download, find, pull};
pub(crate) use push::push;
pub use reference::{Reference, Version};

/// How places are reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Without TLS, wherever they are.
    pub plain_http: bool,
    /// A file of certificates in PEM that are trusted besides the system's own.
    pub ca: Option<PathBuf>,
    /// Where credentials are looked for when a registry asks for some.
    pub credentials: CredentialStore,
}
