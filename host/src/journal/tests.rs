//! Journals of processes that run and of processes that are gone.

use std::io::Write as _;

use super::*;

fn files(prefix: &str) -> Leftover {
    Leftover::Files {
        root: "/srv".into(),
        prefix: prefix.to_owned(),
    }
}

#[test]
fn what_is_noted_stands_until_it_is_cleared_and_leaves_no_file() {
    let state = tempfile::tempdir().expect("there is room");
    let journal = Journal::new(state.path());
    let other = Journal::new(state.path());
    assert!(other.elsewhere().expect("it can be read").is_empty());
    let first = journal.note(files("a")).expect("there is room");
    let second = journal.keep(files("b")).expect("there is room");
    assert_eq!(
        other.elsewhere().expect("it can be read"),
        [files("a"), files("b")]
    );
    assert!(journal.elsewhere().expect("it can be read").is_empty());
    assert!(
        other.abandoned().expect("it can be read").is_empty(),
        "it is alive"
    );
    journal.clear(first).expect("it can be written");
    assert_eq!(other.elsewhere().expect("it can be read"), [files("b")]);
    drop(second);
    assert!(other.elsewhere().expect("it can be read").is_empty());
    assert!(other.paths().expect("it can be read").is_empty());
    // A number that was used means nothing else later.
    let third = journal.note(files("d")).expect("there is room");
    journal.clear(first).expect("it can be written");
    assert_eq!(journal.outstanding(), [(third, files("d"))]);
    journal.clear(third).expect("it can be written");
    drop(journal);

    let journal = Journal::new(state.path());
    journal
        .keep(files("c"))
        .expect("there is room")
        .keep_noted();
    drop(journal);
    let left = other.abandoned().expect("it can be read");
    assert_eq!(
        left[0].outstanding()[0].1,
        files("c"),
        "the next one does it"
    );
}

#[test]
fn what_somebody_of_this_process_left_is_for_another_one_of_it() {
    let state = tempfile::tempdir().expect("there is room");
    let journal = Journal::new(state.path());
    let kept = journal.note(files("a")).expect("there is room");
    let left = journal.note(files("b")).expect("there is room");
    assert!(journal.orphans().is_empty());
    journal.orphan(left);
    assert_eq!(journal.orphans(), [(left, files("b"))]);
    let other = Journal::new(state.path());
    assert!(
        other.abandoned().expect("it can be read").is_empty(),
        "another process has to wait"
    );
    journal.clear(left).expect("it can be written");
    assert!(journal.orphans().is_empty());
    journal.clear(kept).expect("it can be written");
}

#[test]
fn what_a_process_left_that_died_is_seen_by_all_until_it_is_undone() {
    let state = tempfile::tempdir().expect("there is room");
    let killed = Journal::new(state.path());
    let _ = killed.note(files("a")).expect("there is room");
    let _ = killed.note(files("b")).expect("there is room");
    // Its lock goes, and nothing is undone.
    drop(killed);
    let outstanding = |taken: &[Abandoned]| {
        let outstanding = taken.iter().flat_map(Abandoned::outstanding);
        outstanding.map(|(_, left)| left).collect::<Vec<_>>()
    };
    let journal = Journal::new(state.path());
    let other = Journal::new(state.path());
    let mut first = journal.abandoned().expect("it can be read");
    // At the same moment, in this process or in another one.
    let mut second = journal.abandoned().expect("it can be read");
    let third = other.abandoned().expect("it can be read");
    for taken in [&first, &second, &third] {
        assert_eq!(
            outstanding(taken),
            [files("b"), files("a")],
            "the last first"
        );
    }
    drop(third);
    assert!(
        other.elsewhere().expect("it can be read").is_empty(),
        "who undoes it is not who left it"
    );
    for (taken, place) in [(&mut first, 0), (&mut second, 1)] {
        let (note, _) = taken[0].outstanding()[place].clone();
        taken[0].clear(note).expect("it can be written");
        if place == 0 {
            let left = other.abandoned().expect("it can be read");
            assert_eq!(outstanding(&left), [files("a")], "the rest is for others");
        }
    }
    drop((first, second));
    assert!(journal.paths().expect("it can be read").is_empty());
}

#[test]
fn a_line_that_was_cut_off_or_that_nobody_knows_spoils_no_other() {
    let state = tempfile::tempdir().expect("there is room");
    let killed = Journal::new(state.path());
    let _ = killed.note(files("a")).expect("there is room");
    let path = killed.paths().expect("it can be read").remove(0);
    // Its lock goes, and nothing is undone.
    drop(killed);
    let mut file = File::options()
        .append(true)
        .open(path)
        .expect("it is there");
    let text = br#"{"note":[7,{"of-the-future":1}]}
{"note":[1,{"files":{"root":"#;
    file.write_all(text).expect("there is room");
    let journal = Journal::new(state.path());
    for _ in 0..2 {
        let taken = journal.abandoned().expect("it can be read");
        let outstanding = taken[0].outstanding();
        assert_eq!(outstanding.len(), 1);
        assert_eq!(outstanding[0].1, files("a"));
    }
}

#[tokio::test]
async fn one_process_at_a_time_has_its_turn() {
    let state = tempfile::tempdir().expect("there is room");
    let first = Journal::new(state.path());
    let second = Journal::new(state.path());
    let lock = first.lock().await.expect("it is free");
    let waiting = tokio::time::timeout(POLL_INTERVAL * 3, second.lock());
    assert!(waiting.await.is_err());
    drop(lock);
    let _lock = second.lock().await.expect("it is free");
}
