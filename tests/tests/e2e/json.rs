//! What every command prints with `--json`, against the schemas in the documentation.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tthost_tests::files::write_private;
use tthost_tests::offsite::{OffsiteFixture, PASSWORD};
use tthost_tests::tthost::Tthost;

/// Sinks besides `local`: one whose repository is made later, and an optional one without any.
const SINKS: &str = "
[sinks.other]
plugin = \"restic-sink\"
grants.directories.repository = { path = \"other\", access = \"read-write\" }
grants.secrets.password.file = \"password\"

[sinks.lost]
plugin = \"restic-sink\"
required = false
grants.directories.repository = { path = \"lost\", access = \"read-write\" }
grants.secrets.password.file = \"password\"
";

/// A tree, the sink `local` with a repository, and [`SINKS`].
fn fixture() -> Result<OffsiteFixture> {
    let mut fixture = OffsiteFixture::new(&[])?;
    fixture.init_local()?;
    let home = fixture.tthost.home();
    let file = home.join("tthost.toml");
    fs::write(&file, fs::read_to_string(&file)? + SINKS)?;
    write_private(&home.join("password"), PASSWORD)?;
    for name in ["other", "lost"] {
        fs::create_dir(home.join(name))?;
    }
    fixture.tthost.set([("RESTIC_PASSWORD", PASSWORD)]);
    Ok(fixture)
}

/// Runs a command, and answers its document, which is what its schema and its exit code say.
pub(crate) fn document(tthost: &Tthost, schema: &str, arguments: &[&str]) -> Result<Value> {
    let outcome = tthost.run(&[arguments, &["--json"]].concat())?;
    let document = outcome.json()?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/schemas/{schema}.json"));
    let schema: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    let faults: Vec<_> = jsonschema::draft202012::new(&schema)?
        .iter_errors(&document)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    ensure!(faults.is_empty(), "{faults:#?} in {document:#}");
    ensure!(
        document["exit_code"].as_i64() == outcome.status.code().map(i64::from),
        "{}",
        outcome.describe()
    );
    let verdict = match outcome.status.code() {
        Some(0) => "ok",
        Some(3) => "incomplete",
        _ => "failed",
    };
    ensure!(document["verdict"] == verdict, "{document:#}");
    Ok(document)
}

#[test]
fn each_command_prints_the_document_of_its_schema() -> Result<()> {
    let fixture = fixture()?;
    let source = format!("dir:{}", fixture.tree().display());
    let repository = fixture.aside("new").display().to_string();
    let target = fixture.aside("restored").display().to_string();
    let run = ["run", "--source", &source, "--sink", "local"];
    for (schema, arguments) in [
        ("init", &["init", "--sink", "other"][..]),
        (
            "init",
            &["init", "--config", "new.toml", "--repository", &repository],
        ),
        ("run", &run),
        ("run", &run),
        ("run", &[&run[..], &["--dry-run"]].concat()),
        ("snapshots", &["list", "--sink", "local"]),
        ("ls", &["ls", "latest", "--sink", "local", "--recursive"]),
        (
            "restore",
            &["restore", "latest", "--sink", "local", "--to", &target],
        ),
        ("restore", &["restore", "--sink", "local"]),
        ("copy", &["copy", "--from", "local", "--to", "other"]),
        ("check", &["verify", "--sink", "local", "--read-data"]),
        ("check", &["check", "--sink", "local"]),
        (
            "snapshots",
            &["list", "--sink", "local", "--group-by", "tags"],
        ),
        ("forget", &["forget", "--sink", "local", "--keep-last", "5"]),
        ("prune", &["prune", "--sink", "local", "--keep-last", "1"]),
        ("unlock", &["unlock", "--sink", "local"]),
        ("probe", &["probe", "local"]),
        ("plugin-list", &["plugin", "list"]),
        ("plugin-inspect", &["plugin", "inspect", "local"]),
        (
            "plugin-test",
            &["plugin", "test", "local", "--check", "identity-stays"],
        ),
        ("plugin-test", &["plugin", "test", "--list"]),
        ("config-show", &["config", "show"]),
    ] {
        let document = document(&fixture.tthost, schema, arguments)?;
        ensure!(document["verdict"] == "ok", "{document:#}");
        ensure!(document["command"] == schema.replace('-', " "));
        ensure!(document["version"] == 1 && document["error"].is_null());
    }
    // Of the sinks, one has no repository.
    let checked = document(&fixture.tthost, "config-check", &["config", "check"])?;
    ensure!(
        checked["errors"][0]["subject"] == "sink lost",
        "{checked:#}"
    );
    ensure!(
        checked["exit_code"] == 10 && checked["verdict"] == "failed",
        "{checked:#}"
    );
    Ok(())
}

#[test]
fn snapshots_have_the_names_and_times_that_scripts_for_restic_expect() -> Result<()> {
    let fixture = fixture()?;
    let id = fixture.back_up("local")?["snapshot_id"].clone();
    let listed = document(
        &fixture.tthost,
        "snapshots",
        &["snapshots", "--sink", "local"],
    )?;
    let snapshot = &listed["snapshots"][0];
    ensure!(snapshot["id"] == id, "{id} {listed:#}");
    ensure!(snapshot["short_id"].as_str() == id.as_str().and_then(|id| id.get(..8)));
    // As jq's `fromdate` takes it.
    let time = snapshot["time"].as_str().context("it has a time")?;
    ensure!(time.len() == 20 && time.ends_with('Z'), "{time}");
    ensure!(snapshot["summary"]["total_files_processed"] == 2);
    Ok(())
}

#[test]
fn a_document_says_what_failed_and_whether_anything_is_complete() -> Result<()> {
    let fixture = fixture()?;
    let source = format!("dir:{}", fixture.tree().display());
    let run = ["run", "--source", &source, "--sink", "lost"];
    let failed = document(&fixture.tthost, "run", &run)?;
    let capture = &failed["sources"][0];
    ensure!(capture["complete"] == false, "{failed:#}");
    ensure!(capture["sinks"][0]["error"]["code"] == "no-repository");
    ensure!(failed["exit_code"] == 10, "{failed:#}");

    let partial = document(
        &fixture.tthost,
        "run",
        &[&run[..], &["--sink", "local"]].concat(),
    )?;
    ensure!(partial["verdict"] == "incomplete", "{partial:#}");
    ensure!(partial["sources"][0]["complete"] == true, "{partial:#}");

    let unknown = ["snapshots", "--sink", "tape"];
    let error = document(&fixture.tthost, "snapshots", &unknown)?;
    ensure!(error["error"]["code"] == "config", "{error:#}");
    ensure!(error["command"] == "snapshots", "{error:#}");

    let misspelt = document(&fixture.tthost, "snapshots", &["snapshot"])?;
    ensure!(misspelt["error"]["code"] == "usage", "{misspelt:#}");
    ensure!(misspelt["error"]["exit_code"] == 2, "{misspelt:#}");
    ensure!(misspelt["command"] == json!(null), "{misspelt:#}");
    Ok(())
}

#[test]
fn a_file_on_standard_output_has_no_document_beside_it() -> Result<()> {
    let fixture = fixture()?;
    fixture.back_up("local")?;
    let restore = [
        "restore", "latest", "--sink", "local", "--stdout", "--json", "--path",
    ];
    let path = fixture.tree().join("readme").display().to_string();
    let restored = fixture.tthost.ok(&[&restore[..], &[&path]].concat())?;
    ensure!(restored.stdout == fs::read(fixture.tree().join("readme"))?);
    let missing =
        fixture
            .tthost
            .fails(&[&restore[..], &["/nowhere"]].concat(), 1, &["/nowhere"])?;
    ensure!(missing.stdout.is_empty(), "{}", missing.describe());
    Ok(())
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure_and_a_closed_pipe_is_none() -> Result<()> {
    let tthost = Tthost::new()?;
    for arguments in [&["plugin", "list", "--json"][..], &["completions", "bash"]] {
        let full = File::options().write(true).open("/dev/full")?;
        let mut lost = tthost.command(arguments);
        let lost = lost.stdout(full).stderr(Stdio::piped()).spawn()?;
        let lost = lost.wait_with_output()?;
        let said = String::from_utf8(lost.stderr)?;
        ensure!(lost.status.code() == Some(1), "{said}");
        ensure!(said.contains("No space left on device"), "{said}");

        let mut closed = tthost.command(arguments);
        let mut closed = closed.stdout(Stdio::piped()).spawn()?;
        drop(closed.stdout.take());
        ensure!(closed.wait()?.success());
    }
    Ok(())
}
