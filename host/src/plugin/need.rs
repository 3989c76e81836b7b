//! The grants that a plugin requests.

use schemars::JsonSchema;
use serde::Serialize;

use super::bindings::common::exports::tthost::backup::plugin;
use super::bindings::types;
use crate::error::{Error, Kind, Result};
use crate::grant::{Access, Choice, Grants, VolumePattern};
use crate::text::printable;

/// Any name of the operator's choice.
const ANY: &str = "*";

/// A plugin that asks for more is refused.
const MAX: usize = 64;

/// Something that a plugin asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Need {
    /// The kind of grant.
    pub resource: Resource,
    /// The name under which the plugin asks for it; `*` for names of the operator's choice.
    pub name: String,
    /// Whether the plugin can work without it.
    pub optional: bool,
    /// Its purpose.
    pub reason: String,
    /// Whether the current grants contain it.
    pub granted: bool,
    /// The granted value, for example a path; null if not granted. It never contains a secret.
    pub grant: Option<String>,
}

impl Need {
    /// Whether the operator chooses the names under which it is granted.
    pub fn is_named_freely(&self) -> bool {
        self.name == ANY
    }

    /// Whether both request the same grant, perhaps with more access.
    pub fn is_for_the_same(&self, other: &Self) -> bool {
        let ((table, _), (of_other, _)) = (self.resource.names(), other.resource.names());
        table == of_other && self.name == other.name
    }
}

/// What can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// A directory, for reading.
    Directory,
    /// A directory, for reading and writing.
    WritableDirectory,
    /// A tree of files, or a Docker volume.
    Tree,
    /// A program.
    Command,
    /// A secret.
    Secret,
    /// An origin of HTTP requests.
    Network,
}

impl Resource {
    /// The grants table that contains it, and its name for the operator.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Directory => ("directories", "directory"),
            Self::WritableDirectory => ("directories", "writable directory"),
            Self::Tree => ("trees", "tree"),
            Self::Command => ("commands", "command"),
            Self::Secret => ("secrets", "secret"),
            Self::Network => ("network", "network"),
        }
    }
}

/// The needs of a plugin, compared with its grants.
pub(super) fn needs(needs: Vec<plugin::Need>, grants: &Grants) -> Result<Vec<Need>> {
    if needs.len() > MAX {
        let text = format!("it needs {} things; {MAX} are possible", needs.len());
        return Err(Error::new(Kind::Plugin, text));
    }
    let needs = needs.into_iter().map(|need| {
        let resource = match need.resource {
            plugin::ResourceKind::Directory(types::Access::ReadOnly) => Resource::Directory,
            plugin::ResourceKind::Directory(types::Access::ReadWrite) => {
                Resource::WritableDirectory
            }
            plugin::ResourceKind::Tree => Resource::Tree,
            plugin::ResourceKind::Command => Resource::Command,
            plugin::ResourceKind::Secret => Resource::Secret,
            plugin::ResourceKind::Network => Resource::Network,
        };
        // A sink that stores elsewhere needs no directory to store in.
        let has_store = grants.store && !need.optional && resource == Resource::WritableDirectory;
        let stores = || has_store.then(|| "the store".to_owned());
        let grant = grant(resource, &need.name, grants).or_else(stores);
        Need {
            granted: grant.is_some(),
            grant,
            resource,
            name: printable(&need.name),
            optional: need.optional,
            reason: printable(&need.reason),
        }
    });
    Ok(needs.collect())
}

/// The error for a plugin that lacks a required grant.
pub(super) fn check(needs: &[Need]) -> Result<()> {
    let Some(need) = needs.iter().find(|need| !need.optional && !need.granted) else {
        return Ok(());
    };
    let (table, word) = need.resource.names();
    let Need { name, reason, .. } = need;
    let (text, grant) = match need.resource {
        Resource::Network => (
            format!("it needs {name}, and no origin is granted: {reason}"),
            table.to_owned(),
        ),
        _ if name == ANY => (
            format!("it needs a {word}, and none is granted: {reason}"),
            format!("{table}.NAME"),
        ),
        _ => (
            format!("it needs the {word} {name}, which is not granted: {reason}"),
            format!("{table}.{name}"),
        ),
    };
    Err(Error::new(Kind::Config, text).help(format!("add grants.{grant} to its configuration")))
}

