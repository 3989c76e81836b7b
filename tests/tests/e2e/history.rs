//! What a machine remembers of its runs.

use std::fs;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::fixture::{DATABASE, Fixture, RUN};
use tthost_tests::wait::wait_until;

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
