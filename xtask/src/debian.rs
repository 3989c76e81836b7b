//! Programs from a newer Debian than this machine's: its package is unpacked and not installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tthost_tests::command;

use crate::shell;

/// What Debian's releases are signed with.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Unpacks a package of this release below this directory unless that is there. Its programs need no others of that release.
pub(crate) fn unpack(package: &str, suite: &str, home: &Path) -> Result<()> {
    if home.is_dir() {
        return Ok(());
    }
    let what = format!("Unpack {suite}'s {package} in {}", home.display());
    shell::step(&what, || {
        // Beside its place first, so that what is there is whole.
        let aside = home.with_extension("partial");
        if aside.is_dir() {
            fs::remove_dir_all(&aside)?;
        }
        let apt = Apt::prepare(suite, &aside.join("apt"))?;
        shell::run(apt.command("apt-get").args(["-q", "update"]))?;
        let mut download = apt.command("apt-get");
        shell::run(
            download
                .args(["-q", "download", package])
                .current_dir(&aside),
        )?;
        let archive = fs::read_dir(&aside)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("apt downloaded no package")?;
        let unpacked = aside.join("unpacked");
        shell::run(Command::new("dpkg").arg("-x").arg(archive).arg(&unpacked))?;
        fs::rename(unpacked, home)?;
        fs::remove_dir_all(aside)?;
        Ok(())
    })
}

/// Apt with lists of its own.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    /// Makes its directories and its only source: this machine's mirror, of the other release.
    fn prepare(suite: &str, directory: &Path) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial", "sources"] {
            fs::create_dir_all(directory.join(part))?;
        }
        let source = format!(
            "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYS}\n",
            mirror()?
        );
        fs::write(directory.join("sources/debian.sources"), source)?;
        let within =
            |option: &str, part: &str| format!("{option}={}", directory.join(part).display());
        Ok(Self {
            options: vec![
                within("Dir::State::lists", "lists"),
                within("Dir::Cache", "cache"),
                within("Dir::Etc::sourceparts", "sources"),
                "Dir::Etc::sourcelist=/dev/null".into(),
                "Acquire::Languages=none".into(),
                // The directories are the user's own.
                "APT::Sandbox::User=".into(),
            ],
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }
}

/// Where this machine gets Debian's packages from.
fn mirror() -> Result<String> {
    let mut asked = Command::new("apt-get");
    asked.args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(COMPONENT)",
        "Created-By: Packages",
    ]);
    let known = command::run(&mut asked)?.success()?;
    let found = known.text()?.lines().find_map(|line| {
        let mirror = line.strip_suffix(" main")?;
        mirror.ends_with("/debian/").then(|| mirror.to_owned())
    });
    found.context("apt knows no mirror of Debian")
}
