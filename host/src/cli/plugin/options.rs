//! Options that several of the commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::Session;
use crate::cli::ask::{expect_terminal, question};
use crate::config::{Given, Grantable, Missing};
use crate::error::{Error, Kind, Result};
use crate::operation::plugins::{Access, Candidate, ComponentLocation, Digest};
use crate::plugin::Role;

/// The role of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RoleName {
    Source,
    Sink,
    Store,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Source => Self::Source,
            RoleName::Sink => Self::Sink,
            RoleName::Store => Self::Store,
        }
    }
}

/// The grants.
#[derive(Debug, Args)]
#[command(next_help_heading = "Grants")]
pub(super) struct GrantOptions {
    /// Grant a directory, for writing too where the plugin asks for that; repeatable
    #[arg(long, value_name = "NAME=PATH")]
    directory: Vec<String>,
    /// Grant a tree of files, or a Docker volume (NAME=volume:VOLUME); repeatable
    #[arg(long, value_name = "NAME=PATH")]
    tree: Vec<String>,
    /// Grant a program, with its first arguments; repeatable
    #[arg(long, value_name = "NAME=PROGRAM")]
    command: Vec<String>,
    /// Grant a secret from `file:PATH`, `env:VARIABLE` or `command:PROGRAM`; repeatable
    #[arg(long, value_name = "NAME=PLACE")]
    secret: Vec<String>,
    /// Grant HTTP requests to a server, for example `https://dav.example.com`; repeatable
    #[arg(long, value_name = "ORIGIN")]
    allow_host: Vec<String>,
    /// The same for a server on this machine or in a private network; repeatable
    #[arg(long, value_name = "ORIGIN")]
    allow_private_host: Vec<String>,
    /// Give a setting of the plugin; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl GrantOptions {
    pub(super) fn given(&self) -> Result<Given> {
        let mut given = Given::default();
        for (option, texts) in [
            (Grantable::Directory, &self.directory),
            (Grantable::Tree, &self.tree),
            (Grantable::Command, &self.command),
            (Grantable::Secret, &self.secret),
            (Grantable::Host, &self.allow_host),
            (Grantable::PrivateHost, &self.allow_private_host),
            (Grantable::Setting, &self.set),
        ] {
            for text in texts {
                given.add(option, text)?;
            }
        }
        Ok(given)
    }
}

/// The grants of the sink around a store.
#[derive(Debug, Args)]
#[command(next_help_heading = "Grants of the sink around a store")]
pub(super) struct SinkOptions {
    /// Grant the sink a directory, like the one for its copies (state=PATH); repeatable
    #[arg(long, value_name = "NAME=PATH")]
    sink_directory: Vec<String>,
    /// Grant the sink a secret, like the password of its repository (password=file:PATH); repeatable
    #[arg(long, value_name = "NAME=PLACE")]
    sink_secret: Vec<String>,
}

impl SinkOptions {
    /// Adds it to what else is granted.
    pub(super) fn add_to(&self, given: &mut Given) -> Result<()> {
        for (option, texts) in [
            (Grantable::SinkDirectory, &self.sink_directory),
            (Grantable::SinkSecret, &self.sink_secret),
        ] {
            for text in texts {
                given.add(option, text)?;
            }
        }
        Ok(())
    }
}

/// Who agrees, and to what.
#[derive(Debug, Args)]
pub(super) struct Consent {
    /// Do not ask; needs --digest, or a digest in the place
    #[arg(long)]
    pub(super) yes: bool,
    /// Take nothing but the component with this SHA-256
    #[arg(long, value_name = "sha256:HEX")]
    digest: Option<Digest>,
}

impl Consent {
    /// Refuses what nobody could agree to, before anything is fetched.
    pub(super) fn expect(&self, location: &ComponentLocation) -> Result<()> {
        if !self.yes {
            return expect_terminal(
                "give --yes and the digest that the author publishes: --digest sha256:…",
            );
        }
        if self.digest.is_some() || location.names_digest() {
            return Ok(());
        }
        let text = "--yes needs a digest, or anything that is there would be added";
        Err(Error::new(Kind::Config, text).help(
            "give the digest that the author publishes: --digest sha256:…; or name the place with @sha256:…",
        ))
    }

    /// Refuses another component than the one that was named.
    pub(super) fn compare(&self, candidate: &Candidate) -> Result<()> {
        match self.digest {
            Some(digest) if digest != candidate.digest => {
                let text = format!(
                    "it is not the component that --digest names: its digest is {}",
                    candidate.digest
                );
                Err(Error::new(Kind::Denied, text)
                    .of(candidate.location.to_string())
                    .help("ask the author which one is right; nothing was changed"))
            }
            _ => Ok(()),
        }
    }

    /// Asks for the missing grants, if there is a terminal.
    pub(super) fn complete(&self, given: &mut Given, missing: &[Missing]) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        for missing in missing {
            let Missing { reason, .. } = missing;
            let answer = question(&format!(
                "{} ({reason})\n{}: ",
                missing.typed(),
                missing.form()
            ))?;
            missing.answer(given, answer.trim())?;
        }
        Ok(())
    }
}

/// How a place is reached.
#[derive(Debug, Args)]
pub(super) struct Reach {
    /// Go without TLS; this machine itself needs no option for that
    #[arg(long)]
    plain_http: bool,
    /// Also trust the certificates in this file, in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Reach {
    pub(super) fn access(self, session: &Session<'_>) -> Access {
        session.config.registry_access(self.plain_http, self.ca)
    }
}
