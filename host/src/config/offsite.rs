//! The sink `offsite`, which exists without a configuration file if the environment names a repository in S3, for
//! users of the variables of restic and AWS.

use std::path::{Path, PathBuf};

use s3_location::{Location, Style};

use super::file::{Access, Directory, DirectoryPath, Grants, Limits, Network, Plugin, Sink, Value};
use super::{Environment, Named, builtin, directories};
use crate::error::{Error, Kind, Result};

/// The sink's name.
pub(super) const SINK: &str = "offsite";

/// The sink, where the environment names its repository.
pub(super) fn sink(environment: &Environment) -> Result<Option<Sink>> {
    let offsite = named(environment, "RESTIC_OFFSITE_REPOSITORY");
    let only = named(environment, "RESTIC_REPOSITORY");
    let is_s3 = |(_, repository): &(_, &str)| repository.starts_with("s3:");
    let Some((variable, repository)) = offsite.or(only.filter(is_s3)) else {
        return Ok(None);
    };
    if !is_s3(&(variable, repository)) {
        let directory = builtin::directory(repository).map_err(|error| error.of(variable))?;
        return Ok(Some(in_directory(directory, environment)));
    }
    let place =
        OffsiteLocation::named(repository, environment).map_err(|error| error.of(variable))?;
    granted(place, environment).map(Some)
}

fn named<'a>(
    environment: &'a Environment,
    variable: &'static str,
) -> Option<(&'static str, &'a str)> {
    Some((variable, environment.get(variable)?))
}

/// A sink for a repository in a directory, such as a disk of another machine.
fn in_directory(directory: PathBuf, environment: &Environment) -> Sink {
    let directory = Directory {
        path: DirectoryPath::Path(directory),
        access: Access::ReadWrite,
    };
    Sink {
        plugin: Plugin::Bundled("restic-sink".into()),
        required: false,
        offsite: true,
        config: serde_json::Map::new(),
        grants: Grants {
            directories: Named::from([("repository".into(), directory)]),
            secrets: Named::from([("password".into(), password(environment))]),
            ..Grants::default()
        },
        limits: Limits::default(),
        store: None,
    }
}

/// Where the repository is, and the settings that say so.
struct OffsiteLocation {
    location: Location,
    config: serde_json::Map<String, serde_json::Value>,
}

impl OffsiteLocation {
    /// What restic's name of a repository and AWS's variables mean together.
    fn named(repository: &str, environment: &Environment) -> Result<Self> {
        let mut location = Location::parse(repository).map_err(|cause| {
            Error::new(Kind::Config, cause.to_string())
                .help("write s3:HOST/BUCKET/PREFIX, or s3:https://HOST:PORT/BUCKET/PREFIX")
        })?;
        let mut config = serde_json::Map::new();
        config.insert("repository".into(), repository.into());
        if let Some((variable, endpoint)) =
            first(environment, ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
        {
            location = location.with_endpoint(endpoint).map_err(|cause| {
                Error::new(Kind::Config, format!("{variable}: {cause}"))
                    .help("write https://HOST:PORT")
            })?;
            config.insert("endpoint".into(), endpoint.into());
        }
        if let Some((_, region)) = first(environment, ["AWS_REGION", "AWS_DEFAULT_REGION"]) {
            config.insert("region".into(), region.into());
        }
        Ok(Self { location, config })
    }
}

/// The first of two variables that is set, with its name.
fn first<'a>(
    environment: &'a Environment,
    variables: [&'static str; 2],
) -> Option<(&'static str, &'a str)> {
    variables
        .into_iter()
        .find_map(|variable| Some((variable, environment.get(variable)?)))
}

/// The file of certificates that restic's and AWS's programs trust too, where the server shows one.
fn ca<'a>(origin: &str, environment: &'a Environment) -> Option<&'a str> {
    let found = first(environment, ["RESTIC_CACERT", "AWS_CA_BUNDLE"]);
    found
        .map(|(_, file)| file)
        .filter(|_| origin.starts_with("https://"))
}

