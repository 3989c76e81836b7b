//! Turns requests about plugins into plans.

use std::path::{Path, PathBuf};

use super::document::Document;
use super::{Given, Missing};
use crate::config::Config;
use crate::config::file::{Component, Grants};
use crate::error::{Error, Kind, Result};
use crate::operation::plugins::{
    Candidate, Changes, ComponentLocation, Digest, InUse, Pin, Plan, Removal, file_name, pin,
};
use crate::operator_file;
use crate::plugin::{Description, Origin, Role};

/// Where plugins are, beside the configuration.
const DIRECTORY: &str = "plugins";

/// A plugin is to become a source or a sink.
#[derive(Debug, Default)]
pub struct AddRequest {
    /// The name in the configuration; by default the plugin's own name.
    pub name: Option<String>,
    /// The role; by default the plugin's only role.
    pub role: Option<Role>,
    /// The grants and settings.
    pub given: Given,
}

/// The plugin of a source or a sink is to become another one.
#[derive(Debug)]
pub struct UpdateRequest {
    /// The source or sink.
    pub plugin: InUse,
    /// Additional grants and settings.
    pub given: Given,
}

impl AddRequest {
    /// The required grants that are missing, of the plugin and of the sink around a store.
    pub fn missing(&self, description: &Description, around: Option<&Description>) -> Vec<Missing> {
        let missing = |given: &Given, description| {
            given.missing(description, &Grants::default(), &serde_json::Map::new())
        };
        let mut all = missing(&self.given, description);
        if let Some(sink) = around {
            let of_sink = missing(&self.given.of_sink(), sink).into_iter();
            all.extend(of_sink.map(Missing::of_sink));
        }
        all
    }

    /// Plans it, with this sink around a store. The configuration is read, and nothing is written.
    pub fn plan(
        &self,
        config: &Config,
        candidate: Candidate,
        around: Option<&Description>,
    ) -> Result<Plan> {
        let description = &candidate.description;
        expect_nothing(&self.missing(description, around))?;
        if let (None, Some(option)) = (around, self.given.sink_option()) {
            let text = format!(
                "{option} grants something to the sink around a store, and {} is not a store",
                description.name
            );
            return Err(Error::new(Kind::Config, text).help("leave it out"));
        }
        let role = self.role(description)?;
        let name = self.name(config, description)?;
        let (path, before) = config.to_be_changed()?;
        let (file, component) = config.place_of(&candidate);
        let grants = self.given.grants(description);
        let settings = self.given.settings(description);
        let of_sink = around.map(|sink| (sink, self.given.of_sink().grants(sink)));
        let of_sink = of_sink.as_ref();
        let of_sink = of_sink.map(|(sink, grants)| (sink.name.as_str(), grants));
        let mut document = Document::parse(&before)?;
        document.add((role, &name), &component, settings, &grants, of_sink)?;
        let after = document.print();
        let next = Config::parse(&after, Some(path.clone()), config.environment.clone())?;
        let sink = around.map(|_| next.spec(Role::Sink, &name)).transpose()?;
        Ok(Plan {
            spec: next.spec(role, &name)?,
            around: sink,
            section: document.added().unwrap_or_default(),
            candidate,
            file,
            config: path,
            before,
            after,
            changes: None,
        })
    }

    /// The resulting plugin.
    pub fn role(&self, description: &Description) -> Result<Role> {
        match (self.role, description.roles.as_slice()) {
            (Some(role), roles) if roles.contains(&role) => Ok(role),
            (Some(role), _) => {
                let text = format!("{} is not a {}", description.name, role.word());
                Err(Error::new(Kind::Config, text))
            }
            (None, [role]) => Ok(*role),
            (None, _) => {
                let words = description.roles.iter().map(|role| role.word());
                let words: Vec<_> = words.collect();
                let text = format!(
                    "{} is several things: {}",
                    description.name,
                    words.join(", ")
                );
                Err(Error::new(Kind::Config, text).help("say which with --as"))
            }
        }
    }

    fn name(&self, config: &Config, description: &Description) -> Result<String> {
        let name = self.name.as_ref().unwrap_or(&description.name);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
            let text = format!("\"{name}\" cannot be its name in the configuration");
            return Err(
                Error::new(Kind::Config, text).help("give --name with letters, digits, - and _")
            );
        }
        for role in Role::ALL {
            if config.names(role).contains(&name.as_str()) {
                let text = format!("there is a {} {name} already", role.word());
                let help = format!(
                    "give --name for another, or exchange it with `tthost plugin update {name}`"
                );
                return Err(Error::new(Kind::Exists, text).help(help));
            }
        }
        Ok(name.clone())
    }
}

impl UpdateRequest {
    /// The default location of the new version.
    pub fn location(&self) -> Result<ComponentLocation> {
        if let Some(from) = &self.plugin.from {
            return ComponentLocation::parse(from);
        }
        let name = &self.plugin.name;
        let text = format!("the configuration does not say where the plugin of {name} came from");
        Err(Error::new(Kind::Config, text).help(format!(
            "name a place: `tthost plugin update {name} oci://HOST/REPOSITORY:TAG`"
        )))
    }

