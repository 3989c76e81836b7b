//! rclone, which serves a directory in several protocols.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::rustic::tools_directory;
use crate::wait::wait_until;

/// Where `cargo xtask` unpacks Debian's package of rclone.
pub fn home() -> Result<PathBuf> {
    Ok(tools_directory()?.join("rclone"))
}

/// The program.
pub fn program() -> Result<PathBuf> {
    let program = home()?.join("usr/bin/rclone");
    ensure!(
        program.is_file(),
        "{} is not there: `cargo xtask test` installs it",
        program.display()
    );
    Ok(program)
}

/// Runs a program until its own standard input closes: that happens when the owner drops it and also when the owner is
/// killed.
const SUPERVISOR: &str = r#"
"$@" </dev/null &
served=$!
cat >/dev/null
kill -KILL "$served"
"#;

/// A server.
#[derive(Debug)]
pub struct Serving {
    supervisor: Child,
    url: String,
    directory: TempDir,
}

impl Serving {
    /// Serves what is below `served` in a protocol of `rclone serve`, with more of its options.
    pub fn start(protocol: &str, served: &Path, options: &[&str]) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("tthost-rclone.")
            .tempdir()?;
        let log = directory.path().join("log");
        let supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "rclone-supervisor"])
            .arg(program()?)
            .args(["serve", protocol, "--addr", "127.0.0.1:0", "--config", ""])
            // Others write to the directory too. Of restic's protocol, nothing is kept; with 0, rclone does nothing else.
            .args((protocol != "restic").then_some("--dir-cache-time=100ms"))
            .args(options)
            .arg(served)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut serving = Self {
            supervisor,
            url: String::new(),
            directory,
        };
        let mut url = None;
        wait_until("rclone serves", || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            url = address(&said).map(str::to_owned);
            url.is_some()
        })
        .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        serving.url = url.unwrap_or_default();
        Ok(serving)
    }

    /// Where it is, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A directory that lasts as long as the server.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        // It ends with its input.
        let _ = self.supervisor.wait();
    }
}

/// The address in what rclone says when it has started: a URL in brackets, or HOST:PORT.
fn address(said: &str) -> Option<&str> {
    let rest = match said.split_once("server listening on ") {
        Some((_, rest)) => rest,
        None => said.split_once(" on [")?.1,
    };
    let (address, _) = rest.split_once([']', '\n'])?;
    Some(address.trim_end_matches('/'))
}
