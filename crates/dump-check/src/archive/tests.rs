use super::*;

/// An archive of this version, made by hand: a table, its rows, and large objects.
fn archive(minor: u8) -> Vec<u8> {
    let mut archive = b"PGDMP\x01".to_vec();
    archive.extend([minor, 0, 4, 8, 1]);
    match minor {
        15.. => archive.push(0),
        _ => integer(&mut archive, 0),
    }
    (0..7).for_each(|part| integer(&mut archive, part));
    texts(&mut archive, &["shop", "15.4", "15.4"]);
    integer(&mut archive, 3);
    entry(&mut archive, minor, 1, false);
    entry(&mut archive, minor, 2, true);
    entry(&mut archive, minor, 3, true);
    archive.push(1);
    integer(&mut archive, 2);
    text(&mut archive, "1\tone\n");
    text(&mut archive, "2\ttwo\n");
    integer(&mut archive, 0);
    archive.push(3);
    integer(&mut archive, 3);
    integer(&mut archive, 16398);
    text(&mut archive, "large");
    integer(&mut archive, 0);
    integer(&mut archive, 0);
    archive
}

fn entry(archive: &mut Vec<u8>, minor: u8, number: u8, has_data: bool) {
    integer(archive, number.into());
    integer(archive, has_data.into());
    texts(archive, &["1259", "16390", "t", "TABLE"]);
    integer(archive, 2);
    let definition = "CREATE TABLE public.t (\n    a integer\n);\n";
    texts(
        archive,
        &[definition, "DROP TABLE public.t;", "", "public", ""],
    );
    if minor >= 14 {
        text(archive, "heap");
    }
    if minor >= 16 {
        integer(archive, 114);
    }
    texts(archive, &["postgres", "false", "12"]);
    archive.extend([1, 1, 0, 0, 0]);
    archive.push(if has_data { 1 } else { NO_DATA });
    archive.extend([0; 8]);
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

fn verdict(archive: &[u8], piece: usize) -> Result<(), String> {
    let mut check = Archive::default();
    archive.chunks(piece).for_each(|bytes| check.follow(bytes));
    check.finish()
}

#[test]
fn an_archive_is_whole_however_it_comes() {
    for minor in KNOWN {
        let archive = archive(minor);
        for piece in [1, 7, archive.len()] {
            assert_eq!(verdict(&archive, piece), Ok(()), "version 1.{minor}");
        }
    }
}

#[test]
fn an_archive_that_is_cut_anywhere_is_missed_something_of() {
    let archive = archive(15);
    for length in 0..archive.len() {
        let missing = verdict(&archive[..length], 50).expect_err("it is cut");
        assert!(missing.contains("cut"), "{length}: {missing}");
    }
    let no_rows = &archive[..archive.len() - 51];
    let missing = verdict(no_rows, 50).expect_err("it has no large objects");
    assert!(missing.contains("cut"), "{missing}");
}

#[test]
fn an_archive_that_is_something_else_is_found() {
    let archive = archive(14);
    let mut mangled = Vec::new();
    for byte in &archive {
        if *byte == b'\n' {
            mangled.push(b'\r');
        }
        mangled.push(*byte);
    }
    let longer = [archive.as_slice(), b"killed\n"].concat();
    let error_first = [b"warning\n", archive.as_slice()].concat();
    for (bytes, said) in [
        (mangled, "-T"),
        (longer, "damaged"),
        (error_first, "PGDMP"),
        (b"-- PostgreSQL database dump".to_vec(), "PGDMP"),
    ] {
        let missing = verdict(&bytes, 33).expect_err(said);
        assert!(missing.contains(said), "{missing}");
    }
}

#[test]
fn a_table_of_contents_may_hold_anything() {
    let samples: Vec<_> = [12, 14, 15, 16].map(archive).into();
    tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "archive", &samples, |bytes| {
        let whole = verdict(bytes, usize::MAX);
        assert_eq!(verdict(bytes, 7), whole, "how it comes makes a difference");
    });
}
