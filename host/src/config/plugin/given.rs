//! Grants from the command line, and the needs that are still open.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::config::Named;
use crate::config::file::{
    Access, Command, Directory, DirectoryPath, Grants, Network, Tree, Value,
};
use crate::error::{Error, Kind, Result};
use crate::net::Origin;
use crate::plugin::{Description, Need, Resource};

/// An option by which something is granted, or a setting given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grantable {
    /// `--directory`
    Directory,
    /// `--tree`
    Tree,
    /// `--command`
    Command,
    /// `--secret`
    Secret,
    /// `--allow-host`
    Host,
    /// `--allow-private-host`
    PrivateHost,
    /// `--set`
    Setting,
    /// `--sink-directory`
    SinkDirectory,
    /// `--sink-secret`
    SinkSecret,
}

impl Grantable {
    /// The option by which a resource is granted.
    pub fn of(resource: Resource) -> Self {
        match resource {
            Resource::Directory | Resource::WritableDirectory => Self::Directory,
            Resource::Tree => Self::Tree,
            Resource::Command => Self::Command,
            Resource::Secret => Self::Secret,
            Resource::Network => Self::Host,
        }
    }

    /// The option by which the same is granted to the sink around a store, where there is one.
    fn of_sink(self) -> Self {
        match self {
            Self::Directory => Self::SinkDirectory,
            Self::Secret => Self::SinkSecret,
            other => other,
        }
    }

    /// As it is typed, and what its value looks like.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Directory => ("--directory", "PATH"),
            Self::Tree => ("--tree", "PATH or volume:NAME"),
            Self::Command => ("--command", "PROGRAM"),
            Self::Secret => ("--secret", "file:PATH, env:VARIABLE or command:PROGRAM"),
            Self::Host => ("--allow-host", "https://HOST"),
            Self::PrivateHost => ("--allow-private-host", "https://HOST"),
            Self::Setting => ("--set", "VALUE"),
            Self::SinkDirectory => ("--sink-directory", "PATH"),
            Self::SinkSecret => (
                "--sink-secret",
                "file:PATH, env:VARIABLE or command:PROGRAM",
            ),
        }
    }
}

/// The grants that an operator has given on the command line or in answers.
#[derive(Clone, Debug, Default)]
pub struct Given {
    directories: Named<PathBuf>,
    trees: Named<Tree>,
    commands: Named<Command>,
    secrets: Named<Value>,
    network: Vec<Network>,
    settings: Named<String>,
    /// The grants of the sink around a store.
    sink: SinkGrants,
}

/// The grants of a sink with a store.
#[derive(Clone, Debug, Default)]
struct SinkGrants {
    directories: Named<PathBuf>,
    secrets: Named<Value>,
}

/// A required grant of a plugin that is missing.
#[derive(Clone, Debug)]
pub struct Missing {
    /// How it is granted.
    pub option: Grantable,
    /// The name that it is granted by; none for a host.
    name: Option<String>,
    /// Its purpose, in the plugin's words.
    pub reason: String,
}

impl Given {
    /// Takes the value of an option over.
    pub fn add(&mut self, option: Grantable, text: &str) -> Result<()> {
        let (typed, form) = option.words();
        if matches!(option, Grantable::Host | Grantable::PrivateHost) {
            let origin = Origin::parse(text)
                .map_err(|why| Error::new(Kind::Config, format!("{typed}: {why}")))?;
            self.network.push(Network {
                origin: origin.to_string(),
                private: option == Grantable::PrivateHost,
                ca: None,
            });
            return Ok(());
        }
        // The value is not quoted: it may be a secret by mistake.
        let wrong = || Error::new(Kind::Config, format!("{typed} takes NAME={form}"));
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        if name.is_empty() || value.is_empty() {
            return Err(wrong());
        }
        let is_new = match option {
            Grantable::Directory => insert(&mut self.directories, name, absolute(value)?),
            Grantable::Tree => insert(&mut self.trees, name, tree(value)?),
            Grantable::Command => insert(&mut self.commands, name, command(value)?),
            Grantable::Secret => insert(&mut self.secrets, name, secret(value)?.ok_or_else(wrong)?),
            Grantable::Setting => insert(&mut self.settings, name, value.to_owned()),
            Grantable::SinkDirectory => insert(&mut self.sink.directories, name, absolute(value)?),
            Grantable::SinkSecret => {
                let secret = secret(value)?.ok_or_else(wrong)?;
                insert(&mut self.sink.secrets, name, secret)
            }
            Grantable::Host | Grantable::PrivateHost => true,
        };
        if is_new {
            return Ok(());
        }
        Err(Error::new(
            Kind::Config,
            format!("{typed} gives {name} twice"),
        ))
    }

