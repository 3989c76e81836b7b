//! The writer, on directories in memory.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::pending;
use tempfile::TempDir;

use super::*;
use crate::contract::{LinkTarget, Permissions, Sequence, entry};
use crate::event::NoEvents;
use crate::pipe::pipe;
use crate::tree::OperatorPath;

/// One whose directory cannot be made, which keeps nobody from restoring.
fn journal() -> Journal {
    Journal::new(Path::new("/proc/nowhere"))
}

/// Restores these entries, with their names as the contents of the files, and answers what the writer says.
fn restore(target: &TempDir, options: RestoreOptions, entries: Vec<Entry>) -> Result<Receipt> {
    let root = root(target);
    let mut writer = TreeWriter::new(root, target.path(), options, &journal());
    let batch = Sequence::default().admit(entries).expect("it is a tree");
    let needs = writer.offer(&batch)?;
    let files = batch.iter().filter(|entry| needs.contains(&entry.id));
    let files: Vec<_> = files
        .map(|entry| SmallFile {
            id: entry.id,
            ending: if entry.name.as_bytes() == b"gone" {
                Ending::Omitted
            } else {
                Ending::Whole
            },
            contents: Bytes::copy_from_slice(entry.name.as_bytes()),
        })
        .collect();
    writer.put_small(&files)?;
    writer.complete(None)
}

fn root(target: &TempDir) -> TargetDir {
    let opened = OperatorPath::new(target.path()).open();
    let root = opened.and_then(TargetDir::root);
    root.expect("it is a directory")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is a directory");
    let mut names: Vec<_> = entries
        .map(|entry| {
            let name = entry.expect("it is listed").file_name();
            name.into_string().expect("it is text")
        })
        .collect();
    names.sort();
    names
}

fn file() -> EntryKind {
    EntryKind::File(None)
}

#[test]
fn a_tree_is_made_with_its_metadata() {
    let target = TempDir::new().expect("there is room");
    let mut directory = entry(1, 0, "d", EntryKind::Directory);
    directory.metadata.permissions = Permissions::new(0o750).expect("they are");
    let link = EntryKind::Symlink(LinkTarget::new("../elsewhere").expect("it is a target"));
    let tree = vec![
        directory,
        entry(2, 1, "f", file()),
        entry(3, 1, "l", link),
        entry(4, 0, "p", EntryKind::Fifo),
    ];
    let receipt = restore(&target, RestoreOptions::default(), tree).expect("it is restored");
    assert_eq!((receipt.files_new, receipt.files_total), (4, 1));
    let path = |name: &str| target.path().join(name);
    let directory = fs::metadata(path("d")).expect("it is there");
    assert_eq!(directory.permissions().mode() & 0o7777, 0o750);
    assert_eq!(directory.mtime(), 0);
    assert_eq!(fs::read(path("d/f")).expect("it is there"), b"f");
    let target = fs::read_link(path("d/l")).expect("it is a link");
    assert_eq!(target, Path::new("../elsewhere"));
}

#[test]
fn contents_that_were_asked_for_come_before_other_entries_and_before_the_end() {
    let target = TempDir::new().expect("there is room");
    let begin = || {
        let mut writer = TreeWriter::new(
            root(&target),
            target.path(),
            RestoreOptions::default(),
            &journal(),
        );
        let mut sequence = Sequence::default();
        let mut batch = |id, name| {
            let entries = vec![entry(id, 0, name, file())];
            sequence.admit(entries).expect("it is a tree")
        };
        let (first, second) = (batch(1, "a"), batch(2, "b"));
        let needs = writer.offer(&first).expect("it is a tree");
        assert_eq!(needs, HashSet::from([1]));
        (writer, second)
    };
    let (mut writer, second) = begin();
    let late = writer.offer(&second).expect_err("one has no contents");
    let (writer, _) = begin();
    let never = writer.complete(None).expect_err("one has no contents");
    for error in [late, never] {
        assert_eq!(error.message(), "the contents of entry 1 never came");
    }
}

