//! A database that is in use comes back from a snapshot, and nothing is lost when that fails.

use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tthost_tests::fingerprint::Fingerprint;
use tthost_tests::fixture::{DATABASE, Fixture};
use tthost_tests::shop;
use tthost_tests::wait::wait_until;

const RESTORE: [&str; 4] = ["restore", "latest", "--source", "postgres"];

/// The names of all databases, in their order.
fn databases(fixture: &Fixture) -> Result<String> {
    let names =
        "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate";
    let names = fixture.postgres.psql("postgres", names)?;
    Ok(names.trim().to_owned())
}

/// The database that is kept in place of this one.
fn kept(fixture: &Fixture, database: &str) -> Result<String> {
    let names = databases(fixture)?;
    let start = format!("{database}_before_20");
    let mut kept = names.split(' ').filter(|name| name.starts_with(&start));
    let name = kept.next().with_context(|| format!("none in {names}"))?;
    ensure!(kept.next().is_none(), "{names}");
    Ok(name.to_owned())
}

/// A client that stays connected.
fn connect(fixture: &Fixture, database: &str) -> Result<Child> {
    let mut psql = fixture.postgres.client("psql", database);
    psql.args(["-c", "SELECT pg_sleep(60)"]);
    let client = psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    wait_until("a client is connected", || {
        let count = fixture.postgres.psql("postgres", &sql);
        count.is_ok_and(|count| count.trim() == "1")
    })?;
    Ok(client)
}

#[test]
fn a_live_database_is_exchanged_for_the_restored_one_and_kept() -> Result<()> {
    let fixture = Fixture::new()?;
    let morning = Fingerprint::of(&fixture.postgres, DATABASE)?;
    fixture.back_up()?;
    shop::trade(&fixture.postgres, DATABASE)?;
    let settings = "ALTER DATABASE shop SET search_path = shop, \"$user\"; ALTER DATABASE shop CONNECTION LIMIT 50;
                    REVOKE CONNECT ON DATABASE shop FROM PUBLIC; COMMENT ON DATABASE shop IS 'it''s ours'";
    fixture.postgres.psql("postgres", settings)?;
    let evening = Fingerprint::of(&fixture.postgres, DATABASE)?;
    let mut client = connect(&fixture, DATABASE)?;

    let planned = fixture
        .tthost
        .ok(&[&RESTORE[..], &["--dry-run"]].concat())?;
    let planned = planned.text()?;
    ensure!(
        planned.contains("would be replaced: database shop ("),
        "{planned}"
    );
    ensure!(
        planned.contains("; the old one would stay as shop_before_"),
        "{planned}"
    );

    let refused = fixture.tthost.on_terminal(&RESTORE, "n\n")?;
    let question = refused.text()?;
    for part in [
        " will replace database shop (",
        " tables, about ",
        " rows, ",
        " MiB, 1 connection that will be ended) of source postgres. The old database shop stays as shop_before_20",
        ". Continue? [y/N] ",
    ] {
        ensure!(question.contains(part), "{part:?} is missing in {question}");
    }
    ensure!(databases(&fixture)? == "postgres shop");
    ensure!(
        client.try_wait()?.is_none(),
        "the client lost its connection"
    );

    let restored = fixture.tthost.on_terminal(&RESTORE, "y\n")?.success()?;
    let kept = kept(&fixture, DATABASE)?;
    let told = format!("the old one stays as {kept} until you remove it: DROP DATABASE \"{kept}\"");
    ensure!(restored.text()?.contains(&told), "{}", restored.describe());
    ensure!(databases(&fixture)? == format!("postgres shop {kept}"));
    for (database, then) in [(DATABASE, &morning), (&kept, &evening)] {
        let now = Fingerprint::of(&fixture.postgres, database)?;
        assert_eq!(then.difference(&now), "", "{database}");
    }
    ensure!(!client.wait()?.success(), "the client is still connected");

    let facts = "SELECT datconnlimit, pg_get_userbyid(datdba), shobj_description(d.oid, 'pg_database'), setconfig,
                        has_database_privilege('public', d.oid, 'CONNECT'), datcollate, encoding
                 FROM pg_database d JOIN pg_db_role_setting s ON s.setdatabase = d.oid WHERE datname ~ '^shop'";
    let facts = fixture.postgres.psql("postgres", facts)?;
    let facts: Vec<_> = facts.lines().collect();
    ensure!(facts.len() == 2 && facts[0] == facts[1], "{facts:?}");
    Ok(())
}

