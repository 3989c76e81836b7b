//! One repository format, three programs: what one writes, the others read.

use anyhow::{Context, Result, ensure};
use tthost_tests::command;
use tthost_tests::files::{read_tree, size};
use tthost_tests::restic::Restic;
use tthost_tests::scene::{DATABASE, PASSWORD, Scene};
use tthost_tests::shop;

/// Without the token that newer versions of `pg_dump` put into each dump, two dumps of
/// one database are the same.
const REPEATABLE_DUMP: &str = r#"pg_dump "$@" | grep -v -E '^\\(un)?restrict '"#;

/// A scene whose shop has about 20 MB, some two dozen chunks, and whose dumps repeat.
fn larger_scene() -> Result<Scene> {
    let mut scene = Scene::new()?;
    shop::open(&scene.postgres, "larger", 20)?;
    let mut configuration = scene.configuration(&["larger"])?;
    configuration.dump_with_script(REPEATABLE_DUMP);
    scene.configure(&configuration)?;
    Ok(scene)
}

fn restored(scene: &Scene, snapshot: &str) -> Result<Vec<u8>> {
    let restore = ["restore", snapshot, "--sink", "restic-local", "--stdout"];
    Ok(scene.tthost.ok(&restore)?.stdout)
}

#[test]
fn restic_and_rustic_find_no_fault_in_what_tthost_wrote() -> Result<()> {
    let scene = Scene::new()?;
    scene.back_up()?;
    shop::trade(&scene.postgres, DATABASE)?;
    scene.back_up()?;
    scene.expect_sound(2)?;
    scene.rustic()?.check()?;
    scene
        .tthost
        .ok(&["check", "--sink", "restic-local", "--read-data"])?;
    Ok(())
}

#[test]
fn rustic_reads_what_tthost_wrote() -> Result<()> {
    let scene = Scene::new()?;
    scene.back_up()?;
    let files = scene.restic.files("latest")?;
    let ours = scene.rustic()?.dump("latest", &files[0])?;
    ensure!(ours == restored(&scene, "latest")?);
    Ok(())
}

#[test]
fn tthost_reads_what_restic_wrote_in_every_version_and_compression() -> Result<()> {
    let mut scene = Scene::without_repository()?;
    let dump = command::run(&mut scene.postgres.client("pg_dump", DATABASE))?
        .success()?
        .stdout;
    for (version, compression) in [("1", "auto"), ("2", "off"), ("2", "auto"), ("2", "max")] {
        let name = format!("version {version} {compression}");
        scene.use_repository(&scene.directory().join(&name))?;
        let mut init = scene
            .restic
            .command(&["init", "--repository-version", version]);
        command::run(&mut init)?.success()?;
        let mut backup =
            scene
                .restic
                .command(&["backup", "--stdin", "--stdin-filename", "database.sql"]);
        // Version 1 knows no compression, and restic refuses to be told one.
        if version == "2" {
            backup.env("RESTIC_COMPRESSION", compression);
        }
        command::run_with_input(&mut backup, &dump)?.success()?;
        ensure!(restored(&scene, "latest")? == dump, "{name}");
        scene
            .tthost
            .ok(&["check", "--sink", "restic-local", "--read-data"])?;
    }
    Ok(())
}

#[test]
fn tthost_reads_what_rustic_wrote() -> Result<()> {
    let scene = Scene::without_repository()?;
    let dump = command::run(&mut scene.postgres.client("pg_dump", DATABASE))?
        .success()?
        .stdout;
    let rustic = scene.rustic()?;
    rustic.init()?;
    rustic.backup_stdin("database.sql", &dump)?;
    ensure!(restored(&scene, "latest")? == dump);
    scene
        .tthost
        .ok(&["check", "--sink", "restic-local", "--read-data"])?;
    scene.back_up()?;
    scene.expect_sound(2)?;
    rustic.check()
}

#[test]
fn a_repository_that_tthost_made_serves_restic() -> Result<()> {
    let scene = Scene::without_repository()?;
    scene.tthost.ok(&["init"])?;
    scene.restic.backup_stdin("one.sql", b"from restic")?;
    scene.back_up()?;
    scene.expect_sound(2)?;
    scene.rustic()?.check()
}

