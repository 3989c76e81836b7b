//! The rules of the contract, with a source that keeps or breaks them as it is told.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tthost_tests::fixture::{Fixture, PASSWORD};
use tthost_tests::plugin;
use tthost_tests::restic::Restic;
use tthost_tests::wait::wait_until;

/// A run of the scripted source into both sinks.
const RUN_BOTH: [&str; 7] = [
    "run",
    "--source",
    "scripted",
    "--sink",
    "restic-local",
    "--sink",
    "second",
];

/// What the source's directory is called.
const DIRECTORY: &[u8] = b"\xffd";

/// A fixture whose source acts like this, and which has two sinks.
struct ScriptedFixture {
    fixture: Fixture,
    second: Restic,
}

impl ScriptedFixture {
    fn new(act: &str, rest: &str) -> Result<Self> {
        let component = plugin::component("scripted-source")?;
        let mut fixture = Fixture::new()?;
        let second = Restic::at(fixture.directory().join("second"), PASSWORD)?;
        second.init_other_copy()?;
        let configuration = fixture.configuration(&["shop"])?;
        fixture.configure(&configuration)?;
        let mut text = configuration.to_toml();
        write!(
            text,
            "\n[sources.scripted]\nplugin = {{ path = '{}' }}\nconfig.act = '{act}'\n{rest}\n\
             [sinks.second]\nplugin = \"restic-sink\"\n\
             grants.directories.repository = {{ path = '{}', access = \"read-write\" }}\n\
             grants.secrets.password = {{ file = '{}' }}\n",
            component.display(),
            second.repository().display(),
            configuration.password_file.display(),
        )?;
        fs::write(fixture.tthost.home().join("tthost.toml"), text)?;
        Ok(Self { fixture, second })
    }

    /// Runs, and fails unless that fails with these words and leaves no trace of a snapshot.
    fn expect_failure(&self, words: &[&str]) -> Result<()> {
        self.fixture.tthost.fails(&RUN_BOTH, 1, words)?;
        self.expect_snapshots(0)
    }

    fn expect_snapshots(&self, count: usize) -> Result<()> {
        self.fixture.expect_sound(count)?;
        self.second.check()?;
        ensure!(self.second.snapshots()?.len() == count);
        Ok(())
    }
}

#[test]
fn a_source_is_read_once_for_all_sinks_and_names_are_bytes() -> Result<()> {
    let scripted = ScriptedFixture::new("keep", "")?;
    scripted.fixture.tthost.ok(&RUN_BOTH)?;
    scripted.expect_snapshots(1)?;
    for sink in ["restic-local", "second"] {
        let target = scripted.fixture.directory().join(format!("from-{sink}"));
        let to = target.to_string_lossy();
        scripted
            .fixture
            .tthost
            .ok(&["restore", "latest", "--sink", sink, "--to", &to])?;
        expect_tree(&target)?;
    }
    let target = scripted.fixture.directory().join("from-restic");
    scripted.second.restore("latest", &target)?;
    expect_tree(&target)
}

/// Fails unless the directory holds what the source gave.
fn expect_tree(target: &Path) -> Result<()> {
    let directory = target.join(OsStr::from_bytes(DIRECTORY));
    ensure!(fs::read(directory.join("a"))? == b"small");
    ensure!(fs::read(directory.join("b"))? == vec![b'x'; 5 << 16]);
    Ok(())
}

#[test]
fn contents_that_end_without_a_verdict_are_no_snapshot() -> Result<()> {
    ScriptedFixture::new("unsaid", "")?
        .expect_failure(&["source scripted", "nobody gave a verdict"])
}

#[test]
fn contents_that_end_with_a_bad_verdict_are_no_snapshot() -> Result<()> {
    ScriptedFixture::new("bad-verdict", "")?
        .expect_failure(&["source scripted", "not what they seem"])
}

#[test]
fn a_bad_verdict_on_the_whole_leaves_no_snapshot() -> Result<()> {
    ScriptedFixture::new("bad-end", "")?.expect_failure(&["source scripted", "changed meanwhile"])
}

