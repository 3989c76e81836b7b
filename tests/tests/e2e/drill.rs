//! Snapshots that are restored for trial: the proof, what it finds, and that nothing stays of it.

use std::fs::{self, File};
use std::io::Read as _;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tthost_tests::fingerprint::Fingerprint;
use tthost_tests::fixture::{DATABASE, Fixture};
use tthost_tests::wait::wait_until;

/// A database and a directory in a repository that the job `nightly` has filled.
struct DrillFixture {
    fixture: Fixture,
    _tree: TempDir,
}

impl DrillFixture {
    /// The job has these keys besides.
    fn new(keys: &str) -> Result<Self> {
        let mut fixture = Fixture::new()?;
        let tree = tempfile::Builder::new()
            .prefix("tthost-fixture.")
            .tempdir()?;
        fs::write(tree.path().join("small"), "a small file")?;
        let mut noise = vec![0; 3 << 20];
        File::open("/dev/urandom")?.read_exact(&mut noise)?;
        fs::write(tree.path().join("large"), noise)?;
        fixture.configure(&fixture.configuration(&[DATABASE])?)?;
        let file = fixture.tthost.home().join("tthost.toml");
        let text = fs::read_to_string(&file)?;
        let (text, _) = text
            .split_once("[jobs.nightly]")
            .context("there is a job")?;
        let files = format!(
            "[sources.files]\nplugin = \"volume-source\"\ngrants.trees.files = {{ path = \"{}\" }}\n",
            tree.path().display()
        );
        let job = format!(
            "[jobs.nightly]\nsources = [\"postgres\", \"files\"]\nsinks = [\"restic-local\"]\n{keys}\n"
        );
        fs::write(&file, [text, &files, &job].concat())?;
        Ok(Self {
            fixture,
            _tree: tree,
        })
    }

    /// Stores this as the newest dump of the database.
    fn store(&self, dump: &str) -> Result<()> {
        let restic = &self.fixture.restic;
        restic.backup_stdin("shop.sql", dump.as_bytes())?;
        restic.tag_latest("postgres")
    }

    /// The databases of the server.
    fn databases(&self) -> Result<String> {
        let names = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate";
        let names = self.fixture.postgres.psql("postgres", names)?;
        Ok(names.trim().to_owned())
    }
}

