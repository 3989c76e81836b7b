//! Handles and the paths that lead to them, on directories in memory.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, symlink};

use cap_std::fs::Dir;
use tempfile::TempDir;

use super::target_dir::Previous;
use super::*;

/// A directory with the directory `d`, which has the file `f`; with a link to each of them, and one
/// to a directory elsewhere.
fn place(elsewhere: &TempDir) -> TempDir {
    let place = TempDir::new().expect("there is room");
    let path = |name: &str| place.path().join(name);
    fs::create_dir(path("d")).expect("there is room");
    fs::write(path("d/f"), "x").expect("there is room");
    symlink("d", path("to-d")).expect("there is room");
    symlink("d/f", path("to-f")).expect("there is room");
    symlink(elsewhere.path(), path("out")).expect("there is room");
    place
}

fn handle(place: &TempDir) -> Dir {
    let opened = OperatorPath::new(place.path()).open();
    opened.expect("it is a directory")
}

fn target(place: &TempDir) -> TargetDir {
    TargetDir::root(handle(place)).expect("it is a directory")
}

fn elsewhere() -> TempDir {
    let elsewhere = TempDir::new().expect("there is room");
    fs::write(elsewhere.path().join("f"), "theirs").expect("there is room");
    elsewhere
}

#[test]
fn links_in_a_path_of_the_operator_are_followed() {
    let place = place(&elsewhere());
    let by_link = OperatorPath::new(&place.path().join("to-d"));
    let opened = by_link.open().and_then(TargetDir::root);
    let names = opened.and_then(|directory| directory.names());
    assert_eq!(names.expect("it is a directory"), ["f"]);
    let direct = by_link.direct().expect("it is a path");
    assert_eq!(direct.as_path(), place.path().join("to-d"));
    let around = OperatorPath::new(&place.path().join("to-d/..//./to-d/."));
    let around = around.direct().expect("it is there");
    assert!(around.as_path().ends_with("d"), "{around:?}");
    let file = OperatorPath::new(&place.path().join("to-f")).open();
    let cause = file.expect_err("it is a file");
    assert_eq!(cause.kind(), ErrorKind::NotADirectory);
}

#[test]
fn a_path_of_the_operator_can_be_made() {
    let place = TempDir::new().expect("there is room");
    let path = OperatorPath::new(&place.path().join("a/b"));
    let cause = path.open().expect_err("it is not there");
    assert_eq!(cause.kind(), ErrorKind::NotFound);
    for _ in 0..2 {
        path.make().expect("there is room");
        path.open().expect("it was made");
    }
}

#[test]
fn below_a_handle_no_link_is_entered() {
    let elsewhere = elsewhere();
    let place = place(&elsewhere);
    let target = target(&place);
    target.enter("d".as_ref()).expect("it is a directory");
    for name in ["to-d", "out", "to-f"] {
        let cause = target.enter(name.as_ref()).expect_err("it is a link");
        assert_eq!(cause.kind(), ErrorKind::NotADirectory);
        let cause = target.make(name.as_ref()).expect_err("it is a link");
        assert_eq!(cause.kind(), ErrorKind::NotADirectory);
        target.open(name.as_ref()).expect_err("it is a link");
        let found = target.stat(name.as_ref()).expect("it is there");
        assert!(found.expect("it is there").is_symlink());
    }
    let view = DiskDir::root(handle(&place));
    for name in [c"to-d", c"out"] {
        view.enter(name).expect_err("it is a link");
    }
    view.enter(c"d").expect("it is a directory");
}

#[test]
fn no_name_leads_out_of_a_handle() {
    let place = place(&elsewhere());
    let target = target(&place).enter("d".as_ref());
    let target = target.expect("it is a directory");
    for name in ["..", "../d", "/", "/tmp"] {
        target.enter(name.as_ref()).expect_err("it is outside");
        target.stat(name.as_ref()).expect_err("it is outside");
        target.make(name.as_ref()).expect_err("it is outside");
        target.remove(name.as_ref()).expect_err("it is outside");
    }
    assert!(place.path().join("d/f").exists());
}

#[test]
fn a_link_is_removed_and_what_it_leads_to_stays() {
    let elsewhere = elsewhere();
    let place = place(&elsewhere);
    let target = target(&place);
    assert_eq!(target.remove("out".as_ref()).expect("it is there"), 1);
    assert_eq!(target.remove("out".as_ref()).expect("nothing is there"), 0);
    assert_eq!(target.remove("d".as_ref()).expect("it is there"), 2);
    assert!(elsewhere.path().join("f").exists());
}

#[test]
fn a_link_gives_way_to_what_takes_its_name() {
    let elsewhere = elsewhere();
    let place = place(&elsewhere);
    fs::remove_file(place.path().join("out")).expect("it is there");
    symlink(elsewhere.path().join("f"), place.path().join("out")).expect("there is room");
    let target = target(&place);
    for (name, before) in [("out", Previous::Present), ("new", Previous::Absent)] {
        let partial = target.partial();
        let file = target.file(&partial).expect("there is room");
        let mode = file.metadata().expect("it is open").mode();
        assert_eq!(mode & 0o777, 0o600);
        let cause = target.file(&partial).expect_err("the name is taken");
        assert_eq!(cause.kind(), ErrorKind::AlreadyExists);
        let kept = target.keep(&partial, name.as_ref()).expect("it is partial");
        assert_eq!(kept, before);
        target.clear(&partial).expect("nothing is left");
    }
    let theirs = fs::read(elsewhere.path().join("f")).expect("it is there");
    assert_eq!(theirs, b"theirs");
}