#[test]
fn entries_out_of_order_are_refused() -> Result<()> {
    ScriptedFixture::new("disorder", "")?.expect_failure(&["source scripted", "order"])
}

#[test]
fn names_that_lead_elsewhere_are_refused() -> Result<()> {
    ScriptedFixture::new("escape", "")?.expect_failure(&["source scripted", "\"..\""])
}

#[test]
fn an_announced_size_is_a_promise() -> Result<()> {
    // Small files and large ones, larger and smaller than announced.
    for act in ["swell", "shrink", "exceed", "stop"] {
        let scripted = ScriptedFixture::new(act, "")?;
        scripted.expect_failure(&["source scripted", "bytes, and", "were announced"])?;
    }
    Ok(())
}

#[test]
fn a_file_that_changed_may_have_another_size_and_makes_the_snapshot_incomplete() -> Result<()> {
    let scripted = ScriptedFixture::new("change", "")?;
    let report = scripted.fixture.tthost.run(&RUN_BOTH)?;
    report.expect_failure(3, &[])?;
    scripted.expect_snapshots(1)?;
    let target = scripted.fixture.directory().join("restored");
    scripted.second.restore("latest", &target)?;
    let directory = target.join(OsStr::from_bytes(DIRECTORY));
    ensure!(fs::read(directory.join("a"))? == b"changed");
    ensure!(fs::read(directory.join("b"))? == vec![b'x'; 5 << 16]);
    Ok(())
}

/// A fixture with a third sink, which tells what becomes of its snapshot, and the arguments of a run into all.
fn with_a_telling_sink(act: &str, rest: &str) -> Result<(ScriptedFixture, Vec<&'static str>)> {
    let rest = format!(
        "{rest}\n[sinks.telling]\nplugin = {{ path = '{}' }}\nconfig.fault = 'none'\n",
        plugin::component("broken-sink")?.display()
    );
    let arguments = [&RUN_BOTH[..], &["--sink", "telling", "-v"]].concat();
    Ok((ScriptedFixture::new(act, &rest)?, arguments))
}

/// Fails unless the sink was told that its snapshot is given up, and then that its store is closed.
fn expect_tidied(stderr: &str) -> Result<()> {
    let given_up = stderr.find("the snapshot is given up");
    let closed = stderr.find("the store is closed");
    ensure!(given_up.is_some() && given_up < closed, "{stderr}");
    Ok(())
}

#[test]
fn a_snapshot_that_is_given_up_can_be_tidied_up() -> Result<()> {
    // The last one ends in the middle of contents.
    for (act, limits) in [
        ("bad-verdict", ""),
        ("bad-end", ""),
        ("stall", "limits.wall-clock = \"3s\""),
    ] {
        let (scripted, arguments) = with_a_telling_sink(act, limits)?;
        expect_tidied(&scripted.fixture.tthost.run(&arguments)?.stderr)?;
    }
    Ok(())
}

#[test]
fn a_snapshot_that_is_interrupted_can_be_tidied_up() -> Result<()> {
    let (scripted, arguments) = with_a_telling_sink("stall", "")?;
    let messages = scripted.fixture.directory().join("messages");
    let mut run = scripted
        .fixture
        .tthost
        .command(&arguments)
        .stderr(fs::File::create(&messages)?)
        .spawn()?;
    let is_begun = || fs::read_to_string(&messages).is_ok_and(|said| said.contains("is begun"));
    wait_until("the snapshot is begun", is_begun)?;
    kill(Pid::from_raw(i32::try_from(run.id())?), Signal::SIGINT)?;
    ensure!(run.wait()?.code() == Some(130));
    expect_tidied(&fs::read_to_string(&messages)?)?;
    scripted.expect_snapshots(0)
}

