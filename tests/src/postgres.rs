//! A private Postgres server, on a Unix socket only, that goes away with its owner.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::command::{self, Outcome};
use crate::wait::wait_until;

/// The superuser of the private server.
pub const USER: &str = "postgres";

/// Its password. It keeps nobody out; it makes sure that clients do pass one.
pub const PASSWORD: &str = "shop-keeper-1";

const INSTALL: &str = "run `apt-get install postgresql` (any version from 13 on will do)";

/// Makes a cluster, or copies that of a template, starts it, says where it is, and waits until its
/// standard input closes: that happens when the owner drops it and also when the owner is killed.
/// Nothing is synced to disk, nothing listens on TCP. Its thousand files are in memory where that has room: to make and to remove
/// them is a tenth of what all tests take otherwise.
const SUPERVISOR: &str = r#"
set -eu
trap '' INT TERM HUP
bin=$1 password=$2 template=$3
root=$(mktemp -d /tmp/tthost-pg.XXXXXX)
store=$root
room=$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)
[ "${room:-0}" -lt 4000000 ] || store=$(mktemp -d /dev/shm/tthost-pg.XXXXXX)
trap 'rm -rf "$root" "$store"' EXIT
cd "$root"
export HOME="$root"
[ "$store" = "$root" ] || ln -s "$store/data" data
if [ -n "$template" ]; then
    cp -a "$template/data/." "$store/data"
else
    printf '%s\n' "$password" >pwfile
    "$bin/initdb" -D "$store/data" -U postgres -A scram-sha-256 --pwfile=pwfile \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions >initdb.log 2>&1 || {
        cat initdb.log >&2
        exit 1
    }
    cat >>data/postgresql.conf <<CONFIG
listen_addresses = ''
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 8GB
checkpoint_timeout = 1h
shared_buffers = 128MB
maintenance_work_mem = 128MB
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
timezone = 'UTC'
CONFIG
fi
"$bin/pg_ctl" -D data -l server.log -o "-k '$root'" -w -s start || {
    cat server.log >&2
    exit 1
}
echo "$root"
cat >/dev/null
[ ! -e data/postmaster.pid ] || "$bin/pg_ctl" -D data -m immediate -s stop
"#;

/// A running server with a superuser [`USER`] whose password is [`PASSWORD`].
#[derive(Debug)]
pub struct Postgres {
    supervisor: Child,
    socket_directory: PathBuf,
    bin: PathBuf,
}

impl Postgres {
    /// Starts an empty cluster in a temporary directory, as the user `postgres` when we are root
    /// (Postgres refuses root) and as ourselves otherwise.
    pub fn start() -> Result<Self> {
        static EMPTY: Template = Template::new();
        Self::start_copy(EMPTY.get(|| Self::start_from(None))?)
    }

    /// Starts a cluster that has the databases of a template.
    pub fn start_copy(template: &Self) -> Result<Self> {
        Self::start_from(Some(&template.socket_directory))
    }

    fn start_from(template: Option<&Path>) -> Result<Self> {
        let bin = bin_directory()?;
        let mut command = if geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
            command.arg("sh");
            command
        } else {
            Command::new("sh")
        };
        let mut supervisor = command
            .args(["-c", SUPERVISOR, "postgres-supervisor"])
            .arg(&bin)
            .arg(PASSWORD)
            .arg(template.unwrap_or(Path::new("")))
            .current_dir("/")
            .env("LC_ALL", "C.UTF-8")
            // Ctrl-C in the terminal is the owner's to handle.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start a shell for PostgreSQL")?;
        let mut line = String::new();
        let stdout = supervisor.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            let mut reason = String::new();
            if let Some(mut stderr) = supervisor.stderr.take() {
                stderr.read_to_string(&mut reason)?;
            }
            supervisor.wait()?;
            bail!("PostgreSQL does not start: {}", reason.trim());
        }
        Ok(Self {
            supervisor,
            socket_directory: PathBuf::from(line.trim_end()),
            bin,
        })
    }

    /// The directory of its socket, which is what `PGHOST` takes.
    pub fn socket_directory(&self) -> &Path {
        &self.socket_directory
    }

    /// What libpq's programs need to reach a database here.
    pub fn environment(&self, database: &str) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", self.socket_directory.display().to_string()),
            ("PGPORT", "5432".to_owned()),
            ("PGUSER", USER.to_owned()),
            ("PGPASSWORD", PASSWORD.to_owned()),
            ("PGDATABASE", database.to_owned()),
        ]
    }

    /// One of Postgres's own programs, set up to reach a database here.
    pub fn client(&self, program: &str, database: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.envs(self.environment(database));
        command
    }

    /// Runs SQL, stopping at the first error, and returns what it selects: rows as
    /// lines, columns separated by `|`.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        self.psql_with(database, sql, &[])
    }

    /// The same, with values for psql's variables.
    pub fn psql_with(
        &self,
        database: &str,
        sql: &str,
        variables: &[(&str, String)],
    ) -> Result<String> {
        let mut psql = self.client("psql", database);
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"]);
        for (name, value) in variables {
            psql.args(["-v", &format!("{name}={value}")]);
        }
        let outcome = command::run_with_input(&mut psql, sql.as_bytes())?.success()?;
        Ok(outcome.text()?.to_owned())
    }

    /// How many connections are at a `pg_sleep`.
    pub fn sleepers(&self) -> Result<u32> {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'";
        Ok(self.psql("postgres", count)?.trim().parse()?)
    }

    /// Shuts the server down and leaves its files.
    fn stop(&self) -> Result<()> {
        let pid_file = self.socket_directory.join("data/postmaster.pid");
        let text = fs::read_to_string(&pid_file)?;
        let pid = text.lines().next().context("no process is named")?;
        // Postgres's "fast shutdown".
        kill(Pid::from_raw(pid.parse()?), Signal::SIGINT)?;
        wait_until("PostgreSQL has stopped", || !pid_file.exists())
    }

    /// Makes an empty database.
    pub fn create_database(&self, database: &str) -> Result<()> {
        command::run(
            self.client("createdb", "postgres")
                .args(["-T", "template0", "--", database]),
        )
        .and_then(Outcome::success)
        .map(drop)
    }
}

/// A cluster that is made once a process and stopped: to copy it takes a fraction of the time.
#[derive(Debug)]
pub struct Template(OnceLock<Result<Postgres, String>>);

impl Template {
    /// One that is not made yet.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The stopped cluster, which the first call makes like this.
    pub fn get(&self, make: impl FnOnce() -> Result<Postgres>) -> Result<&Postgres> {
        let stopped = self.0.get_or_init(|| {
            let result = make().and_then(|postgres| {
                postgres.stop()?;
                Ok(postgres)
            });
            result.map_err(|error| format!("{error:#}"))
        });
        stopped.as_ref().map_err(|reason| anyhow!("{reason}"))
    }
}

impl Default for Template {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        // There is nobody to tell; what is left over is in /tmp.
        let _ = self.supervisor.wait();
    }
}

/// Where the newest installed server's programs are.
pub fn bin_directory() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").is_file().then_some((version, bin))
        })
        .max()
        .map(|(_, bin)| bin)
        .with_context(|| format!("no PostgreSQL server in /usr/lib/postgresql: {INSTALL}"))
}