    /// The grants of the sink around a store.
    pub(super) fn of_sink(&self) -> Self {
        Self {
            directories: self.sink.directories.clone(),
            secrets: self.sink.secrets.clone(),
            ..Self::default()
        }
    }

    /// An option that grants something to the sink around a store, if one was given.
    pub(super) fn sink_option(&self) -> Option<&'static str> {
        let SinkGrants {
            directories,
            secrets,
        } = &self.sink;
        let options = [
            (Grantable::SinkDirectory, directories.is_empty()),
            (Grantable::SinkSecret, secrets.is_empty()),
        ];
        let given = options.into_iter().find(|(_, is_empty)| !is_empty);
        given.map(|(option, _)| option.words().0)
    }

    /// The required grants of a plugin that are neither new nor already configured.
    pub(super) fn missing(
        &self,
        description: &Description,
        there: &Grants,
        settings: &serde_json::Map<String, Json>,
    ) -> Vec<Missing> {
        let needs = description.needs.iter();
        let needs = needs.filter(|need| !need.optional && !need.granted);
        let needs = needs.filter(|need| !self.has(need) && !has(there, need));
        let needs = needs.map(|need| Missing {
            option: Grantable::of(need.resource),
            name: (need.resource != Resource::Network && !need.is_named_freely())
                .then(|| need.name.clone()),
            reason: need.reason.clone(),
        });
        let required = description.config_schema["required"].as_array();
        let required = required.into_iter().flatten().filter_map(Json::as_str);
        let required = required
            .filter(|key| !self.settings.contains_key(*key) && !settings.contains_key(*key))
            .map(|key| {
                let said = &description.config_schema["properties"][key]["description"];
                Missing {
                    option: Grantable::Setting,
                    name: Some(key.to_owned()),
                    reason: crate::text::printable(said.as_str().unwrap_or("It is a setting.")),
                }
            });
        needs.chain(required).collect()
    }

    fn has(&self, need: &Need) -> bool {
        let grants = Grants {
            trees: self.trees.clone(),
            commands: self.commands.clone(),
            secrets: self.secrets.clone(),
            network: self.network.clone(),
            directories: Named::new(),
        };
        has(&grants, need) || names(need, self.directories.keys()) && is_directory(need)
    }

    /// All of it as a configuration has it. A directory is for writing where the plugin asks to write.
    pub(super) fn grants(&self, description: &Description) -> Grants {
        let directory = |(name, path): (&String, &PathBuf)| {
            let mut needs = description.needs.iter();
            let is_written = needs.any(|need| {
                need.resource == Resource::WritableDirectory
                    && (need.is_named_freely() || need.name == *name)
            });
            let granted = Directory {
                path: DirectoryPath::Path(path.clone()),
                access: if is_written {
                    Access::ReadWrite
                } else {
                    Access::ReadOnly
                },
            };
            (name.clone(), granted)
        };
        Grants {
            directories: self.directories.iter().map(directory).collect(),
            trees: self.trees.clone(),
            commands: self.commands.clone(),
            secrets: self.secrets.clone(),
            network: self.network.clone(),
        }
    }

    /// The settings, each of the type that the plugin's schema gives it. What the schema does not say is a text unless it
    /// is written as another value of TOML.
    pub(super) fn settings(&self, description: &Description) -> Vec<(String, toml_edit::Value)> {
        let settings = self.settings.iter().map(|(key, text)| {
            let schema = &description.config_schema["properties"][key.as_str()];
            let is_text = schema["type"] == "string";
            let value = if is_text { None } else { text.parse().ok() };
            (key.clone(), value.unwrap_or_else(|| text.as_str().into()))
        });
        settings.collect()
    }
}

impl Missing {
    /// The same for the sink around a store.
    pub(super) fn of_sink(self) -> Self {
        Self {
            option: self.option.of_sink(),
            ..self
        }
    }

    /// The option that would give it, as it is typed.
    pub fn typed(&self) -> String {
        let (option, form) = self.option.words();
        match (&self.name, self.option) {
            (_, Grantable::Host | Grantable::PrivateHost) => format!("{option} {form}"),
            (Some(name), _) => format!("{option} {name}={form}"),
            (None, _) => format!("{option} NAME={form}"),
        }
    }

    /// The requested grant with the answer.
    pub fn form(&self) -> String {
        let (_, form) = self.option.words();
        match (&self.name, self.option) {
            (Some(name), _) => format!("{name} ({form})"),
            (None, Grantable::Host | Grantable::PrivateHost) => form.to_owned(),
            (None, _) => format!("NAME={form}"),
        }
    }

    /// Takes an answer over.
    pub fn answer(&self, given: &mut Given, text: &str) -> Result<()> {
        match &self.name {
            Some(name) => given.add(self.option, &format!("{name}={text}")),
            None => given.add(self.option, text),
        }
    }
}

