//! What goes wrong ends with the right exit code and message, and leaves no snapshot
//! and a sound repository.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tthost_tests::command;
use tthost_tests::files::read_tree;
use tthost_tests::fixture::{DATABASE, Fixture, PASSWORD, RUN};
use tthost_tests::tmpfs::Tmpfs;
use tthost_tests::tthost::Tthost;
use tthost_tests::wait::wait_until;

/// A fixture in which a shell script stands in for `pg_dump`.
fn fixture_with_dump(script: &str) -> Result<Fixture> {
    let mut fixture = Fixture::new()?;
    let mut configuration = fixture.configuration(&[DATABASE])?;
    configuration.dump_with_script(script);
    fixture.configure(&configuration)?;
    Ok(fixture)
}

#[test]
fn a_dump_that_is_killed_half_way_leaves_no_snapshot() -> Result<()> {
    let fixture = fixture_with_dump(r#"pg_dump "$@" | head -c 400000; kill -KILL $$"#)?;
    fixture
        .tthost
        .fails(&RUN, 1, &["postgres", "pg_dump", "signal"])?;
    fixture.expect_sound(0)
}

#[test]
fn a_dump_that_fails_after_its_last_byte_leaves_no_snapshot() -> Result<()> {
    let fixture = fixture_with_dump(r#"pg_dump "$@"; echo "the disk is on fire" >&2; exit 1"#)?;
    fixture
        .tthost
        .fails(&RUN, 1, &["postgres", "pg_dump", "the disk is on fire"])?;
    fixture.expect_sound(0)
}

#[test]
fn a_dump_that_fails_before_its_first_byte_leaves_no_snapshot() -> Result<()> {
    let fixture = fixture_with_dump("echo 'no license' >&2; exit 7")?;
    fixture.tthost.fails(&RUN, 1, &["pg_dump", "no license"])?;
    fixture.expect_sound(0)
}

#[test]
fn a_dump_that_is_not_whole_leaves_no_snapshot_whatever_its_program_says() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let mut configuration = fixture.configuration(&[DATABASE])?;
    let options = configuration.options.clone();
    for (format, script, said) in [
        ("plain", "true", "is empty"),
        ("plain", "echo no license", "begin with"),
        ("plain", r#"pg_dump "$@" | head -c 400000"#, "complete"),
        ("plain", r#"pg_dump "$@" | sed 's/$/\r/'"#, "-T"),
        (
            "plain",
            r#"pg_dump "$@"; echo 'the disk is on fire'"#,
            "complete",
        ),
        // The first one was cut, and the end is that of the second one.
        (
            "plain",
            r#"pg_dump "$@" | head -n 100; pg_dump "$@""#,
            "holds a second one from its line 101",
        ),
        ("custom", "true", "is empty"),
        ("custom", r#"pg_dump "$@" | head -c 9"#, "header"),
        (
            "custom",
            r#"pg_dump "$@" | head -c 400000"#,
            "is cut in its data",
        ),
        ("custom", r#"pg_dump "$@" | sed 's/$/\r/'"#, "damaged"),
        ("tar", "true", "is empty"),
        ("tar", "echo no license", "is empty, or cut"),
        (
            "tar",
            r#"pg_dump "$@" | head -c 400000"#,
            "is cut in its data",
        ),
        ("tar", r#"pg_dump "$@" | head -c -1024"#, "zeros at its end"),
        ("tar", r#"pg_dump "$@" | sed 's/$/\r/'"#, "damaged"),
    ] {
        configuration.options = format!("{options}format = \"{format}\"\n");
        configuration.dump_with_script(script);
        fixture.configure(&configuration)?;
        let failed = fixture
            .tthost
            .fails(&RUN, 1, &["postgres", "pg_dump", said]);
        failed.with_context(|| format!("{format}: {script}"))?;
    }
    fixture.expect_sound(0)?;

    configuration.options.push_str("unchecked = true\n");
    configuration.dump_with_script("echo the dump of another program");
    fixture.configure(&configuration)?;
    fixture.back_up()?;
    fixture.expect_sound(1)
}

#[test]
fn one_failing_database_of_several_leaves_no_snapshot() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.configure(&fixture.configuration(&[DATABASE, "no_such_database"])?)?;
    fixture.tthost.fails(&RUN, 1, &["no_such_database"])?;
    fixture.expect_sound(0)
}

#[test]
fn a_server_that_is_not_there_is_the_sources_failure() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.tthost.set([("PGHOST", "/nowhere")]);
    fixture.tthost.fails(&RUN, 1, &["postgres", "/nowhere"])?;
    fixture.expect_sound(0)
}

#[test]
fn a_full_disk_leaves_no_snapshot_and_what_was_there_before_stays_sound() -> Result<()> {
    let tmpfs = Tmpfs::mount(1_200_000)?;
    let mut fixture = Fixture::without_repository()?;
    fixture.use_repository(&tmpfs.path().join("repository"))?;
    fixture.restic.init()?;
    fixture.restic.backup_stdin("small.sql", b"SELECT 1;")?;
    // Pictures do not compress, so these do not fit.
    fixture.postgres.psql(
        DATABASE,
        "INSERT INTO shop.photos SELECT id, (SELECT string_agg(sha512(int8send(id * 10000 + i)), '')
             FROM generate_series(1, 1000) AS i) FROM shop.products WHERE id > 30 ON CONFLICT DO NOTHING",
    )?;
    fixture
        .tthost
        .fails(&RUN, 1, &["restic-local", "no space"])?;
    // A lock file might not fit either.
    command::run(
        &mut fixture
            .restic
            .command(&["--no-lock", "check", "--read-data"]),
    )?
    .success()?;
    assert_eq!(fixture.restic.snapshots()?.len(), 1);
    assert_eq!(fixture.restic.dump("latest", "/small.sql")?, b"SELECT 1;");
    expect_no_lock(&fixture)
}

#[test]
fn a_wrong_password_is_exit_code_12() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.tthost.set([("RESTIC_PASSWORD", "opensesame")]);
    for arguments in [&RUN[..], &["snapshots"], &["check"]] {
        let outcome = fixture
            .tthost
            .fails(arguments, 12, &["restic-local", "password"])?;
        ensure!(
            !outcome.describe().contains("opensesame"),
            "the password is in {}",
            outcome.describe()
        );
    }
    fixture.expect_sound(0)
}

#[test]
fn a_missing_repository_is_exit_code_10() -> Result<()> {
    let fixture = Fixture::without_repository()?;
    for arguments in [&RUN[..], &["snapshots"], &["check"]] {
        fixture.tthost.fails(
            arguments,
            10,
            &["restic-local", "repository", "tthost init"],
        )?;
    }
    ensure!(!fixture.restic.repository().join("config").exists());
    Ok(())
}

#[test]
fn a_locked_repository_is_exit_code_11() -> Result<()> {
    let fixture = Fixture::new()?;
    let mut noise = vec![0; 300_000];
    fs::File::open("/dev/urandom")?.read_exact(&mut noise)?;
    fixture.restic.backup_stdin("noise", &noise)?;
    // At one KiB a second this check holds its exclusive lock for as long as we like.
    let mut check = fixture
        .restic
        .command(&["check", "--read-data", "--limit-download", "1"])
        .stdout(Stdio::null())
        .spawn()?;
    let locks = fixture.restic.repository().join("locks");
    wait_until("restic holds a lock", || {
        fs::read_dir(&locks).is_ok_and(|mut locks| locks.next().is_some())
    })?;
    let outcome =
        fixture
            .tthost
            .fails(&RUN, 11, &["restic-local", "lock", &check.id().to_string()]);
    check.kill()?;
    check.wait()?;
    command::run(&mut fixture.restic.command(&["unlock"]))?.success()?;
    outcome?;
    fixture.expect_sound(1)
}

#[test]
fn a_backup_under_way_locks_out_restics_check() -> Result<()> {
    let (fixture, mut run) = fixture_in_the_middle_of_a_dump()?;
    let check = command::run(&mut fixture.restic.command(&["check"]))?;
    ensure!(
        !check.status.success() && check.stderr.contains("locked"),
        "{}",
        check.describe()
    );
    fs::write(fixture.tthost.home().join("go-on"), "")?;
    ensure!(run.wait()?.success());
    fixture.expect_sound(1)
}

#[test]
fn a_signal_ends_the_children_commits_nothing_and_is_told_by_the_exit_code() -> Result<()> {
    for (signal, code) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
        (Signal::SIGQUIT, 131),
    ] {
        let (fixture, mut run) = fixture_in_the_middle_of_a_dump()?;
        kill(Pid::from_raw(i32::try_from(run.id())?), signal)?;
        assert_eq!(run.wait()?.code(), Some(code), "{signal}");
        wait_until("the dump is gone", || children(&fixture).is_empty())?;
        fixture.expect_sound(0)?;
    }
    Ok(())
}

#[test]
fn a_program_that_prints_a_secret_keeps_nobody_from_interrupting_and_is_gone_after_that()
-> Result<()> {
    let mut tthost = Tthost::new()?;
    let started = tthost.home().join("started");
    let script = format!(
        "trap \"\" TERM; sleep 60 & echo $! > {}; wait",
        started.display()
    );
    tthost.set([("RESTIC_REPOSITORY", tthost.home().join("repository"))]);
    tthost.set([("RESTIC_PASSWORD_COMMAND", format!("sh -c '{script}'"))]);
    for arguments in [&["snapshots"][..], &["config", "check"]] {
        let mut child = tthost
            .command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let text = || fs::read_to_string(&started).unwrap_or_default();
        wait_until("it is asked for a secret", || text().ends_with('\n'))?;
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
        assert_eq!(child.wait()?.code(), Some(143), "{arguments:?}");
        let sleeping = Pid::from_raw(text().trim().parse()?);
        wait_until("what it started is gone", || kill(sleeping, None).is_err())?;
        fs::remove_file(&started)?;
    }
    Ok(())
}

#[test]
fn an_interrupted_check_gives_up_its_lock() -> Result<()> {
    let fixture = Fixture::new()?;
    let mut noise = vec![0; 100 << 20];
    fs::File::open("/dev/urandom")?.read_exact(&mut noise)?;
    fixture.restic.backup_stdin("noise", &noise)?;
    let locks = fixture.restic.repository().join("locks");
    let is_locked = || fs::read_dir(&locks).is_ok_and(|mut locks| locks.next().is_some());
    let mut check = fixture
        .tthost
        .command(&["check", "--read-data"])
        .stdout(Stdio::null())
        .spawn()?;
    wait_until("the check holds a lock", is_locked)?;
    kill(Pid::from_raw(i32::try_from(check.id())?), Signal::SIGINT)?;
    assert_eq!(check.wait()?.code(), Some(130));
    ensure!(!is_locked(), "its lock is still there");
    Ok(())
}

#[test]
fn a_killed_run_leaves_no_snapshot_no_child_and_a_repository_that_goes_on() -> Result<()> {
    let (fixture, mut run) = fixture_in_the_middle_of_a_dump()?;
    let locks = fixture.restic.repository().join("locks");
    let is_locked = || fs::read_dir(&locks).is_ok_and(|mut locks| locks.next().is_some());
    // Its process runs, whoever asks.
    let mut stranger = Tthost::new()?;
    stranger.set([("RESTIC_REPOSITORY", fixture.restic.repository())]);
    stranger.set([("RESTIC_PASSWORD", PASSWORD)]);
    stranger.ok(&["unlock"])?;
    ensure!(is_locked(), "somebody is at work");
    run.kill()?;
    run.wait()?;
    wait_until("the dump is gone", || children(&fixture).is_empty())?;
    assert_eq!(fixture.restic.snapshots()?.len(), 0);
    ensure!(is_locked(), "nobody has undone it yet");
    // This machine's next command does.
    fixture.tthost.ok(&["snapshots"])?;
    ensure!(!is_locked(), "its lock is still there");
    fs::write(fixture.tthost.home().join("go-on"), "")?;
    fixture.back_up()?;
    fixture.expect_sound(1)
}

#[test]
fn damaged_contents_are_found_by_a_check_and_never_restored() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    let data = fixture.restic.repository().join("data");
    // The largest pack holds contents; listings are small.
    let packs = read_tree(&data)?.into_iter();
    let (pack, mut contents) = packs
        .max_by_key(|(_, contents)| contents.len())
        .context("no pack")?;
    contents[50] ^= 1;
    fs::remove_file(data.join(&pack))?;
    fs::write(data.join(&pack), contents)?;
    fixture.tthost.ok(&["check"])?;
    fixture
        .tthost
        .fails(&["check", "--read-data"], 1, &["pack"])?;
    let words = ["restic-local", "the blob", "is damaged"];
    fixture
        .tthost
        .fails(&["restore", "latest", "--stdout"], 1, &words)?;
    let target = fixture.directory().join("restored");
    let to = target.to_string_lossy();
    let restore = ["restore", "latest", "--to", &to];
    let words = [&words[..], &["/database.sql", "left out"]].concat();
    fixture.tthost.fails(&restore, 3, &words)?;
    ensure!(read_tree(&target)?.is_empty(), "a part of the file is left");
    // What is removed because it cannot be read is lost.
    let strict = [&restore[..], &["--delete", "--yes"]].concat();
    fixture
        .tthost
        .fails(&strict, 1, &["/database.sql", "is damaged"])?;
    Ok(())
}

#[test]
fn a_missing_pack_is_found_by_a_check_of_the_structure() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    fs::remove_dir_all(fixture.restic.repository().join("data"))?;
    fixture.tthost.fails(&["check"], 1, &["pack"])?;
    Ok(())
}

