//! Jobs that run on time: a daemon, entries in a real crontab, and what a schedule runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tthost_tests::command;
use tthost_tests::fixture::{DATABASE, Fixture};
use tthost_tests::restic::Restic;
use tthost_tests::tthost::Tthost;
use tthost_tests::wait::wait_until;

const PASSWORD: &str = "password";

/// A directory, a repository, and a configuration with the job `files`.
struct JobFixture {
    tthost: Tthost,
    restic: Restic,
    directory: TempDir,
}

impl JobFixture {
    /// The job has these keys besides.
    fn new(keys: &str) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("tthost-fixture.")
            .tempdir()?;
        let restic = Restic::at(directory.path().join("repository"), PASSWORD)?;
        restic.init_copy()?;
        let tree = directory.path().join("tree");
        fs::create_dir(&tree)?;
        fs::write(tree.join("a"), "a")?;
        let mut tthost = Tthost::new()?;
        tthost.set([("RESTIC_REPOSITORY", restic.repository())]);
        tthost.set([("RESTIC_PASSWORD", PASSWORD)]);
        let job = format!(
            "[jobs.files]\nsources = [\"dir:{}\"]\nsinks = [\"restic-local\"]\n{keys}\n",
            tree.display()
        );
        fs::write(tthost.home().join("tthost.toml"), job)?;
        Ok(Self {
            tthost,
            restic,
            directory,
        })
    }
}

/// A daemon, and the file with its messages.
struct Daemon {
    child: Child,
    messages: PathBuf,
}

impl Daemon {
    fn start(tthost: &Tthost) -> Result<Self> {
        let messages = tthost.home().join("messages");
        let mut daemon = tthost.command(&["daemon"]);
        daemon.stderr(File::create(&messages)?);
        daemon.stdout(File::create(tthost.home().join("results"))?);
        Ok(Self {
            child: daemon.spawn()?,
            messages,
        })
    }

    fn says(&self, words: &str) -> usize {
        let messages = fs::read_to_string(&self.messages).unwrap_or_default();
        messages.matches(words).count()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().try_into()?), signal)?)
    }

    fn stop(mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        Ok(self.child.wait()?)
    }
}

#[test]
fn a_daemon_runs_a_job_on_time_reads_its_configuration_anew_and_stops() -> Result<()> {
    let fixture = JobFixture::new("schedule = \"*:*:*\"")?;
    let daemon = Daemon::start(&fixture.tthost)?;
    wait_until("the job has run twice", || {
        daemon.says("the job files is done") >= 2
    })?;
    let starter = fixture
        .tthost
        .ok(&["schedule", "status", "--json"])?
        .json()?;
    ensure!(starter["jobs"][0]["daemon"] == true, "{starter}");
    let second = fixture
        .tthost
        .fails(&["daemon"], 11, &["another daemon starts the job files"]);
    second?;
    fs::write(fixture.tthost.home().join("tthost.toml"), "[jobs.files]\n")?;
    daemon.signal(Signal::SIGHUP)?;
    wait_until("the daemon has seen what is wrong", || {
        daemon.says("job files: it has no sources") >= 1 && daemon.says("stays as it was") == 1
    })?;
    let messages = daemon.messages.clone();
    ensure!(
        daemon.stop()?.success(),
        "{}",
        fs::read_to_string(messages)?
    );
    fixture.restic.check()
}

#[test]
fn a_job_that_runs_keeps_others_out_and_ends_with_the_daemon() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let mut configuration = fixture.configuration(&[DATABASE])?;
    configuration.dump_with_script(r#"pg_dump "$@"; exec sleep 60"#);
    fixture.configure(&configuration)?;
    let file = fixture.tthost.home().join("tthost.toml");
    let scheduled = fs::read_to_string(&file)? + "schedule = \"*:*:*\"\n";
    fs::write(&file, scheduled)?;
    let daemon = Daemon::start(&fixture.tthost)?;
    let locks = fixture.restic.repository().join("locks");
    wait_until("the run has begun", || {
        fs::read_dir(&locks).is_ok_and(|mut locks| locks.next().is_some())
    })?;
    let run = ["schedule", "run", "nightly"];
    fixture
        .tthost
        .fails(&run, 11, &["nightly is running already"])?;
    let messages = daemon.messages.clone();
    ensure!(
        daemon.stop()?.success(),
        "{}",
        fs::read_to_string(&messages)?
    );
    let messages = fs::read_to_string(messages)?;
    ensure!(
        messages.contains("nightly ended with exit code 143"),
        "{messages}"
    );
    ensure!(
        messages.matches("nightly starts").count() == 1,
        "{messages}"
    );
    fixture.expect_sound(0)
}

