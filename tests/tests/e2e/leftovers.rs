//! What commands write down to be undone: nothing of it is left when they end well, and what could not be undone is left to the
//! next command.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::faulty_disk::{self, Call, Fate, Kind};
use tthost_tests::files::read_tree;
use tthost_tests::seaweed::{Class, Seaweed};
use tthost_tests::trial::{Operation, Stock, Store, Trial};

/// The names of the files below a directory that have this in them.
fn named(directory: &Path, part: &str) -> Result<Vec<String>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let names = read_tree(directory)?.into_keys();
    let names = names.map(|path| path.display().to_string());
    Ok(names.filter(|name| name.contains(part)).collect())
}

#[test]
fn commands_that_end_leave_nothing_to_undo() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let bucket = seaweed.new_bucket("leftovers")?;
    let stock = Stock::new()?;
    for (number, operation) in Operation::ALL.into_iter().enumerate() {
        let prefix = number.to_string();
        let store = Store::S3 {
            offsite: seaweed.offsite(&format!("leftovers/{prefix}"), Class::Full),
            bucket: &bucket,
            prefix,
        };
        for store in [None, Some(store)] {
            let trial = Trial::new(&stock, operation, store)?;
            let expect_nothing = |what: &str| {
                let left = named(&trial.state(), ".journal")?;
                ensure!(left.is_empty(), "{what} leaves {left:?}");
                Ok(())
            };
            trial.run()?.success()?;
            expect_nothing(operation.name())?;
            if operation != Operation::Backup {
                continue;
            }
            for command in [
                &["probe", "main"][..],
                &["snapshots", "--sink", "main"],
                &["check", "--sink", "main"],
                &["unlock", "--sink", "main"],
            ] {
                trial.tthost.ok(command)?;
                expect_nothing(command[0])?;
            }
            let missing = ["ls", "00000000", "--sink", "main"];
            trial.tthost.fails(&missing, 1, &["no snapshot"])?;
            expect_nothing("ls")?;
        }
    }
    Ok(())
}

#[test]
fn an_unfinished_file_that_cannot_be_removed_is_removed_by_the_next_command() -> Result<()> {
    let stock = Stock::new()?;
    for (operation, part) in [
        (Operation::Restore, ".tthost-partial-"),
        (Operation::Backup, ".partial-"),
    ] {
        let trial = Trial::new(&stock, operation, None)?;
        let below = match operation {
            Operation::Restore => trial.target(),
            _ => trial.repository().context("it is in a directory")?,
        };
        let mut faults = 0;
        let outcome = faulty_disk::run(&mut trial.command(), below, |call: &Call| {
            let name = call.path.file_name().unwrap_or_default().to_string_lossy();
            // Files can be begun, and neither named nor removed.
            let is_whole = name.starts_with("noise-") || name.len() == 64;
            let fails = match call.kind {
                Kind::Make => is_whole,
                Kind::Remove => true,
                _ => false,
            };
            if !fails {
                return Fate::Pass;
            }
            faults += 1;
            Fate::Fail(libc::EIO)
        })?;
        ensure!(
            faults > 0 && !outcome.status.success(),
            "{}",
            outcome.describe()
        );
        let left = named(below, part)?;
        ensure!(!left.is_empty(), "there is nothing to remove");
        trial.tthost.ok(&["snapshots", "--sink", "main"])?;
        let left = named(below, part)?;
        ensure!(left.is_empty(), "{left:?} is left");
    }
    Ok(())
}
