//! What a plugin does wrong is that plugin's failure, and nobody else's.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tthost_tests::fixture::{DATABASE, Fixture, RUN};
use tthost_tests::plugin;

/// A run into the real sink and into the broken one.
const RUN_BOTH: [&str; 7] = [
    "run",
    "--source",
    "postgres",
    "--sink",
    "restic-local",
    "--sink",
    "broken",
];

/// A fixture whose second sink has this fault, and these limits.
fn fixture_with_fault(fault: &str, limits: &str) -> Result<Fixture> {
    let component = plugin::component("broken-sink")?;
    let mut fixture = Fixture::new()?;
    let configuration = fixture.configuration(&[DATABASE])?;
    fixture.configure(&configuration)?;
    let mut text = configuration.to_toml();
    write!(
        text,
        "\n[sinks.broken]\nplugin = {{ path = '{}' }}\nrequired = false\nconfig = {{ fault = '{fault}' }}\nlimits = {{ {limits} }}\n",
        component.display(),
    )?;
    fs::write(fixture.tthost.home().join("tthost.toml"), text)?;
    Ok(fixture)
}

#[test]
fn a_sink_that_traps_fails_alone() -> Result<()> {
    let fixture = fixture_with_fault("trap", "")?;
    fixture.tthost.fails(
        &RUN_BOTH,
        3,
        &["broken failed", "trap", "broken as configured"],
    )?;
    fixture.expect_sound(1)
}

#[test]
fn a_sink_that_loops_for_ever_is_ended_at_its_slice() -> Result<()> {
    let fixture = fixture_with_fault("loop", "cpu-slice = \"2s\"")?;
    fixture
        .tthost
        .fails(&RUN_BOTH, 3, &["broken failed", "cpu-slice"])?;
    fixture.expect_sound(1)
}

#[test]
fn a_sink_that_never_answers_is_ended_at_its_wall_clock() -> Result<()> {
    let fixture = fixture_with_fault("stall", "wall-clock = \"5s\"")?;
    fixture
        .tthost
        .fails(&RUN_BOTH, 3, &["broken failed", "limits.wall-clock"])?;
    fixture.expect_sound(1)
}

#[test]
fn a_sink_that_makes_no_progress_is_given_up_after_its_stall_timeout() -> Result<()> {
    let fixture = fixture_with_fault("stall", "stall-timeout = \"2s\"")?;
    let words = [
        "restic-local backup succeeded, broken failed",
        "no progress for 2s",
        "limits.stall-timeout",
    ];
    fixture.tthost.fails(&RUN_BOTH, 3, &words)?;
    fixture.expect_sound(1)
}

#[test]
fn a_sink_that_does_not_even_open_is_given_up_after_its_stall_timeout() -> Result<()> {
    let fixture = fixture_with_fault("stall-on-opening", "stall-timeout = \"2s\"")?;
    let words = [
        "restic-local backup succeeded, broken failed",
        "no progress",
    ];
    fixture.tthost.fails(&RUN_BOTH, 3, &words)?;
    fixture
        .tthost
        .fails(&["probe", "broken"], 1, &["no progress"])?;
    fixture.expect_sound(1)
}

#[test]
fn a_sink_that_takes_a_byte_now_and_then_keeps_the_run_waiting_for_its_stall_timeout_in_all()
-> Result<()> {
    let fixture = fixture_with_fault("trickle", "stall-timeout = \"2s\"")?;
    let started = Instant::now();
    let words = [
        "restic-local backup succeeded, broken failed",
        "it kept the run waiting for 2s in all",
        "limits.stall-timeout",
    ];
    fixture.tthost.fails(&RUN_BOTH, 3, &words)?;
    // It is left behind, catches up in vain, and has its time to tidy up.
    ensure!(started.elapsed() < Duration::from_secs(40));
    fixture.expect_sound(1)
}

#[test]
fn a_sink_that_waits_for_its_source_is_not_given_up() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let mut configuration = fixture.configuration(&[DATABASE])?;
    configuration.dump_with_script(r#"pg_dump "$@"; sleep 12"#);
    fixture.configure(&configuration)?;
    let text = configuration.to_toml().replace(
        "plugin = \"restic-sink\"",
        "plugin = \"restic-sink\"\nlimits.stall-timeout = \"5s\"",
    );
    fs::write(fixture.tthost.home().join("tthost.toml"), text)?;
    fixture.back_up()?;
    fixture.expect_sound(1)
}

#[test]
fn a_required_sink_that_fails_fails_the_run_and_the_other_has_its_snapshot() -> Result<()> {
    let fixture = fixture_with_fault("refuse", "")?;
    let file = fixture.tthost.home().join("tthost.toml");
    let text = fs::read_to_string(&file)?.replace("required = false", "required = true");
    fs::write(&file, text)?;
    fixture
        .tthost
        .fails(&RUN_BOTH, 1, &["sink broken", "nothing is stored here"])?;
    fixture.expect_sound(1)
}

#[test]
fn a_sink_that_hoards_memory_is_ended_at_its_limit() -> Result<()> {
    let fixture = fixture_with_fault("hoard", "memory = \"64 MiB\"")?;
    fixture
        .tthost
        .fails(&RUN_BOTH, 3, &["broken failed", "limit of 64 MiB"])?;
    fixture.expect_sound(1)
}

