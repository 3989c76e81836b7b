//! The life of a shell script around `pg_dump` and restic, which tthost takes over: its variables, its repository, its words.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tthost_tests::command;
use tthost_tests::compose::{Compose, command_lines_with};
use tthost_tests::fixture::PASSWORD;
use tthost_tests::restic::Restic;
use tthost_tests::seaweed::{Class, Seaweed};
use tthost_tests::tthost::Tthost;

const DATABASE_PASSWORD: &str = "tiles & more # 1";

/// What the script runs `pg_dump` with.
const DUMP: [&str; 4] = ["pg_dump", "--clean", "--if-exists", "timetiles"];

/// A server that runs the script.
struct Server {
    compose: Compose,
    tthost: Tthost,
    restic: Restic,
    directory: TempDir,
}

impl Server {
    fn new() -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("tthost-script.")
            .tempdir()?;
        let path = directory.path();
        let variables = path.join("compose.env");
        fs::write(
            &variables,
            format!("POSTGRES_PASS=\"{DATABASE_PASSWORD}\"\n"),
        )?;
        let role = ("timetiles", DATABASE_PASSWORD);
        let compose = Compose::start("timetiles", path, role, ("POSTGRES_PASS", &variables))?;
        let restic = Restic::at(path.join("backups/restic-repo"), PASSWORD)?;
        restic.init_copy()?;
        let mut tthost = Tthost::new()?;
        tthost.set([("DOCKER_HOST", compose.docker.address())]);
        tthost.set([("DOCKER_CONFIG", &compose.client_configuration)]);
        Ok(Self {
            compose,
            tthost,
            restic,
            directory,
        })
    }

    /// The file of variables, as people write them.
    fn write_variables(&self, offsite: &str) -> Result<String> {
        let path = self.directory.path().join(".env.production");
        let text = format!(
            "# Deployment\n\
             SITE_NAME=Time Tiles & more\n\
             this line means nothing\n\
             export DOMAIN=${{DOMAIN:-example.org}}\n\
             POSTGRES_USER=timetiles\n\
             POSTGRES_PASS=\"{DATABASE_PASSWORD}\"\n\
             POSTGRES_DBNAME=$POSTGRES_USER\n\
             RESTIC_PASSWORD='{PASSWORD}'\n\
             RESTIC_REPOSITORY=${{BACKUPS:-{}}}/restic-repo # as always\n\
             BACKUP_KEEP_DAILY=3\n\
             {offsite}",
            self.directory.path().join("backups").display()
        );
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    fn back_up_database_by_script(&self) -> Result<()> {
        let dump = self.compose.client(&DUMP)?.stdout;
        let stdin = ["--stdin", "--stdin-filename", "database.sql"];
        let mut backup = self.restic.command(&["backup", "--tag", "db"]);
        command::run_with_input(backup.args(stdin), &dump)?
            .success()
            .map(drop)
    }

    fn back_up_uploads_by_script(&self) -> Result<()> {
        let repository = self.restic.repository();
        self.compose
            .backup_uploads_with_restic(repository, PASSWORD)
    }

    fn snapshots(&self) -> Result<Vec<Value>> {
        let list = self.tthost.ok(&["snapshots", "--json"])?.json()?;
        let snapshots = list["snapshots"].as_array();
        Ok(snapshots.context("there is no list")?.clone())
    }
}

/// Sets what the database and the volume hold.
fn set(compose: &Compose, state: &str) -> Result<()> {
    let sql = format!(
        "create table if not exists ev (state text primary key); truncate ev; insert into ev values ('{state}')"
    );
    compose.psql(&sql)?;
    Ok(fs::write(compose.uploads()?.join("photo"), state)?)
}

fn expect(compose: &Compose, state: &str) -> Result<()> {
    let rows = compose.psql("select state from ev")?;
    let file = fs::read_to_string(compose.uploads()?.join("photo"))?;
    ensure!(
        rows == state && file == state,
        "{rows:?} and {file:?} should be {state:?}"
    );
    Ok(())
}

/// The ids of the snapshots with a tag, the oldest first.
fn with_tag<'a>(snapshots: &'a [Value], tag: &str) -> Vec<&'a str> {
    let tagged = snapshots
        .iter()
        .filter(|snapshot| snapshot["tags"] == serde_json::json!([tag]));
    tagged
        .filter_map(|snapshot| snapshot["id"].as_str())
        .collect()
}

