//! The rooms of the host, which are the modules in `src/`, depend on each other one way.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up: a room uses those before it, and no other.
const ROOMS: [&str; 31] = [
    "text",
    "error",
    "event",
    "interruption",
    "throttle",
    "json",
    "own_file",
    "operator_file",
    "stderr",
    "journal",
    "contract",
    "snapshot",
    "pipe",
    "tree",
    "net",
    "grant",
    "operator_program",
    "registry",
    "confine",
    "plugin",
    "transfer",
    "retention",
    "schedule",
    "volume",
    "operation",
    "daemon",
    "timer",
    "history",
    "notify",
    "config",
    "cli",
];

#[test]
fn each_room_depends_on_lower_rooms_alone() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut upward = Vec::new();
    for file in rust_files(&source) {
        let Some(room) = room_of(&source, &file) else {
            continue;
        };
        let text = fs::read_to_string(&file).expect("it can be read");
        for used in used_rooms(&text) {
            if level(&used) > level(&room) {
                upward.push(format!("{} uses {used}", file.display()));
            }
        }
    }
    assert!(
        upward.is_empty(),
        "a room depends on a higher one; move what both need down:\n{}",
        upward.join("\n")
    );
}

#[test]
fn every_room_has_its_level() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms: BTreeSet<_> = rust_files(&source)
        .iter()
        .filter_map(|file| room_of(&source, file))
        .collect();
    assert_eq!(rooms, ROOMS.map(str::to_owned).into());
}

#[test]
fn what_may_be_something_else_than_a_file_is_opened_in_one_place() {
    // Each holds up whoever opens a pipe. The others open what the kernel makes, what they have just made, or by handles.
    let calls = [
        "File::open(",
        "File::create(",
        "fs::read(",
        "fs::read_to_string(",
        "fs::write(",
    ];
    expect_only(&calls, |file| {
        let rooms = ["own_file.rs", "operator_file.rs", "tree/", "confine/"];
        let files = ["cli/interrupt.rs", "cli/preflight.rs"];
        rooms
            .iter()
            .chain(&files)
            .any(|allowed| file.starts_with(allowed))
    });
}

#[test]
fn standard_output_and_standard_error_are_found_in_one_place() {
    expect_only(&["io::stdout()", "io::stderr()", "println!"], |file| {
        // The compiler's process talks to this program and to nobody else.
        ["cli/standard.rs", "cli/aside.rs"].contains(&file)
    });
}

/// Fails where code that is no test has one of these calls in a file that may not.
fn expect_only(calls: &[&str], is_allowed: impl Fn(&str) -> bool) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for file in rust_files(&source) {
        let name = file.strip_prefix(&source).expect("it is a source");
        let name = name.to_str().expect("it is a name of ours");
        if is_allowed(name) || name.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("it can be read");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let has = |call: &&&str| {
            let mut found = code.match_indices(**call);
            // `JournalFile::create(` is another one.
            found.any(|(start, _)| !code[..start].ends_with(char::is_alphanumeric))
        };
        found.extend(
            calls
                .iter()
                .filter(has)
                .map(|call| format!("{name}: {call}")),
        );
    }
    assert!(
        found.is_empty(),
        "use the room that is for it:\n{}",
        found.join("\n")
    );
}

#[test]
fn uses_are_found_in_every_form() {
    let text = "
        // crate::cli is only mentioned
        use crate::{error::Error, event};
        use crate::plugin::{self, Spec};
        fn f() -> crate::tree::Root {}
        use crate::{
            grant::{Access, Grants},
            net,
        };
    ";
    let expected = ["error", "event", "grant", "net", "plugin", "tree"];
    assert_eq!(used_rooms(text), expected.map(str::to_owned).into());
}

fn level(room: &str) -> Option<usize> {
    ROOMS.iter().position(|known| *known == room)
}

/// The room that a file is in; none for the roots of the crate.
fn room_of(source: &Path, file: &Path) -> Option<String> {
    let below = file.strip_prefix(source).expect("it is a source");
    let first = below.components().next()?.as_os_str().to_str()?;
    let room = first.trim_end_matches(".rs");
    (!matches!(room, "lib" | "main")).then(|| room.to_owned())
}

/// The names that come first after `crate::`.
fn used_rooms(text: &str) -> BTreeSet<String> {
    let code: Vec<_> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = code.join("\n");
    let mut used = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => used.extend(heads(list)),
            None => used.extend(identifier(rest)),
        }
    }
    used
}

/// The first name of each element of a list, up to the brace that closes it.
fn heads(list: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut is_head = true;
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_head = true,
            character if is_head && !character.is_whitespace() => {
                heads.extend(identifier(&list[at..]));
                is_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> Option<String> {
    let end = text.find(|character: char| !character.is_alphanumeric() && character != '_');
    let name = &text[..end.unwrap_or(text.len())];
    (!name.is_empty()).then(|| name.to_owned())
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("it is a directory") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