#[test]
fn a_drill_restores_a_database_beside_all_others_reads_files_and_leaves_nothing() -> Result<()> {
    let drill = DrillFixture::new("")?;
    let tthost = &drill.fixture.tthost;
    tthost.fails(&["drill"], 1, &["it has no snapshot of"])?;
    tthost.ok(&["run", "--job", "nightly"])?;
    let before = Fingerprint::of(&drill.fixture.postgres, DATABASE)?;
    let restored = tthost.ok(&["drill", "-v"])?;
    let text = restored.describe();
    for part in [
        "shop.sql is restored into the database shop_drill_20",
        "tables, about",
        "postgres from restic-local: snapshot ",
        " restored for trial and removed: 1 file, ",
        "files from restic-local: snapshot ",
        " read to its end: 2 files, 3.0 MiB",
    ] {
        ensure!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert_eq!(drill.databases()?, "postgres shop");
    let now = Fingerprint::of(&drill.fixture.postgres, DATABASE)?;
    assert_eq!(before.difference(&now), "");

    // A database that is gone can be proved to be there, too.
    drill
        .fixture
        .postgres
        .psql("postgres", "DROP DATABASE shop")?;
    let report = tthost
        .ok(&["drill", "--source", "postgres", "--json"])?
        .json()?;
    let passed = &report["drills"][0];
    ensure!(
        passed["proof"] == "restored" && passed["complete"] == true,
        "{report}"
    );
    assert_eq!(drill.databases()?, "postgres");
    let history = tthost.ok(&["history", "--json"])?.json()?;
    ensure!(history["runs"][0]["command"] == "drill", "{history}");
    Ok(())
}

#[test]
fn what_cannot_be_restored_is_found_and_the_database_for_trial_is_gone() -> Result<()> {
    let drill = DrillFixture::new("")?;
    let Fixture {
        tthost, postgres, ..
    } = &drill.fixture;
    for (dump, words) in [
        (
            "CREATE TABLE t (a integer);\nSELECT 1 / 0;\n",
            "division by zero",
        ),
        (
            "-- The dump broke off here\n",
            "there is nothing in the dump",
        ),
        ("\\! touch /tmp/tthost-was-here\n", "line 1"),
    ] {
        drill.store(dump)?;
        tthost.fails(&["drill", "--source", "postgres"], 1, &["shop.sql", words])?;
        assert_eq!(drill.databases()?, "postgres shop", "{words}");
    }
    tthost.fails(
        &["status"],
        1,
        &["drill of postgres from restic-local", "line 1"],
    )?;

    // A role that may not make databases.
    let clerk = "CREATE ROLE clerk LOGIN PASSWORD 'clerk'";
    postgres.psql("postgres", clerk)?;
    let mut configuration = drill.fixture.configuration(&[DATABASE])?;
    for (name, value) in &mut configuration.environment {
        if matches!(*name, "PGUSER" | "PGPASSWORD") {
            *value = "clerk".into();
        }
    }
    fs::write(tthost.home().join("tthost.toml"), configuration.to_toml())?;
    tthost.fails(&["drill", "--source", "postgres"], 1, &["CREATEDB"])?;
    Ok(())
}

#[test]
fn a_drill_that_is_interrupted_removes_its_database() -> Result<()> {
    let drill = DrillFixture::new("")?;
    drill.store("CREATE TABLE t (a integer);\nSELECT pg_sleep(60);\n")?;
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let mut running = drill
            .fixture
            .tthost
            .command(&["drill", "--source", "postgres"]);
        let mut running = running.spawn()?;
        wait_until("the database for trial is there", || {
            drill
                .databases()
                .is_ok_and(|names| names.contains("shop_drill_20"))
        })?;
        kill(Pid::from_raw(running.id().try_into()?), signal)?;
        assert_eq!(running.wait()?.code(), Some(code), "{signal}");
        assert_eq!(drill.databases()?, "postgres shop", "{signal}");
    }
    Ok(())
}

#[test]
fn a_drill_that_is_given_up_leaves_no_database_and_the_server_nothing_to_do() -> Result<()> {
    let drill = DrillFixture::new("")?;
    drill.store("CREATE TABLE t (a integer);\nSELECT pg_sleep(600);\n")?;
    let file = drill.fixture.tthost.home().join("tthost.toml");
    let text = fs::read_to_string(&file)?.replace(
        "[sources.postgres]",
        "[sources.postgres]\nlimits.stall-timeout = \"3s\"",
    );
    fs::write(&file, text)?;
    let words = ["no progress for 3s", "of a run that was cut off is removed"];
    drill
        .fixture
        .tthost
        .fails(&["drill", "--source", "postgres"], 1, &words)?;
    assert_eq!(drill.databases()?, "postgres shop");
    assert_eq!(drill.fixture.postgres.sleepers()?, 0);
    Ok(())
}

#[test]
fn a_database_of_a_drill_that_was_killed_goes_with_the_next_backup() -> Result<()> {
    let drill = DrillFixture::new("")?;
    drill.store("CREATE TABLE t (a integer);\nSELECT pg_sleep(60);\n")?;
    let tthost = &drill.fixture.tthost;
    let mut running = tthost.command(&["drill", "--source", "postgres"]).spawn()?;
    let is_there = || {
        drill
            .databases()
            .is_ok_and(|names| names.contains("shop_drill_20"))
    };
    wait_until("the database for trial is there", is_there)?;
    running.kill()?;
    running.wait()?;
    ensure!(is_there(), "nobody has undone it yet");
    let said = drill.fixture.back_up()?.stderr;
    ensure!(!is_there(), "{said}");
    ensure!(
        said.contains("of a run that was cut off is removed"),
        "{said}"
    );
    Ok(())
}

