//! `SQLite` databases through the real `sqlite3`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tthost_tests::command;
use tthost_tests::offsite::OffsiteFixture;
use tthost_tests::plugin::example;
use tthost_tests::wait::wait_until;

use crate::conformance::expect_passed;

/// Two databases, one of them open in a program that has not written all of it to the file yet.
struct Databases {
    directory: PathBuf,
    fixture: OffsiteFixture,
    writer: Child,
}

/// So many rows are in the database that is in use.
const ROWS: u32 = 2000;

impl Databases {
    fn new() -> Result<Self> {
        let fixture = OffsiteFixture::new(&[])?;
        fixture.init_local()?;
        let directory = fixture.aside("data");
        fs::create_dir(&directory)?;
        query(
            &directory.join("notes.db"),
            "CREATE TABLE notes (text); INSERT INTO notes VALUES ('kept');",
        )?;
        let shop = directory.join("shop.db");
        query(
            &shop,
            "PRAGMA journal_mode = wal; CREATE TABLE orders (number, text);",
        )?;
        let mut writer = Command::new("sqlite3")
            .arg(&shop)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let rows = format!(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {ROWS})\n\
             INSERT INTO orders SELECT x, hex(randomblob(100)) FROM n;\n"
        );
        let input = writer.stdin.as_mut().context("it has an input")?;
        input.write_all(rows.as_bytes())?;
        wait_until("the rows are in the log beside the database", || {
            query(&shop, "SELECT count(*) FROM orders").is_ok_and(|count| count == ROWS.to_string())
        })?;
        let databases = Self {
            directory,
            fixture,
            writer,
        };
        databases.configure("", &["notes.db", "shop.db"])?;
        Ok(databases)
    }

    /// Appends the source `app` with these databases to the configuration, with more of the program's grant.
    fn configure(&self, grant: &str, names: &[&str]) -> Result<()> {
        let path = self.fixture.tthost.home().join("tthost.toml");
        let text = fs::read_to_string(&path)?;
        let kept = text.split("\n[sources.app]").next().unwrap_or_default();
        let mut text = kept.to_owned();
        let databases: Vec<_> = names.iter().map(|name| self.directory.join(name)).collect();
        write!(
            text,
            "\n[sources.app]\nplugin = {{ path = '{}' }}\nconfig.databases = {databases:?}\n\
             grants.commands.sqlite3 = {{ argv = [\"sqlite3\"], read = ['{}'], network = false{grant} }}\n",
            example("sqlite-source")?.display(),
            self.directory.display(),
        )?;
        Ok(fs::write(path, text)?)
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        drop(self.writer.stdin.take());
        // It ends with its input.
        let _ = self.writer.wait();
    }
}

/// What the real program answers.
fn query(database: &Path, sql: &str) -> Result<String> {
    let mut sqlite = Command::new("sqlite3");
    sqlite.args(["-batch", "-bail"]).arg(database).arg(sql);
    let outcome = command::run(&mut sqlite)?.success()?;
    Ok(outcome.text()?.trim().to_owned())
}

#[test]
fn databases_in_use_are_backed_up_whole_and_come_back() -> Result<()> {
    let databases = Databases::new()?;
    let tthost = &databases.fixture.tthost;
    tthost.ok(&["run", "--source", "app", "--sink", "local"])?;
    let target = databases.fixture.aside("restored");
    let to = target.to_string_lossy();
    tthost.ok(&["restore", "latest", "--sink", "local", "--to", &to])?;
    let shop = target.join("shop.db");
    ensure!(query(&shop, "PRAGMA integrity_check")? == "ok");
    ensure!(query(&shop, "SELECT count(*) FROM orders")? == ROWS.to_string());
    ensure!(query(&target.join("notes.db"), "SELECT text FROM notes")? == "kept");

    let back = [
        "restore", "latest", "--source", "app", "--sink", "local", "--yes",
    ];
    tthost.fails(&back, 1, &["sqlite-source", "--to DIR"])?;
    Ok(())
}

#[test]
fn a_copy_that_is_not_whole_leaves_no_snapshot() -> Result<()> {
    let databases = Databases::new()?;
    let tthost = &databases.fixture.tthost;
    let run = ["run", "--source", "app", "--sink", "local"];
    databases.configure(", scratch = \"100 KiB\"", &["shop.db"])?;
    tthost.fails(&run, 1, &["sqlite3"])?;
    databases.configure("", &["nowhere.db"])?;
    tthost.fails(&run, 1, &["sqlite3", "nowhere.db"])?;
    let text = "no database at all, and long enough";
    fs::write(databases.directory.join("text.db"), text)?;
    databases.configure("", &["text.db"])?;
    tthost.fails(&run, 1, &["not a database"])?;
    let listed = tthost
        .ok(&["snapshots", "--sink", "local", "--json"])?
        .json()?;
    ensure!(
        listed["snapshots"].as_array().is_some_and(Vec::is_empty),
        "{listed:#}"
    );
    Ok(())
}

#[test]
fn the_source_of_sqlite_databases_keeps_the_contract() -> Result<()> {
    let databases = Databases::new()?;
    // It has no secrets, and of a copy nobody knows the size.
    let skipped = ["parts-are-right-or-unsupported", "a-source-tells-no-secret"];
    expect_passed(&databases.fixture.tthost, &["app"], &skipped)
}
