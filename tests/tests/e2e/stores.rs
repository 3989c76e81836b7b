//! Repositories in object stores, which are plugins behind the sink: the examples, against real servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::cheap_key::cheapen;
use tthost_tests::command;
use tthost_tests::offsite::{OffsiteFixture, PASSWORD};
use tthost_tests::plugin::{component, example};
use tthost_tests::rclone::{self, Serving};
use tthost_tests::restic::Restic;

use crate::conformance::expect_passed;

/// A server with a directory of its own, and the store that leads to it.
struct Remote {
    served: PathBuf,
    _serving: Serving,
    store: String,
}

impl Remote {
    fn webdav(fixture: &OffsiteFixture) -> Result<Self> {
        let directory = new_directory(fixture)?;
        let login = ["--user", "me", "--pass", "canary-of-webdav"];
        let serving = Serving::start("webdav", &directory, &login)?;
        let url = serving.url();
        let store = format!(
            "plugin = {{ path = '{}' }}\n\
             config = {{ url = \"{url}/repository\", user = \"me\" }}\n\
             grants.secrets.password.command = ['printf', 'canary-of-webdav']\n\
             grants.network = [{{ origin = \"{url}\", private = true }}]\n",
            example("webdav-store")?.display(),
        );
        Ok(Self {
            served: directory.join("repository"),
            _serving: serving,
            store,
        })
    }

    fn rest(fixture: &OffsiteFixture) -> Result<Self> {
        let directory = new_directory(fixture)?;
        let serving = Serving::start("restic", &directory, &[])?;
        let url = serving.url();
        let store = format!(
            "plugin = {{ path = '{}' }}\nconfig = {{ url = \"{url}/repository/\" }}\n\
             grants.network = [{{ origin = \"{url}\", private = true }}]\n",
            example("rest-store")?.display(),
        );
        Ok(Self {
            served: directory.join("repository"),
            _serving: serving,
            store,
        })
    }

    /// Through the program rclone, which reaches a `WebDAV` server. Its configuration is a file that the grant names.
    fn rclone(fixture: &OffsiteFixture) -> Result<Self> {
        let directory = new_directory(fixture)?;
        let serving = Serving::start("webdav", &directory, &[])?;
        let configuration = fixture.aside("rclone.conf");
        let remote = format!(
            "[remote]\ntype = webdav\nurl = {}\nvendor = other\n",
            serving.url()
        );
        fs::write(&configuration, remote)?;
        let store = format!(
            "plugin = {{ path = '{}' }}\nconfig = {{ remote = \"remote:repository\" }}\n\
             grants.commands.rclone = {{ argv = ['{}', \"--config\", '{configuration}'], read = ['{configuration}'] }}\n",
            example("rclone-store")?.display(),
            rclone::program()?.display(),
            configuration = configuration.display(),
        );
        Ok(Self {
            served: directory.join("repository"),
            _serving: serving,
            store,
        })
    }

    /// Through ssh, with a key and a known host, to rclone's SFTP server.
    fn sftp(fixture: &OffsiteFixture) -> Result<Self> {
        let directory = new_directory(fixture)?;
        let (own, hosts) = (fixture.aside("key"), fixture.aside("host-key"));
        for key in [&own, &hosts] {
            let mut keygen = Command::new("ssh-keygen");
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(key);
            command::run(&mut keygen)?.success()?;
        }
        let public = |key: &Path| fs::read_to_string(key.with_extension("pub"));
        let authorized = fixture.aside("authorized");
        fs::write(&authorized, public(&own)?)?;
        let options = [
            "--key",
            utf8(&hosts)?,
            "--authorized-keys",
            utf8(&authorized)?,
        ];
        let serving = Serving::start("sftp", &directory, &options)?;
        let (host, port) = serving.url().rsplit_once(':').context("it has a port")?;
        let known = fixture.aside("known");
        fs::write(&known, format!("[{host}]:{port} {}", public(&hosts)?))?;
        let store = format!(
            "plugin = {{ path = '{}' }}\nconfig = {{ directory = \"repository\" }}\n\
             [sinks.remote.store.grants.commands.sftp]\n\
             argv = [\"ssh\", \"-F\", \"none\", \"-i\", '{own}', \"-o\", \"UserKnownHostsFile={known}\", \"-p\", \"{port}\", \"-s\", \"me@{host}\", \"sftp\"]\n\
             read = ['{own}', '{known}']\n",
            example("sftp-store")?.display(),
            own = own.display(),
            known = known.display(),
        );
        Ok(Self {
            served: directory.join("repository"),
            _serving: serving,
            store,
        })
    }

