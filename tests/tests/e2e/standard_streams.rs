//! Standard streams that are closed: nothing is lost in silence, and nothing gets into another file that has their numbers.

use std::fs;

use anyhow::{Result, ensure};

use crate::tree_fixture::TreeFixture;

#[test]
fn a_result_that_goes_nowhere_is_a_failure() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fixture.back_up(&[])?;
    let file = fixture.path("tree/a").display().to_string();
    for command in [
        &["snapshots"][..],
        &["snapshots", "--json"],
        &["status"],
        &["history"],
        &["ls", "latest"],
        &["check"],
        &["config", "schema"],
        &["plugin", "list"],
        &["completions", "bash"],
        &["dump", "latest", &file],
        &["--help"],
        &["--version"],
    ] {
        fixture
            .tthost
            .in_shell(r#"exec "$@" >&-"#, command)?
            .expect_failure(1, &["standard output"])?;
    }
    // A command that has nothing to say needs nobody who listens.
    let quiet = [
        "run",
        "-q",
        "--source",
        &fixture.source(),
        "--sink",
        "restic-local",
    ];
    let outcome = fixture.tthost.in_shell(r#"exec "$@" >&- <&-"#, &quiet)?;
    outcome.success().map(drop)
}

#[test]
fn a_message_that_goes_nowhere_is_a_failure_and_the_work_is_done() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fixture.back_up(&[])?;
    let silent = [r#"exec "$@" 2>&-"#, r#"exec "$@" 2>/dev/full"#];
    for script in silent {
        fixture.tthost.in_shell(script, &["snapshots"])?.success()?;
        let told = ["restore", "nothing", "--to", "/tmp/nowhere"];
        let outcome = fixture.tthost.in_shell(script, &told)?;
        ensure!(outcome.status.code() == Some(1), "{}", outcome.describe());
        let outcome = fixture.tthost.in_shell(script, &["--nonsense"])?;
        ensure!(outcome.status.code() == Some(2), "{}", outcome.describe());
    }
    Ok(())
}

#[test]
fn without_any_stream_nothing_is_written_into_files_that_are_opened_later() -> Result<()> {
    let fixture = TreeFixture::new()?;
    fixture.write("a", "a")?;
    fixture.back_up(&[])?;
    let script = r#"exec "$@" >&- 2>&- <&-"#;
    let source = fixture.source();
    for command in [
        &["run", "-vv", "--source", &source, "--sink", "restic-local"][..],
        &["check", "--read-data", "-vv"],
        &["prune", "--keep-last", "1", "-vv"],
        &["snapshots", "-vv"],
    ] {
        let outcome = fixture.tthost.in_shell(script, command)?;
        ensure!(outcome.status.code() == Some(1), "{}", outcome.describe());
    }
    // The work was done, and the files are what they are otherwise.
    fixture.tthost.ok(&["check", "--read-data"])?;
    let history = fs::read(fixture.tthost.home().join("state/history.sqlite"))?;
    ensure!(history.starts_with(b"SQLite format 3\0"));
    fixture.tthost.ok(&["history"]).map(drop)
}
