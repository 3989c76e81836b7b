//! Whether plugins keep the contract: `tthost plugin test`, with our own plugins, and with ones that keep it but for a single fault.

mod bundled;
mod dev;
mod faults;
mod object_faults;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tthost_tests::plugin;
use tthost_tests::tthost::Tthost;

/// The checks of a report, and fails unless there are some.
fn checks(report: &Value) -> Result<&Vec<Value>> {
    let checks = report.get("checks").and_then(Value::as_array);
    let checks = checks.context("the report has no checks")?;
    ensure!(!checks.is_empty(), "no check was run");
    Ok(checks)
}

/// The names of the checks that ended so.
fn names<'a>(report: &'a Value, status: &str) -> Result<Vec<&'a str>> {
    let checks = checks(report)?.iter();
    let checks = checks.filter(|check| check["status"] == status);
    Ok(checks.filter_map(|check| check["name"].as_str()).collect())
}

/// Runs all checks, and fails unless all pass but those that are skipped.
pub(crate) fn expect_passed(tthost: &Tthost, plugin: &[&str], skipped: &[&str]) -> Result<()> {
    let arguments = [&["plugin", "test", "--json"][..], plugin].concat();
    let outcome = tthost.run(&arguments)?;
    let report = outcome.json()?;
    let failed = checks(&report)?.iter();
    let failed = failed.filter(|check| check["status"] == "failed");
    let failed: Vec<_> = failed
        .map(|check| format!("{}: {}", check["name"], check["seen"]))
        .collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    let undo = tthost.home().join("state/undo");
    let left = undo.is_dir().then(|| fs::read_dir(&undo)).transpose()?;
    let left: Vec<_> = left.into_iter().flatten().flatten().collect();
    ensure!(left.is_empty(), "something is to be undone: {left:?}");
    let left_out = names(&report, "skipped")?;
    ensure!(left_out == skipped, "skipped: {left_out:?}");
    ensure!(outcome.status.success());
    Ok(())
}

/// A sink that uses the reference, with this fault.
fn reference_sink(component: &Path, token: &Path, fault: &str) -> String {
    format!(
        "[sinks.reference]\nplugin = {{ path = '{}' }}\nconfig.fault = '{fault}'\n\
         grants.directories.store = {{ path = '/nonexistent/store', access = \"read-write\" }}\n\
         grants.secrets.token = {{ file = '{}' }}\n\
         {}",
        component.display(),
        token.display(),
        limits(fault),
    )
}

/// A source that uses the reference, with this fault.
fn reference_source(component: &Path, token: &Path, fault: &str) -> String {
    format!(
        "[sources.reference]\nplugin = {{ path = '{}' }}\nconfig.fault = '{fault}'\n\
         grants.commands.dump.argv = [\"/bin/sh\", \"-c\", \"seq 100000\"]\n\
         grants.secrets.token = {{ file = '{}' }}\n\
         {}",
        component.display(),
        token.display(),
        limits(fault),
    )
}

/// A sink whose store is the reference, with this fault.
fn reference_store(component: &Path, token: &Path, fault: &str) -> String {
    format!(
        "[sinks.reference]\nplugin = \"restic-sink\"\n\
         grants.secrets.password = {{ file = '{token}' }}\n\
         [sinks.reference.store]\nplugin = {{ path = '{}' }}\nconfig.fault = '{fault}'\n\
         grants.directories.objects = {{ path = '/nonexistent/store', access = \"read-write\" }}\n\
         grants.secrets.token = {{ file = '{token}' }}\n\
         {}",
        component.display(),
        limits(fault),
        token = token.display(),
    )
}

/// Plugins that stall or compute on are given up soon. The others are not, however busy the machine is: that would hide their fault.
fn limits(fault: &str) -> &'static str {
    if fault.ends_with("-stalls") || fault.ends_with("-loops") {
        "limits = { stall-timeout = \"1s\", cpu-slice = \"1s\" }\n"
    } else {
        "limits.stall-timeout = \"2m\"\n"
    }
}

/// A file with a secret that is nowhere else.
fn token(directory: &Path) -> Result<std::path::PathBuf> {
    let path = directory.join("token");
    tthost_tests::files::write_private(&path, "quite-a-secret-token\n")?;
    Ok(path)
}

#[test]
fn a_sink_without_a_fault_passes_every_check() -> Result<()> {
    let component = plugin::component("reference-sink")?;
    let tthost = Tthost::new()?;
    let file = component.to_str().context("it is a text")?;
    expect_passed(&tthost, &[file], &[])
}

