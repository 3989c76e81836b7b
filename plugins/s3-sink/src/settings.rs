//! The configuration and the secrets.

use restic_plugin::bindings::exports::tthost::backup::plugin::{Need, ResourceKind};
use restic_plugin::bindings::tthost::backup::secrets;
use restic_plugin::bindings::tthost::backup::types::{Access, Error as HostError};
use restic_repo::{Error, Result};
use rusty_s3::Credentials;
use s3_location::Location;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The region that is taken where nothing tells one. Servers without regions ignore it.
const REGION: &str = "us-east-1";

/// The JSON Schema of [`Config`].
pub(crate) const CONFIG_SCHEMA: &str = include_str!("config.schema.json");

/// What the plugin asks the operator for.
pub(crate) fn needs() -> Vec<Need> {
    let secret = |name: &str, optional, reason: &str| Need {
        resource: ResourceKind::Secret,
        name: name.into(),
        optional,
        reason: reason.into(),
    };
    vec![
        Need {
            resource: ResourceKind::Network,
            name: "the server of config.repository or config.endpoint".into(),
            optional: false,
            reason: "It holds the repository.".into(),
        },
        secret("access-key-id", false, "It says who asks the server."),
        secret(
            "secret-access-key",
            false,
            "It signs requests to the server.",
        ),
        secret(
            "session-token",
            true,
            "It belongs to temporary credentials.",
        ),
        restic_plugin::password(),
        Need {
            resource: ResourceKind::Directory(Access::ReadWrite),
            name: "state".into(),
            optional: true,
            reason:
                "It keeps what the credentials allow, and with write-only ones copies of the index."
                    .into(),
        },
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    repository: String,
    endpoint: Option<String>,
    region: Option<String>,
    style: Option<Style>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Style {
    Path,
    VirtualHost,
}

/// Where the repository is, and who asks.
pub(crate) struct Settings {
    pub(crate) location: Location,
    pub(crate) style: s3_location::Style,
    pub(crate) region: String,
    pub(crate) credentials: Credentials,
}

impl Settings {
    /// What the configuration says, with the secrets that were granted.
    pub(crate) async fn read(config: &str) -> Result<Self> {
        let config: Config = serde_json::from_str(config)
            .map_err(|cause| Error::Config(format!("config: {cause}")))?;
        let invalid = |cause: s3_location::Invalid| Error::Config(format!("config: {cause}"));
        let mut location = Location::parse(&config.repository).map_err(invalid)?;
        if let Some(endpoint) = &config.endpoint {
            location = location.with_endpoint(endpoint).map_err(invalid)?;
        }
        let style = match config.style {
            Some(Style::Path) => s3_location::Style::Path,
            Some(Style::VirtualHost) => s3_location::Style::VirtualHost,
            None => location.default_style(),
        };
        let region = config
            .region
            .or_else(|| location.region())
            .unwrap_or_else(|| REGION.into());
        Ok(Self {
            location,
            style,
            region,
            credentials: credentials().await?,
        })
    }

    /// Names place and credentials, and gives away nothing of either.
    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(&[
            &self.location.to_string(),
            self.credentials.key(),
            self.credentials.token().unwrap_or_default(),
        ])
    }

    /// Names the place alone.
    pub(crate) fn place(&self) -> String {
        fingerprint(&[&self.location.to_string()])
    }
}

async fn credentials() -> Result<Credentials> {
    let key = text("access-key-id").await?;
    let secret = text("secret-access-key").await?;
    match text("session-token").await {
        Ok(token) => Ok(Credentials::new_with_token(key, secret, token)),
        // Only credentials that end by themselves have one.
        Err(Error::Denied(_)) => Ok(Credentials::new(key, secret)),
        Err(error) => Err(error),
    }
}

async fn text(name: &str) -> Result<String> {
    let bytes = secrets::get(name.into())
        .await
        .map_err(|error| match error {
            HostError::Denied(text) => Error::Denied(format!("{text}: set grants.secrets.{name}")),
            other => Error::Other(format!("the secret {name} cannot be read: {other:?}")),
        })?;
    String::from_utf8(bytes).map_err(|_| Error::Config(format!("the secret {name} is not text")))
}

fn fingerprint(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
        digest.update([0]);
    }
    hex::encode(&digest.finalize()[..8])
}