fn insert<T>(all: &mut Named<T>, name: &str, value: T) -> bool {
    all.insert(name.to_owned(), value).is_none()
}

fn is_directory(need: &Need) -> bool {
    matches!(
        need.resource,
        Resource::Directory | Resource::WritableDirectory
    )
}

fn names<'a>(need: &Need, mut granted: impl Iterator<Item = &'a String>) -> bool {
    granted.any(|name| need.is_named_freely() || *name == need.name)
}

/// Whether grants of a configuration have what is needed.
fn has(grants: &Grants, need: &Need) -> bool {
    match need.resource {
        Resource::Directory | Resource::WritableDirectory => names(need, grants.directories.keys()),
        Resource::Tree => names(need, grants.trees.keys()),
        Resource::Command => names(need, grants.commands.keys()),
        Resource::Secret => names(need, grants.secrets.keys()),
        Resource::Network => !grants.network.is_empty(),
    }
}

/// Paths are relative to where the command is given, and not to a configuration.
fn absolute(path: &str) -> Result<PathBuf> {
    std::path::absolute(Path::new(path))
        .map_err(|cause| Error::new(Kind::Config, format!("{path} is not a path")).caused_by(cause))
}

fn tree(text: &str) -> Result<Tree> {
    Ok(match text.strip_prefix("volume:") {
        Some(volume) => Tree {
            volume: Some(volume.to_owned()),
            ..Tree::default()
        },
        None => Tree {
            path: Some(absolute(text)?),
            ..Tree::default()
        },
    })
}

fn command(text: &str) -> Result<Command> {
    Ok(Command {
        argv: words(text)?,
        ..Command::default()
    })
}

/// None where it does not say what kind of place it is.
fn secret(text: &str) -> Result<Option<Value>> {
    let place = match text.split_once(':') {
        Some(("file", path)) => Value {
            file: Some(absolute(path)?),
            ..Value::default()
        },
        Some(("env", variable)) => Value {
            env: Some(variable.to_owned()),
            ..Value::default()
        },
        Some(("command", line)) => Value {
            command: Some(words(line)?),
            ..Value::default()
        },
        _ => return Ok(None),
    };
    Ok(Some(place))
}

/// The words of a command line, as a shell takes them apart.
fn words(line: &str) -> Result<Vec<String>> {
    match shlex::split(line) {
        Some(words) if !words.is_empty() => Ok(words),
        _ => Err(Error::new(
            Kind::Config,
            "a command line has a quote that does not end, or is empty",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_grants_as_a_configuration_has_them() {
        let mut given = Given::default();
        for (option, text) in [
            (Grantable::Directory, "repository=/srv/x"),
            (Grantable::Tree, "files=volume:uploads"),
            (
                Grantable::Command,
                "rclone=/usr/bin/rclone --config '/etc/my rclone'",
            ),
            (Grantable::Secret, "password=file:/etc/password"),
            (Grantable::Secret, "token=env:TOKEN"),
            (Grantable::Secret, "key=command:pass show key"),
            (Grantable::Host, "https://dav.example.com"),
            (Grantable::PrivateHost, "http://10.0.0.1:8080"),
        ] {
            given.add(option, text).expect(text);
        }
        assert_eq!(
            given.commands["rclone"].argv,
            ["/usr/bin/rclone", "--config", "/etc/my rclone"]
        );
        assert_eq!(given.trees["files"].volume.as_deref(), Some("uploads"));
        assert_eq!(given.secrets["token"].env.as_deref(), Some("TOKEN"));
        let private: Vec<_> = given.network.iter().map(|host| host.private).collect();
        assert_eq!(private, [false, true]);
    }

    #[test]
    fn an_option_that_is_wrong_is_named_and_its_value_is_not() {
        for (option, text, why) in [
            (Grantable::Secret, "s3cret", "--secret takes NAME=file:PATH"),
            (
                Grantable::Secret,
                "password=s3cret",
                "--secret takes NAME=file:PATH",
            ),
            (
                Grantable::Directory,
                "=/s3cret",
                "--directory takes NAME=PATH",
            ),
            (Grantable::Host, "https://me:s3cret@h", "--allow-host: "),
            (Grantable::Command, "c='s3cret", "quote that does not end"),
        ] {
            let error = Given::default().add(option, text).expect_err(text);
            assert!(error.message().contains(why), "{error}");
            assert!(!error.message().contains("s3cret"), "{error}");
        }
        let mut given = Given::default();
        given.add(Grantable::Setting, "a=1").expect("it is new");
        let error = given
            .add(Grantable::Setting, "a=2")
            .expect_err("it is there");
        assert!(error.message().contains("a twice"), "{error}");
    }
}
