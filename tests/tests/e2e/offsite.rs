//! Repositories in a real S3 server, with credentials of every class.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tthost_tests::cheap_key::cheapen_in;
use tthost_tests::offsite::{Offsite, OffsiteFixture, PASSWORD};
use tthost_tests::restic::Restic;
use tthost_tests::rustic::Rustic;
use tthost_tests::seaweed::{Class, Seaweed};

/// The bucket of a test.
const BUCKET: &str = "backups";

/// A place in it for credentials of this class.
fn place(seaweed: &Seaweed, class: Class) -> Offsite {
    seaweed.offsite(&format!("{BUCKET}/machines/one"), class)
}

/// Makes the repository there.
fn init(fixture: &OffsiteFixture, seaweed: &Seaweed) -> Result<()> {
    fixture.tthost.ok(&["init", "--sink", "offsite"])?;
    let bucket = seaweed.bucket(BUCKET, Class::Admin)?;
    cheapen_in(&bucket, "machines/one", PASSWORD)
}

/// The repository there, as its owner sees it.
fn owner(seaweed: &Seaweed, offsite: &Offsite) -> Result<Restic> {
    seaweed.restic(&offsite.place, Class::Admin, PASSWORD)
}

/// Lets rustic look at all of a repository, byte by byte.
fn rustic_checks(seaweed: &Seaweed, prefix: &str) -> Result<()> {
    let secret = Class::Admin.secret_key();
    let owner = (Class::Admin.access_key(), secret.as_str());
    Rustic::at(seaweed.endpoint(), PASSWORD)?
        .in_bucket(&seaweed.endpoint(), (BUCKET, prefix), owner)
        .check()
}

/// Fails unless a prune says why it does nothing, and what does in its place.
fn expect_not_pruned(fixture: &OffsiteFixture, class: &str) -> Result<()> {
    let prune = ["prune", "--sink", "offsite", "--keep-last", "1"];
    let outcome = fixture.tthost.ok(&prune)?;
    for words in ["offsite is not pruned", class, "lifecycle rules"] {
        ensure!(outcome.stderr.contains(words), "{}", outcome.describe());
    }
    Ok(())
}

/// Whether a backup stored descriptions of directories at most.
fn added_no_contents(receipt: &Value) -> bool {
    receipt["data_added"].as_u64() < Some(64 << 10)
}

#[test]
fn with_all_rights_everything_works_and_both_other_programs_agree() -> Result<()> {
    let seaweed = Seaweed::start()?;
    seaweed.new_bucket(BUCKET)?;
    let offsite = place(&seaweed, Class::Full);
    let fixture = OffsiteFixture::new(&[("offsite", &offsite)])?;
    fixture
        .run("offsite")?
        .expect_failure(10, &["no repository", "tthost init"])?;
    fixture.tthost.ok(&["init", "--sink", "offsite"])?;
    let again = fixture.tthost.ok(&["init", "--sink", "offsite"])?;
    ensure!(
        again
            .text()?
            .starts_with("took over the repository of offsite")
    );

    let first = fixture.back_up("offsite")?;
    ensure!(first["data_added"].as_u64() >= Some(3 << 20), "{first}");
    let second = fixture.back_up("offsite")?;
    ensure!(
        added_no_contents(&second) && second["files_unmodified"] == 2,
        "{second}"
    );

    let restic = owner(&seaweed, &offsite)?;
    restic.check()?;
    ensure!(restic.snapshots()?.len() == 2);
    let restored = fixture.aside("by-restic");
    restic.restore("latest", &restored)?;
    fixture.expect_restored(&restored)?;
    rustic_checks(&seaweed, "machines/one")?;

    // And what restic stores there, restored from another machine.
    restic.backup(&fixture.tree())?;
    let other = OffsiteFixture::new(&[("offsite", &offsite)])?;
    let listed = other
        .tthost
        .ok(&["snapshots", "--sink", "offsite", "--json"])?
        .json()?;
    ensure!(
        listed["snapshots"].as_array().map(Vec::len) == Some(3),
        "{listed:#}"
    );
    other
        .tthost
        .ok(&["check", "--sink", "offsite", "--read-data"])?;
    let target = fixture.aside("by-tthost");
    let id = second["snapshot_id"].as_str().context("it has an id")?;
    let to = target.to_string_lossy();
    other
        .tthost
        .ok(&["restore", id, "--sink", "offsite", "--to", &to])?;
    fixture.expect_restored(&target)?;

    // The newest of the three is the one that restic made.
    let prune = ["prune", "--sink", "offsite", "--keep-last", "1"];
    other.tthost.ok(&prune)?;
    restic.check()?;
    ensure!(restic.snapshots()?.len() == 1);
    rustic_checks(&seaweed, "machines/one")?;
    let third = fixture.back_up("offsite")?;
    ensure!(added_no_contents(&third), "{third}");
    restic.check()?;
    let left = seaweed
        .bucket(BUCKET, Class::Admin)?
        .list("machines/one/")?;
    ensure!(
        !left
            .iter()
            .any(|(key, _)| key.contains("probe") || key.contains("/locks/")),
        "something was left behind: {left:?}"
    );
    Ok(())
}