/// A grant that the plugin does not ask for, by its key.
pub(super) fn useless(needs: &[Need], grants: &Grants) -> Option<String> {
    let asks = |tables: &[&str], name: &str| {
        needs.iter().any(|need| {
            let (table, _) = need.resource.names();
            tables.contains(&table) && (need.name == ANY || need.name == name)
        })
    };
    let volumes = grants.volumes.values();
    let around = volumes.flat_map(|volumes| volumes.before.iter().chain(&volumes.after));
    let around: Vec<_> = around.collect();
    let key = |table: &str, name: &String| format!("grants.{table}.{name}");
    let directories = grants
        .directories
        .keys()
        .filter(|name| !asks(&["directories"], name));
    let trees = grants.trees.keys().chain(grants.volumes.keys());
    let trees = trees.filter(|name| !asks(&["trees"], name));
    let commands = grants.commands.keys();
    let commands = commands.filter(|name| !asks(&["commands"], name) && !around.contains(name));
    let secrets = grants
        .secrets
        .keys()
        .filter(|name| !asks(&["secrets"], name));
    let mut useless = directories
        .map(|name| key("directories", name))
        .chain(trees.map(|name| key("trees", name)))
        .chain(commands.map(|name| key("commands", name)))
        .chain(secrets.map(|name| key("secrets", name)));
    useless.next().or_else(|| {
        let is_asked = needs.iter().any(|need| need.resource == Resource::Network);
        (!grants.network.is_empty() && !is_asked).then(|| "grants.network".to_owned())
    })
}

/// What there is for a need, shown to the operator.
fn grant(resource: Resource, name: &str, grants: &Grants) -> Option<String> {
    fn of<'a, G>(
        name: &str,
        granted: impl Iterator<Item = (&'a String, G)>,
        show: impl Fn(G) -> String,
    ) -> Option<String> {
        let all = granted.filter(|(granted, _)| name == ANY || *granted == name);
        let all: Vec<_> = all.map(|(_, grant)| show(grant)).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
    match resource {
        // Read access is enough for some commands. The others report what is missing.
        Resource::Directory | Resource::WritableDirectory => {
            of(name, grants.directories.iter(), |directory| {
                let path = directory.path.display();
                match directory.access {
                    Access::ReadOnly => format!("{path} (read-only)"),
                    Access::ReadWrite => format!("{path} (read-write)"),
                }
            })
        }
        Resource::Tree => {
            let trees = grants.trees.iter().map(|(name, tree)| {
                let paths = tree
                    .paths
                    .iter()
                    .map(|tree| tree.path.display().to_string());
                (name, paths.collect::<Vec<_>>().join(", "))
            });
            let volumes = grants.volumes.iter().map(|(name, volumes)| {
                let text = match &volumes.choice {
                    Choice::Existing(volume) | Choice::Ensured(volume) => {
                        format!("the volume {volume}")
                    }
                    Choice::One(VolumePattern::Label(pattern) | VolumePattern::Name(pattern))
                    | Choice::All(VolumePattern::Label(pattern) | VolumePattern::Name(pattern)) => {
                        format!("volumes like {pattern}")
                    }
                };
                (name, text)
            });
            of(name, trees.chain(volumes), |text| text)
        }
        Resource::Command => of(name, grants.commands.iter(), |command| {
            command.program.clone()
        }),
        Resource::Secret => of(name, grants.secrets.keys().map(|name| (name, ())), |()| {
            "a secret".to_owned()
        }),
        Resource::Network => {
            let origins = grants
                .network
                .iter()
                .map(|allowed| allowed.origin.to_string());
            let origins: Vec<_> = origins.collect();
            (!origins.is_empty()).then(|| origins.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Directory;

    fn need(resource: plugin::ResourceKind, name: &str, optional: bool) -> plugin::Need {
        plugin::Need {
            resource,
            name: name.into(),
            optional,
            reason: "It is the place.".into(),
        }
    }

    #[test]
    fn what_is_not_granted_is_told_when_the_plugin_cannot_do_without() {
        let mut grants = Grants::default();
        let directory = Directory {
            path: "/srv".into(),
            access: Access::ReadOnly,
        };
        grants.directories.insert("data".into(), directory);
        let wanted = |access| plugin::ResourceKind::Directory(access);
        for (resource, name, optional, error) in [
            (wanted(types::Access::ReadOnly), "data", false, None),
            (wanted(types::Access::ReadOnly), "*", false, None),
            (wanted(types::Access::ReadWrite), "data", false, None),
            (
                wanted(types::Access::ReadWrite),
                "other",
                false,
                Some("the writable directory other"),
            ),
            (
                plugin::ResourceKind::Secret,
                "password",
                false,
                Some("the secret password"),
            ),
            (plugin::ResourceKind::Secret, "password", true, None),
            (plugin::ResourceKind::Tree, "*", false, Some("a tree")),
            (
                plugin::ResourceKind::Network,
                "the server",
                false,
                Some("the server"),
            ),
        ] {
            let needs = needs(vec![need(resource, name, optional)], &grants).expect("it is one");
            let checked = check(&needs);
            match error {
                None => checked.expect(name),
                Some(words) => {
                    let message = checked.expect_err(name).message();
                    assert!(message.contains(words), "{message}");
                }
            }
        }
    }
}