#[test]
fn what_fails_leaves_the_live_database_and_no_other() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.configure(&fixture.configuration(&[DATABASE])?)?;
    let before = Fingerprint::of(&fixture.postgres, DATABASE)?;
    let unchanged = || -> Result<()> {
        let now = Fingerprint::of(&fixture.postgres, DATABASE)?;
        ensure!(before == now, "{}", before.difference(&now));
        ensure!(databases(&fixture)? == "postgres shop");
        Ok(())
    };
    let newest = |dump: &str| -> Result<String> {
        fixture.restic.backup_stdin("shop.sql", dump.as_bytes())?;
        let snapshots = fixture.restic.snapshots()?;
        let newest = snapshots.last().context("there is none")?["id"].as_str();
        Ok(newest.context("it has no id")?.to_owned())
    };
    for (dump, words) in [
        (
            "CREATE TABLE t (a integer);\nSELECT 1 / 0;\n",
            "division by zero",
        ),
        (
            "-- The dump broke off here\n",
            "there is nothing in the dump",
        ),
    ] {
        let id = newest(dump)?;
        let restore = ["restore", &id, "--source", "postgres", "--yes"];
        fixture.tthost.fails(&restore, 1, &["shop.sql", words])?;
        unchanged()?;
    }

    let id = newest("CREATE TABLE t (a integer);\nSELECT pg_sleep(60);\n")?;
    let restore = ["restore", &id, "--source", "postgres", "--yes"];
    let mut restore = fixture.tthost.command(&restore).spawn()?;
    wait_until("it is being restored", || {
        databases(&fixture).is_ok_and(|names| names.contains("shop_restoring_20"))
    })?;
    kill(Pid::from_raw(i32::try_from(restore.id())?), Signal::SIGINT)?;
    ensure!(restore.wait()?.code() == Some(130));
    unchanged()
}

#[test]
fn several_databases_are_exchanged_together_or_not_at_all() -> Result<()> {
    let mut fixture = Fixture::new()?;
    shop::open(&fixture.postgres, "filiale", 1)?;
    fixture.configure(&fixture.configuration(&["filiale", DATABASE])?)?;
    let owner =
        "CREATE ROLE owner; CREATE TABLE owned (a integer); ALTER TABLE owned OWNER TO owner";
    fixture.postgres.psql(DATABASE, owner)?;
    fixture.back_up()?;
    // The last of the dumps names a role that is missing.
    fixture
        .postgres
        .psql(DATABASE, "DROP OWNED BY owner; DROP ROLE owner")?;
    let restore = [&RESTORE[..], &["--yes"]].concat();
    fixture.tthost.fails(&restore, 1, &["shop.sql", "owner"])?;
    ensure!(databases(&fixture)? == "filiale postgres shop");

    fixture.postgres.psql(DATABASE, "CREATE ROLE owner")?;
    fixture.tthost.ok(&restore)?;
    ensure!(fixture.postgres.psql(DATABASE, "TABLE owned").is_ok());
    let labels: Vec<_> = ["filiale", DATABASE]
        .into_iter()
        .map(|name| Ok(kept(&fixture, name)?.replace(name, "")))
        .collect::<Result<_>>()?;
    ensure!(labels[0] == labels[1], "{labels:?}");
    Ok(())
}