#[test]
fn the_probe_names_every_class_and_leaves_nothing_that_can_be_removed() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let bucket = seaweed.new_bucket(BUCKET)?;
    let expected = [
        (Class::Full, "full", ["yes", "yes", "yes", "yes"], 0),
        (
            Class::AppendOnly,
            "append-only",
            ["yes", "yes", "yes", "no"],
            0,
        ),
        (Class::WriteOnly, "write-only", ["yes", "no", "no", "no"], 0),
        (Class::ReadOnly, "read-only", ["no", "yes", "yes", "no"], 0),
        (Class::None, "none", ["no", "unknown", "no", "no"], 1),
    ];
    for (class, name, rights, code) in expected {
        let fixture = OffsiteFixture::new(&[("offsite", &place(&seaweed, class))])?;
        let outcome = fixture.tthost.run(&["probe", "offsite", "--json"])?;
        ensure!(
            outcome.status.code() == Some(code),
            "{}",
            outcome.describe()
        );
        let found = outcome.json()?;
        ensure!(found["class"] == name, "{found:#}");
        for (right, answer) in ["put", "get", "list", "delete"].iter().zip(rights) {
            ensure!(
                found["rights"][right] == answer,
                "{right} of {name}: {found:#}"
            );
        }
        if class == Class::Full {
            ensure!(
                bucket.list("")?.is_empty(),
                "the probe left something behind"
            );
            ensure!(found["rights"]["put_if_absent"] == "yes", "{found:#}");
            ensure!(found["rights"]["versioned"] == "no", "{found:#}");
        }
        let table = fixture.tthost.run(&["probe", "offsite"])?;
        ensure!(table.text()?.starts_with(&format!("offsite: {name}\n")));
    }
    ensure!(
        bucket.list("")?.len() == 1,
        "one object is used by all probes"
    );
    bucket.keep_versions()?;
    let fixture = OffsiteFixture::new(&[("offsite", &place(&seaweed, Class::Full))])?;
    let found = fixture.tthost.ok(&["probe", "offsite", "--json"])?.json()?;
    ensure!(found["rights"]["versioned"] == "yes", "{found:#}");
    Ok(())
}

#[test]
fn append_only_credentials_leave_no_lock_and_mend_what_a_prune_took() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let bucket = seaweed.new_bucket(BUCKET)?;
    let offsite = place(&seaweed, Class::AppendOnly);
    let fixture = OffsiteFixture::new(&[("offsite", &offsite)])?;
    init(&fixture, &seaweed)?;
    fixture.back_up("offsite")?;
    fixture.fill("second", 2, 1 << 20)?;
    let second = fixture.back_up("offsite")?;
    ensure!(second["data_added"].as_u64() < Some(2 << 20), "{second}");
    let locks = bucket.list("machines/one/locks/")?;
    ensure!(locks.is_empty(), "locks were left behind: {locks:?}");
    // Which locks everybody else out, so a lock left behind would make it fail.
    let restic = owner(&seaweed, &offsite)?;
    restic.check()?;
    fixture
        .tthost
        .ok(&["check", "--sink", "offsite", "--read-data"])?;

    expect_not_pruned(&fixture, "append-only")?;
    ensure!(restic.snapshots()?.len() == 2);

    // Packs that an index lists are removed, and the snapshots that need them.
    for directory in ["data", "snapshots"] {
        for (key, _) in bucket.list(&format!("machines/one/{directory}/"))? {
            ensure!(bucket.delete(&key)? == 204, "{key} cannot be removed");
        }
    }
    fixture
        .tthost
        .fails(&["check", "--sink", "offsite"], 1, &["is missing"])?;
    let mended = fixture.back_up("offsite")?;
    ensure!(mended["data_added"].as_u64() >= Some(4 << 20), "{mended}");
    let target = fixture.aside("restored");
    let to = target.to_string_lossy();
    fixture
        .tthost
        .ok(&["restore", "latest", "--sink", "offsite", "--to", &to])?;
    fixture.expect_restored(&target)
}

