//! What most tests begin with: a shop in a private Postgres, a place for a
//! repository, and the program with the variables that name both.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

use crate::command::Outcome;
use crate::configuration::Configuration;
use crate::files;
use crate::postgres::{Postgres, Template};
use crate::restic::Restic;
use crate::rustic::Rustic;
use crate::shop;
use crate::tthost::Tthost;

/// The database that the fixture's shop is in.
pub const DATABASE: &str = "shop";

/// The password of the fixture's repository.
pub const PASSWORD: &str = "Schlüssel & key";

/// The command that backs up the fixture's shop.
pub const RUN: [&str; 5] = ["run", "--source", "postgres", "--sink", "restic-local"];

/// The parts of a test.
#[derive(Debug)]
pub struct Fixture {
    /// The server with the shop.
    pub postgres: Postgres,
    /// The program, which finds server and repository by libpq's and restic's variables.
    pub tthost: Tthost,
    /// The repository, as the real program sees it.
    pub restic: Restic,
    directory: TempDir,
}

impl Fixture {
    /// A shop of about one megabyte and no repository yet.
    pub fn without_repository() -> Result<Self> {
        static SHOP: Template = Template::new();
        let directory = tempfile::Builder::new()
            .prefix("tthost-fixture.")
            .tempdir()?;
        let repository = directory.path().join("repository");
        let postgres = Postgres::start_copy(SHOP.get(|| {
            let postgres = Postgres::start()?;
            shop::open(&postgres, DATABASE, 1)?;
            Ok(postgres)
        })?)?;
        let mut tthost = Tthost::new()?;
        tthost.set(postgres.environment(DATABASE));
        tthost.set([("RESTIC_REPOSITORY", &repository)]);
        tthost.set([("RESTIC_PASSWORD", PASSWORD)]);
        Ok(Self {
            postgres,
            tthost,
            restic: Restic::at(repository, PASSWORD)?,
            directory,
        })
    }

    /// The same with an empty repository that the real `restic` made.
    pub fn new() -> Result<Self> {
        let fixture = Self::without_repository()?;
        fixture.restic.init_copy()?;
        Ok(fixture)
    }

    /// A directory for the test's own files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The repository as the other real program sees it.
    pub fn rustic(&self) -> Result<Rustic> {
        Rustic::at(self.restic.repository(), PASSWORD)
    }

    /// Moves the repository, which need not exist yet, to another place.
    pub fn use_repository(&mut self, repository: &Path) -> Result<()> {
        self.restic = Restic::at(repository, PASSWORD)?;
        self.tthost.set([("RESTIC_REPOSITORY", repository)]);
        Ok(())
    }

    /// Backs up the shop as the environment or the configuration says, and fails unless that succeeds.
    pub fn back_up(&self) -> Result<Outcome> {
        self.tthost.ok(&RUN)
    }

    /// A configuration for these databases, to be changed and given to [`Self::configure`].
    pub fn configuration(&self, databases: &[&str]) -> Result<Configuration> {
        let password_file = self.password_file(PASSWORD)?;
        Ok(Configuration::new(
            &self.postgres,
            databases,
            self.restic.repository(),
            &password_file,
        ))
    }

    /// Puts a configuration where the program finds it, and takes away the variables
    /// that would do without one.
    pub fn configure(&mut self, configuration: &Configuration) -> Result<()> {
        for (name, _) in self.postgres.environment(DATABASE) {
            self.tthost.unset(&[name]);
        }
        self.tthost.unset(&["RESTIC_REPOSITORY", "RESTIC_PASSWORD"]);
        fs::write(
            self.tthost.home().join("tthost.toml"),
            configuration.to_toml(),
        )?;
        Ok(())
    }

    /// A file that only its owner can read, with a password and a newline.
    pub fn password_file(&self, password: &str) -> Result<PathBuf> {
        let path = self.directory().join("password");
        files::write_private(&path, &format!("{password}\n"))?;
        Ok(path)
    }

    /// Fails unless the repository holds so many snapshots, no lock, and not one damaged byte.
    pub fn expect_sound(&self, snapshots: usize) -> Result<()> {
        // `restic check` locks out everybody else, so a lock left behind makes it fail.
        self.restic.check()?;
        let found = self.restic.snapshots()?;
        anyhow::ensure!(
            found.len() == snapshots,
            "{snapshots} snapshots were expected: {found:#?}"
        );
        Ok(())
    }
}
