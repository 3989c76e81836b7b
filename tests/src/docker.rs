//! A Docker engine of the tests' own: no network, nothing pulled, its data in a temporary
//! directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::command::{self, Outcome};
use crate::ports::Port;
use crate::wait::wait_until;

/// The client that comes with Debian's engine, whatever else is called so.
const CLIENT: &str = "/usr/bin/docker";

/// The image of its containers: a static busybox and nothing else.
pub const IMAGE: &str = "busybox";

/// A running engine. Needs root.
#[derive(Debug)]
pub struct Docker {
    daemon: Child,
    port: Port,
    directory: TempDir,
}

impl Docker {
    /// Starts an engine and imports an image.
    pub fn start() -> Result<Self> {
        let remedy = "install Debian's docker.io and busybox-static";
        command::require("dockerd", remedy)?;
        command::require("busybox", remedy)?;
        let directory = tempfile::Builder::new()
            .prefix("tthost-docker.")
            .tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let log = fs::File::create(path("log"))?;
        let port = Port::free()?;
        let daemon = Command::new("dockerd")
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .args(["--tls=false", "--host", &address_over_network(&port)])
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .arg("--host")
            .arg(format!("unix://{}", path("socket").display()))
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .spawn()
            .context("dockerd cannot be started")?;
        let docker = Self {
            daemon,
            port,
            directory,
        };
        let answers = || {
            docker
                .command(&["version"])
                .output()
                .is_ok_and(|output| output.status.success())
        };
        wait_until("dockerd answers", answers).with_context(|| {
            fs::read_to_string(docker.directory.path().join("log")).unwrap_or_default()
        })?;
        docker.import()?;
        Ok(docker)
    }

    /// The address of the engine, for `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.directory.path().join("socket").display())
    }

    /// Its address over the network, where it passes for another machine's.
    pub fn address_over_network(&self) -> String {
        address_over_network(&self.port)
    }

    /// Runs Docker's own client and fails unless it succeeds.
    pub fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        command::run(&mut self.command(arguments))?.success()
    }

    /// Makes a volume, with a label if it is not empty, and answers where its files are.
    pub fn volume(&self, name: &str, label: &str) -> Result<PathBuf> {
        let mut arguments = vec!["volume", "create"];
        if !label.is_empty() {
            arguments.extend(["--label", label]);
        }
        arguments.push(name);
        self.run(&arguments)?;
        self.mountpoint(name)
    }

    /// Where the files of a volume are.
    pub fn mountpoint(&self, volume: &str) -> Result<PathBuf> {
        let inspect = ["volume", "inspect", "--format", "{{.Mountpoint}}", volume];
        Ok(self.run(&inspect)?.text()?.trim().into())
    }

    /// Starts a container that has a volume at `/data` and runs a shell command.
    pub fn container(&self, name: &str, volume: &str, script: &str) -> Result<()> {
        let mount = format!("{volume}:/data");
        let run = [
            "run",
            "--detach",
            "--network",
            "none",
            "--name",
            name,
            "--volume",
            &mount,
        ];
        let program = [IMAGE, "/bin/sh", "-c", script];
        self.run(&[&run[..], &program].concat()).map(drop)
    }

    /// What the engine says a container does: `running`, `paused`, `exited`.
    pub fn status(&self, container: &str) -> Result<String> {
        let inspect = ["inspect", "--format", "{{.State.Status}}", container];
        Ok(self.run(&inspect)?.text()?.trim().into())
    }

    /// Docker's own client with these arguments, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut docker = Command::new(CLIENT);
        docker
            .args(["--host", &self.address()])
            .args(arguments)
            .stdin(Stdio::null());
        docker
    }

    fn import(&self) -> Result<()> {
        let root = self.directory.path().join("image");
        fs::create_dir_all(root.join("bin"))?;
        let busybox =
            command::run(Command::new("sh").args(["-c", "command -v busybox"]))?.success()?;
        fs::copy(Path::new(busybox.text()?.trim()), root.join("bin/busybox"))?;
        for name in ["sh", "sleep", "date"] {
            symlink("busybox", root.join("bin").join(name))?;
        }
        // For containers that get this machine's own programs, which look there for what they are linked with.
        for name in ["lib", "lib64"] {
            symlink(Path::new("usr").join(name), root.join(name))?;
        }
        let archive = self.directory.path().join("image.tar");
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".");
        command::run(&mut tar)?.success()?;
        let archive = archive.to_str().context("a path that is not UTF-8")?;
        self.run(&["import", archive, IMAGE]).map(drop)
    }
}

fn address_over_network(port: &Port) -> String {
    format!("tcp://127.0.0.1:{}", port.number())
}

impl Drop for Docker {
    fn drop(&mut self) {
        // Containers outlive their daemon otherwise. What cannot be stopped, nobody can be told.
        let stop = "\"$1\" --host \"$2\" ps -aq | xargs -r \"$1\" --host \"$2\" rm -f";
        let _ = Command::new("sh")
            .args(["-c", stop, "stop", CLIENT, &self.address()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if let Ok(pid) = i32::try_from(self.daemon.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.daemon.wait();
    }
}
