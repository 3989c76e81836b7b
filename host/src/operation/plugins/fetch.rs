//! Fetches a component, and lets it describe itself without any grants.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use tracing::instrument;
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::grant::Grants;
use crate::operation::Context;
use crate::plugin::{self, Description};
use crate::registry::{self, Access, Digest, Reference};

/// Where a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentLocation {
    /// In a file of this machine.
    File(PathBuf),
    /// In a file of a server.
    Url(Url),
    /// In a registry.
    Registry(Reference),
}

impl ComponentLocation {
    /// Reads one, as an operator writes it.
    pub fn parse(text: &str) -> Result<Self> {
        if Reference::is_reference(text) {
            return Reference::parse(text).map(Self::Registry);
        }
        match text.split_once("://") {
            Some(("http" | "https", _)) => {
                let url = Url::parse(text).map_err(|cause| {
                    Error::new(Kind::Config, "it is not a URL").caused_by(cause)
                })?;
                Ok(Self::Url(url))
            }
            Some((scheme, _)) => {
                let text = format!("nothing is fetched from {scheme}://");
                Err(Error::new(Kind::Config, text)
                    .help("name a file, https://…, or oci://HOST/REPOSITORY:TAG"))
            }
            None => Ok(Self::File(text.into())),
        }
    }

    /// As a configuration remembers it; none for a file, and for a URL that may hold a secret.
    pub fn remembered(&self) -> Option<String> {
        match self {
            Self::Registry(_) => Some(self.to_string()),
            Self::Url(url) if url.query().is_none() => Some(self.to_string()),
            Self::Url(_) | Self::File(_) => None,
        }
    }

    /// The digest that the name itself has, if it has one.
    pub fn names_digest(&self) -> bool {
        let version = match self {
            Self::Registry(reference) => &reference.version,
            Self::Url(_) | Self::File(_) => return false,
        };
        matches!(version, registry::Version::Manifest(_))
    }
}

impl fmt::Display for ComponentLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            // What stands behind the path may be a secret.
            Self::Url(url) => f.write_str(&url[..url::Position::AfterPath]),
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}

/// A component that may become a plugin.
pub struct Candidate {
    /// Where it came from.
    pub location: ComponentLocation,
    /// Its bytes.
    pub component: Bytes,
    /// Their digest.
    pub digest: Digest,
    /// The digest of the manifest that named it in a registry.
    pub manifest: Option<Digest>,
    /// Its description. Its requests are not granted.
    pub description: Description,
}

/// Gets a component and looks at it.
#[instrument(name = "fetch", level = "error", skip_all)]
pub async fn fetch(
    context: &Context,
    location: ComponentLocation,
    access: &Access,
) -> Result<Candidate> {
    let fetched = context.unless_cancelled(get(&location, access));
    let (component, manifest) = fetched.await?;
    let runtime = &context.runtime;
    let (name, nothing) = (location.to_string(), Grants::default());
    let described = runtime.describe_bytes(&component, &name, &nothing);
    let description = context.unless_cancelled(described).await;
    Ok(Candidate {
        description: description.map_err(|error| error.of(name))?,
        digest: Digest::of(&component),
        component,
        manifest,
        location,
    })
}

async fn get(location: &ComponentLocation, access: &Access) -> Result<(Bytes, Option<Digest>)> {
    match location {
        ComponentLocation::File(path) => {
            let path = path.clone();
            let read = tokio::task::spawn_blocking(move || plugin::read_component(&path)).await;
            let lost = |cause| Error::new(Kind::Other, "it cannot be read").caused_by(cause);
            Ok((read.map_err(lost)??.into(), None))
        }
        ComponentLocation::Url(url) => {
            let component = registry::download(url, access, plugin::MAX_SIZE).await?;
            Ok((component, None))
        }
        ComponentLocation::Registry(reference) => {
            let pulled = registry::pull(reference, access, plugin::MAX_SIZE).await?;
            Ok((pulled.component, Some(pulled.manifest)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_and_secrets_in_them_are_neither_shown_nor_kept() {
        let url = ComponentLocation::parse("https://h/p.wasm?token=s3cret").expect("it is one");
        assert_eq!(url.to_string(), "https://h/p.wasm");
        assert_eq!(url.remembered(), None);
        let plain = ComponentLocation::parse("https://h/p.wasm").expect("it is one");
        assert_eq!(plain.remembered().as_deref(), Some("https://h/p.wasm"));
        let file = ComponentLocation::parse("./p.wasm").expect("it is one");
        assert_eq!(file, ComponentLocation::File("./p.wasm".into()));
        let digest = format!("oci://h/p@{}", Digest::of(b""));
        let registry = ComponentLocation::parse(&digest).expect("it is one");
        assert!(registry.names_digest() && !plain.names_digest());
        assert_eq!(registry.remembered(), Some(digest));
        let error = ComponentLocation::parse("ftp://h/p.wasm").expect_err("nobody speaks that");
        assert!(error.message().contains("ftp://"), "{error}");
    }
}
