//! Where operators get plugins from, and authors publish them: registries of the Open Container Initiative, and servers that
//! have files.
//!
//! Nothing of it happens in a run. An operator names a place, and what comes from there is taken for nothing but bytes.
//! It defends against a place that is not what it seems:
//!
//! | attempt | what stops it |
//! |---|---|
//! | other bytes than those that were named | the SHA-256 of every manifest and every blob is compared (`pull`) |
//! | answers without end | every answer has a limit (`exchange`) |
//! | a redirect to elsewhere, with the operator's credentials | credentials go to the registry that they are for, and to where it gives out tokens (`exchange`, `challenge`) |
//! | a redirect into the private network | only a registry that is itself there may send there |
//! | a way without TLS | only to this machine, or when the operator asks for it |
//! | an image, an index or an artifact that is no plugin | the kinds of the manifest and of what it names are compared (`manifest`) |

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