#[test]
fn the_scripts_whole_life_goes_on() -> Result<()> {
    let (seaweed, server) = thread::scope(|scope| {
        let seaweed = scope.spawn(Seaweed::start);
        let server = Server::new();
        (seaweed.join(), server)
    });
    let seaweed = seaweed.map_err(|_| anyhow!("the server's thread panicked"))??;
    let server = server?;
    seaweed.new_bucket("backups")?;
    set(&server.compose, "at first")?;
    server.back_up_uploads_by_script()?;
    set(&server.compose, "by the script")?;
    server.back_up_database_by_script()?;
    server.back_up_uploads_by_script()?;
    set(&server.compose, "by tthost")?;
    let Server { tthost, restic, .. } = &server;

    // Switched over by one command.
    let variables = server.write_variables(&format!(
        "RESTIC_OFFSITE_REPOSITORY=s3:s3.amazonaws.com/backups/timetiles\n\
         AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\nAWS_ENDPOINT_URL={}\n",
        Class::Full.access_key(),
        Class::Full.secret_key(),
        seaweed.endpoint()
    ))?;
    let init = tthost.ok(&["init", "--from-env", &variables])?;
    let said = format!("{}{}", init.text()?, init.stderr);
    for words in [
        ".env.production line 3 is left out: it is not NAME=VALUE",
        "found the compose project timetiles",
        "in the container timetiles-postgres-1: database timetiles, user timetiles",
        "found the volume timetiles_uploads",
        "took over the repository",
    ] {
        ensure!(said.contains(words), "{words} is not in {said}");
    }
    let text = fs::read_to_string(tthost.home().join("tthost.toml"))?;
    for secret in [PASSWORD, DATABASE_PASSWORD, &Class::Full.secret_key()] {
        ensure!(
            !text.contains(secret) && !said.contains(secret),
            "{secret} is in {text} or {said}"
        );
    }
    tthost.ok(&["config", "check"])?;

    // Backed up, and nobody sees the password of the database.
    let mut child = tthost
        .command(&["run", "--job", "full", "--offsite", "--quiet"])
        .spawn()?;
    let mut dumps = 0;
    let status = loop {
        // Other tests dump at the same time, from projects in directories of their own.
        let own = command_lines_with(&server.directory.path().to_string_lossy());
        dumps += own
            .iter()
            .filter(|line| line.contains("postgres pg_dump"))
            .count();
        ensure!(
            command_lines_with(DATABASE_PASSWORD).is_empty(),
            "the password is in a list of processes"
        );
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(Duration::from_millis(20));
    };
    ensure!(status.success() && dumps > 0, "{status}, {dumps}");
    let snapshots = server.snapshots()?;
    let database = with_tag(&snapshots, "db");
    let uploads = with_tag(&snapshots, "uploads");
    ensure!(database.len() == 2 && uploads.len() == 3, "{snapshots:#?}");
    for snapshot in &snapshots {
        let path = if snapshot["tags"][0] == "db" {
            "/database.sql"
        } else {
            "/data"
        };
        ensure!(
            snapshot["paths"] == serde_json::json!([path]),
            "{snapshot:#}"
        );
    }
    let offsite = seaweed.restic("backups/timetiles", Class::Admin, PASSWORD)?;
    ensure!(offsite.snapshots()?.len() == 2);

    // Restored, what the script has stored and what tthost has.
    restore(tthost, database[0], "db")?;
    restore(tthost, uploads[1], "uploads")?;
    expect(&server.compose, "by the script")?;
    restore(tthost, "latest", "db")?;
    restore(tthost, "latest", "uploads")?;
    expect(&server.compose, "by tthost")?;

    // The script's own programs restore it, too.
    let dump = restic.dump(database[1], "/database.sql")?;
    ensure!(String::from_utf8_lossy(&dump).contains("DROP TABLE IF EXISTS public.ev"));
    let to = server.directory.path().join("restored");
    restic.restore(uploads[2], &to)?;
    ensure!(fs::read_to_string(to.join("data/photo"))? == "by tthost");

    tthost.ok(&["prune"])?;
    let left = server.snapshots()?;
    // Of one day, the newest stays, and the oldest while there are fewer days than are kept.
    ensure!(with_tag(&left, "db") == database, "{left:#?}");
    tthost.ok(&["verify", "--read-data"]).map(drop)
}