#[test]
fn a_missing_database_is_created_and_one_in_place_is_changed() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.back_up()?;
    let copy = [&RESTORE[..], &["--yes", "--target", "the copy"]].concat();
    let made = fixture.tthost.ok(&copy)?;
    ensure!(
        made.text()?.contains("created: database the copy"),
        "{}",
        made.describe()
    );
    ensure!(databases(&fixture)? == "postgres shop the copy");
    let original = Fingerprint::of(&fixture.postgres, DATABASE)?;
    let made = Fingerprint::of(&fixture.postgres, "the copy")?;
    assert_eq!(original.difference(&made), "");

    let in_place = [&copy[..], &["--in-place"]].concat();
    fixture.tthost.fails(&in_place, 1, &["already exists"])?;
    let planned = fixture
        .tthost
        .ok(&[&in_place[..], &["--dry-run"]].concat())?;
    ensure!(
        planned
            .text()?
            .contains("would be changed in place: database the copy (")
    );
    ensure!(databases(&fixture)? == "postgres shop the copy");

    // libpq would take the database that is called like the user.
    fixture.tthost.unset(&["PGDATABASE"]);
    for more in ["--yes", "--dry-run"] {
        let unnamed = [&RESTORE[..], &[more]].concat();
        fixture
            .tthost
            .fails(&unnamed, 1, &["names the database", "--target"])?;
    }
    Ok(())
}

#[test]
fn a_role_that_may_not_create_databases_is_told_what_to_do() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let clerk = "CREATE ROLE clerk LOGIN PASSWORD 'clerk'; CREATE DATABASE clerks OWNER clerk;";
    fixture.postgres.psql("postgres", clerk)?;
    fixture
        .postgres
        .psql("clerks", "CREATE TABLE mine (a integer)")?;
    let mut configuration = fixture.configuration(&["clerks"])?;
    for (name, value) in &mut configuration.environment {
        if matches!(*name, "PGUSER" | "PGPASSWORD") {
            *value = "clerk".into();
        }
    }
    fixture.configure(&configuration)?;
    let dump = "CREATE TABLE theirs (a integer);\n";
    fixture.restic.backup_stdin("clerks.sql", dump.as_bytes())?;
    let id = fixture.restic.snapshots()?[0]["id"]
        .as_str()
        .context("no id")?
        .to_owned();
    let restore = ["restore", &id, "--source", "postgres", "--yes"];
    let words = [
        "clerks",
        "clerk may not create databases",
        "--in-place",
        "--target",
        "CREATEDB",
    ];
    fixture.tthost.fails(&restore, 1, &words)?;
    fixture
        .tthost
        .fails(&[&restore[..], &["--dry-run"]].concat(), 1, &words)?;
    fixture
        .tthost
        .ok(&[&restore[..], &["--in-place"]].concat())?;
    ensure!(fixture.postgres.psql("clerks", "TABLE theirs").is_ok());

    // With the right to, the role need not be a superuser.
    fixture
        .postgres
        .psql("postgres", "ALTER ROLE clerk CREATEDB")?;
    let mut client = connect(&fixture, "clerks")?;
    fixture.tthost.fails(&restore, 1, &["superuser"])?;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'clerks'";
    fixture.postgres.psql("postgres", end)?;
    client.wait()?;
    fixture.tthost.ok(&restore)?;
    ensure!(fixture.postgres.psql("clerks", "TABLE mine").is_err());
    Ok(())
}