#[test]
fn a_store_without_a_fault_passes_every_check() -> Result<()> {
    let component = plugin::component("reference-store")?;
    let tthost = Tthost::new()?;
    let file = component.to_str().context("it is a text")?;
    expect_passed(&tthost, &[file], &[])?;
    // And as a configuration has it, whose directories are not touched.
    let token = token(tthost.home())?;
    let configuration = reference_store(&component, &token, "");
    fs::write(tthost.home().join("tthost.toml"), configuration)?;
    let one = [
        "reference",
        "--store",
        "reference",
        "--check",
        "an-object-comes-back",
    ];
    expect_passed(&tthost, &one, &[])
}

#[test]
fn a_source_without_a_fault_passes_every_check() -> Result<()> {
    let component = plugin::component("reference-source")?;
    let tthost = Tthost::new()?;
    let token = token(tthost.home())?;
    let configuration = reference_source(&component, &token, "");
    fs::write(tthost.home().join("tthost.toml"), configuration)?;
    expect_passed(&tthost, &["reference"], &[])
}

#[test]
fn the_report_names_the_rule_and_goes_to_junit_as_well() -> Result<()> {
    let component = plugin::component("reference-sink")?;
    let tthost = Tthost::new()?;
    let token = token(tthost.home())?;
    let configuration = reference_sink(&component, &token, "forgets-tags");
    fs::write(tthost.home().join("tthost.toml"), configuration)?;
    let check = "snapshot-says-what-its-draft-said";
    let test = ["plugin", "test", "reference", "--junit", "report.xml"];
    let test = [
        &test[..],
        &["--check", check, "--check", "create-makes-a-store"],
    ]
    .concat();
    let outcome = tthost.run(&test)?;
    ensure!(outcome.status.code() == Some(1), "{}", outcome.describe());
    for words in [
        &format!("{check}: FAILED"),
        "rule: wit/sink.wit: sink.draft",
        "seen: tags: ",
        "1 passed, 1 failed, 0 skipped",
    ] {
        ensure!(outcome.text()?.contains(words), "{}", outcome.describe());
    }
    let junit = fs::read_to_string(tthost.home().join("report.xml"))?;
    ensure!(junit.contains("tests=\"2\" failures=\"1\""), "{junit}");
    ensure!(junit.contains(&format!("name=\"{check}\"")), "{junit}");
    tthost.fails(
        &["plugin", "test", "reference", "--check", "no-such-check"],
        2,
        &["no-such-check", "--list"],
    )?;
    Ok(())
}

#[test]
fn a_real_store_is_never_touched() -> Result<()> {
    let tthost = Tthost::new()?;
    let store = tthost.home().join("store");
    fs::create_dir(&store)?;
    fs::write(store.join("precious"), "data")?;
    let component = plugin::component("reference-sink")?;
    let token = token(tthost.home())?;
    let configuration = reference_sink(&component, &token, "");
    let configuration = configuration.replace("/nonexistent/store", &store.to_string_lossy());
    let elsewhere = "[sinks.elsewhere]\nplugin = \"s3-sink\"\n\
                     config = { repository = \"s3:http://127.0.0.1:1/bucket/shop\" }\n\
                     grants.network = [{ origin = \"http://127.0.0.1:1\" }]\n\
                     grants.secrets.password = { file = 'token' }\n";
    let configuration = configuration + elsewhere;
    fs::write(tthost.home().join("tthost.toml"), configuration)?;
    let test = [
        "plugin",
        "test",
        "reference",
        "--check",
        "create-makes-a-store",
    ];
    tthost.ok(&test)?;
    let left: Vec<_> = fs::read_dir(&store)?.collect();
    ensure!(left.len() == 1, "{left:?}");
    let refused = ["plugin", "test", "elsewhere"];
    tthost.fails(&refused, 1, &["real store", "{scratch}"])?;
    Ok(())
}

#[test]
fn the_table_of_checks_in_the_guide_is_that_of_the_program() -> Result<()> {
    let listed = Tthost::new()?.ok(&["plugin", "test", "--list", "--json"])?;
    let report = listed.json()?;
    let rules = report["rules"].as_array().context("it has rules")?;
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugin-author.md");
    let guide = fs::read_to_string(docs)?;
    for rule in rules {
        let text = |key: &str| rule[key].as_str().unwrap_or_default();
        let row = format!(
            "| `{}` | {} | {} |",
            text("name"),
            text("expected").replace('|', "\\|"),
            text("rule")
        );
        ensure!(guide.contains(&row), "the guide lacks this row:\n{row}");
    }
    let rows = guide.lines().filter(|line| line.contains(".wit: ")).count();
    ensure!(
        rows == rules.len(),
        "the guide has {rows} rows, of {}",
        rules.len()
    );
    Ok(())
}