#[test]
fn what_keeps_a_database_from_being_dropped_keeps_no_drill_from_it() -> Result<()> {
    let drill = DrillFixture::new("")?;
    drill.store(
        "CREATE SUBSCRIPTION theirs CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false, slot_name = 'live');\n\
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I IS_TEMPLATE true', current_database()); END $$;\n\
         CREATE TABLE t (a integer);\n",
    )?;
    drill
        .fixture
        .tthost
        .ok(&["drill", "--source", "postgres"])?;
    let all =
        "SELECT string_agg(datname, ' ' ORDER BY 1) FROM pg_database WHERE datname !~ '^template'";
    let all = drill.fixture.postgres.psql("postgres", all)?;
    assert_eq!(all.trim(), "postgres shop");
    Ok(())
}

#[test]
fn damage_is_found_by_the_drill_of_a_job_which_is_repeated_until_it_is_good() -> Result<()> {
    let drill = DrillFixture::new("drill = \"30d\"\nverify = false\nprune = false")?;
    let tthost = &drill.fixture.tthost;
    let run = ["schedule", "run", "nightly", "--json"];
    let drilled = |report: &Value| -> Result<Vec<String>> {
        let Some(drills) = report["drill"]["drills"].as_array() else {
            return Ok(Vec::new());
        };
        let of = |drill: &Value| {
            let source = drill["source"].as_str().context("it has a source")?;
            let how = if drill["error"].is_null() {
                "good"
            } else {
                "bad"
            };
            Ok(format!("{source} {how}"))
        };
        drills.iter().map(of).collect()
    };
    let first = tthost.ok(&run)?.json()?;
    assert_eq!(drilled(&first)?, ["postgres good", "files good"]);
    ensure!(
        drilled(&tthost.ok(&run)?.json()?)?.is_empty(),
        "it is not due"
    );
    let status = tthost.ok(&["status"])?;
    ensure!(status.text()?.contains("DRILLED"), "{}", status.describe());

    // Another job of the same things has had none; the files of its snapshot lose a byte.
    let file = tthost.home().join("tthost.toml");
    let text = fs::read_to_string(&file)?.replace("[jobs.nightly]", "[jobs.weekly]");
    fs::write(&file, text)?;
    let mut packs = Vec::new();
    for directory in fs::read_dir(drill.fixture.restic.repository().join("data"))? {
        for pack in fs::read_dir(directory?.path())? {
            packs.push(pack?.path());
        }
    }
    let sizes = packs.iter().map(|pack| Ok(fs::metadata(pack)?.len()));
    let sizes: Vec<_> = sizes.collect::<Result<_>>()?;
    let largest = sizes.iter().max().context("there are packs")?;
    let at = sizes.iter().position(|size| size == largest);
    let pack = &packs[at.context("it is one of them")?];
    let whole = fs::read(pack)?;
    let mut damaged = whole.clone();
    // In the midst of the contents; the header is at the end.
    damaged[whole.len() / 3] ^= 1;
    fs::write(pack, damaged)?;
    // Where nothing depends on the sink, it is a failure in part, and repeated all the same.
    let text = fs::read_to_string(&file)?;
    let optional = "[sinks.restic-local]\nrequired = false";
    fs::write(&file, text.replace("[sinks.restic-local]", optional))?;
    let run = ["schedule", "run", "weekly", "--json"];
    let report = tthost.fails(&run, 3, &[])?.json()?;
    ensure!(
        drilled(&report)?.iter().any(|drill| drill.ends_with("bad")),
        "{report}"
    );
    fs::write(&file, text)?;
    let report = tthost.fails(&run, 1, &[])?.json()?;
    ensure!(
        drilled(&report)?.iter().any(|drill| drill.ends_with("bad")),
        "{report}"
    );
    fs::write(pack, whole)?;
    let report = tthost.ok(&run)?.json()?;
    assert_eq!(drilled(&report)?, ["postgres good", "files good"]);
    Ok(())
}
