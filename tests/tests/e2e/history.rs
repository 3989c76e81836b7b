//! What a machine remembers of its runs.

use std::fs;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tthost_tests::fixture::{DATABASE, Fixture, RUN};
use tthost_tests::wait::wait_until;

use crate::tree_fixture::TreeFixture;

#[test]
fn runs_are_listed_with_what_they_said() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.back_up()?;
    fixture.tthost.set([("PGHOST", "/nowhere")]);
    fixture.tthost.fails(&RUN, 1, &["/nowhere"])?;
    fixture.tthost.ok(&["run", "--help"])?;
    let tthost = &fixture.tthost;
    let listed = tthost.ok(&["history", "--json"])?.json()?;
    let runs = listed["runs"].as_array().context("it is a list")?;
    let states: Vec<_> = runs.iter().map(|run| &run["state"]).collect();
    assert_eq!(states, ["failed", "ok"]);
    assert_eq!(runs[1]["parts"][0]["source"], "postgres");
    let saved = tthost.ok(&["logs", "1"])?;
    ensure!(
        saved.text()?.contains("of postgres saved in restic-local"),
        "{}",
        saved.describe()
    );
    let failed = tthost.ok(&["logs", "latest"])?;
    ensure!(failed.text()?.contains("/nowhere"), "{}", failed.describe());
    let shown = tthost.fails(&["status"], 1, &["failed", "/nowhere"])?;
    let widest = shown.text()?.lines().take(5).map(str::len).max();
    ensure!(widest <= Some(80), "{}", shown.describe());
    tthost.fails(&["logs", "7"], 1, &["no run 7", "tthost history"])?;
    Ok(())
}

#[test]
fn a_run_that_was_killed_is_known_as_dead() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let mut configuration = fixture.configuration(&[DATABASE])?;
    configuration.dump_with_script("echo begun; exec sleep 60");
    fixture.configure(&configuration)?;
    let tthost = &fixture.tthost;
    let mut run = tthost.command(&["run", "--job", "nightly"]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    wait_until("it runs", || {
        let status = tthost.run(&["status"]);
        status.is_ok_and(|status| status.text().is_ok_and(|text| text.contains("running")))
    })?;
    run.kill()?;
    run.wait()?;
    tthost.fails(&["status"], 1, &["died", "never ended", "tthost unlock"])?;
    tthost.ok(&["history", "--job", "nightly"])?;
    Ok(())
}

#[test]
fn a_history_that_is_damaged_or_out_of_reach_fails_no_backup() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let state = fixture.tthost.home().join("state");
    fs::create_dir(&state)?;
    fs::write(state.join("history.sqlite"), "no database ".repeat(200))?;
    let outcome = fixture.back_up()?;
    ensure!(
        outcome.stderr.contains("is damaged"),
        "{}",
        outcome.describe()
    );
    ensure!(
        fixture.back_up()?.stderr.is_empty(),
        "another history has begun"
    );
    let file = fixture.directory().join("file");
    fs::write(&file, "")?;
    fixture.tthost.set([("TTHOST_STATE_DIR", &file)]);
    let outcome = fixture.back_up()?;
    ensure!(
        outcome.stderr.contains("cannot be used"),
        "{}",
        outcome.describe()
    );
    Ok(())
}

/// Two configurations in which everything has the same names.
fn configure_two(fixture: &TreeFixture) -> Result<[String; 2]> {
    let job = format!(
        "[jobs.files]\nsources = ['{}']\nsinks = ['restic-local']\nschedule = 'daily'\n",
        fixture.source()
    );
    let configure = |name: &str| -> Result<_> {
        let path = fixture.path(name);
        fs::write(&path, &job)?;
        Ok(path.display().to_string())
    };
    Ok([configure("one.toml")?, configure("other.toml")?])
}

#[test]
fn configurations_that_share_a_state_directory_do_not_mix() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    let [one, other] = configure_two(&fixture)?;
    let tthost = &fixture.tthost;
    tthost.ok(&["schedule", "run", "files", "--config", &one])?;

    let last = |config: &str| -> Result<_> {
        let status = tthost.ok(&["schedule", "status", "--json", "--config", config])?;
        Ok(status.json()?["jobs"][0]["last"].clone())
    };
    ensure!(last(&one)?["exit_code"] == 0 && last(&other)?.is_null());
    tthost.ok(&["status", "--config", &one])?;
    tthost.fails(&["status", "--config", &other], 1, &["never", &one])?;
    tthost.fails(&["logs", "--config", &other], 1, &["no run"])?;
    let runs = |config: &str| -> Result<_> {
        let listed = tthost
            .ok(&["history", "--json", "--config", config])?
            .json()?;
        let runs = listed["runs"].as_array().context("it is a list")?.len();
        Ok((runs, listed["other_configurations"].clone()))
    };
    assert_eq!(runs(&one)?, (1, json!([])));
    assert_eq!(runs(&other)?, (0, json!([one])));
    // Another name of the same file.
    let link = fixture.path("link.toml");
    std::os::unix::fs::symlink(&one, &link)?;
    tthost.ok(&["status", "--config", &link.display().to_string()])?;
    Ok(())
}

#[test]
fn the_history_can_be_read_where_nothing_can_be_written() -> Result<()> {
    let mut fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fixture.back_up(&[])?;
    let state = fixture.tthost.home().join("state").display().to_string();
    let read_only = format!(
        r#"unshare --mount --map-root-user sh -c '
        mount --bind {state} {state} && mount -o remount,bind,ro {state} && exec "$@"' sh "$@""#
    );
    for (arguments, words) in [
        (&["history"][..], "restic-local"),
        (&["status"], "ok"),
        (&["logs"], "saved"),
    ] {
        let read = fixture.tthost.in_shell(&read_only, arguments)?.success()?;
        ensure!(read.text()?.contains(words), "{}", read.describe());
    }
    // What a killed run has left there can be read as well.
    fs::create_dir_all(format!("{state}/undo"))?;
    let left = r#"{"note":[0,{"of-plugin":{"owner":"somebody","name":"something"}}]}"#;
    fs::write(format!("{state}/undo/1-0.journal"), format!("{left}\n"))?;
    let listed = fixture.tthost.in_shell(&read_only, &["snapshots"])?;
    let listed = listed.success()?;
    ensure!(listed.stderr.is_empty(), "{}", listed.describe());
    fixture.tthost.set([("TMPDIR", "/nowhere")]);
    fixture
        .tthost
        .in_shell(&read_only, &["history"])?
        .expect_failure(1, &["TMPDIR"])?;
    Ok(())
}