fn restore(tthost: &Tthost, snapshot: &str, source: &str) -> Result<()> {
    tthost
        .ok(&["restore", snapshot, "--source", source, "--yes"])
        .map(drop)
}

#[test]
fn a_wrong_password_changes_nothing_and_of_several_volumes_one_is_to_be_named() -> Result<()> {
    let server = Server::new()?;
    let variables = server.write_variables("")?;
    let text = fs::read_to_string(&variables)?;
    let init = ["init", "--from-env", &variables];

    fs::write(&variables, text.replace(PASSWORD, "wrong"))?;
    let words = ["there is a repository already", "RESTIC_PASSWORD"];
    server.tthost.fails(&init, 12, &words)?;
    fs::write(&variables, text.replace("RESTIC_PASSWORD", "NO_PASSWORD"))?;
    server.tthost.fails(&init, 12, &words)?;
    ensure!(
        fs::read_dir(server.tthost.home())?.next().is_none(),
        "something was written"
    );

    // A repository that is not there yet gets a new password, which is shown.
    let fresh = server.directory.path().join("fresh");
    let fresh = fresh.to_str().context("it is text")?;
    let said = server
        .tthost
        .ok(&[&init[..], &["--repository", fresh]].concat())?;
    let password = fs::read_to_string(server.tthost.home().join("tthost.password"))?;
    ensure!(
        said.text()?.contains(password.trim()),
        "{}",
        said.describe()
    );
    server.tthost.ok(&["run", "--job", "full"])?;
    ensure!(
        Restic::at(Path::new(fresh), password.trim())?
            .snapshots()?
            .len()
            == 2
    );

    fs::write(&variables, text)?;
    let project = "com.docker.compose.project=timetiles";
    server
        .compose
        .docker
        .volume("timetiles_uploads_old", project)?;
    let elsewhere = ["--config", "other.toml"];
    let init = [&init[..], &elsewhere].concat();
    let words = [
        "2 volumes are called like uploads",
        "timetiles_uploads, timetiles_uploads_old",
        "--volume",
    ];
    server.tthost.fails(&init, 1, &words)?;
    let named = ["--volume", "timetiles_uploads_old"];
    server.tthost.ok(&[&init[..], &named].concat())?;
    let text = fs::read_to_string(server.tthost.home().join("other.toml"))?;
    ensure!(
        text.contains("volume = \"timetiles_uploads_old\""),
        "{text}"
    );
    Ok(())
}

#[test]
fn the_example_of_the_documentation_backs_up_a_project_of_compose() -> Result<()> {
    let directory = tempfile::Builder::new()
        .prefix("tthost-example.")
        .tempdir()?;
    let path = directory.path();
    let page = include_str!("../../../docs/postgres.md");
    let (_, example) = page
        .split_once("## A complete example")
        .context("there is no example")?;
    let (_, toml) = example
        .split_once("```toml\n")
        .context("it has no configuration")?;
    let (toml, _) = toml.split_once("```").context("it does not end")?;
    let configuration = path.join("tthost.toml");
    fs::write(
        &configuration,
        toml.replace("/srv/shop", &path.to_string_lossy()),
    )?;
    let variables =
        format!("POSTGRES_PASSWORD='{DATABASE_PASSWORD}'\nRESTIC_PASSWORD='{PASSWORD}'\n");
    fs::write(path.join(".env"), variables)?;
    let role = ("shop", DATABASE_PASSWORD);
    let variables = path.join(".env");
    let compose = Compose::start("shop", path, role, ("POSTGRES_PASSWORD", &variables))?;
    let mut tthost = Tthost::new()?;
    tthost.set([("DOCKER_HOST", compose.docker.address())]);
    tthost.set([("DOCKER_CONFIG", &compose.client_configuration)]);
    tthost.set([("TTHOST_CONFIG", configuration)]);

    set(&compose, "before")?;
    tthost.ok(&["init", "--sink", "restic-local"])?;
    tthost.ok(&["run", "--job", "nightly"])?;
    set(&compose, "after")?;
    restore(&tthost, "latest", "db")?;
    restore(&tthost, "latest", "uploads")?;
    expect(&compose, "before")
}
