//! Trees of files, with all that a file system knows of them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tthost_tests::odd_files;
use tthost_tests::restic::Restic;
use tthost_tests::tree::{examine, expect_same};
use tthost_tests::tthost::Tthost;

const PASSWORD: &str = "password";

/// A repository with a snapshot of odd files.
struct TreeFixture {
    directory: TempDir,
    tthost: Tthost,
}

impl TreeFixture {
    fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tthost-tree.").tempdir()?;
        let restic = Restic::at(directory.path().join("repository"), PASSWORD)?;
        restic.init_copy()?;
        odd_files::create(&directory.path().join("tree"))?;
        restic.backup(&directory.path().join("tree"))?;
        let mut tthost = Tthost::new()?;
        tthost.set([("RESTIC_REPOSITORY", restic.repository())]);
        tthost.set([("RESTIC_PASSWORD", PASSWORD)]);
        Ok(Self { directory, tthost })
    }

    fn path(&self, name: &str) -> Result<String> {
        let path = self.directory.path().join(name);
        Ok(path.to_str().context("a path that is not UTF-8")?.into())
    }

    fn expect_restored(&self, name: &str) -> Result<()> {
        let expected = examine(self.path("tree")?.as_ref())?;
        expect_same(&expected, &examine(self.path(name)?.as_ref())?)
    }
}

fn restore(to: &str) -> [&str; 6] {
    ["restore", "latest", "--sink", "restic-local", "--to", to]
}

#[test]
fn a_directory_that_restic_stored_comes_back_with_all_its_metadata() -> Result<()> {
    let fixture = TreeFixture::new()?;
    let to = fixture.path("restored")?;
    fixture.tthost.ok(&restore(&to))?;
    fixture.expect_restored("restored")?;
    // Again, over what is there by then.
    fs::write(format!("{to}/plain"), "something else")?;
    fs::remove_file(format!("{to}/pipe"))?;
    fixture
        .tthost
        .ok(&[&restore(&to)[..], &["--yes"]].concat())?;
    fixture.expect_restored("restored")?;
    Ok(())
}

#[test]
fn what_only_root_may_restore_is_left_out_and_said_once() -> Result<()> {
    let fixture = TreeFixture::new()?;
    let to = fixture.path("restored")?;
    let outcome = fixture
        .tthost
        .ok_without(&["chown", "mknod"], &restore(&to))?;
    let said = outcome.stderr;
    for words in ["devices were left out", "files belong to you"] {
        ensure!(said.matches(words).count() == 1, "{words:?} in: {said}");
    }
    ensure!(!Path::new(&to).join("null").exists(), "a device was made");
    // It had another owner, for whom its set-uid bit was.
    let plain = Path::new(&to).join("plain").metadata()?;
    ensure!((plain.uid(), plain.mode() & 0o7777) == (0, 0o755));
    ensure!(fs::read(Path::new(&to).join("zlinked"))? == b"one file");
    Ok(())
}

#[test]
fn a_symbolic_link_in_the_place_of_a_directory_is_not_followed() -> Result<()> {
    let fixture = TreeFixture::new()?;
    let to = fixture.path("restored")?;
    let outside = fixture.path("outside")?;
    fs::create_dir(&outside)?;
    fs::create_dir(&to)?;
    symlink(&outside, format!("{to}/deep"))?;
    fixture.tthost.fails(
        &[&restore(&to)[..], &["--yes"]].concat(),
        3,
        &["deep", "no directory"],
    )?;
    ensure!(
        fs::read_dir(&outside)?.next().is_none(),
        "something was written outside"
    );
    Ok(())
}

#[test]
fn a_file_that_cannot_take_its_name_leaves_nothing_behind() -> Result<()> {
    let fixture = TreeFixture::new()?;
    let to = fixture.path("restored")?;
    fs::create_dir_all(format!("{to}/-rf */kept"))?;
    fixture.tthost.fails(
        &[&restore(&to)[..], &["--yes"]].concat(),
        3,
        &["-rf *", "cannot be restored"],
    )?;
    ensure!(examine(to.as_ref())?.contains_key(Path::new("-rf */kept")));
    for entry in fs::read_dir(&to)? {
        let name = entry?.file_name();
        ensure!(
            !name.to_string_lossy().starts_with(".tthost-partial-"),
            "{} is left",
            name.display()
        );
    }
    Ok(())
}