/// A sink for a place in S3, with the grants that it needs.
fn granted(place: OffsiteLocation, environment: &Environment) -> Result<Sink> {
    let OffsiteLocation { location, config } = place;
    let origin = location.origin(location.default_style());
    let network = Network {
        ca: ca(&origin, environment).map(Into::into),
        private: is_private(&location),
        origin,
    };
    let state = Directory {
        path: DirectoryPath::Path(directories::state(environment)?.join(SINK)),
        access: Access::ReadWrite,
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
    Ok(Sink {
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
        store: None,
    })
}

fn password(environment: &Environment) -> Value {
    own_password(environment).unwrap_or_else(|| variable("RESTIC_PASSWORD"))
}

/// The password of the repository, where it has one of its own.
fn own_password(environment: &Environment) -> Option<Value> {
    if environment.get("RESTIC_OFFSITE_PASSWORD").is_some() {
        return Some(variable("RESTIC_OFFSITE_PASSWORD"));
    }
    Some(Value {
        file: Some(environment.get("RESTIC_OFFSITE_PASSWORD_FILE")?.into()),
        ..Value::default()
    })
}

fn variable(name: &str) -> Value {
    Value {
        env: Some(name.into()),
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

/// The section of a configuration file for a repository in S3 or in a directory. Its password is where
/// `password` says, unless the environment has one for it alone.
pub(super) fn section(
    repository: &str,
    password: &str,
    environment: &Environment,
) -> Result<String> {
    let own = own_password(environment).map(|mut value| {
        value.file = value.file.map(|file| absolute(&file));
        toml::Value::try_from(value)
            .expect("it is TOML")
            .to_string()
    });
    let password = own.as_deref().unwrap_or(password);
    if repository.starts_with("s3:") {
        section_in_s3(repository, password, environment)
    } else {
        let directory = absolute(&builtin::directory(repository)?);
        Ok(section_in_directory(&directory, password))
    }
}

fn section_in_directory(directory: &Path, password: &str) -> String {
    let directory = toml::Value::from(directory.to_string_lossy().into_owned());
    format!(
        r#"
# A restic repository in another directory, such as a disk of another machine.
# `tthost run --offsite` stores here too, and goes on if this sink fails.
[sinks.{SINK}]
plugin = "restic-sink"
offsite = true
required = false

[sinks.{SINK}.grants]
directories.repository = {{ path = {directory}, access = "read-write" }}
secrets.password = {password}
"#
    )
}

fn section_in_s3(repository: &str, password: &str, environment: &Environment) -> Result<String> {
    let OffsiteLocation { location, config } = OffsiteLocation::named(repository, environment)?;
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let config: Vec<_> = config
        .iter()
        .filter_map(|(key, value)| Some(format!("{key} = {}", quoted(value.as_str()?))))
        .collect();
    let style = location.default_style();
    let note = match style {
        Style::Path => "",
        Style::VirtualHost => " The bucket's name is part of the host name.",
    };
    let private = if is_private(&location) {
        "private = true"
    } else {
        "# private = true          # for a server in a private network"
    };
    let ca = match ca(&location.origin(style), environment) {
        Some(file) => {
            let file = absolute(Path::new(file));
            format!("ca = {}", quoted(&file.to_string_lossy()))
        }
        None => "# ca = \"own-ca.pem\"       # for a certificate authority of your own".into(),
    };
    Ok(format!(
        r#"
# A restic repository in S3. `tthost probe {SINK}` shows what the credentials allow. Write-only
# credentials are enough. `tthost run --offsite` stores here too, and goes on if this sink fails.
[sinks.{SINK}]
plugin = "s3-sink"
config = {{ {} }}
offsite = true
required = false

# The only server that the plugin can reach.{note}
[[sinks.{SINK}.grants.network]]
origin = {}
{private}
{ca}

[sinks.{SINK}.grants]
directories.state = {{ path = "state/{SINK}", access = "read-write" }}
secrets.access-key-id = {{ env = "AWS_ACCESS_KEY_ID" }}
secrets.secret-access-key = {{ env = "AWS_SECRET_ACCESS_KEY" }}
# secrets.session-token = {{ env = "AWS_SESSION_TOKEN" }}   # for credentials that expire
secrets.password = {password}
"#,
        config.join(", "),
        quoted(&location.origin(style)),
    ))
}

/// What is relative to where the command is given, and not to the file that is written.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, RunRequest, Work};
    use crate::plugin::Role;

    fn config(variables: &[(&str, &str)]) -> Result<Config> {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ]
        .iter()
        .chain(variables);
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Config::parse("", None, variables.map(owned).collect())
    }

    #[test]
    fn a_repository_in_s3_that_a_variable_names_is_a_sink_with_its_grants() {
        let config = config(&[
            (
                "RESTIC_OFFSITE_REPOSITORY",
                "s3:s3.eu-west-1.amazonaws.com/bucket/a",
            ),
            ("RESTIC_PASSWORD", "all"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_SESSION_TOKEN", "token"),
            ("AWS_CA_BUNDLE", "/etc/ca.pem"),
            ("TTHOST_STATE_DIR", "/var/state"),
        ])
        .expect("it is fine");
        assert_eq!(config.offsite().expect("there is one"), [SINK]);
        assert!(!config.is_required(SINK) && config.is_required("restic-local"));
        let spec = config.spec(Role::Sink, SINK).expect("it is built in");
        let set = serde_json::json!({
            "repository": "s3:s3.eu-west-1.amazonaws.com/bucket/a",
            "region": "eu-west-1",
        });
        assert_eq!(serde_json::Value::Object(spec.config), set);
        let [network] = spec.grants.network.as_slice() else {
            panic!("there is one origin")
        };
        assert_eq!(
            (network.origin.to_string().as_str(), network.private),
            ("https://bucket.s3.eu-west-1.amazonaws.com", false)
        );
        assert_eq!(network.ca.as_deref(), Some(Path::new("/etc/ca.pem")));
        assert_eq!(
            spec.grants.directories["state"].path,
            Path::new("/var/state/offsite")
        );
        let secrets = spec.grants.secrets.iter();
        let secrets: Vec<_> = secrets
            .map(|(name, secret)| (name.as_str(), secret.expose()))
            .collect();
        assert_eq!(
            secrets,
            [
                ("access-key-id", b"id".as_slice()),
                ("password", b"all"),
                ("secret-access-key", b"s3cret"),
                ("session-token", b"token"),
            ]
        );
    }

    #[test]
    fn a_server_that_the_operator_named_may_be_private_and_others_may_not() {
        for (endpoint, origin, private) in [
            ("http://localhost:9000", "http://localhost:9000", true),
            ("http://minio.localhost", "http://minio.localhost", true),
            ("http://10.1.2.3:9000", "http://10.1.2.3:9000", true),
            ("https://[::1]:9000", "https://[::1]:9000", true),
            ("https://8.8.8.8", "https://8.8.8.8", false),
            ("https://minio.lan", "https://minio.lan", false),
        ] {
            let config = config(&[
                ("RESTIC_REPOSITORY", "s3:s3.amazonaws.com/bucket"),
                ("RESTIC_PASSWORD", "all"),
                ("RESTIC_OFFSITE_PASSWORD", "own"),
                ("AWS_ENDPOINT_URL", "http://unused"),
                ("AWS_ENDPOINT_URL_S3", endpoint),
                ("TTHOST_STATE_DIR", "/var/state"),
            ])
            .expect("it is fine");
            let spec = config.spec(Role::Sink, SINK).expect("it is built in");
            assert_eq!(spec.config["endpoint"], endpoint);
            let network = &spec.grants.network[0];
            assert_eq!(
                (network.origin.to_string().as_str(), network.private),
                (origin, private)
            );
            assert_eq!(spec.grants.secrets["password"].expose(), b"own");
            let state = &spec.grants.directories["state"].path;
            assert_eq!(state, Path::new("/var/state/offsite"));
        }
    }

    #[test]
    fn a_variable_that_names_no_place_is_named() {
        for (variables, subject, message) in [
            (
                vec![("RESTIC_OFFSITE_REPOSITORY", "s3:host")],
                "RESTIC_OFFSITE_REPOSITORY",
                "it names no bucket",
            ),
            (
                vec![
                    ("RESTIC_REPOSITORY", "s3:host/bucket"),
                    ("AWS_ENDPOINT_URL", "ftp://host"),
                ],
                "RESTIC_REPOSITORY",
                "AWS_ENDPOINT_URL: \"ftp://host\"",
            ),
        ] {
            let config = config(&variables).expect("all else is fine");
            assert_eq!(config.offsite().expect("there is one"), [SINK]);
            let error = config
                .spec(Role::Sink, SINK)
                .expect_err("it is not a place");
            assert_eq!(error.subject(), Some(subject), "{error}");
            assert!(error.message().contains(message), "{error}");
        }
    }

    #[test]
    fn a_run_does_without_an_offsite_sink_that_nobody_can_make_sense_of() {
        for repository in ["b2:bucket", "rest:https://host/", "sftp:host:/path", "s3:"] {
            let config = config(&[
                ("RESTIC_OFFSITE_REPOSITORY", repository),
                ("RESTIC_REPOSITORY", "/srv/repository"),
                ("RESTIC_PASSWORD", "all"),
            ]);
            let request = RunRequest {
                work: Work::Named {
                    sources: vec!["dir:/srv".into()],
                    sinks: vec!["restic-local".into()],
                },
                offsite: true,
                tags: Vec::new(),
                hostname: None,
                dry_run: false,
                force: false,
            };
            let plan = config.expect("all else is fine").plan_run(request);
            let plan = plan.expect("one sink is enough");
            assert_eq!((plan.sinks.len(), plan.unusable.len()), (1, 1));
            assert_eq!(plan.unusable[0].sink, SINK);
        }
    }

    #[test]
    fn an_offsite_repository_may_be_a_directory() {
        let config = config(&[
            ("RESTIC_OFFSITE_REPOSITORY", "/mnt/nas/repository"),
            ("RESTIC_PASSWORD", "all"),
        ])
        .expect("it is fine");
        assert_eq!(config.offsite().expect("there is one"), [SINK]);
        let spec = config.spec(Role::Sink, SINK).expect("it is built in");
        let directory = &spec.grants.directories["repository"].path;
        assert_eq!(directory, Path::new("/mnt/nas/repository"));
    }

    #[test]
    fn a_directory_gets_a_section_too_and_another_scheme_none_and_its_password_is_not_shown() {
        let password = "{ env = \"RESTIC_PASSWORD\" }";
        let environment = Environment::default();
        let text = section("/mnt/other", password, &environment).expect("it is a directory");
        let path = PathBuf::from("/etc/tthost.toml");
        let config = Config::parse(&text, Some(path), environment.clone()).expect("it is TOML");
        assert_eq!(config.offsite().expect("there is one"), [SINK]);
        let error = section("rest:https://me:hunter2@host/", password, &environment);
        let error = error.expect_err("nothing stores there").to_string();
        assert!(
            error.contains("rest:") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn the_section_of_a_file_means_what_the_variables_do() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("AWS_ENDPOINT_URL", "https://127.0.0.1:9000"),
            ("RESTIC_CACERT", "/etc/ca.pem"),
            ("RESTIC_PASSWORD", "all"),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let environment: Environment = variables.map(owned).into_iter().collect();
        let own = ("RESTIC_OFFSITE_PASSWORD".to_owned(), "own".to_owned());
        let repository = "s3:s3.amazonaws.com/bucket/\"quoted\"";
        let password = "{ env = \"RESTIC_PASSWORD\" }";
        let text = section(repository, password, &environment).expect("it is a place");
        assert!(text.contains(password), "{text}");
        let path = PathBuf::from("/etc/tthost/tthost.toml");
        let config = Config::parse(&text, Some(path), environment).expect("it is TOML");
        assert_eq!(config.offsite().expect("there is one"), [SINK]);
        let spec = config.spec(Role::Sink, SINK).expect("nothing is missing");
        assert_eq!(spec.config["repository"], repository);
        assert_eq!(spec.config["endpoint"], "https://127.0.0.1:9000");
        let network = &spec.grants.network[0];
        assert!(network.private, "{text}");
        assert_eq!(network.ca.as_deref(), Some(Path::new("/etc/ca.pem")));
        assert_eq!(spec.grants.secrets.len(), 3);
        let state = &spec.grants.directories["state"].path;
        assert_eq!(state, Path::new("/etc/tthost/state/offsite"));
        let environment: Environment = std::iter::once(own).collect();
        let text = section(repository, password, &environment).expect("it is a place");
        assert!(
            text.contains("{ env = \"RESTIC_OFFSITE_PASSWORD\" }"),
            "{text}"
        );
    }
}