#[test]
fn a_sink_that_refuses_is_quoted() -> Result<()> {
    let fixture = fixture_with_fault("refuse", "")?;
    fixture
        .tthost
        .fails(&RUN_BOTH, 3, &["broken failed", "nothing is stored here"])?;
    fixture.expect_sound(1)
}

#[test]
fn a_run_whose_only_sink_traps_has_failed() -> Result<()> {
    let fixture = fixture_with_fault("trap", "")?;
    let alone = ["run", "--source", "postgres", "--sink", "broken"];
    fixture
        .tthost
        .fails(&alone, 1, &["sink broken", "broken as configured"])?;
    fixture.expect_sound(0)
}

#[test]
fn a_component_with_other_bytes_than_its_pin_is_not_run() -> Result<()> {
    let fixture = fixture_with_fault("refuse", "")?;
    let file = fixture.tthost.home().join("tthost.toml");
    let pin = "ab".repeat(32);
    let text = fs::read_to_string(&file)?.replace(
        "broken_sink.wasm' }",
        &format!("broken_sink.wasm', sha256 = \"{pin}\" }}"),
    );
    fs::write(&file, text)?;
    fixture
        .tthost
        .fails(&RUN_BOTH, 3, &["broken failed", "pinned", "sha256"])?;
    fixture.expect_sound(1)
}

#[test]
fn a_sink_in_the_place_of_a_source_is_not_run() -> Result<()> {
    let fixture = fixture_with_fault("refuse", "")?;
    let file = fixture.tthost.home().join("tthost.toml");
    let text = fs::read_to_string(&file)?;
    let component = plugin::component("broken-sink")?;
    let wrong = text.replace(
        "plugin = \"postgres-source\"",
        &format!("plugin = {{ path = '{}' }}", component.display()),
    );
    fs::write(&file, wrong)?;
    fixture
        .tthost
        .fails(&RUN_BOTH, 1, &["source postgres", "tthost:backup/source"])?;
    fixture.expect_sound(0)
}

#[test]
fn a_plugin_that_imports_what_it_was_not_granted_is_denied_it() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let configuration = fixture.configuration(&[DATABASE])?;
    fixture.configure(&configuration)?;
    let text = configuration.to_toml();
    let (before, grant) = text
        .split_once("[sinks.restic-local.grants.secrets.password]")
        .context("the sink is granted its password")?;
    let (_, after) = grant.split_once("\n\n").context("a job follows")?;
    fs::write(
        fixture.tthost.home().join("tthost.toml"),
        format!("{before}{after}"),
    )?;
    fixture
        .tthost
        .fails(&RUN, 1, &["sink restic-local", "grants.secrets"])?;
    fixture.expect_sound(0)
}

/// A fixture that has backed up what this script wrote in the place of `pg_dump`.
fn fixture_with_script(script: &str) -> Result<Fixture> {
    let mut fixture = Fixture::new()?;
    let mut configuration = fixture.configuration(&[DATABASE])?;
    configuration.dump_with_script(script);
    configuration.options.push_str("unchecked = true\n");
    fixture.configure(&configuration)?;
    fixture.tthost.set([("SECRET_OF_THE_HOST", "visible")]);
    fixture.back_up()?;
    Ok(fixture)
}

#[test]
fn a_granted_program_sees_the_granted_environment_alone() -> Result<()> {
    let fixture = fixture_with_script("exec env")?;
    let seen = fixture.tthost.ok(&["restore", "latest", "--stdout"])?;
    let seen: BTreeSet<_> = seen
        .text()?
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        .collect();
    // The shell adds the last ones itself.
    let granted = fixture.postgres.environment("postgres");
    let granted = granted.iter().map(|(name, _)| *name);
    let expected = granted.chain(["PATH", "PWD", "OLDPWD", "SHLVL", "_"]);
    let expected: BTreeSet<_> = expected.map(str::to_owned).collect();
    ensure!(seen.contains("PGHOST"), "it does not see what was granted");
    ensure!(seen.is_subset(&expected), "it sees {seen:?}");
    Ok(())
}

#[test]
fn a_granted_program_cannot_write_files() -> Result<()> {
    let elsewhere = tempfile::tempdir()?;
    let file = elsewhere.path().join("written");
    let script = format!(
        "echo text > '{0}' || echo refused; echo text > /dev/null && echo to a device",
        file.display()
    );
    let fixture = fixture_with_script(&script)?;
    let said = fixture.tthost.ok(&["restore", "latest", "--stdout"])?;
    ensure!(said.text()? == "refused\nto a device\n");
    ensure!(!file.exists(), "{} was written", file.display());
    Ok(())
}

#[test]
fn inspecting_a_plugin_shows_what_it_needs() -> Result<()> {
    let fixture = Fixture::without_repository()?;
    let component = plugin::component("broken-sink")?;
    let path = component.to_string_lossy();
    let broken = fixture.tthost.ok(&["plugin", "inspect", &path])?;
    let broken = broken.text()?;
    ensure!(broken.contains("broken-sink 0.1.0") && broken.contains("Misbehaves"));
    ensure!(!broken.contains("tthost:backup/secrets"), "{broken}");
    let bundled = fixture.tthost.ok(&["plugin", "inspect", "restic-sink"])?;
    ensure!(bundled.text()?.contains("tthost:backup/secrets"));
    Ok(())
}