#[test]
fn a_dump_has_the_rights_of_the_role_that_restores() -> Result<()> {
    let mut fixture = Fixture::new()?;
    // The role comes in without a password, as on many servers.
    let postgres = &fixture.postgres;
    let access = postgres.socket_directory().join("data/pg_hba.conf");
    std::fs::write(
        &access,
        "local all postgres scram-sha-256\nlocal all all trust\n",
    )?;
    postgres.psql(
        "postgres",
        "SELECT pg_reload_conf(); CREATE ROLE clerk LOGIN; CREATE DATABASE clerks OWNER clerk;",
    )?;
    postgres.psql(
        "clerks",
        "CREATE TABLE old (a integer); ALTER TABLE old OWNER TO clerk",
    )?;
    let mut configuration = fixture.configuration(&["clerks"])?;
    fixture.configure(&configuration)?;
    let newest = |dump: &str| -> Result<String> {
        fixture.restic.backup_stdin("clerks.sql", dump.as_bytes())?;
        let snapshots = fixture.restic.snapshots()?;
        let newest = snapshots.last().context("there is none")?["id"].as_str();
        Ok(newest.context("it has no id")?.to_owned())
    };
    let hostile = "CREATE TABLE stolen (a text);\nRESET ROLE;\nRESET SESSION AUTHORIZATION;\n\
                   DO $$ BEGIN EXECUTE 'COPY stolen FROM PROGRAM ''id'''; END $$;\n";
    let id = newest(hostile)?;
    let restore = [
        "restore", &id, "--source", "postgres", "--yes", "--role", "clerk",
    ];
    fixture
        .tthost
        .fails(&restore, 1, &["clerks.sql", "external program"])?;
    ensure!(databases(&fixture)? == "clerks postgres shop");

    let id = newest("CREATE TABLE mine AS SELECT session_user::text AS who;\n")?;
    let restore = ["restore", &id, "--source", "postgres", "--yes"];
    let who = |fixture: &Fixture| fixture.postgres.psql("clerks", "SELECT who FROM mine");
    fixture
        .tthost
        .ok(&[&restore[..], &["--role", "clerk"]].concat())?;
    ensure!(who(&fixture)?.trim() == "clerk");
    fixture.tthost.ok(&restore)?;
    ensure!(who(&fixture)?.trim() == "postgres");
    configuration.options.push_str("restore-role = \"clerk\"\n");
    fixture.configure(&configuration)?;
    fixture.tthost.ok(&restore)?;
    ensure!(who(&fixture)?.trim() == "clerk");
    // The database belongs to somebody else, and does so afterwards.
    fixture.postgres.psql(
        "postgres",
        "CREATE ROLE owner; ALTER DATABASE clerks OWNER TO owner",
    )?;
    fixture.tthost.ok(&restore)?;
    let owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'clerks'";
    ensure!(fixture.postgres.psql("postgres", owner)?.trim() == "owner");
    // A drill takes that role as well.
    fixture.restic.tag_latest("postgres")?;
    fixture.tthost.ok(&["drill", "--source", "postgres"])?;
    Ok(())
}

#[test]
fn a_restoration_in_place_that_is_given_up_leaves_the_server_nothing_to_do() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.configure(&fixture.configuration(&[DATABASE])?)?;
    let dump = "CREATE TABLE new_one (a integer);\nSELECT pg_sleep(600);\n";
    fixture.restic.backup_stdin("shop.sql", dump.as_bytes())?;
    fixture.restic.tag_latest("postgres")?;
    let restore = [&RESTORE[..], &["--in-place", "--yes"]].concat();
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGKILL, None)] {
        let mut running = fixture.tthost.command(&restore).spawn()?;
        wait_until("the server sleeps", || sleepers_are(&fixture, 1))?;
        kill(Pid::from_raw(running.id().try_into()?), signal)?;
        assert_eq!(running.wait()?.code(), code, "{signal}");
        if code.is_none() {
            // Nobody was there to end it; the next command finds that out, whatever the server has noticed.
            fixture.back_up()?;
        }
        ensure!(sleepers_are(&fixture, 0), "{signal}");
        let there = fixture
            .postgres
            .psql(DATABASE, "SELECT to_regclass('new_one')")?;
        ensure!(there.trim().is_empty(), "{signal}: {there}");
    }
    Ok(())
}

fn sleepers_are(fixture: &Fixture, count: u32) -> bool {
    fixture
        .postgres
        .sleepers()
        .is_ok_and(|found| found == count)
}