#[test]
fn names_of_one_inode_become_hard_links() {
    let target = TempDir::new().expect("there is room");
    let linked = |id, name| {
        let mut entry = entry(id, 0, name, file());
        entry.metadata.inode = 7;
        entry.metadata.links = 2;
        entry
    };
    restore(
        &target,
        RestoreOptions::default(),
        vec![linked(1, "a"), linked(2, "b")],
    )
    .expect("it is restored");
    let inode = |name| {
        fs::metadata(target.path().join(name))
            .expect("it is there")
            .ino()
    };
    assert_eq!(inode("a"), inode("b"));
}

#[test]
fn what_is_not_in_the_tree_goes_only_when_that_is_asked_for() {
    for (delete, left) in [(false, vec!["a", "other"]), (true, vec!["a"])] {
        let target = TempDir::new().expect("there is room");
        fs::create_dir(target.path().join("other")).expect("there is room");
        fs::write(target.path().join("other/x"), "x").expect("there is room");
        let options = RestoreOptions {
            delete,
            verify: true,
        };
        let receipt =
            restore(&target, options, vec![entry(1, 0, "a", file())]).expect("it is restored");
        assert_eq!(names(target.path()), left);
        assert_eq!(receipt.removed, if delete { 2 } else { 0 });
    }
}

#[test]
fn a_link_in_the_way_is_not_followed() {
    let outside = TempDir::new().expect("there is room");
    for delete in [false, true] {
        let target = TempDir::new().expect("there is room");
        symlink(outside.path(), target.path().join("d")).expect("there is room");
        let tree = vec![
            entry(1, 0, "d", EntryKind::Directory),
            entry(2, 1, "f", file()),
        ];
        let options = RestoreOptions {
            delete,
            verify: false,
        };
        let receipt = restore(&target, options, tree).expect("the rest goes on");
        assert_eq!(receipt.failed, if delete { 0 } else { 2 });
        assert_eq!(names(outside.path()), [""; 0]);
    }
}

#[test]
fn a_file_whose_contents_cannot_be_had_is_left_out() {
    let target = TempDir::new().expect("there is room");
    let tree = vec![entry(1, 0, "a", file()), entry(2, 0, "gone", file())];
    restore(&target, RestoreOptions::default(), tree).expect("it is restored");
    assert_eq!(names(target.path()), ["a"]);
}

#[test]
fn contents_that_nobody_asked_for_are_refused() {
    let target = TempDir::new().expect("there is room");
    let root = root(&target);
    let options = RestoreOptions::default();
    let writer = TreeWriter::new(root, target.path(), options, &journal());
    let file = SmallFile {
        id: 1,
        ending: Ending::Whole,
        contents: Bytes::new(),
    };
    writer.put_small(&[file]).expect_err("there is no entry 1");
}

#[test]
fn a_dry_run_counts_what_would_change_and_changes_nothing() {
    let target = TempDir::new().expect("there is room");
    fs::write(target.path().join("old"), "x").expect("there is room");
    fs::write(target.path().join("same"), "").expect("there is room");
    let root = root(&target);
    let mut dry_run = DryRun::new(Some(root), target.path(), true, Arc::new(NoEvents));
    let tree = vec![
        entry(1, 0, "new", EntryKind::Directory),
        entry(2, 1, "f", file()),
        entry(3, 0, "same", file()),
    ];
    let batch = Sequence::default().admit(tree).expect("it is a tree");
    dry_run.offer(&batch).expect("it is compared");
    let receipt = dry_run.complete().expect("it is compared");
    assert_eq!((receipt.files_new, receipt.removed), (2, 1));
    assert_eq!(names(target.path()), ["old", "same"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_given_up_in_the_middle_leaves_nothing() {
    let target = TempDir::new().expect("there is room");
    let mut writer = TreeWriter::new(
        root(&target),
        target.path(),
        RestoreOptions::default(),
        &journal(),
    );
    let batch = Sequence::default().admit(vec![entry(1, 0, "a", file())]);
    writer
        .offer(&batch.expect("it is a tree"))
        .expect("it is taken");
    let (pipe, mut readers) = pipe(1);
    pipe.send(&Bytes::from_static(b"some"));
    let content = Content {
        bytes: readers.pop().expect("there is one"),
        verdict: pending().boxed().shared(),
    };
    let put = writer.put(1, content);
    let given_up = tokio::time::timeout(Duration::from_millis(100), put).await;
    given_up.expect_err("its verdict never comes");
    assert_eq!(names(target.path()), [""; 0]);
}
