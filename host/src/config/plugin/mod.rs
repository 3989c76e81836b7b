//! Plugins in files: lists them, and adds, updates and removes their sections.
//!
//! | module | holds |
//! |---|---|
//! | grants from the command line, and open needs |
//! | edits the text of the file |
//! | turns requests into plans |

mod document;
mod given;
mod request;

use std::path::{Path, PathBuf};

use super::file::{Plugin, PluginSection};
use super::{Config, lower, unknown};
use crate::error::{Error, Kind, Result};
use crate::grant::Secret;
use crate::operation::plugins::{Access, CredentialStore, InUse};
use crate::plugin::Role;

pub use given::{Given, Grantable, Missing};
pub use request::{AddRequest, UpdateRequest};

impl Config {
    /// The plugins that sources and sinks use, bundled ones too.
    pub fn plugins(&self) -> Result<Vec<InUse>> {
        let mut plugins = Vec::new();
        for role in Role::ALL {
            for name in self.file.names(role) {
                if let Some(used) = self.file.find(role, name) {
                    plugins.push(self.in_use(role, name, &used)?);
                }
            }
        }
        Ok(plugins)
    }

    /// The jobs that a source or a sink belongs to.
    pub fn jobs_of(&self, role: Role, name: &str) -> Vec<String> {
        let jobs = self.file.jobs.iter().filter(|(_, job)| {
            let names = match role {
                Role::Source => &job.sources,
                Role::Sink | Role::Store => &job.sinks,
            };
            names.iter().any(|used| used == name)
        });
        jobs.map(|(name, _)| name.clone()).collect()
    }

    /// The plugin in a file that a source or sink uses. Where both have the name, the role has to say which is meant.
    pub fn plugin_in_file(&self, name: &str, role: Option<Role>) -> Result<InUse> {
        let roles = Role::ALL.into_iter();
        let roles = roles.filter(|known| role.is_none_or(|role| role == *known));
        let found = roles.filter_map(|role| Some((role, self.file.find(role, name)?)));
        let mut found: Vec<_> = found.collect();
        let is_bundled = |used: &PluginSection| matches!(used.plugin, Plugin::Bundled(_));
        if found.iter().any(|(_, used)| !is_bundled(used)) {
            // What ships inside this program is not meant where there is something else.
            found.retain(|(_, used)| !is_bundled(used));
        }
        match found.as_slice() {
            [] => {
                let names = Role::ALL.map(|role| self.names(role)).concat();
                Err(unknown(
                    role.map_or("source or sink", Role::word),
                    name,
                    &names,
                ))
            }
            [(_, used)] if is_bundled(used) => {
                let text = format!("the plugin of {name} ships inside this program");
                Err(Error::new(Kind::Config, text)
                    .help("it is exchanged with tthost itself; edit the configuration to change its section"))
            }
            [(role, used)] => self.in_use(*role, name, used),
            _ => {
                let words: Vec<_> = found.iter().map(|(role, _)| role.word()).collect();
                let text = format!("{name} is several things: {}", words.join(", "));
                Err(Error::new(Kind::Config, text).help("say which with --as"))
            }
        }
    }

    /// How registries are reached: with the credentials that `docker login` stores.
    pub fn registry_access(&self, plain_http: bool, ca: Option<PathBuf>) -> Access {
        let variable = |name: &str| self.environment.get(name);
        let directory = variable("DOCKER_CONFIG").map(PathBuf::from);
        let directory = directory.or_else(|| Some(Path::new(variable("HOME")?).join(".docker")));
        let text = variable("DOCKER_AUTH_CONFIG");
        let credentials = CredentialStore {
            text: text.map(|text| Secret::from(text.to_owned())),
            file: directory.map(|directory| directory.join("config.json")),
        };
        Access {
            plain_http,
            ca,
            credentials,
        }
    }

    fn in_use(&self, role: Role, name: &str, used: &PluginSection) -> Result<InUse> {
        let origin = lower::origin(&used.plugin, &self.base);
        let from = match &used.plugin {
            Plugin::Bundled(_) => None,
            Plugin::Component(component) => component.from.clone(),
        };
        Ok(InUse {
            name: name.to_owned(),
            role,
            origin: origin.map_err(|error| error.of(role.subject(name)))?,
            from,
        })
    }
}
