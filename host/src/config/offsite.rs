//! The sink that exists without a configuration file where the environment names a repository in
//! S3, for users of restic's and AWS's variables.

use s3_location::{Location, Style};

use super::file::{Access, Directory, Grants, Limits, Network, Plugin, Sink, Value};
use super::{Environment, Named};
use crate::error::{Error, Kind, Result};

/// The sink's name.
pub(super) const SINK: &str = "offsite";

/// Where its state is when the environment names no place for such things.
const STATE: &str = "/var/lib/tthost";

/// The sink, where the environment names its repository.
pub(super) fn sink(environment: &Environment) -> Result<Option<Sink>> {
    let named = ["RESTIC_OFFSITE_REPOSITORY", "RESTIC_REPOSITORY"]
        .iter()
        .find_map(|variable| Some((*variable, environment.get(variable)?)))
        .filter(|(_, repository)| repository.starts_with("s3:"));
    let Some((variable, repository)) = named else {
        return Ok(None);
    };
    let endpoint = environment
        .get("AWS_ENDPOINT_URL_S3")
        .or_else(|| environment.get("AWS_ENDPOINT_URL"));
    let region = environment
        .get("AWS_REGION")
        .or_else(|| environment.get("AWS_DEFAULT_REGION"));
    let mut location = Location::parse(repository).map_err(|cause| invalid(variable, &cause))?;
    let mut config = serde_json::Map::new();
    config.insert("repository".into(), repository.into());
    if let Some(endpoint) = endpoint {
        location = location
            .with_endpoint(endpoint)
            .map_err(|cause| invalid("AWS_ENDPOINT_URL", &cause))?;
        config.insert("endpoint".into(), endpoint.into());
    }
    if let Some(region) = region {
        config.insert("region".into(), region.into());
    }
    Ok(Some(granted(&location, config, environment)))
}

/// A sink for a place in S3, with the grants that it needs.
fn granted(
    location: &Location,
    config: serde_json::Map<String, serde_json::Value>,
    environment: &Environment,
) -> Sink {
    let ca = environment
        .get("RESTIC_CACERT")
        .or_else(|| environment.get("AWS_CA_BUNDLE"));
    let network = Network {
        origin: location.origin(location.default_style()),
        private: is_private(location),
        ca: ca.map(Into::into),
    };
    let state = Directory {
        path: state(environment),
        access: Access::ReadWrite,
    };
    let variable = |name: &str| Value {
        env: Some(name.into()),
        ..Value::default()
    };
    let mut secrets = Named::from([
        ("password".into(), password(environment)),
        ("access-key-id".into(), variable("AWS_ACCESS_KEY_ID")),
        (
            "secret-access-key".into(),
            variable("AWS_SECRET_ACCESS_KEY"),
        ),
    ]);
    if environment.get("AWS_SESSION_TOKEN").is_some() {
        secrets.insert("session-token".into(), variable("AWS_SESSION_TOKEN"));
    }
    Sink {
        plugin: Plugin::Bundled("s3-sink".into()),
        required: false,
        offsite: true,
        config,
        grants: Grants {
            directories: Named::from([("state".into(), state)]),
            secrets,
            network: vec![network],
            ..Grants::default()
        },
        limits: Limits::default(),
    }
}

/// The offsite repository's own password where it has one, else the one of all repositories.
fn password(environment: &Environment) -> Value {
    if let Some(file) = environment.get("RESTIC_OFFSITE_PASSWORD_FILE") {
        return Value {
            file: Some(file.into()),
            ..Value::default()
        };
    }
    let own = environment.get("RESTIC_OFFSITE_PASSWORD").is_some();
    let variable = if own {
        "RESTIC_OFFSITE_PASSWORD"
    } else {
        "RESTIC_PASSWORD"
    };
    Value {
        env: Some(variable.into()),
        ..Value::default()
    }
}

/// Whether the server is one of this machine or a private network by the very words that name it.
/// A name that only turns out to be one of those is not reached.
fn is_private(location: &Location) -> bool {
    let host = location.host.as_str();
    let bare = host.trim_matches(['[', ']']);
    host == "localhost"
        || host.ends_with(".localhost")
        || match bare.parse() {
            Ok(std::net::IpAddr::V4(address)) => address.is_loopback() || address.is_private(),
            Ok(std::net::IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
            Err(_) => false,
        }
}

fn state(environment: &Environment) -> std::path::PathBuf {
    let own = |base: std::path::PathBuf| base.join("tthost").join(SINK);
    match (environment.get("XDG_STATE_HOME"), environment.get("HOME")) {
        (Some(state), _) => own(state.into()),
        (None, Some(home)) => own(std::path::Path::new(home).join(".local/state")),
        (None, None) => std::path::Path::new(STATE).join(SINK),
    }
}

fn invalid(variable: &str, cause: &s3_location::Invalid) -> Error {
    Error::new(Kind::Config, format!("{variable}: {cause}"))
        .help("write s3:HOST/BUCKET/PREFIX, or s3:https://HOST:PORT/BUCKET/PREFIX")
}

/// The section of a configuration file for a repository in S3.
pub fn section(repository: &str) -> Result<String> {
    let location = Location::parse(repository).map_err(|cause| {
        Error::new(Kind::Config, cause.to_string()).help("write s3:HOST/BUCKET/PREFIX")
    })?;
    let style = location.default_style();
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let private = if is_private(&location) {
        "private = true"
    } else {
        "# private = true          # where its address is in a private network"
    };
    let named = match style {
        Style::Path => "",
        Style::VirtualHost => "   # the bucket's name is a part of the host's",
    };
    Ok(format!(
        r#"
# A restic repository in S3. `tthost probe {SINK}` shows what the credentials allow; write-only ones
# are enough. `tthost run --offsite` stores here too, and goes on when it cannot.
[sinks.{SINK}]
plugin = "s3-sink"
config = {{ repository = {} }}
offsite = true
required = false

# All of the network that the plugin can reach.{named}
[[sinks.{SINK}.grants.network]]
origin = {}
{private}
# ca = "own-ca.pem"       # where its certificate is from an authority of your own

[sinks.{SINK}.grants]
directories.state = {{ path = "state/{SINK}", access = "read-write" }}
secrets.access-key-id = {{ env = "AWS_ACCESS_KEY_ID" }}
secrets.secret-access-key = {{ env = "AWS_SECRET_ACCESS_KEY" }}
"#,
        quoted(repository),
        quoted(&location.origin(style)),
    ))
}