#[test]
fn an_interrupted_restoration_is_not_kept_by_the_program_that_it_starts_next() -> Result<()> {
    let wait = "grants.commands.wait = { argv = ['sleep', '60'] }";
    let scripted = ScriptedFixture::new("insist", wait)?;
    let tthost = &scripted.fixture.tthost;
    tthost.ok(&RUN_BOTH)?;
    let messages = scripted.fixture.directory().join("messages");
    let mut restore = tthost
        .command(&["restore", "latest", "--source", "scripted", "--yes", "-v"])
        .stderr(fs::File::create(&messages)?)
        .spawn()?;
    let said = |words: &str| fs::read_to_string(&messages).is_ok_and(|said| said.contains(words));
    wait_until("a program runs", || said("program 1 runs"))?;
    kill(Pid::from_raw(i32::try_from(restore.id())?), Signal::SIGINT)?;
    ensure!(restore.wait()?.code() == Some(130));
    let messages = fs::read_to_string(&messages)?;
    let told = ["program 1 was stopped", "program 2 was stopped", "given up"];
    let order: Vec<_> = told.iter().map(|words| messages.find(words)).collect();
    ensure!(
        order.iter().all(Option::is_some) && order.is_sorted(),
        "{messages}"
    );
    Ok(())
}

#[test]
fn in_a_dry_run_a_sink_cannot_write_even_if_it_tries() -> Result<()> {
    let broken = plugin::component("broken-sink")?;
    let store = tempfile::tempdir()?;
    let sink = format!(
        "[sinks.broken]\nplugin = {{ path = '{}' }}\nconfig.fault = 'write'\n\
         grants.directories.repository = {{ path = '{}', access = \"read-write\" }}\n",
        broken.display(),
        store.path().display(),
    );
    let scripted = ScriptedFixture::new("keep", &sink)?;
    let run = ["run", "--source", "scripted", "--sink", "broken"];
    let files = || Ok::<_, anyhow::Error>(fs::read_dir(store.path())?.count());
    let dry_run = [&run[..], &["--dry-run"]].concat();
    let words = ["sink broken", "read-only"];
    scripted.fixture.tthost.fails(&dry_run, 1, &words)?;
    ensure!(files()? == 0);
    // Only the dry run keeps it from writing.
    scripted.fixture.tthost.run(&run)?;
    ensure!(files()? == 1);
    Ok(())
}

#[test]
fn what_a_plugin_needs_and_takes_is_compared_before_it_runs() -> Result<()> {
    for (sink, words) in [
        (
            "grants.secrets.password = { env = 'HOME' }",
            [
                "the writable directory repository",
                "grants.directories.repository",
            ],
        ),
        (
            "config.colour = 'red'\n\
             grants.directories.repository = { path = '/srv', access = \"read-write\" }\n\
             grants.secrets.password = { env = 'HOME' }",
            ["colour", "takes no config"],
        ),
    ] {
        let sink = format!("[sinks.lacking]\nplugin = \"restic-sink\"\n{sink}\n");
        let scripted = ScriptedFixture::new("keep", &sink)?;
        let tthost = &scripted.fixture.tthost;
        let words = [&["sink lacking"][..], &words].concat();
        tthost.fails(&["config", "check"], 1, &words)?;
        tthost.fails(&["snapshots", "--sink", "lacking"], 1, &words)?;
    }
    Ok(())
}

#[test]
fn output_ends_at_its_limit() -> Result<()> {
    ScriptedFixture::new("flood", "limits.output = \"32 MiB\"")?
        .expect_failure(&["source scripted", "limits.output"])
}

#[test]
fn a_source_that_stalls_is_ended_at_its_wall_clock() -> Result<()> {
    ScriptedFixture::new("stall", "limits.wall-clock = \"3s\"")?
        .expect_failure(&["source scripted", "limits.wall-clock"])
}

#[test]
fn without_grants_nothing_of_the_machine_can_be_reached() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("config.listener = '{}'", listener.local_addr()?);
    ScriptedFixture::new("reach", &address)?
        .fixture
        .tthost
        .ok(&RUN_BOTH)?;
    listener.set_nonblocking(true)?;
    ensure!(listener.accept().is_err(), "somebody connected");

    // The same attempts find what was granted.
    let granted = "grants.directories.data = { path = '/etc', access = \"read-only\" }";
    ScriptedFixture::new("reach", granted)?
        .expect_failure(&["source scripted", "reached the path /data"])
}