#[test]
fn what_a_schedule_runs_backs_up_then_prunes_then_checks() -> Result<()> {
    let fixture = JobFixture::new("")?;
    let run = ["schedule", "run", "files", "--json"];
    for _ in 0..3 {
        let report = fixture.tthost.ok(&run)?.json()?;
        ensure!(
            report["backup"]["sources"][0]["complete"] == true,
            "{report:#}"
        );
        ensure!(
            report["prune"]["sinks"][0]["pruned"].is_object(),
            "{report:#}"
        );
        ensure!(report["verify"][0]["sink"] == "restic-local", "{report:#}");
    }
    // Of one day the newest stays, and the oldest of all.
    ensure!(fixture.restic.snapshots()?.len() == 2);
    // Where the backup fails, nothing is pruned.
    fs::remove_dir_all(fixture.directory.path().join("tree"))?;
    let report = fixture
        .tthost
        .run(&run)?
        .expect_failure(1, &["tree"])?
        .json()?;
    ensure!(report["prune"].is_null(), "{report:#}");
    let status = fixture
        .tthost
        .ok(&["schedule", "status", "--json"])?
        .json()?;
    ensure!(
        status["jobs"].as_array().is_some_and(Vec::is_empty),
        "{status:#}"
    );
    Ok(())
}

#[test]
fn a_schedule_in_crontab_comes_and_goes_and_other_lines_stay() -> Result<()> {
    let fixture = JobFixture::new("")?;
    let tthost = &fixture.tthost;
    let install = ["schedule", "install", "--scheduler", "crontab"];
    // What only this shell knows would be missing at night.
    tthost.fails(&install, 1, &["RESTIC_", "--env-file"])?;
    let variables = format!(
        "RESTIC_REPOSITORY={}\nRESTIC_PASSWORD={PASSWORD}\n",
        fixture.restic.repository().display()
    );
    fs::write(tthost.home().join("env"), variables)?;
    let with_file = |arguments: &[&str]| {
        let arguments = [&["--env-file", "env"], arguments].concat();
        Ok::<_, anyhow::Error>(tthost.ok(&arguments)?.text()?.to_owned())
    };
    let before = crontab()?;
    let printed = with_file(&[&install[..], &["--print"]].concat())?;
    ensure!(crontab()? == before, "it was only to be printed");
    with_file(&install)?;
    let installed = crontab();
    let status = with_file(&["schedule", "status"]);
    let removed = with_file(&["auto", "--disable"]);
    let after = crontab()?;
    ensure!(after == before, "{after}");
    ensure!(installed? == before + &printed, "{printed}");
    ensure!(status?.contains("daily 02:00"));
    ensure!(removed?.contains("files"));

    // cron gives such a line to a shell, in which nothing else is set.
    let line = printed.lines().nth(1).context("there is a line")?;
    let line = line
        .splitn(6, ' ')
        .nth(5)
        .context("there are five fields before the command")?;
    run_as_cron(line, Path::new("/"))?;
    ensure!(fixture.restic.snapshots()?.len() == 1);
    Ok(())
}

/// The user's crontab.
fn crontab() -> Result<String> {
    let outcome = command::run(Command::new("crontab").arg("-l"))?;
    if outcome.stderr.contains("no crontab for") {
        return Ok(String::new());
    }
    Ok(outcome.success()?.text()?.to_owned())
}

fn run_as_cron(line: &str, directory: &Path) -> Result<()> {
    let line = line.replace("\\%", "%");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &line]).env_clear().current_dir(directory);
    command::run(&mut shell)?.success()?;
    Ok(())
}