    /// Whether the component is there already, as it is pinned.
    pub fn is_up_to_date(&self, candidate: &Candidate) -> bool {
        let pinned = match &self.plugin.origin {
            Origin::File { sha256, .. } => sha256.map(Digest::from),
            Origin::Bundled(_) => None,
        };
        pinned == Some(candidate.digest) && pin(&self.plugin.origin).0 == Pin::Matches
    }

    /// The required grants that the new version lacks.
    pub fn missing(&self, config: &Config, description: &Description) -> Vec<Missing> {
        let InUse { name, role, .. } = &self.plugin;
        let (there, settings) = match config.file.find(*role, name) {
            Some(used) => (used.grants, used.config),
            None => Default::default(),
        };
        self.given.missing(description, &there, &settings)
    }

    /// Plans it. What the plugin no longer asks for, it is no longer granted.
    pub fn plan(
        &self,
        config: &Config,
        candidate: Candidate,
        changes: Option<Changes>,
    ) -> Result<Plan> {
        let InUse { name, role, .. } = &self.plugin;
        let description = &candidate.description;
        if !description.roles.contains(role) {
            let text = format!("{} is not a {}", description.name, role.word());
            return Err(Error::new(Kind::Config, text).of(role.subject(name)));
        }
        expect_nothing(&self.missing(config, description))?;
        let (path, before) = config.to_be_changed()?;
        let (file, component) = config.place_of(&candidate);
        let grants = self.given.grants(description);
        let settings = self.given.settings(description);
        let section = (*role, name.as_str());
        let mut document = Document::parse(&before)?;
        document.update(section, &component, settings, &grants)?;
        for gone in changes.iter().flat_map(|changes| &changes.needs_removed) {
            let mut needs = description.needs.iter();
            if gone.is_named_freely() || needs.any(|need| need.is_for_the_same(gone)) {
                continue;
            }
            let (table, _) = gone.resource.names();
            let is_of_network = table == "network";
            let mut needs = description.needs.iter();
            if is_of_network && needs.any(|need| need.resource == gone.resource) {
                continue;
            }
            let grant = (!is_of_network).then_some(gone.name.as_str());
            document.revoke(section, table, grant)?;
        }
        let after = document.print();
        let next = Config::parse(&after, Some(path.clone()), config.environment.clone())?;
        Ok(Plan {
            spec: next.spec(*role, name)?,
            around: None,
            section: String::new(),
            candidate,
            file,
            config: path,
            before,
            after,
            changes,
        })
    }
}

impl Config {
    /// Plans that a section goes, which nothing else may need.
    pub fn removal(&self, plugin: InUse) -> Result<Removal> {
        let InUse { name, role, .. } = &plugin;
        let jobs = self.jobs_of(*role, name);
        if !jobs.is_empty() {
            let text = format!("it belongs to the job {}", jobs.join(" and the job "));
            return Err(Error::new(Kind::Busy, text)
                .of(role.subject(name))
                .help("take it out of there first"));
        }
        let (config, before) = self.to_be_changed()?;
        let mut document = Document::parse(&before)?;
        document.remove(*role, name)?;
        let after = document.print();
        Self::parse(&after, Some(config.clone()), self.environment.clone())?;
        Ok(Removal {
            plugin,
            config,
            before,
            after,
        })
    }

    /// The file that would be changed.
    pub fn expect_changeable(&self) -> Result<PathBuf> {
        self.path.clone().ok_or_else(|| {
            Error::new(
                Kind::Config,
                "there is no configuration that it could be written to",
            )
            .help("`tthost init` writes one; or name one with --config")
        })
    }

    /// The file, and what is in it.
    fn to_be_changed(&self) -> Result<(PathBuf, String)> {
        let path = self.expect_changeable()?;
        let text = operator_file::read_text(&path).map_err(|cause| {
            let text = format!("the configuration {} cannot be read", path.display());
            Error::new(Kind::Config, text).caused_by(cause)
        })?;
        Ok((path, text.as_str().to_owned()))
    }

    /// Where the file of a component will be, and how the configuration names it.
    fn place_of(&self, candidate: &Candidate) -> (PathBuf, Component) {
        let name = file_name(&candidate.description.name, candidate.digest);
        let path = Path::new(DIRECTORY).join(name);
        let component = Component {
            path: path.clone(),
            sha256: Some(candidate.digest.to_hex()),
            from: candidate.location.remembered(),
        };
        (self.base.join(path), component)
    }
}

fn expect_nothing(missing: &[Missing]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let typed: Vec<_> = missing.iter().map(Missing::typed).collect();
    let text = format!("it cannot do without {}", describe_missing(missing));
    Err(Error::new(Kind::Config, text).help(format!("give {}", typed.join(" "))))
}

fn describe_missing(missing: &[Missing]) -> String {
    let sentences: Vec<_> = missing
        .iter()
        .map(|missing| format!("{}: {}", missing.form(), missing.reason))
        .collect();
    sentences.join("; ")
}