#[test]
fn somebody_elses_exclusive_lock_stops_append_only_credentials() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let bucket = seaweed.new_bucket(BUCKET)?;
    let offsite = place(&seaweed, Class::AppendOnly);
    let fixture = OffsiteFixture::new(&[("offsite", &offsite)])?;
    init(&fixture, &seaweed)?;
    fixture.back_up("offsite")?;
    // restic is stopped in the middle of a check, which it does with an exclusive lock.
    let mut check = owner(&seaweed, &offsite)?
        .command(&["check", "--read-data", "--limit-download", "20"])
        .spawn()?;
    let locked = tthost_tests::wait::wait_until("restic has its lock", || {
        bucket
            .list("machines/one/locks/")
            .is_ok_and(|locks| !locks.is_empty())
    });
    let refused = locked.and_then(|()| fixture.run("offsite"));
    check.kill()?;
    check.wait()?;
    refused?.expect_failure(11, &["locked exclusively", "tthost unlock"])?;
    Ok(())
}

#[test]
fn write_only_credentials_deduplicate_and_others_can_restore_everything() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let bucket = seaweed.new_bucket(BUCKET)?;
    let offsite = place(&seaweed, Class::WriteOnly);
    let fixture = OffsiteFixture::new(&[("offsite", &offsite)])?;
    // Nobody has to make the repository, since nobody can look whether there is one.
    let first = fixture.back_up("offsite")?;
    ensure!(first["data_added"].as_u64() >= Some(3 << 20), "{first}");
    let second = fixture.back_up("offsite")?;
    ensure!(
        added_no_contents(&second) && second["files_unmodified"] == 2,
        "{second}"
    );
    fixture.fill("second", 2, 1 << 20)?;
    let third = fixture.back_up("offsite")?;
    ensure!(third["data_added"].as_u64() < Some(2 << 20), "{third}");
    for command in [
        &["snapshots", "--sink", "offsite"][..],
        &["check", "--sink", "offsite"],
    ] {
        fixture
            .tthost
            .fails(command, 1, &["may store things and not read them"])?;
    }

    let restic = owner(&seaweed, &offsite)?;
    restic.check()?;
    ensure!(restic.snapshots()?.len() == 3);
    rustic_checks(&seaweed, "machines/one")?;
    expect_not_pruned(&fixture, "write-only")?;
    ensure!(restic.snapshots()?.len() == 3);
    let reader = OffsiteFixture::new(&[("offsite", &place(&seaweed, Class::ReadOnly))])?;
    let prune = ["prune", "--sink", "offsite", "--keep-last", "1"];
    let words = ["nothing may be removed from this repository"];
    reader.tthost.fails(&prune, 1, &words)?;
    // Two runs read everything, and each says beforehand how much it will read.
    for _ in 0..2 {
        let rotate = ["check", "--sink", "offsite", "--rotate", "2"];
        let text = reader.tthost.ok(&rotate)?.text()?.to_owned();
        ensure!(text.starts_with("offsite: reading back "), "{text}");
    }
    let target = fixture.aside("restored");
    let to = target.to_string_lossy();
    reader
        .tthost
        .ok(&["restore", "latest", "--sink", "offsite", "--to", &to])?;
    fixture.expect_restored(&target)?;
    reader
        .run("offsite")?
        .expect_failure(1, &["may be stored in this repository, only read"])?;

    // What the owner removes, the newest snapshot excepted, is not counted on.
    let mut forget = restic.command(&["forget", "--keep-last", "1", "--prune"]);
    tthost_tests::command::run(&mut forget)?.success()?;
    fs::remove_file(fixture.tree().join("second"))?;
    fixture.back_up("offsite")?;
    fixture.fill("second", 2, 1 << 20)?;
    fixture.back_up("offsite")?;
    restic.check()?;
    ensure!(bucket.list("machines/one/locks/")?.is_empty());
    Ok(())
}

