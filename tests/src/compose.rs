//! A small site under `docker compose`: `PostgreSQL` in a container, and a volume of uploads.
//!
//! Nothing is pulled. The container has this machine's own programs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::unistd::{User, geteuid};
use serde_json::{Value, json};

use crate::command::{self, Outcome};
use crate::docker::{Docker, IMAGE};
use crate::postgres::bin_directory;
use crate::rustic::tools_directory;
use crate::wait::wait_until;

/// Where `cargo xtask` unpacks Debian's package of compose.
pub fn plugin_home() -> Result<PathBuf> {
    Ok(tools_directory()?.join("docker-compose"))
}

/// Where the containers find this machine's programs.
const PROGRAMS: [&str; 2] = ["--volume=/usr:/usr:ro", "--tmpfs=/tmp:mode=1777"];

/// Does what the images of `PostgreSQL` do: makes a cluster and a database as the variables say, and serves it.
/// A password is asked for everywhere.
const SERVE: &str = r#"
set -e
printf %s "$POSTGRES_PASSWORD" >/tmp/password
initdb -D /tmp/data -U "$POSTGRES_USER" -A scram-sha-256 --pwfile=/tmp/password \
    --encoding=UTF8 --locale=C --no-sync --no-instructions
exec postgres -D /tmp/data -c fsync=off -c unix_socket_directories=/tmp
"#;

/// A project that runs.
#[derive(Debug)]
pub struct Compose {
    /// The engine that runs it.
    pub docker: Docker,
    /// Docker's own configuration, which has its plugin compose.
    pub client_configuration: PathBuf,
    project: String,
    user: String,
    password: String,
}

impl Compose {
    /// Starts the service `postgres` with a database that is called like its user, and makes the volume `PROJECT_uploads`.
    /// The project's file is in `directory`. It takes the password from a variable of this name in a
    /// file, and cannot be used without.
    pub fn start(
        project: &str,
        directory: &Path,
        (user, password): (&str, &str),
        (variable, variables): (&str, &Path),
    ) -> Result<Self> {
        let compose = Self {
            docker: Docker::start()?,
            client_configuration: directory.join("docker"),
            project: project.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
        };
        let plugin = plugin_home()?.join("usr/libexec/docker/cli-plugins/docker-compose");
        command::require(&plugin.to_string_lossy(), "`cargo xtask test` installs it")?;
        let plugins = compose.client_configuration.join("cli-plugins");
        fs::create_dir_all(&plugins)?;
        symlink(plugin, plugins.join("docker-compose"))?;
        let file = directory.join("compose.yaml");
        // JSON is YAML.
        fs::write(&file, project_file(project, user, variable)?.to_string())?;
        let mut up = compose
            .docker
            .command(&["compose", "--project-name", project]);
        up.env("DOCKER_CONFIG", &compose.client_configuration);
        up.arg("--env-file").arg(variables);
        up.arg("--file").arg(file).args(["up", "--detach"]);
        command::run(&mut up)?.success()?;
        let is_ready = || {
            let ready = [
                "exec",
                &compose.container(),
                "pg_isready",
                "--quiet",
                "--host=localhost",
            ];
            compose.docker.run(&ready).is_ok()
        };
        wait_until("PostgreSQL is ready", is_ready)?;
        compose.client(&["createdb", user])?;
        Ok(compose)
    }

    /// The container of the database.
    pub fn container(&self) -> String {
        format!("{}-postgres-1", self.project)
    }

    /// Where the files of the volume are.
    pub fn uploads(&self) -> Result<PathBuf> {
        self.docker.mountpoint(&format!("{}_uploads", self.project))
    }

    /// Runs SQL in the database, and answers what it selects.
    pub fn psql(&self, sql: &str) -> Result<String> {
        let psql = [
            "psql",
            "-XqAt",
            "--set=ON_ERROR_STOP=1",
            "--command",
            sql,
            &self.user,
        ];
        Ok(self.client(&psql)?.text()?.trim().to_owned())
    }

    /// Runs a client of `PostgreSQL` in the container, with the password.
    pub fn client(&self, arguments: &[&str]) -> Result<Outcome> {
        let user = format!("PGUSER={}", self.user);
        let mut exec = self.docker.command(&["exec", "--env", "PGPASSWORD"]);
        exec.args([
            "--env",
            "PGHOST=localhost",
            "--env",
            &user,
            &self.container(),
        ])
        .args(arguments)
        .env("PGPASSWORD", &self.password);
        command::run(&mut exec)?.success()
    }

    /// Stores the volume as `/data` in a repository, as a container of `restic/restic` does it.
    pub fn backup_uploads_with_restic(&self, repository: &Path, password: &str) -> Result<()> {
        let volumes = [
            format!("--volume={}_uploads:/data:ro", self.project),
            format!("--volume={}:/repo", repository.display()),
        ];
        let mut run = self.docker.command(&["run", "--rm", "--network=none"]);
        run.args(PROGRAMS)
            .args(volumes)
            .args([
                "--env",
                "RESTIC_PASSWORD",
                IMAGE,
                "restic",
                "--no-cache",
                "--repo",
                "/repo",
            ])
            .args(["backup", "--tag", "uploads", "/data"])
            .env("RESTIC_PASSWORD", password);
        command::run(&mut run)?.success().map(drop)
    }
}

/// The services and volumes.
fn project_file(project: &str, user: &str, variable: &str) -> Result<Value> {
    let path = format!("{}:/usr/bin:/bin", bin_directory()?.display());
    let mut volumes = vec!["/etc/passwd:/etc/passwd:ro", "uploads:/srv/uploads"];
    volumes.extend(
        PROGRAMS
            .iter()
            .filter_map(|option| option.strip_prefix("--volume=")),
    );
    Ok(json!({
        "name": project,
        "services": {
            "postgres": {
                "image": IMAGE,
                "command": ["sh", "-c", SERVE.replace('$', "$$")],
                "network_mode": "none",
                "user": user_of_postgres()?,
                "environment": {
                    "PATH": path,
                    "POSTGRES_USER": user,
                    "POSTGRES_PASSWORD": format!("${{{variable}:?}}"),
                },
                "volumes": volumes,
                "tmpfs": ["/tmp:mode=1777"],
            },
        },
        "volumes": { "uploads": {} },
    }))
}

/// `PostgreSQL` refuses to run as root.
fn user_of_postgres() -> Result<String> {
    let user = match geteuid() {
        root if root.is_root() => {
            User::from_name("postgres")?.context("there is no user postgres")?
        }
        own => User::from_uid(own)?.context("we are nobody")?,
    };
    Ok(format!("{}:{}", user.uid, user.gid))
}

/// Command lines of processes that hold this text.
pub fn command_lines_with(text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(text))
        .collect()
}
