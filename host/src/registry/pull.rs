//! Downloads a component, and verifies all digests.

use bytes::Bytes;
use http::StatusCode;
use url::Url;

use super::Access;
use super::challenge::Right;
use super::digest::Digest;
use super::exchange::{RegistryRequest, Server};
use super::manifest::{self, Descriptor};
use super::reference::{Reference, Version};
use crate::error::{Error, Kind, Result};
use crate::text::printable;

/// The longest manifest that is taken, in bytes. Registries take no longer one.
const MAX_MANIFEST_LENGTH: usize = 4 << 20;

/// A component that came from a registry.
pub struct Pulled {
    /// Its bytes.
    pub component: Bytes,
    /// The digest of the manifest that named it.
    pub manifest: Digest,
}

/// The component that a reference means now: its digest, and that of the manifest that names it. Gets none of its bytes.
pub async fn find(reference: &Reference, access: &Access) -> Result<(Digest, Digest)> {
    let found = async {
        let mut server = Server::find_registry(&reference.registry, access).await?;
        let (layer, manifest) = look_up(&mut server, reference).await?;
        Ok((layer.digest()?, manifest))
    };
    found
        .await
        .map_err(|error: Error| error.of(reference.to_string()))
}

/// Gets the component that a reference means, of at most so many bytes.
pub async fn pull(reference: &Reference, access: &Access, most: u64) -> Result<Pulled> {
    let pulled = async {
        let mut server = Server::find_registry(&reference.registry, access).await?;
        let (layer, manifest) = look_up(&mut server, reference).await?;
        let component = blob(&mut server, reference, &layer, most).await?;
        Ok(Pulled {
            component,
            manifest,
        })
    };
    pulled
        .await
        .map_err(|error: Error| error.of(reference.to_string()))
}

/// Gets a file of at most so many bytes.
pub async fn download(url: &Url, access: &Access, most: u64) -> Result<Bytes> {
    let name = url.host_str().unwrap_or_default();
    let downloaded = async {
        if url.scheme() == "http" && !access.plain_http && !is_this_machine(url) {
            let text = "it would come without TLS, and anybody on the way could exchange it";
            return Err(Error::new(Kind::Config, text)
                .help("write https://, or give --plain-http if it is meant"));
        }
        let (mut server, url, mut answer) = Server::find(name, url.clone(), access).await?;
        if answer.status().is_redirection() {
            answer = server.ask(RegistryRequest::get(url, "*/*")).await?;
        }
        if answer.status() != StatusCode::OK {
            return Err(server.refuses(answer.status()));
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        server.read(answer, most).await
    };
    downloaded.await.map_err(|error: Error| {
        // What is behind the path may be a secret.
        error.of(url[..url::Position::AfterPath].to_owned())
    })
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The layer that a reference means, and the digest of the manifest that says so.
async fn look_up(server: &mut Server, reference: &Reference) -> Result<(Descriptor, Digest)> {
    let accept = manifest::accepted();
    let path = format!(
        "/v2/{}/manifests/{}",
        reference.repository,
        reference.version.in_path()
    );
    let mut ask = RegistryRequest::get(server.url(&path)?, &accept);
    ask.about = Some((&reference.repository, Right::Pull));
    let answer = server.ask(ask).await?;
    if answer.status() != StatusCode::OK {
        return Err(server.refuses(answer.status()));
    }
    let said = answer.headers().get("docker-content-digest").cloned();
    let bytes = server.read(answer, MAX_MANIFEST_LENGTH).await?;
    let digest = Digest::of(&bytes);
    let expected = match &reference.version {
        Version::Manifest(named) => Some(named.to_string()),
        // It says it in its own algorithm, which may be another.
        Version::Tag(_) => said
            .and_then(|said| said.to_str().map(str::to_owned).ok())
            .filter(|said| said.starts_with("sha256:")),
    };
    if let Some(expected) = expected {
        expect("manifest", &expected, digest)?;
    }
    Ok((manifest::component(&bytes)?, digest))
}

async fn blob(
    server: &mut Server,
    reference: &Reference,
    layer: &Descriptor,
    most: u64,
) -> Result<Bytes> {
    let digest = layer.digest()?;
    if layer.size > most {
        let text = format!(
            "it is larger than {} MiB, and too large for a plugin",
            most >> 20
        );
        return Err(Error::new(Kind::Unsupported, text));
    }
    let path = format!("/v2/{}/blobs/{digest}", reference.repository);
    let mut ask = RegistryRequest::get(server.url(&path)?, "*/*");
    ask.about = Some((&reference.repository, Right::Pull));
    let answer = server.ask(ask).await?;
    if answer.status() != StatusCode::OK {
        return Err(server.refuses(answer.status()));
    }
    let size = usize::try_from(layer.size).unwrap_or(usize::MAX);
    let bytes = server.read(answer, size).await?;
    expect("component", &digest.to_string(), Digest::of(&bytes))?;
    Ok(bytes)
}

fn expect(what: &str, expected: &str, found: Digest) -> Result<()> {
    if expected == found.to_string() {
        return Ok(());
    }
    let expected = printable(expected);
    let text = format!(
        "the {what} is not the one that was named: {expected} was asked for, and {found} came"
    );
    Err(Error::new(Kind::Corrupt, text)
        .help("do not use it: the registry is damaged, or somebody has changed what it holds"))
}
