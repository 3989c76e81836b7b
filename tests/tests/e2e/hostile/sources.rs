//! Sources that attack, one after the other.

use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};

use super::{Attacked, Fates, attacker, name, told};

/// What is attacked, and how.
const ATTACKS: [&str; 38] = [
    "open:loop",
    "open:stall",
    "next:stall",
    "next:chatter",
    "next:trap",
    "next:hoard",
    "read-small:stall",
    "read:stall",
    "stream-stall",
    "verdict-stall",
    "finish:stall",
    "name-up",
    "name-here",
    "name-empty",
    "name-absolute",
    "name-path",
    "name-nul",
    "name-long",
    "twins",
    "same-number",
    "orphan",
    "in-file",
    "link-nul",
    "mode",
    "nobody",
    "nanoseconds",
    "xattr-name",
    "xattrs",
    "many",
    "endless-tree",
    "endless",
    "announced",
    "too-few",
    "too-many",
    "swollen",
    "long-path",
    "many-paths",
    "next:terminal",
];

/// What became of them. What they give goes into a sink that takes everything and stores nothing.
fn fates() -> Result<&'static Fates> {
    static FATES: OnceLock<Result<Fates, String>> = OnceLock::new();
    Fates::shared(&FATES, || {
        let mut tables = attacker("sinks", "nothing", "")?;
        let mut arguments = vec!["run", "--json", "--sink", "nothing"];
        let names = ATTACKS.map(name);
        for (attack, name) in ATTACKS.iter().zip(&names) {
            let limits = ", entries = 100000, output = \"16 MiB\"";
            tables += &attacker("sources", attack, limits)?;
            arguments.extend(["--source", name]);
        }
        let attacked = Attacked::new(&tables)?;
        let outcome = attacked.tthost.run(&arguments)?;
        let report = outcome.json()?;
        let sources = report["sources"].as_array();
        let sources = sources.with_context(|| outcome.describe())?;
        let errors = sources.iter().filter_map(|source| {
            let name = source["source"].as_str()?.to_owned();
            Some((name, told(&source["error"])?))
        });
        Ok(Fates {
            errors: errors.collect(),
            outcome,
        })
    })
}

fn expect(attack: &str, words: &[&str]) -> Result<()> {
    fates()?.expect(attack, words)
}

#[test]
fn an_honest_source_after_a_hostile_one_is_backed_up() -> Result<()> {
    let attacked = Attacked::new(&attacker("sources", "name-up", "")?)?;
    let run = [
        "run", "--source", "name-up", "--source", "honest", "--sink", "safe",
    ];
    attacked
        .tthost
        .fails(&run, 3, &["source name-up", "file name"])?;
    attacked.safe.check()?;
    ensure!(attacked.safe.snapshots()?.len() == 1);
    Ok(())
}

#[test]
fn all_of_them_end_with_an_error_of_their_own() -> Result<()> {
    let fates = fates()?;
    for attack in ATTACKS {
        fates.expect(attack, &[])?;
    }
    Ok(())
}

#[test]
fn a_loop_without_end_is_ended_in_whatever_call() -> Result<()> {
    fates()?.expect_endless("open:loop")?;
    fates()?.expect_endless("next:chatter")
}

#[test]
fn a_reader_that_stalls_is_given_up_in_whatever_call() -> Result<()> {
    for attack in [
        "open:stall",
        "next:stall",
        "read-small:stall",
        "read:stall",
        "finish:stall",
    ] {
        expect(attack, &["no progress for 2s", "limits.stall-timeout"])?;
    }
    Ok(())
}

#[test]
fn a_stream_that_does_not_go_on_or_has_no_verdict_is_given_up() -> Result<()> {
    expect("stream-stall", &["no progress for 2s"])?;
    expect("verdict-stall", &["no progress for 2s"])
}

#[test]
fn a_trap_is_quoted_and_a_hoard_of_memory_ends_at_its_limit() -> Result<()> {
    expect("next:trap", &["as configured"])?;
    expect("next:hoard", &["limit of 64 MiB"])
}

#[test]
fn names_that_lead_elsewhere_are_refused() -> Result<()> {
    for attack in [
        "name-up",
        "name-here",
        "name-empty",
        "name-absolute",
        "name-path",
    ] {
        expect(attack, &["is not a file name"])?;
    }
    expect("name-nul", &["contains NUL"])
}

#[test]
fn a_name_of_megabytes_is_refused_and_not_shown_whole() -> Result<()> {
    expect("name-long", &["is longer than 1020 bytes"])
}

#[test]
fn entries_that_are_no_tree_are_refused() -> Result<()> {
    expect("twins", &["out of order"])?;
    expect("same-number", &["comes after entry 1"])?;
    expect("orphan", &["not an open directory"])?;
    expect("in-file", &["not an open directory"])
}

#[test]
fn what_no_file_system_has_is_refused() -> Result<()> {
    expect("link-nul", &["symbolic link contains NUL"])?;
    expect("mode", &["more bits"])?;
    expect("nobody", &["not the number of a user"])?;
    expect("nanoseconds", &["nanoseconds"])?;
    expect("xattr-name", &["extended attribute"])?;
    expect("xattrs", &["in one call"])
}

#[test]
fn an_answer_longer_than_was_asked_for_is_refused() -> Result<()> {
    expect("many", &["2000 entries where 1024"])?;
    expect("too-few", &["0 contents where 1"])?;
    expect("too-many", &["5000 contents where 1"])
}

#[test]
fn a_tree_without_end_ends_at_its_limit() -> Result<()> {
    expect("endless-tree", &["limits.entries"])
}

#[test]
fn a_stream_without_end_ends_at_its_limit() -> Result<()> {
    expect("endless", &["limits.output"])
}

#[test]
fn a_stream_far_longer_than_announced_is_ended() -> Result<()> {
    expect(
        "announced",
        &["more than 3145728 bytes, and 1048576 were announced"],
    )
}

#[test]
fn a_small_file_that_swells_is_refused() -> Result<()> {
    expect("swollen", &["far more bytes than the 2"])
}

#[test]
fn paths_of_a_capture_are_neither_long_nor_many() -> Result<()> {
    expect("long-path", &["a text of a snapshot"])?;
    expect("many-paths", &["100000 tags or paths"])
}

#[test]
fn terminal_escapes_are_made_visible() -> Result<()> {
    expect("next:terminal", &["\\u{1b}]0;owned", "[cut]"])
}
