//! What `tthost init` makes besides the repository in a directory, which the tests of the command
//! line have.

use std::fs;
use std::process::Stdio;

use anyhow::{Result, ensure};
use tthost_tests::restic::Restic;
use tthost_tests::seaweed::{Class, Seaweed};
use tthost_tests::tthost::Tthost;

/// The password of both repositories.
const PASSWORD: &str = "Schlüssel & key";

/// The place of the repository in S3.
const PLACE: &str = "backups/machines/one";

#[test]
fn a_repository_offsite_that_cannot_be_made_leaves_the_local_one_and_is_made_later() -> Result<()> {
    let seaweed = Seaweed::start()?;
    seaweed.new_bucket("backups")?;
    let mut tthost = Tthost::new()?;
    let local = tthost.home().join("local");
    let tree = tthost.home().join("tree");
    fs::create_dir(&tree)?;
    fs::write(tree.join("readme"), "what is worth keeping\n")?;
    tthost.set([
        ("RESTIC_REPOSITORY", local.display().to_string()),
        ("RESTIC_PASSWORD", PASSWORD.to_owned()),
        ("AWS_ENDPOINT_URL", seaweed.endpoint()),
        ("AWS_ACCESS_KEY_ID", Class::Full.access_key().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "wrong".to_owned()),
    ]);
    let repository = format!("s3:s3.amazonaws.com/{PLACE}");
    tthost
        .run(&["init", "--offsite", &repository])?
        .expect_failure(1, &["sink offsite", "tthost init --sink offsite"])?;
    let local = Restic::at(local, PASSWORD)?;
    local.check()?;
    let configuration = fs::read_to_string(tthost.home().join("tthost.toml"))?;

    tthost.set([("AWS_SECRET_ACCESS_KEY", Class::Full.secret_key())]);
    for done in [
        "created the repository of offsite",
        "took over the repository of offsite",
    ] {
        let init = tthost.ok(&["init", "--sink", "offsite"])?;
        ensure!(init.text()?.contains(done), "{}", init.describe());
    }
    ensure!(fs::read_to_string(tthost.home().join("tthost.toml"))? == configuration);
    // The server is in the configuration by now.
    tthost.unset(&["AWS_ENDPOINT_URL"]);
    let source = format!("dir:{}", tree.display());
    let run = [
        "run",
        "--source",
        &source,
        "--sink",
        "restic-local",
        "--offsite",
    ];
    tthost.ok(&run)?;
    for restic in [local, seaweed.restic(PLACE, Class::Admin, PASSWORD)?] {
        restic.check()?;
        ensure!(restic.snapshots()?.len() == 1);
    }
    Ok(())
}

#[test]
fn several_that_make_a_repository_at_once_make_one() -> Result<()> {
    let mut tthost = Tthost::new()?;
    let place = tthost.home().join("repository");
    tthost.set([
        ("RESTIC_REPOSITORY", place.display().to_string()),
        ("RESTIC_PASSWORD", PASSWORD.to_owned()),
    ]);
    let init = ["init", "--sink", "restic-local"];
    // Its plugin is compiled then, and all of them begin at once.
    tthost.ok(&init)?;
    fs::remove_dir_all(&place)?;
    let start = |_| tthost.command(&init).stdout(Stdio::piped()).spawn();
    let started: Vec<_> = (0..4).map(start).collect::<Result<_, _>>()?;
    let mut said = Vec::new();
    for child in started {
        let ended = child.wait_with_output()?;
        ensure!(ended.status.success(), "{ended:?}");
        said.push(String::from_utf8(ended.stdout)?);
    }
    let made = said
        .iter()
        .filter(|said| said.starts_with("created"))
        .count();
    ensure!(made == 1, "{said:?}");
    let restic = Restic::at(place, PASSWORD)?;
    restic.check()?;
    let tree = tthost.home().join("tree");
    fs::create_dir(&tree)?;
    let source = format!("dir:{}", tree.display());
    tthost.ok(&["run", "--source", &source, "--sink", "restic-local"])?;
    ensure!(restic.snapshots()?.len() == 1);
    Ok(())
}

#[test]
fn a_repository_elsewhere_is_not_taken_for_a_directory() -> Result<()> {
    let mut tthost = Tthost::new()?;
    tthost.set([
        ("RESTIC_REPOSITORY", "s3:s3.amazonaws.com/bucket"),
        ("RESTIC_PASSWORD", PASSWORD),
    ]);
    tthost.fails(
        &["init"],
        1,
        &["s3:s3.amazonaws.com/bucket", "sink offsite"],
    )?;
    ensure!(fs::read_dir(tthost.home())?.next().is_none());
    Ok(())
}
