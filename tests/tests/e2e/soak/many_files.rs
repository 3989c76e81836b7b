//! As many files as a machine may have: how long it takes, and how much memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tthost_tests::restic::Restic;
use tthost_tests::soak::Soak;
use tthost_tests::tthost::Tthost;

/// How `cargo xtask soak` calls it.
const PART: &str = "files";

const PASSWORD: &str = "password";

/// Files of each directory.
const PER_DIRECTORY: usize = 1000;

/// How often it is looked how much memory the program has.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[test]
fn some_thousand_files_go_there_and_back() -> Result<()> {
    carry(5, 400 << 20)
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn a_million_files_go_there_and_back() -> Result<()> {
    carry(1000, 1 << 30)
}

/// Carries so many thousand files into a repository and back. The program may hold so many bytes of memory.
fn carry(thousands: usize, most: u64) -> Result<()> {
    let soak = Soak::new(PART)?;
    let directory = tempfile::Builder::new().prefix("tthost-files.").tempdir()?;
    let tree = directory.path().join("tree");
    write_all(&tree, thousands)?;
    let restic = Restic::at(directory.path().join("repository"), PASSWORD)?;
    restic.init_copy()?;
    let mut tthost = Tthost::new()?;
    tthost.set([("RESTIC_REPOSITORY", restic.repository())]);
    tthost.set([("RESTIC_PASSWORD", PASSWORD)]);
    let source = format!("dir:{}", tree.display());
    let target = directory.path().join("restored");
    let to = target.display().to_string();
    let run = ["run", "--source", &source, "--sink", "restic-local"];
    let restore = ["restore", "latest", "--sink", "restic-local", "--to", &to];
    for (what, arguments) in [
        ("backup", &run[..]),
        ("unchanged", &run),
        ("check", &["check"]),
        ("restore", &restore),
    ] {
        let (time, memory) = measure(&tthost, arguments).with_context(|| what.to_owned())?;
        soak.say(&format!(
            "{thousands},000 files, {what}: {:.1} s, {} MiB",
            time.as_secs_f64(),
            memory >> 20
        ));
        ensure!(memory < most, "{what} held {} MiB of memory", memory >> 20);
    }
    restic.check()?;
    expect_all(&target.join(tree.strip_prefix("/")?), thousands)
}

/// The paths of all files, in the tree.
fn paths(thousands: usize) -> impl Iterator<Item = PathBuf> {
    (0..thousands).flat_map(|directory| {
        let directory = PathBuf::from(format!("{}/{directory}", directory % 32));
        (0..PER_DIRECTORY).map(move |file| directory.join(file.to_string()))
    })
}

/// What is in the file of this path.
fn contents(path: &Path) -> String {
    format!("what belongs to {}\n", path.display())
}

fn write_all(tree: &Path, thousands: usize) -> Result<()> {
    for path in paths(thousands) {
        let file = tree.join(&path);
        if path.file_name().is_some_and(|name| name == "0") {
            fs::create_dir_all(file.parent().context("it is in a directory")?)?;
        }
        fs::write(file, contents(&path))?;
    }
    Ok(())
}

/// Fails unless all files are there with their contents.
fn expect_all(tree: &Path, thousands: usize) -> Result<()> {
    for path in paths(thousands) {
        let file = tree.join(&path);
        let found = fs::read(&file).with_context(|| format!("{} is lost", file.display()))?;
        ensure!(
            found == contents(&path).as_bytes(),
            "{} is another file",
            file.display()
        );
    }
    Ok(())
}

/// Runs the program, and answers how long that took and the most bytes of memory that it held.
fn measure(tthost: &Tthost, arguments: &[&str]) -> Result<(Duration, u64)> {
    let start = Instant::now();
    let mut child = tthost
        .command(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let mut most = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        most = most.max(peak(child.id()).unwrap_or_default());
        sleep(POLL_INTERVAL);
    };
    ensure!(status.success(), "it ended with {status}");
    Ok((start.elapsed(), most))
}

/// The most bytes of memory that a process has held so far; none when it is gone.
fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}