#[test]
fn a_lost_state_leads_to_another_repository_and_damages_none() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let bucket = seaweed.new_bucket(BUCKET)?;
    let offsite = place(&seaweed, Class::WriteOnly);
    let fixture = OffsiteFixture::new(&[("offsite", &offsite)])?;
    fixture.back_up("offsite")?;
    let before = bucket.get("machines/one/config")?;
    fs::remove_dir_all(fixture.tthost.home().join("state-offsite"))?;

    let outcome = fixture.run("offsite")?.success()?;
    ensure!(
        outcome.stderr.contains("there is a repository already"),
        "{}",
        outcome.stderr
    );
    let again = fixture.back_up("offsite")?;
    ensure!(added_no_contents(&again), "{again}");
    ensure!(
        bucket.get("machines/one/config")? == before,
        "the configuration was replaced"
    );
    let restic = owner(&seaweed, &offsite)?;
    restic.check()?;
    ensure!(restic.snapshots()?.len() == 1);

    let (config, _) = bucket
        .list("machines/one/tthost-")?
        .into_iter()
        .find(|(key, _)| key.ends_with("/config"))
        .context("there is no second repository")?;
    let prefix = config.strip_suffix("/config").context("it ends so")?;
    let second = seaweed.restic(&format!("{BUCKET}/{prefix}"), Class::Admin, PASSWORD)?;
    second.check()?;
    ensure!(second.snapshots()?.len() == 2);
    let probed = fixture.tthost.ok(&["probe", "offsite", "--json"])?.json()?;
    ensure!(
        probed["rights"]["notes"].to_string().contains(prefix),
        "{probed:#}"
    );

    // With credentials that may read, even once, the first one is used again.
    fixture.configure(&[("offsite", &place(&seaweed, Class::ReadOnly))])?;
    fixture.tthost.ok(&["check", "--sink", "offsite"])?;
    fixture.configure(&[("offsite", &offsite)])?;
    let back = fixture.back_up("offsite")?;
    ensure!(back["data_added"].as_u64() < Some(1 << 20), "{back}");
    ensure!(restic.snapshots()?.len() == 2);
    restic.check()
}

#[test]
fn a_right_that_is_lost_in_mid_run_is_named_and_the_other_sink_has_its_snapshot() -> Result<()> {
    let seaweed = Seaweed::start()?;
    let bucket = seaweed.new_bucket(BUCKET)?;
    let mut offsite = place(&seaweed, Class::Full);
    offsite.settings = "required = false\noffsite = true".to_owned();
    let fixture = OffsiteFixture::new(&[("offsite", &offsite)])?;
    let local = fixture.init_local()?;
    init(&fixture, &seaweed)?;
    fixture.back_up("offsite")?;
    fixture.fill("second", 2, 1 << 20)?;
    seaweed.restrict(
        Class::Full,
        &bucket,
        &["s3:GetObject", "s3:ListBucket", "s3:DeleteObject"],
    )?;
    let source = format!("dir:{}", fixture.tree().display());
    let run = ["run", "--source", &source, "--sink", "local", "--offsite"];
    let words = [
        "local backup succeeded, offsite failed",
        "may no longer store objects (s3:PutObject)",
    ];
    fixture.tthost.fails(&run, 3, &words)?;
    local.check()?;
    ensure!(local.snapshots()?.len() == 1);
    let found: Value = fixture.tthost.ok(&["probe", "offsite", "--json"])?.json()?;
    ensure!(found["class"] == "read-only", "{found:#}");
    Ok(())
}

