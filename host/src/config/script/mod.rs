//! Migrates from a shell script around `pg_dump` and restic. Its variables and the containers of the Docker engine
//! become sources that continue the script's snapshots.
//!
//! | module | holds |
//! |---|---|
//! | the database and its credentials, from the script's variables |
//! | the container and the volume of the script |
//! | the sections of the configuration file |

mod database;
mod sections;
mod services;

use std::collections::HashMap;

use tracing::warn;

use super::{Environment, lower};
use crate::error::{Error, Kind, Result};
use crate::operation::init::Found;
use crate::text::printable;
use crate::volume::{self, RunningContainer, Survey};
use database::Database;
use services::Uploads;

/// A choice that only the operator can make.
#[derive(Debug)]
pub struct Question {
    /// The kind of ambiguous candidate.
    pub what: &'static str,
    /// The candidates.
    pub choices: Vec<String>,
    /// The option that chooses.
    pub option: &'static str,
}

/// The operator's choices, which replace discovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The container of the database, or its service.
    pub postgres: Option<String>,
    /// The volume of uploads.
    pub volume: Option<String>,
}

/// The data that the script backs up.
#[derive(Debug)]
pub struct Script {
    database: Database,
    location: PostgresLocation,
    uploads: Option<Uploads>,
}

/// Where the programs of `PostgreSQL` run.
#[derive(Debug)]
enum PostgresLocation {
    /// In a container.
    Container {
        container: RunningContainer,
        /// `docker compose` is there to find it.
        has_compose: bool,
    },
    /// On this machine.
    Local,
}

impl Script {
    /// Whether the variables are those of such a script, and not of libpq.
    pub fn is_configured(environment: &Environment) -> bool {
        let is_set = |name| environment.get(name).is_some();
        let is_of_libpq = is_set("PGHOST") || is_set("PGDATABASE");
        is_set("RESTIC_REPOSITORY") && database::is_named(environment) && !is_of_libpq
    }

    /// Finds out what the script backs up. Where there are several, `choose` answers the number of one.
    pub async fn find(
        environment: &Environment,
        overrides: &Overrides,
        choose: &mut dyn FnMut(&Question) -> Result<usize>,
    ) -> Result<Self> {
        let engines = lower::engines(environment);
        let survey = match volume::survey(&engines).await {
            Ok(survey) => survey,
            Err(error) => return Self::without_engine(environment, overrides, error),
        };
        let Some(container) = services::postgres(&survey, overrides, environment, choose)? else {
            let database = Database::at_address(environment)?.ok_or_else(no_container)?;
            let uploads = services::uploads(&survey, overrides, None, choose)?;
            return Ok(Self {
                database,
                location: PostgresLocation::Local,
                uploads,
            });
        };
        let inside = volume::container_environment(&engines, &container.name).await?;
        Self::in_container(environment, overrides, &survey, container, &inside, choose)
    }

    /// A server elsewhere needs no engine.
    fn without_engine(
        environment: &Environment,
        overrides: &Overrides,
        error: Error,
    ) -> Result<Self> {
        match Database::at_address(environment)? {
            Some(database) if *overrides == Overrides::default() => {
                warn!(
                    help = error.next_step(),
                    "{}: so the database is taken to be at its address, and there are no volumes",
                    error.message()
                );
                Ok(Self {
                    database,
                    location: PostgresLocation::Local,
                    uploads: None,
                })
            }
            _ => {
                let before = error.next_step().map(|help| format!("{help}; "));
                let help = before.unwrap_or_default()
                    + "a database without an engine is named by an address, DATABASE_URL";
                Err(error.help(help))
            }
        }
    }

    fn in_container(
        environment: &Environment,
        overrides: &Overrides,
        survey: &Survey,
        container: RunningContainer,
        inside: &HashMap<String, String>,
        choose: &mut dyn FnMut(&Question) -> Result<usize>,
    ) -> Result<Self> {
        let project = container
            .compose
            .as_ref()
            .map(|compose| compose.project.as_str());
        Ok(Self {
            database: Database::in_container(environment, inside)?,
            uploads: services::uploads(survey, overrides, project, choose)?,
            location: PostgresLocation::Container {
                has_compose: container.compose.is_some() && services::has_compose(environment),
                container,
            },
        })
    }

    /// The result of discovery.
    pub fn found(&self) -> Found {
        let container = match &self.location {
            PostgresLocation::Container { container, .. } => Some(container),
            PostgresLocation::Local => None,
        };
        let project = container.and_then(|container| container.compose.as_ref());
        Found {
            container: container.map(|container| printable(&container.name)),
            project: project.map(|compose| printable(&compose.project)),
            server: self.database.host.as_deref().map(printable),
            database: printable(&self.database.name),
            user: printable(&self.database.user),
            volume: self
                .uploads
                .as_ref()
                .map(|uploads| printable(&uploads.volume)),
        }
    }
}

fn no_container() -> Error {
    Error::new(Kind::NotFound, "no container that runs looks like PostgreSQL")
        .help("start the database, name its container with --postgres, or set DATABASE_URL to its address")
}