#[test]
fn a_second_run_of_the_same_dump_adds_almost_nothing() -> Result<()> {
    let scene = larger_scene()?;
    scene.back_up()?;
    let once = size(scene.restic.repository())?;
    scene.back_up()?;
    let added = size(scene.restic.repository())? - once;
    ensure!(added < 20_000, "{added} bytes more than {once}");
    scene.expect_sound(2)
}

#[test]
fn a_changed_dump_adds_no_more_than_with_restic() -> Result<()> {
    let scene = larger_scene()?;
    scene.back_up()?;
    let before = restored(&scene, "latest")?;
    let once = size(scene.restic.repository())?;
    shop::trade(&scene.postgres, "larger")?;
    scene.back_up()?;
    let after = restored(&scene, "latest")?;
    let added = size(scene.restic.repository())? - once;

    // Where the cuts fall, and so what a change costs, is a matter of the polynomial.
    let other = Restic::at(scene.directory().join("other"), PASSWORD)?;
    other.init_like(&scene.restic)?;
    other.backup_stdin("larger.sql", &before)?;
    let once = size(other.repository())?;
    other.backup_stdin("larger.sql", &after)?;
    let expected = size(other.repository())? - once;
    ensure!(
        added < expected + expected / 20 + 20_000,
        "tthost added {added} bytes where restic adds {expected}"
    );
    scene.expect_sound(2)
}

#[test]
fn restic_and_tthost_cut_the_same_chunks() -> Result<()> {
    let scene = larger_scene()?;
    scene.back_up()?;
    let dump = restored(&scene, "latest")?;
    let once = size(scene.restic.repository())?;
    scene.restic.backup_stdin("again.sql", &dump)?;
    let added = size(scene.restic.repository())? - once;
    ensure!(added < 20_000, "restic added {added} bytes to {once}");

    // The other way round, in a repository of its own.
    let other = Restic::at(scene.directory().join("other"), PASSWORD)?;
    other.init()?;
    other.backup_stdin("first.sql", &dump)?;
    let mut scene = scene;
    scene.use_repository(other.repository())?;
    let mut configuration = scene.configuration(&["larger"])?;
    configuration.dump_with_script(REPEATABLE_DUMP);
    scene.configure(&configuration)?;
    let once = size(other.repository())?;
    scene.back_up()?;
    let added = size(other.repository())? - once;
    ensure!(added < 20_000, "tthost added {added} bytes to {once}");
    scene.expect_sound(2)
}

#[test]
fn tthost_goes_on_after_restic_forgot_and_pruned() -> Result<()> {
    let scene = Scene::new()?;
    scene.back_up()?;
    shop::trade(&scene.postgres, DATABASE)?;
    scene.back_up()?;
    command::run(
        &mut scene
            .restic
            .command(&["forget", "--keep-last", "1", "--prune"]),
    )?
    .success()?;
    scene.expect_sound(1)?;
    scene.back_up()?;
    scene.expect_sound(2)
}

#[test]
fn every_file_of_the_repository_is_named_after_its_contents() -> Result<()> {
    let scene = Scene::new()?;
    scene.back_up()?;
    for (path, _) in read_tree(scene.restic.repository())? {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .context("not UTF-8")?;
        if name == "config" {
            continue;
        }
        let mut sum = std::process::Command::new("sha256sum");
        let sum = command::run(sum.arg(scene.restic.repository().join(&path)))?.success()?;
        ensure!(
            sum.text()?.starts_with(name),
            "{}: {}",
            path.display(),
            sum.text()?
        );
    }
    Ok(())
}

#[test]
fn tthost_lists_the_snapshots_that_restic_lists() -> Result<()> {
    let scene = Scene::new()?;
    scene.restic.backup_stdin("one.sql", b"from restic")?;
    scene.tthost.ok(&[
        "run",
        "--source",
        "postgres",
        "--sink",
        "restic-local",
        "--tag",
        "nightly",
        "--host",
        "db1",
    ])?;
    let theirs = scene.restic.snapshots()?;
    let list = scene
        .tthost
        .ok(&["snapshots", "--sink", "restic-local", "--json"])?
        .json()?;
    let ours = list.as_array().context("not a list")?;
    assert_eq!(ours.len(), 2);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        for key in ["id", "hostname", "username", "paths"] {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
    }
    assert_eq!(theirs[1]["hostname"], "db1");
    assert_eq!(
        theirs[1]["tags"],
        serde_json::json!(["postgres", "nightly"])
    );
    Ok(())
}
