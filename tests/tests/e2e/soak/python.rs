//! Plugins that are written in Python: built as their own pages say, put to the test, and used.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tthost_tests::command;
use tthost_tests::tthost::Tthost;

use crate::conformance::expect_passed;

/// The example, with what its page builds.
struct Example {
    directory: TempDir,
}

impl Example {
    /// Does what its page says first.
    fn build() -> Result<Self> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let directory = tempfile::Builder::new()
            .prefix("tthost-python.")
            .tempdir()?;
        symlink(checkout.join("wit"), directory.path().join("wit"))?;
        let example = Self { directory };
        fs::create_dir_all(example.path())?;
        for file in fs::read_dir(checkout.join("examples/python-sqlite-source"))? {
            let file = file?;
            if file.file_type()?.is_dir() {
                // Somebody has built it where it is.
                continue;
            }
            fs::copy(file.path(), example.path().join(file.file_name()))?;
        }
        let page = fs::read_to_string(example.path().join("README.md"))?;
        let commands = page
            .split_once("```sh\n")
            .and_then(|(_, rest)| rest.split_once("```"));
        let (commands, _) = commands.context("its page has no commands")?;
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", commands]);
        command::run(shell.current_dir(example.path()))?.success()?;
        Ok(example)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("examples/python-sqlite-source")
    }

    fn component(&self) -> PathBuf {
        self.path().join("sqlite_source.wasm")
    }
}

/// What a database answers.
fn query(database: &Path, statement: &str) -> Result<String> {
    let mut sqlite = Command::new("sqlite3");
    let outcome = command::run(sqlite.arg(database).arg(statement))?.success()?;
    Ok(outcome.text()?.to_owned())
}

/// Makes a project of a kind, builds it as `plugin dev` does, and answers a program that its page configures.
fn made(kind: &str) -> Result<Tthost> {
    let mut tthost = Tthost::new()?;
    tthost.ok(&["plugin", "new", "made", "--kind", kind, "--lang", "python"])?;
    let readme = fs::read_to_string(tthost.home().join("made/README.md"))?;
    let configuration = readme
        .split_once("```toml\n")
        .and_then(|(_, rest)| rest.split_once("```"));
    let (configuration, _) = configuration.context("its page has a configuration")?;
    let configuration = configuration.replace("plugin.wasm", "made/plugin.wasm");
    fs::write(tthost.home().join("tthost.toml"), configuration)?;
    // pip keeps what it has fetched in the real home.
    if let Some(home) = std::env::var_os("HOME") {
        tthost.set([("HOME", home)]);
    }
    tthost.ok(&["plugin", "dev", "made", "--once"])?;
    Ok(tthost)
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn a_new_source_in_python_keeps_the_contract() -> Result<()> {
    let skipped = ["parts-are-right-or-unsupported", "a-source-tells-no-secret"];
    expect_passed(&made("source")?, &["mine"], &skipped)
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn a_new_sink_in_python_keeps_the_contract() -> Result<()> {
    let skipped = [
        "locks-can-be-removed",
        "several-contents-at-once-keep-apart",
        "equal-directories-have-equal-names",
        "no-secret-is-said",
        "no-secret-is-stored",
    ];
    expect_passed(&made("sink")?, &["mine"], &skipped)
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn a_new_store_in_python_keeps_the_contract() -> Result<()> {
    let test = ["made/plugin.wasm"];
    expect_passed(&made("store")?, &test, &["a-store-tells-no-secret"])
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn a_source_in_python_keeps_the_contract_and_backs_up() -> Result<()> {
    let example = Example::build()?;
    let mut tthost = Tthost::new()?;
    let repository = tthost.home().join("repository");
    tthost.set([("RESTIC_REPOSITORY", repository.as_os_str())]);
    tthost.set([("RESTIC_PASSWORD", "a password")]);
    let database = tthost.home().join("app.db");
    let fill = "CREATE TABLE t (number INTEGER, text TEXT);
        WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO t SELECT i, 'the text of row ' || i FROM n;";
    query(&database, fill)?;
    let configuration = format!(
        "[sources.app]\nplugin = {{ path = '{}' }}\nconfig = {{ name = \"app\" }}\n\
         grants.commands.sqlite3 = {{ argv = [\"sqlite3\", \"-readonly\", \"-bail\", '{}'], read = ['{}'] }}\n",
        example.component().display(),
        database.display(),
        tthost.home().display(),
    );
    fs::write(tthost.home().join("tthost.toml"), configuration)?;
    // It has neither secrets nor a file of a known size.
    let skipped = ["parts-are-right-or-unsupported", "a-source-tells-no-secret"];
    expect_passed(&tthost, &["app"], &skipped)?;

    tthost.ok(&["init", "--sink", "restic-local"])?;
    let run = ["run", "--source", "app", "--sink", "restic-local"];
    tthost.ok(&run)?;
    let target = tthost.home().join("restored");
    let to = target.to_string_lossy();
    tthost.ok(&["restore", "latest", "--to", &to])?;
    let restored = tthost.home().join("restored.db");
    let dump = fs::read_to_string(target.join("app.sql"))?;
    query(
        &restored,
        &format!(".read {}", target.join("app.sql").display()),
    )?;
    ensure!(dump.ends_with("COMMIT;\n"));
    let count = "SELECT count(*), sum(number), max(text) FROM t";
    ensure!(query(&restored, count)? == query(&database, count)?);

    // A database that is damaged leaves no snapshot.
    let mut bytes = fs::read(&database)?;
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xff);
    fs::write(&database, bytes)?;
    tthost.fails(&run, 1, &["source app", "sqlite3"])?;
    let listed = tthost.ok(&["snapshots", "--json"])?.json()?;
    ensure!(
        listed["snapshots"].as_array().map(Vec::len) == Some(1),
        "{listed:#}"
    );
    Ok(())
}