#[test]
fn one_capture_goes_into_both_places_and_a_required_one_that_fails_fails_the_run() -> Result<()> {
    let seaweed = Seaweed::start()?;
    seaweed.new_bucket(BUCKET)?;
    let offsite = place(&seaweed, Class::Full);
    let fixture = OffsiteFixture::new(&[("offsite", &offsite)])?;
    let local = fixture.init_local()?;
    let source = format!("dir:{}", fixture.tree().display());
    let run = [
        "run", "--source", &source, "--sink", "local", "--sink", "offsite",
    ];
    fixture
        .tthost
        .fails(&run, 10, &["sink offsite", "no repository"])?;
    ensure!(
        local.snapshots()?.len() == 1,
        "the other one has its snapshot"
    );
    init(&fixture, &seaweed)?;
    fixture.tthost.ok(&run)?;
    local.check()?;
    let there = owner(&seaweed, &offsite)?;
    there.check()?;
    let files = |restic: &Restic| restic.files("latest");
    ensure!(files(&local)? == files(&there)?);

    // And from one to the other, what only one has.
    fixture.fill("second", 2, 1 << 20)?;
    fixture.back_up("local")?;
    fixture
        .tthost
        .ok(&["copy", "--from", "local", "--to", "offsite", "latest"])?;
    there.check()?;
    ensure!(there.snapshots()?.len() == 2);
    fixture.tthost.fails(
        &["run", "--source", &source, "--offsite"],
        1,
        &["offsite = true"],
    )?;
    Ok(())
}

#[test]
fn what_is_wrong_with_a_place_is_named_at_once() -> Result<()> {
    let seaweed = Seaweed::start()?;
    seaweed.new_bucket(BUCKET)?;
    let empty = place(&seaweed, Class::Full);
    let endpoint = seaweed.endpoint();
    let missing = Offsite {
        place: "missing/machines/one".into(),
        ..empty.clone()
    };
    let secure = Offsite {
        endpoint: endpoint.replace("http:", "https:"),
        ..empty.clone()
    };
    let write_only = Offsite {
        settings: "offsite = true".into(),
        ..place(&seaweed, Class::WriteOnly)
    };
    let fixture = OffsiteFixture::new(&[
        ("empty", &empty),
        ("missing", &missing),
        ("secure", &secure),
        ("offsite", &write_only),
    ])?;
    let started = Instant::now();
    let named = format!("no such bucket: missing at {endpoint}");
    fixture.run("missing")?.expect_failure(1, &[&named])?;
    let named = format!("{} does not speak TLS", secure.endpoint);
    fixture
        .run("secure")?
        .expect_failure(1, &[&named, "http://"])?;
    let named = format!("no repository at s3:{endpoint}/{}", empty.place);
    fixture.run("empty")?.expect_failure(10, &[&named])?;
    ensure!(
        started.elapsed() < Duration::from_secs(10),
        "it was tried again"
    );

    fixture.run("offsite")?.success()?;
    let list = ["list", "--offsite"];
    let reasons = ["sink offsite", "store things and not read", "s3:ListBucket"];
    fixture.tthost.fails(&list, 1, &reasons)?;
    Ok(())
}

#[test]
fn without_a_configuration_the_variables_of_restic_and_aws_are_enough() -> Result<()> {
    let seaweed = Seaweed::start()?;
    seaweed.new_bucket(BUCKET)?;
    let offsite = place(&seaweed, Class::Full);
    let mut fixture = OffsiteFixture::new(&[])?;
    fs::remove_file(fixture.tthost.home().join("tthost.toml"))?;
    fixture.tthost.set([
        (
            "RESTIC_OFFSITE_REPOSITORY",
            format!("s3:s3.amazonaws.com/{}", offsite.place),
        ),
        ("AWS_ENDPOINT_URL", offsite.endpoint.clone()),
        ("AWS_ACCESS_KEY_ID", offsite.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", offsite.secret_key.clone()),
        ("RESTIC_PASSWORD", PASSWORD.to_owned()),
    ]);
    init(&fixture, &seaweed)?;
    let source = format!("dir:{}", fixture.tree().display());
    fixture
        .tthost
        .ok(&["run", "--source", &source, "--offsite"])?;
    let restic = owner(&seaweed, &offsite)?;
    restic.check()?;
    ensure!(restic.snapshots()?.len() == 1);
    ensure!(fixture.tthost.home().join("state/offsite").is_dir());
    Ok(())
}
