//! A small file system, to fill up.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::geteuid;
use tempfile::TempDir;

/// Mounts, says so, and holds the mount until its standard input closes. A line of that makes it read-only.
const HOLDER: &str = r#"mount -t tmpfs -o "size=$1,mode=0700" tmpfs "$2" && echo mounted || exit
while read -r line; do mount -o remount,ro "$2" && echo read-only || exit; done"#;

/// A file system in memory. It lives in the mount namespace of a child process and is
/// reached through `/proc/PID/root`; so it needs root or user namespaces, one of the
/// two, and nothing stays mounted when the test is killed.
#[derive(Debug)]
pub struct Tmpfs {
    holder: Child,
    answers: BufReader<ChildStdout>,
    path: PathBuf,
    _mount_point: TempDir,
}

impl Tmpfs {
    /// Mounts a file system of so many bytes.
    pub fn mount(bytes: u64) -> Result<Self> {
        let mount_point = tempfile::Builder::new().prefix("tthost-tmpfs.").tempdir()?;
        let mut unshare = Command::new("unshare");
        if !geteuid().is_root() {
            unshare.arg("--map-root-user");
        }
        let mut holder = unshare
            .args([
                "--mount",
                "sh",
                "-c",
                HOLDER,
                "tmpfs-holder",
                &bytes.to_string(),
            ])
            .arg(mount_point.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start unshare")?;
        let mut line = String::new();
        let stdout = holder.stdout.take().context("no standard output")?;
        let mut answers = BufReader::new(stdout);
        answers.read_line(&mut line)?;
        if line.trim_end() != "mounted" {
            let mut reason = String::new();
            if let Some(mut stderr) = holder.stderr.take() {
                stderr.read_to_string(&mut reason)?;
            }
            holder.wait()?;
            bail!(
                "cannot mount a tmpfs, which takes root with CAP_SYS_ADMIN or user namespaces: {}",
                reason.trim()
            );
        }
        let inside = mount_point.path().strip_prefix("/")?;
        let path = PathBuf::from(format!("/proc/{}/root", holder.id())).join(inside);
        Ok(Self {
            holder,
            answers,
            path,
            _mount_point: mount_point,
        })
    }

    /// Lets nobody write to it any more.
    pub fn make_read_only(&mut self) -> Result<()> {
        let stdin = self.holder.stdin.as_mut().context("no standard input")?;
        stdin.write_all(b"\n")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(
            line.trim_end() == "read-only",
            "it cannot be made read-only"
        );
        Ok(())
    }

    /// Where it can be reached from here.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        // The file system ends with its holder; there is nobody to tell if it does not.
        let _ = self.holder.wait();
    }
}