    /// Puts the sink `remote` into the configuration, with a directory for copies if there is one.
    fn configure(&self, fixture: &OffsiteFixture, state: Option<&Path>) -> Result<()> {
        configure(fixture, &self.store, state)
    }
}

/// Puts a sink `remote` with this store into the configuration.
fn configure(fixture: &OffsiteFixture, store: &str, state: Option<&Path>) -> Result<()> {
    let state = state.map_or_else(String::new, |state| {
        format!(
            "grants.directories.state = {{ path = '{}', access = \"read-write\" }}\n",
            state.display()
        )
    });
    let text = format!(
        "[sinks.remote]\nplugin = \"restic-sink\"\n{state}\
             grants.secrets.password.command = ['printf', '%s', '{PASSWORD}']\n\
             [sinks.remote.store]\n{store}",
    );
    Ok(fs::write(fixture.tthost.home().join("tthost.toml"), text)?)
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

fn new_directory(fixture: &OffsiteFixture) -> Result<PathBuf> {
    let served = fixture.aside("served");
    fs::create_dir(&served)?;
    Ok(served)
}

/// A repository behind a store goes through all that a sink does, and the real restic agrees with what the server has.
fn goes_through_all(fixture: &OffsiteFixture, remote: &Remote) -> Result<()> {
    let tthost = &fixture.tthost;
    fixture
        .run("remote")?
        .expect_failure(10, &["no repository", "tthost init"])?;
    tthost.ok(&["init", "--sink", "remote"])?;
    cheapen(&remote.served, PASSWORD)?;
    tthost.ok(&["config", "check"])?;

    let first = fixture.back_up("remote")?;
    ensure!(first["data_added"].as_u64() >= Some(3 << 20), "{first}");
    let second = fixture.back_up("remote")?;
    ensure!(second["data_added"].as_u64() < Some(64 << 10), "{second}");
    fixture.fill("second", 2, 1 << 20)?;
    let third = fixture.back_up("remote")?;
    let restic = Restic::at(&remote.served, PASSWORD)?;
    restic.check()?;
    ensure!(restic.snapshots()?.len() == 3);

    let target = fixture.aside("restored");
    let id = third["snapshot_id"].as_str().context("it has an id")?;
    let to = target.to_string_lossy();
    tthost.ok(&["restore", id, "--sink", "remote", "--to", &to])?;
    fixture.expect_restored(&target)?;
    tthost.ok(&["prune", "--sink", "remote", "--keep-last", "1"])?;
    ensure!(restic.snapshots()?.len() == 1);
    tthost.ok(&["check", "--sink", "remote", "--read-data"])?;
    restic.check()?;

    // What another program stores there, and what it damages.
    restic.backup(&fixture.tree())?;
    let listed = tthost
        .ok(&["snapshots", "--sink", "remote", "--json"])?
        .json()?;
    ensure!(
        listed["snapshots"].as_array().map(Vec::len) == Some(2),
        "{listed:#}"
    );
    let locks = fs::read_dir(remote.served.join("locks"))?.count();
    ensure!(locks == 0, "{locks} locks stay");
    Ok(())
}

#[test]
fn a_webdav_server_holds_a_repository() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    let remote = Remote::webdav(&fixture)?;
    let state = fixture.aside("state");
    remote.configure(&fixture, Some(&state))?;
    goes_through_all(&fixture, &remote)?;
    let copies = fs::read_dir(&state)?.count();
    ensure!(copies == 1, "copies of {copies} repositories");
    let left = fs::read_dir(&remote.served)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let left: Vec<_> = left.filter(|name| name.starts_with('.')).collect();
    ensure!(left.is_empty(), "unfinished files stay: {left:?}");
    keeps_the_contract(&fixture, &remote, &[], &[])
}

