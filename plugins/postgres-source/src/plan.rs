//! Plans which dumps are restored into which databases.

use std::cell::RefCell;
use std::collections::BTreeSet;

use tthost_plugin::Error;
use tthost_plugin::source::Restoration;

use crate::config::{Config, check_database, check_role};
use crate::destination::Destination;
use crate::layout::Dump;
use crate::placement::Placement;

/// A restoration to plan.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) dry_run: bool,
    target: Option<String>,
    mode: Mode,
    /// The role that restores. `None` for the role of the programs' environment.
    pub(crate) role: Option<String>,
    label: String,
    /// The destination databases.
    databases: RefCell<BTreeSet<String>>,
}

/// How to treat databases that are not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// New databases replace them.
    Exchange,
    /// The dump changes them in place.
    InPlace,
    /// They stay: the restoration is a drill.
    Drill,
}

impl Plan {
    /// A restoration.
    pub(crate) fn new(config: Config, wanted: Restoration) -> Result<Self, Error> {
        if wanted.delete {
            return Err(Error::Unsupported(
                "databases that are not in the snapshot are not removed: restore without --delete"
                    .into(),
            ));
        }
        if wanted.verify {
            return Err(Error::Unsupported(
                "databases cannot be verified: restore without --verify; the restoration fails anyway if the server refuses something"
                    .into(),
            ));
        }
        if let Some(target) = &wanted.target {
            check_database(target).map_err(Error::Config)?;
        }
        if let Some(role) = &wanted.role {
            check_role(role).map_err(Error::Config)?;
        }
        let role = wanted.role.or_else(|| config.restore_role.clone());
        Ok(Self {
            config,
            dry_run: wanted.dry_run,
            target: wanted.target,
            mode: if wanted.in_place {
                Mode::InPlace
            } else {
                Mode::Exchange
            },
            role,
            label: wanted.label,
            databases: RefCell::default(),
        })
    }

    /// A drill.
    pub(crate) fn drill(config: Config, label: String) -> Self {
        Self {
            role: config.restore_role.clone(),
            config,
            dry_run: false,
            target: None,
            mode: Mode::Drill,
            label,
            databases: RefCell::default(),
        }
    }

    /// Whether dumps go into another database than the one that they are of.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.target.is_some()
    }

    /// What the names of this restoration hold.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Whether nothing stays of what is restored.
    pub(crate) fn is_drill(&self) -> bool {
        self.mode == Mode::Drill
    }

    /// What a file at the top of a snapshot holds. Everything else than a dump is refused, before anything runs.
    pub(crate) fn recognize(&self, name: &[u8]) -> Result<Dump, Error> {
        Dump::from_file_name(name, &self.config).ok_or_else(|| no_dump(name))
    }

    /// Where a dump goes; none for roles and tablespaces. No two go into one database.
    pub(crate) async fn placement(&self, dump: &Dump) -> Result<Option<Placement>, Error> {
        let Dump::Database(database, _) = dump else {
            return Ok(None);
        };
        let wrong = |text: String| Error::Config(format!("{}: {text}", dump.file_name()));
        let destination = Destination::of(
            database.name.as_deref(),
            &self.config,
            self.target.as_deref(),
        );
        let database = destination.map_err(wrong)?.name().await?;
        if !self.databases.borrow_mut().insert(database.clone()) {
            return Err(Error::Config(format!(
                "several dumps of the snapshot would go into the database {database}: choose one by its path"
            )));
        }
        self.place(database).await.map(Some)
    }

    /// How a dump comes into this database, as the server is now.
    pub(crate) async fn place(&self, database: String) -> Result<Placement, Error> {
        match self.mode {
            Mode::InPlace => Placement::in_place(database).await,
            Mode::Exchange => Placement::exchange(database, &self.config, &self.label).await,
            Mode::Drill => Placement::drill(database, &self.config, &self.label).await,
        }
    }

    /// The configuration for a dump that goes there.
    pub(crate) fn settings(&self, placement: Option<&Placement>) -> Config {
        Config {
            // There is nothing to drop in a new database.
            clean: self.config.clean && placement.and_then(Placement::new_database).is_none(),
            ..self.config.clone()
        }
    }
}

/// The error for an entry that is something else.
pub(crate) fn no_dump(name: &[u8]) -> Error {
    Error::Config(format!(
        "{:?} is not a dump of a database: select the dumps with --path, or restore the snapshot to a directory",
        String::from_utf8_lossy(name)
    ))
}