/// A backup that has stored the whole dump and waits for the script to end, which it
/// does when `go-on` appears in the program's home.
fn fixture_in_the_middle_of_a_dump() -> Result<(Fixture, Child)> {
    let mut fixture = Fixture::new()?;
    let home = fixture.tthost.home().display().to_string();
    let mut configuration = fixture.configuration(&[DATABASE])?;
    configuration.environment.push(("TEST_HOME", home));
    configuration
        .dump_with_script(r#"pg_dump "$@"; while test -d "$TEST_HOME" && ! test -e "$TEST_HOME/go-on"; do sleep 0.2; done"#);
    fixture.configure(&configuration)?;
    let run = fixture
        .tthost
        .command(&RUN)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    wait_until("the dump sleeps", || {
        children(&fixture).iter().any(|program| program == "sleep")
    })?;
    Ok((fixture, run))
}

/// The names of all processes that the fixture's configuration made run, by the variable
/// that only it sets.
fn children(fixture: &Fixture) -> Vec<String> {
    let marker = format!("TEST_HOME={}\0", fixture.tthost.home().display());
    let processes = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    processes
        .filter(|process| {
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            environment
                .windows(marker.len())
                .any(|window| window == marker.as_bytes())
        })
        .map(|process| {
            fs::read_to_string(process.join("comm"))
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
        .collect()
}

fn expect_no_lock(fixture: &Fixture) -> Result<()> {
    let locks = read_tree(&fixture.restic.repository().join("locks"))?;
    ensure!(locks.is_empty(), "locks are left: {:?}", locks.keys());
    Ok(())
}