#[test]
fn a_server_of_restics_protocol_holds_a_repository() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    let remote = Remote::rest(&fixture)?;
    remote.configure(&fixture, None)?;
    goes_through_all(&fixture, &remote)?;
    keeps_the_contract(&fixture, &remote, &OF_REPOSITORIES, &[])
}

#[test]
fn whatever_rclone_reaches_holds_a_repository() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    let remote = Remote::rclone(&fixture)?;
    remote.configure(&fixture, None)?;
    goes_through_all(&fixture, &remote)?;
    keeps_the_contract(&fixture, &remote, &OF_PROGRAMS, &[])
}

#[test]
fn an_sftp_server_holds_a_repository() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    let remote = Remote::sftp(&fixture)?;
    remote.configure(&fixture, None)?;
    goes_through_all(&fixture, &remote)?;
    keeps_the_contract(&fixture, &remote, &OF_PROGRAMS, &[])
}

/// Checks of a store for which each object costs a program or a session.
const OF_PROGRAMS: [&str; 6] = [
    "an-object-comes-back",
    "a-part-beyond-the-end-is-corrupt",
    "a-missing-object-is-not-found",
    "an-object-is-kept",
    "a-cut-stream-stores-no-object",
    "killed-in-a-put-stores-no-object",
];

/// Checks of a store on a server that takes the files of a repository, and no others: those that need no other names.
const OF_REPOSITORIES: [&str; 8] = [
    "an-object-comes-back",
    "a-part-is-exactly-what-was-asked-for",
    "a-part-beyond-the-end-is-corrupt",
    "an-object-is-replaced",
    "an-object-is-kept",
    "making-the-place-again-is-fine",
    "a-get-can-be-given-up",
    "several-objects-at-once-keep-apart",
];

/// A store keeps the contract: all of it, or these rules.
fn keeps_the_contract(
    fixture: &OffsiteFixture,
    remote: &Remote,
    rules: &[&str],
    skipped: &[&str],
) -> Result<()> {
    let elsewhere = remote.store.replace("repository", "{scratch}");
    configure(fixture, &elsewhere, None)?;
    let rules = rules.iter().flat_map(|rule| ["--check", rule]);
    let test: Vec<_> = ["remote", "--store", "remote"]
        .into_iter()
        .chain(rules)
        .collect();
    expect_passed(&fixture.tthost, &test, skipped)
}

#[test]
fn a_store_that_cannot_be_used_is_named_and_not_the_sink() -> Result<()> {
    let fixture = OffsiteFixture::new(&[])?;
    let remote = Remote::webdav(&fixture)?;
    remote.configure(&fixture, None)?;
    let path = fixture.tthost.home().join("tthost.toml");
    let text = fs::read_to_string(&path)?;
    let other = format!("{{ path = '{}' }}", component("broken-sink")?.display());
    for (from, to, words) in [
        (
            "'canary-of-webdav'",
            "'wrong'",
            &["401", "secret password"][..],
        ),
        (
            "user = \"me\"",
            "usr = \"me\"",
            &["store of sink remote", "usr"],
        ),
        ("private = true", "private = false", &["private = true"]),
        (
            "[sinks.remote.store]",
            "grants.directories.repository = { path = '.', access = \"read-write\" }\n[sinks.remote.store]",
            &["both a directory and a store"],
        ),
        ("\"restic-sink\"", &other, &["store has no effect"]),
    ] {
        ensure!(text.contains(from), "{from}");
        fs::write(&path, text.replace(from, to))?;
        let checked = fixture.tthost.run(&["config", "check"])?;
        ensure!(
            checked.status.code() != Some(0),
            "{from}: {}",
            checked.describe()
        );
        for word in words {
            ensure!(
                checked.stderr.contains(word),
                "{word}: {}",
                checked.describe()
            );
        }
        ensure!(!checked.stderr.contains("canary"), "{}", checked.describe());
    }
    Ok(())
}
