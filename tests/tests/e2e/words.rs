//! What hands type without thinking: the words of the shell script that went before, and restic's.

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tthost_tests::command;
use tthost_tests::odd_files;
use tthost_tests::restic::Restic;
use tthost_tests::tree::{examine, expect_same, without_holes};
use tthost_tests::tthost::Tthost;

const PASSWORD: &str = "password";

/// A directory that is a source and in a job, and a repository.
struct Words {
    directory: TempDir,
    tthost: Tthost,
    restic: Restic,
}

impl Words {
    fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tthost-words.").tempdir()?;
        let restic = Restic::at(directory.path().join("repository"), PASSWORD)?;
        restic.init_copy()?;
        let mut tthost = Tthost::new()?;
        tthost.set([("RESTIC_REPOSITORY", restic.repository())]);
        tthost.set([("RESTIC_PASSWORD", PASSWORD)]);
        let words = Self {
            directory,
            tthost,
            restic,
        };
        fs::create_dir_all(words.path("www/photos"))?;
        fs::write(words.path("www/index"), "an index\n")?;
        fs::write(words.path("www/photos/one"), "a photo\n")?;
        let text = format!(
            "[sources.www]\nplugin = \"volume-source\"\ngrants.trees.files.path = '{}'\n\
             [jobs.full]\nsources = [\"www\"]\nsinks = [\"restic-local\"]\n",
            words.path("www").display()
        );
        fs::write(words.tthost.home().join("tthost.toml"), text)?;
        Ok(words)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        Ok(path
            .to_str()
            .context("a path that is not UTF-8")?
            .to_owned())
    }

    /// What the program writes with these arguments, which need not be UTF-8.
    fn output(&self, arguments: &[&OsStr]) -> Result<Vec<u8>> {
        let mut command = self.tthost.command(&[]);
        Ok(command::run(command.args(arguments))?.success()?.stdout)
    }

    /// The tags of the snapshots, the oldest first.
    fn tags(&self) -> Result<Vec<Value>> {
        let snapshots = self.restic.snapshots()?;
        Ok(snapshots
            .iter()
            .map(|snapshot| snapshot["tags"].clone())
            .collect())
    }
}

#[test]
fn the_scripts_words_back_up_list_check_and_prune() -> Result<()> {
    let words = Words::new()?;
    let tthost = &words.tthost;
    tthost.ok(&["backup"])?;
    tthost.ok(&["backup", "full"])?;
    let directory = words.text("www/photos")?;
    let backup = tthost.ok(&["backup", &directory, "--tag", "by-hand", "--offsite"])?;
    ensure!(
        backup.stderr.contains("no sink is marked as offsite"),
        "{}",
        backup.describe()
    );
    let of_directory = serde_json::json!([format!("dir:{directory}"), "by-hand"]);
    ensure!(
        words.tags()?
            == ["www".into(), "www".into(), of_directory].map(|tags: Value| match tags {
                Value::String(tag) => serde_json::json!([tag]),
                tags => tags,
            })
    );
    for outcome in [
        tthost.fails(&["backup", "weekly"], 1, &["no job weekly", "full"])?,
        tthost.fails(&["backup", "./nowhere"], 1, &["no directory ./nowhere"])?,
        tthost.fails(
            &["backup", "list", "--offsite"],
            1,
            &["offsite = true", "RESTIC_OFFSITE_REPOSITORY"],
        )?,
    ] {
        ensure!(outcome.stdout.is_empty(), "{}", outcome.describe());
    }
    let list = tthost.ok(&["backup", "list"])?;
    ensure!(list.text()?.contains("by-hand"), "{}", list.describe());
    tthost.ok(&["backup", "verify"])?;
    tthost.ok(&["backup", "prune", "--keep-last", "1"])?;
    ensure!(words.tags()?.len() == 2);
    Ok(())
}

#[test]
fn without_a_destination_the_source_is_named_or_asked_for() -> Result<()> {
    let words = Words::new()?;
    words.tthost.ok(&["backup"])?;
    words.tthost.ok(&["backup", &words.text("www/photos")?])?;
    let id = words.restic.snapshots()?[0]["short_id"].clone();
    let id = id.as_str().context("it has an id")?;
    fs::write(words.path("www/index"), "overwritten\n")?;

    // `--yes` is for a destination that somebody chose.
    let command = format!("tthost restore {id} --source www");
    let named = ["restore", id, "--yes"];
    words
        .tthost
        .fails(&named, 1, &["tags www", &command, "--to DIR"])?;
    let planned = words.tthost.ok(&["restore", id, "--dry-run"])?;
    ensure!(planned.text()?.contains("index"), "{}", planned.describe());
    ensure!(fs::read_to_string(words.path("www/index"))? == "overwritten\n");

    let refused = words.tthost.on_terminal(&["restore", id], "n\n")?;
    ensure!(refused.status.code() == Some(130), "{}", refused.describe());
    let restored = words.tthost.on_terminal(&["restore", id], "y\n")?;
    let restored = restored.success()?;
    ensure!(
        restored.text()?.contains("source www"),
        "{}",
        restored.describe()
    );
    ensure!(fs::read_to_string(words.path("www/index"))? == "an index\n");

    // The list before a restoration is of the source, which is known by its path too.
    let source = format!("dir:{}", words.text("www")?);
    for source in ["www", &source] {
        let list = words.tthost.ok(&["restore", "--source", source])?;
        ensure!(list.text()?.contains("1 snapshot\n"), "{}", list.describe());
    }
    Ok(())
}

