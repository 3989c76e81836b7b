//! A real registry of the Open Container Initiative on a port of the loopback interface: Debian's `docker-registry`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::command;
use crate::wait::wait_until;

/// The user that a registry with a password knows.
pub const USER: &str = "me";

/// The password of that user.
pub const PASSWORD: &str = "s3cret-of-me";

/// The same as bcrypt has it, with the least work.
const HASH: &str = "$2b$04$3zZiT6MXe0BfdnZ3odPdNODNDxhsEryQY/Rt5oz58GhM5v7UGfLKm";

/// The kind of an image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Runs a server until its standard input closes: that happens when the owner drops it and also when the owner is killed.
const SUPERVISOR: &str = r#"
directory=$1
shift
"$@" </dev/null >log 2>&1 &
server=$!
echo started
cat >/dev/null
kill -KILL "$server"
wait "$server" 2>/dev/null
rm -rf "$directory"
"#;

/// A running registry.
#[derive(Debug)]
pub struct Registry {
    supervisor: Child,
    address: String,
    directory: TempDir,
}

impl Registry {
    /// One that knows everybody.
    pub fn start() -> Result<Self> {
        Self::launch(false)
    }

    /// One that knows [`USER`] alone.
    pub fn with_password() -> Result<Self> {
        Self::launch(true)
    }

    fn launch(has_password: bool) -> Result<Self> {
        command::require(
            "docker-registry",
            "install Debian's package docker-registry",
        )?;
        let directory = tempfile::Builder::new()
            .prefix("tthost-registry.")
            .tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        drop(listener);
        let auth = if has_password {
            let users = path("users");
            fs::write(&users, format!("{USER}:{HASH}\n"))?;
            format!(
                "auth: {{ htpasswd: {{ realm: test, path: '{}' }} }}\n",
                users.display()
            )
        } else {
            String::new()
        };
        let config = format!(
            "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: '{}' }} }}\nhttp: {{ addr: '{address}' }}\n{auth}",
            path("data").display()
        );
        fs::write(path("config.yml"), config)?;
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "registry-supervisor"])
            .arg(directory.path())
            .args(["docker-registry", "serve", "config.yml"])
            .current_dir(directory.path())
            // Ctrl-C in the terminal is the owner's to handle.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a shell for the registry cannot be started")?;
        let stdout = supervisor.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut String::new())?;
        let registry = Self {
            supervisor,
            address,
            directory,
        };
        wait_until("the registry listens", || {
            TcpStream::connect(&registry.address).is_ok()
        })?;
        Ok(registry)
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A repository in it, with a tag or a digest, as operators name it.
    pub fn reference(&self, name: &str) -> String {
        format!("oci://{}/{name}", self.address)
    }

    /// The manifest that a tag names.
    pub fn manifest(&self, repository: &str, tag: &str) -> Result<Value> {
        let url = self.url(&format!("{repository}/manifests/{tag}"));
        let mut answer = ureq::get(url).header("accept", MANIFEST).call()?;
        Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
    }

    /// Puts a manifest of a kind there.
    pub fn put_manifest(&self, repository: &str, tag: &str, manifest: &Value) -> Result<()> {
        let kind = manifest["mediaType"].as_str().context("it has a kind")?;
        let url = self.url(&format!("{repository}/manifests/{tag}"));
        let put = ureq::put(url).header("content-type", kind);
        put.send(manifest.to_string())?;
        Ok(())
    }

    /// Where it keeps the bytes of a digest.
    pub fn blob(&self, digest: &str) -> Result<PathBuf> {
        let hex = digest.strip_prefix("sha256:").context("it is a SHA-256")?;
        let blobs = "data/docker/registry/v2/blobs/sha256";
        let path = self.directory.path().join(blobs);
        let path = path.join(&hex[..2]).join(hex).join("data");
        ensure!(path.is_file(), "{} is not there", path.display());
        Ok(path)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/v2/{path}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        // There is nobody to tell if it does not end.
        let _ = self.supervisor.wait();
    }
}
