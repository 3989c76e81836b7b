use std::cell::RefCell;

use super::contents::{KNOWN, NO_DATA};
use super::*;

/// The tables and large objects of an archive that is made by hand.
const DEFINITION: &str = "CREATE TABLE public.t (\n    a integer\n);\n";

/// Its table of contents, in this version and form: something without data, a table, a table whose rows are statements,
/// and large objects.
fn contents(minor: u8, form: Form) -> Vec<u8> {
    let mut archive = b"PGDMP\x01".to_vec();
    archive.extend([minor, 0, 4, 8, form as u8]);
    match minor {
        15.. => archive.push(0),
        _ => integer(&mut archive, 0),
    }
    (0..7).for_each(|part| integer(&mut archive, part));
    texts(&mut archive, &["shop", "15.4", "15.5"]);
    integer(&mut archive, 4);
    for (number, sort, copy, file) in [
        (1, "TABLE", "", ""),
        (2, "TABLE DATA", "COPY public.t (a) FROM stdin;\n", "2.dat"),
        (3, "TABLE DATA", "", "3.dat"),
        (4, "BLOBS", "", "4.dat"),
    ] {
        integer(&mut archive, number);
        integer(&mut archive, u32::from(number > 1));
        texts(&mut archive, &["1259", "16390", "t", sort]);
        integer(&mut archive, 2);
        let removal = "DROP TABLE public.t;";
        texts(&mut archive, &[DEFINITION, removal, copy, "public", ""]);
        if minor >= 14 {
            text(&mut archive, "heap");
        }
        if minor >= 16 {
            integer(&mut archive, 114);
        }
        texts(&mut archive, &["postgres", "false", "12"]);
        archive.extend([1, 1, 0, 0, 0]);
        match form {
            Form::Custom => {
                archive.push(if file.is_empty() { NO_DATA } else { 1 });
                archive.extend([0; 8]);
            }
            Form::Tar => text(&mut archive, file),
        }
    }
    archive
}

/// An archive in the custom format.
fn custom(minor: u8) -> Vec<u8> {
    let mut archive = contents(minor, Form::Custom);
    archive.push(1);
    integer(&mut archive, 2);
    text(&mut archive, "1\tone\n");
    text(&mut archive, "2\ttwo\n");
    integer(&mut archive, 0);
    archive.push(1);
    integer(&mut archive, 3);
    text(&mut archive, "INSERT INTO t VALUES (1);\n");
    integer(&mut archive, 0);
    archive.push(3);
    integer(&mut archive, 4);
    integer(&mut archive, 16398);
    text(&mut archive, "large");
    integer(&mut archive, 0);
    integer(&mut archive, 0);
    archive
}

/// An archive as tar.
fn tar(minor: u8) -> Vec<u8> {
    let mut archive = Vec::new();
    let list = if minor >= 16 {
        "blobs_4.toc"
    } else {
        "blobs.toc"
    };
    for (name, text) in [
        ("toc.dat", contents(minor, Form::Tar).as_slice()),
        ("2.dat", b"1\tone\n\\.\n"),
        ("3.dat", b"INSERT INTO t VALUES (1);\n"),
        ("blob_16398.dat", b"large"),
        ("blob_16399.dat", b""),
        (list, b"16398 blob_16398.dat\n"),
        ("restore.sql", &[b'-'; 1000]),
    ] {
        file(&mut archive, name, text);
    }
    archive.extend([0; 1024]);
    archive
}

fn file(archive: &mut Vec<u8>, name: &str, text: &[u8]) {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..136].copy_from_slice(format!("{:011o} ", text.len()).as_bytes());
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.extend(header);
    archive.extend(text);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

fn integer(archive: &mut Vec<u8>, number: u32) {
    archive.push(0);
    archive.extend(number.to_le_bytes());
}

fn texts(archive: &mut Vec<u8>, texts: &[&str]) {
    for word in texts {
        text(archive, word);
    }
}

fn text(archive: &mut Vec<u8>, text: &str) {
    integer(archive, u32::try_from(text.len()).expect("it is short"));
    archive.extend(text.as_bytes());
}

fn verdict(form: Form, archive: &[u8], piece: usize) -> Result<(), String> {
    let mut check = Archive::new(form);
    archive.chunks(piece).for_each(|bytes| check.follow(bytes));
    check.finish()
}

#[test]
fn an_archive_is_whole_however_it_comes() {
    for minor in KNOWN {
        for (form, archive) in [(Form::Custom, custom(minor)), (Form::Tar, tar(minor))] {
            for piece in [1, 7, archive.len()] {
                assert_eq!(verdict(form, &archive, piece), Ok(()), "{form:?} 1.{minor}");
            }
        }
    }
}

#[test]
fn an_archive_that_is_cut_anywhere_is_missed_something_of() {
    for (form, archive) in [(Form::Custom, custom(15)), (Form::Tar, tar(15))] {
        for length in 0..archive.len() {
            let missing = verdict(form, &archive[..length], 50).expect_err("it is cut");
            assert!(missing.contains("cut"), "{form:?} {length}: {missing}");
        }
    }
    let archive = custom(15);
    let no_large_objects = &archive[..archive.len() - 36];
    let missing = verdict(Form::Custom, no_large_objects, 50).expect_err("it is cut");
    assert!(missing.contains("cut"), "{missing}");
}

