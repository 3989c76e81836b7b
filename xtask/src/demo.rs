//! A real database goes into a repository and comes back, step by step.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tthost_tests::fingerprint::Fingerprint;
use tthost_tests::postgres::Postgres;
use tthost_tests::{files, shop, tthost};

use crate::{build, setup, shell};

const MEGABYTES: u32 = 220;

pub(crate) fn demo() -> Result<()> {
    setup::wasm_target()?;
    setup::debian_packages()?;
    build()?;
    let postgres = shell::step(
        "Start a private PostgreSQL, reached by a Unix socket only",
        || {
            let postgres = Postgres::start()?;
            println!(
                "It is in {} and goes away with this demo.",
                postgres.socket_directory().display()
            );
            Ok(postgres)
        },
    )?;
    let original = shell::step(
        &format!("Fill the database `shop` with about {MEGABYTES} MB"),
        || {
            shop::open(&postgres, "shop", MEGABYTES)?;
            let fingerprint = Fingerprint::of(&postgres, "shop")?;
            println!("It has {fingerprint}.");
            Ok(fingerprint)
        },
    )?;
    let workspace = Workspace::make()?;
    back_up(&workspace, &postgres)?;
    inspect(&workspace, &postgres)?;
    restore(&workspace, &postgres, &original)?;
    workspace.explain()
}

fn back_up(workspace: &Workspace, postgres: &Postgres) -> Result<()> {
    shell::step("Make an encrypted repository", || {
        workspace.tthost(postgres, &["init"])
    })?;
    let run = ["run", "--source", "postgres", "--sink", "restic-local"];
    shell::step("Back up", || workspace.tthost(postgres, &run))?;
    let first = files::size(&workspace.repository)?;
    shell::step(
        "Back up again: what the repository has already is not stored twice",
        || workspace.tthost(postgres, &run),
    )?;
    let added = files::size(&workspace.repository)? - first;
    println!(
        "The first backup takes {}, the second added {}.",
        megabytes(first),
        megabytes(added)
    );
    Ok(())
}

fn inspect(workspace: &Workspace, postgres: &Postgres) -> Result<()> {
    shell::step("List the snapshots", || {
        workspace.tthost(postgres, &["snapshots"])
    })?;
    shell::step("Check the repository, reading every byte", || {
        workspace.tthost(postgres, &["check", "--read-data"])
    })?;
    shell::step(
        "Let the real restic list and check the same repository",
        || {
            workspace.restic(&["snapshots"])?;
            workspace.restic(&["check"])
        },
    )
}

fn restore(workspace: &Workspace, postgres: &Postgres, original: &Fingerprint) -> Result<()> {
    let restore = ["restore", "latest", "--sink", "restic-local", "--yes"];
    shell::step("Restore into a second database, `shop_restored`", || {
        postgres.create_database("shop_restored")?;
        workspace.tthost(
            postgres,
            &[
                &restore[..],
                &["--source", "postgres", "--target", "shop_restored"],
            ]
            .concat(),
        )
    })?;
    shell::step(
        "Compare the two databases: every row, large object and definition",
        || {
            let difference = original.difference(&Fingerprint::of(postgres, "shop_restored")?);
            ensure!(difference.is_empty(), "they differ:\n{difference}");
            println!("They are equal.");
            Ok(())
        },
    )?;
    shell::step("Restore to a directory", || {
        let restored = workspace
            .restored
            .to_str()
            .context("a path that is not UTF-8")?;
        workspace.tthost(postgres, &[&restore[..], &["--to", restored]].concat())
    })
}

/// Where the demo leaves what it made.
struct Workspace {
    directory: PathBuf,
    repository: PathBuf,
    password_file: PathBuf,
    restored: PathBuf,
}

impl Workspace {
    /// An empty directory `demo`, whatever was there, with a new password.
    fn make() -> Result<Self> {
        let directory = shell::root().join("demo");
        if directory.exists() {
            fs::remove_dir_all(&directory).context("cannot remove the last demo")?;
        }
        fs::create_dir(&directory)?;
        let password_file = directory.join("password");
        let mut random = [0; 16];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&password_file)?;
        writeln!(file, "{:032x}", u128::from_le_bytes(random))?;
        Ok(Self {
            repository: directory.join("repository"),
            restored: directory.join("restored"),
            password_file,
            directory,
        })
    }

    /// Runs tthost as in a shell where psql reaches the database `shop`.
    fn tthost(&self, postgres: &Postgres, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(tthost::release()?);
        shell::run(
            self.set(&mut command)
                .envs(postgres.environment("shop"))
                .args(arguments),
        )
    }

    /// Runs the real restic.
    fn restic(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("restic");
        shell::run(self.set(&mut command).arg("--no-cache").args(arguments))
    }

    /// The variables that name repository and password to tthost and restic alike.
    fn set<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("RESTIC_REPOSITORY", &self.repository)
            .env("RESTIC_PASSWORD_FILE", &self.password_file)
            .env_remove("RESTIC_PASSWORD")
            .current_dir(&self.directory)
    }

    fn explain(&self) -> Result<()> {
        println!("\n=== What you have now, in {}", self.directory.display());
        println!(
            "repository/  two snapshots of the database, encrypted, {}",
            megabytes(files::size(&self.repository)?)
        );
        println!("password     opens the repository; without it nothing can be restored");
        println!("restored/    the dump as it came out again:");
        for (path, contents) in files::read_tree(&self.restored)? {
            println!(
                "             {} ({})",
                path.display(),
                megabytes(contents.len() as u64)
            );
        }
        println!("\nTo go on with it:");
        println!("  cd {}", self.directory.display());
        println!("  export RESTIC_REPOSITORY={}", show(&self.repository));
        println!(
            "  export RESTIC_PASSWORD_FILE={}",
            show(&self.password_file)
        );
        let tthost = tthost::release()?;
        for arguments in [
            "snapshots",
            "check --read-data",
            "restore latest --stdout | less",
        ] {
            println!("  {} {arguments}", show(&tthost));
        }
        println!("  restic snapshots");
        println!(
            "\nTo begin with a database of your own: `tthost --help`, and PGHOST, PGUSER, PGDATABASE as for psql."
        );
        Ok(())
    }
}

fn show(path: &Path) -> String {
    format!("'{}'", path.display())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