#[test]
fn a_folder_of_a_snapshot_is_taken_for_its_top() -> Result<()> {
    let words = Words::new()?;
    words.tthost.ok(&["backup"])?;
    let folder = format!("latest:{}", words.text("www")?);
    words
        .tthost
        .ok(&["restore", &folder, "--target", "./restored"])?;
    let restored = words.tthost.home().join("restored");
    expect_same(&examine(&words.path("www"))?, &examine(&restored)?)?;

    let part = [
        "restore", &folder, "--target", "./part", "--path", "/photos",
    ];
    words.tthost.ok(&part)?;
    let part = words.tthost.home().join("part");
    ensure!(fs::read_to_string(part.join("photos/one"))? == "a photo\n");
    ensure!(!part.join("index").exists());

    let listed = words.tthost.ok(&["ls", &folder, "--recursive"])?;
    ensure!(
        listed.text()? == "/index\n/photos\n/photos/one\n",
        "{}",
        listed.describe()
    );
    let dumped = words.tthost.ok(&["dump", &folder, "photos/one"])?;
    ensure!(dumped.stdout == b"a photo\n");
    let file = format!("{folder}/index");
    words
        .tthost
        .fails(&["restore", &file, "--to", "x"], 1, &["not a folder"])?;
    words
        .tthost
        .fails(&["dump", &file, "/"], 1, &["not a directory"])?;
    Ok(())
}

#[test]
fn a_dumped_directory_is_an_archive_that_tar_extracts_with_all_metadata() -> Result<()> {
    let words = Words::new()?;
    let tree = words.path("odd");
    odd_files::create(&tree)?;
    // Names of every length, a file for the stream between small ones, and a link that leads far.
    fs::write(tree.join("n".repeat(255)), "long name")?;
    fs::write(tree.join("empty/zz"), "behind a large one")?;
    std::os::unix::fs::symlink("t/".repeat(200), tree.join("far"))?;
    words.tthost.ok(&["backup", &words.text("odd")?])?;
    let archive = words.path("odd.tar");
    let folder = format!("latest:{}", words.text("odd")?);
    let dumped = words.output(&["dump", &folder, "/"].map(OsStr::new))?;
    fs::write(&archive, dumped)?;
    let extracted = words.path("extracted");
    fs::create_dir(&extracted)?;
    let mut tar = Command::new("tar");
    tar.args([
        "--extract",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
        "--file",
    ])
    .arg(&archive)
    .arg("--directory")
    .arg(&extracted);
    command::run(&mut tar)?.success()?;
    let expected = without_holes(examine(&tree)?);
    expect_same(&expected, &without_holes(examine(&extracted)?))?;

    // Names that are not Unicode are bytes on the command line too.
    let name = [tree.as_os_str().as_bytes(), b"/not \xff Unicode"].concat();
    let name = OsStr::from_bytes(&name);
    let (latest, to) = (OsStr::new("latest"), words.path("part"));
    let dumped = words.output(&[OsStr::new("dump"), latest, name])?;
    ensure!(dumped == b"not \xff Unicode");
    let listed = words.output(&[OsStr::new("ls"), latest, name])?;
    ensure!(String::from_utf8_lossy(&listed).contains("Unicode"));
    let restore = ["restore", "latest", "--to"].map(OsStr::new);
    words.output(&[&restore[..], &[to.as_os_str(), OsStr::new("--path"), name]].concat())?;
    ensure!(
        to.join(
            name.as_bytes()
                .strip_prefix(b"/")
                .map(OsStr::from_bytes)
                .context("it is absolute")?
        )
        .is_file()
    );
    Ok(())
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() -> Result<()> {
    let words = Words::new()?;
    fs::write(words.path("www/large"), vec![b'x'; 8 << 20])?;
    words.tthost.ok(&["backup"])?;
    let file = words.text("www/large")?;
    for arguments in [
        &["restore", "latest", "--path", &file, "--stdout"][..],
        &["dump", "latest", &file],
        &["dump", "latest", "/"],
    ] {
        let mut command = words.tthost.command(arguments);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdout = child.stdout.take().context("no standard output")?;
        stdout.read_exact(&mut [0; 100])?;
        drop(stdout);
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success() && said.is_empty(),
            "{arguments:?}: {said}"
        );
    }
    words.restic.check()?;
    Ok(())
}

#[test]
fn a_word_of_restics_ends_with_2_and_says_what_to_do() -> Result<()> {
    let tthost = Tthost::new()?;
    for (arguments, tip) in [
        (&["rewrite", "latest"][..], "restic rewrite"),
        (&["-r", "/srv/repo", "snapshots"], "RESTIC_REPOSITORY"),
    ] {
        let outcome = tthost.fails(arguments, 2, &["tip:", tip])?;
        ensure!(!outcome.stderr.contains('\x1b'), "{}", outcome.describe());
    }
    Ok(())
}