#[test]
fn an_archive_that_is_something_else_is_found() {
    let archive = custom(14);
    let mut mangled = Vec::new();
    for byte in &archive {
        if *byte == b'\n' {
            mangled.push(b'\r');
        }
        mangled.push(*byte);
    }
    let longer = [archive.as_slice(), b"killed\n"].concat();
    let error_first = [b"warning\n", archive.as_slice()].concat();
    let title = b"-- PostgreSQL database dump".to_vec();
    let other_file = {
        let mut tar = tar(15);
        tar.truncate(tar.len() - 1024);
        file(&mut tar, "other", b"x");
        tar
    };
    let tar_and_more = [tar(15).as_slice(), b"x"].concat();
    for (form, bytes, said) in [
        (Form::Custom, mangled, "-T"),
        (Form::Custom, longer, "damaged"),
        (Form::Custom, error_first, "PGDMP"),
        (Form::Custom, title.clone(), "PGDMP"),
        (Form::Custom, tar(15), "PGDMP"),
        (Form::Tar, archive, "toc.dat"),
        (Form::Tar, title.repeat(100), "toc.dat"),
        (Form::Tar, other_file, "behind its end"),
        (Form::Tar, tar_and_more, "behind its end"),
    ] {
        let missing = verdict(form, &bytes, 33).expect_err(said);
        assert!(missing.contains(said), "{missing}");
    }
}

/// Takes note of what it is shown.
#[derive(Default)]
struct Notes(Rc<RefCell<Vec<String>>>);

impl Notes {
    fn note(&self, text: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(text).into_owned();
        let refused = text == "refused";
        self.0.borrow_mut().push(text);
        if refused {
            return Err("no".into());
        }
        Ok(())
    }
}

impl Examine for Notes {
    fn comment(&mut self, text: &[u8]) -> Result<(), String> {
        self.note(text)
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), String> {
        assert_eq!(entry.definition, DEFINITION.as_bytes());
        assert_eq!(entry.first_dependency.as_deref(), Some(&b"12"[..]));
        self.note(&entry.copy)
    }

    fn contents_end(&mut self) -> Result<(), String> {
        self.note(b"end")
    }

    fn statements(&mut self, piece: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(piece).into_owned();
        let mut notes = self.0.borrow_mut();
        notes
            .last_mut()
            .expect("the contents came before")
            .push_str(&text);
        Ok(())
    }

    fn statements_end(&mut self) -> Result<(), String> {
        self.note(b"")
    }
}

#[test]
fn whoever_looks_at_an_archive_sees_all_sql_before_the_contents_are_complete() {
    for archive in [custom(14), custom(16), tar(14), tar(16)] {
        let notes = Rc::default();
        let mut examined = Archive::examined(Box::new(Notes(Rc::clone(&notes))));
        for bytes in archive.chunks(11) {
            examined.follow(bytes);
            assert_eq!(examined.objection(), None);
            assert!(examined.released() < archive.len() as u64);
        }
        assert_eq!(examined.finish(), Ok(()));
        let expected = [
            "15.4",
            "15.5",
            "",
            "COPY public.t (a) FROM stdin;\n",
            "",
            "",
            "endINSERT INTO t VALUES (1);\n",
            "",
        ];
        assert_eq!(*notes.borrow(), expected);
    }
}

#[test]
fn nothing_that_pg_restore_waits_for_is_released_too_early() {
    let archive = tar(15);
    let find = |name: &str| {
        let place = archive
            .windows(name.len())
            .rposition(|part| part == name.as_bytes());
        place.expect("it is there") as u64
    };
    // Of the last large object, which is empty, the header is what pg_restore needs.
    let last = find("blob_16399.dat\0") + 511;
    let mut examined = Archive::examined(Box::new(Notes::default()));
    for byte in &archive {
        examined.follow(&[*byte]);
        assert!(examined.released() <= last);
    }
    assert_eq!(examined.finish(), Ok(()));
    assert_eq!(examined.released(), last);
    assert_eq!(examined.end_of_need(), Some(last + 1));
    let mut examined = Archive::examined(Box::new(Notes::default()));
    let archive = custom(15);
    examined.follow(&archive);
    assert_eq!(examined.released(), archive.len() as u64 - 1);
    assert_eq!(examined.end_of_need(), None);
}

#[test]
fn numbers_that_pg_restore_would_read_in_another_way_are_damage() {
    let archive = custom(15);
    let count = 11 + 1 + 7 * 5 + (5 + 4) * 3;
    assert_eq!(archive[count..count + 5], [0, 4, 0, 0, 0]);
    for (place, value) in [(count, 2), (count, 1), (count + 4, 0x80), (8, 8), (8, 3)] {
        let mut changed = archive.clone();
        changed[place] = value;
        let verdict = verdict(Form::Custom, &changed, 100).expect_err("it is damaged");
        assert!(verdict.contains("damaged"), "{verdict}");
    }
    // A text without a length is an empty one, and not the end of a list.
    let end = [1, 1, 0, 0, 0];
    let place = archive.windows(5).position(|bytes| bytes == end);
    let mut changed = archive.clone();
    changed[place.expect("a list ends") + 1] = 0;
    verdict(Form::Custom, &changed, 100).expect_err("the list goes on");
}

#[test]
fn a_table_of_contents_may_hold_anything() {
    let samples: Vec<_> = [12, 14, 15, 16].map(custom).into();
    tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "archive", &samples, |bytes| {
        let verdict = |piece| verdict(Form::Custom, bytes, piece);
        assert_eq!(
            verdict(7),
            verdict(usize::MAX),
            "how it comes makes a difference"
        );
    });
}
