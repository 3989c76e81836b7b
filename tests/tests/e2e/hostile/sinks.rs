//! Sinks that attack, all at once beside an honest one.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::{Attacked, Fates, attacker, name, told};

/// What is attacked, and how.
const ATTACKS: [&str; 35] = [
    "open:loop",
    "open:stall",
    "begin:stall",
    "offer:loop",
    "offer:chatter",
    "offer:hoard",
    "offer:handles",
    "offer:large-list",
    "offer:stage",
    "offer:stage-nothing",
    "offer:scrypt",
    "offer:decompress",
    "offer:compress",
    "offer:open-streams",
    "offer:waiting-names",
    "offer:leftovers",
    "offer:log",
    "offer:stdout",
    "offer:stderr",
    "offer:terminal",
    "offer:secret",
    "foreign-need",
    "many-needs",
    "concurrency",
    "put-small:trap",
    "put:stall",
    "unread",
    "commit:stall",
    "commit-nothing",
    "commit-odd",
    "commit-long",
    "commit-lie",
    "commit-twice",
    "commit-old",
    "long-text",
];

/// What became of them.
fn fates() -> Result<&'static Fates> {
    static FATES: OnceLock<Result<Fates, String>> = OnceLock::new();
    Fates::shared(&FATES, || {
        let mut tables = String::new();
        let mut arguments = vec!["run", "--json", "--source", "honest", "--sink", "safe"];
        let names = ATTACKS.map(name);
        for (attack, name) in ATTACKS.iter().zip(&names) {
            tables += &attacker("sinks", attack, "")?;
            arguments.extend(["--sink", name]);
        }
        let attacked = Attacked::new(&tables)?;
        let outcome = attacked.tthost.run(&arguments)?;
        attacked.safe.check()?;
        let stored = attacked.safe.snapshots()?.len();
        ensure!(stored == 1, "{stored} snapshots: {}", outcome.describe());
        let report = outcome.json()?;
        let sinks = report["sources"][0]["sinks"].as_array();
        let sinks = sinks.with_context(|| outcome.describe())?;
        let errors = sinks.iter().filter_map(|sink| {
            let name = sink["sink"].as_str()?.to_owned();
            Some((name, told(&sink["error"])?))
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
fn the_honest_sink_beside_all_of_them_has_its_snapshot() -> Result<()> {
    let fates = fates()?;
    ensure!(!fates.errors.contains_key("safe"));
    ensure!(
        fates.errors.len() == ATTACKS.len(),
        "{:?}",
        fates.errors.keys()
    );
    Ok(())
}

#[test]
fn a_loop_without_end_is_ended_in_whatever_call() -> Result<()> {
    fates()?.expect_endless("open:loop")?;
    fates()?.expect_endless("offer:loop")
}

#[test]
fn chatter_is_no_sign_of_life() -> Result<()> {
    fates()?.expect_endless("offer:chatter")?;
    fates()?.expect_endless("offer:stdout")
}

#[test]
fn a_stall_is_ended_in_whatever_call() -> Result<()> {
    for attack in ["open:stall", "begin:stall", "put:stall", "commit:stall"] {
        expect(attack, &["no progress for 2s", "limits.stall-timeout"])?;
    }
    Ok(())
}

#[test]
fn a_hoard_of_memory_ends_at_its_limit() -> Result<()> {
    expect("offer:hoard", &["limit of 64 MiB"])
}

#[test]
fn a_hoard_of_handles_ends() -> Result<()> {
    expect("offer:handles", &["the plugin failed"])?;
    expect("offer:open-streams", &["the plugin failed"])
}

#[test]
fn a_list_of_absurd_size_does_not_come_into_the_host() -> Result<()> {
    expect("offer:large-list", &["in one call", "limits.memory"])
}

#[test]
fn what_the_host_holds_for_a_plugin_counts_before_it_is_there() -> Result<()> {
    for attack in [
        "offer:stage",
        "offer:stage-nothing",
        "offer:scrypt",
        "offer:decompress",
        "offer:compress",
    ] {
        expect(attack, &["64 MiB of memory"])?;
    }
    Ok(())
}

#[test]
fn what_calls_that_wait_have_brought_counts_too() -> Result<()> {
    expect("offer:waiting-names", &["64 MiB"])
}

#[test]
fn a_flood_of_messages_is_cut_and_counted() -> Result<()> {
    let said = &fates()?.outcome.stderr;
    let lines = said.lines().filter(|line| line.contains(": message "));
    let lines = lines.count();
    ensure!((100..3000).contains(&lines), "{lines} messages");
    ensure!(said.contains("messages dropped: "));
    Ok(())
}

#[test]
fn a_flood_of_leftovers_ends_before_it_fills_the_disk() -> Result<()> {
    expect("offer:leftovers", &["4096 leftovers were noted"])
}

#[test]
fn a_flood_on_standard_error_ends() -> Result<()> {
    expect("offer:stderr", &[])?;
    ensure!(fates()?.outcome.stderr.len() < 2 << 20);
    Ok(())
}

#[test]
fn terminal_escapes_are_made_visible_and_texts_are_cut() -> Result<()> {
    expect("offer:terminal", &["\\u{1b}]0;owned", "\\u{202e}", "[cut]"])?;
    ensure!(!fates()?.outcome.stderr.contains('\u{1b}'));
    Ok(())
}

#[test]
fn the_secret_of_another_plugin_is_denied() -> Result<()> {
    expect("offer:secret", &["secret password is not granted"])
}

#[test]
fn needs_that_nobody_offered_are_refused() -> Result<()> {
    expect("foreign-need", &["not a file of the batch"])?;
    expect("many-needs", &["out of order"])
}

#[test]
fn a_trap_is_quoted() -> Result<()> {
    expect("put-small:trap", &["as configured"])
}

#[test]
fn contents_that_were_not_read_are_not_stored() -> Result<()> {
    expect("unread", &["it says that it has all of entry"])
}

#[test]
fn a_commit_without_a_snapshot_that_a_new_instance_lists_has_failed() -> Result<()> {
    expect("commit-nothing", &["does not name it"])?;
    expect("commit-lie", &["does not list it"])?;
    expect("concurrency", &["does not list it"])?;
    expect("commit-old", &["another time"])
}

#[test]
fn ids_are_printable_short_and_unique() -> Result<()> {
    expect("commit-odd", &["printable characters"])?;
    expect("commit-long", &["printable characters"])?;
    expect("commit-twice", &["twice"])
}

#[test]
fn texts_of_a_snapshot_have_a_limit() -> Result<()> {
    expect("long-text", &["a text of a snapshot has 100000 bytes"])
}

#[test]
fn a_sink_that_forgets_nothing_is_found_out() -> Result<()> {
    let attacked = Attacked::new(&attacker("sinks", "forget-nothing", "")?)?;
    let forget = ["forget", "one", "--sink", "forget-nothing"];
    let words = ["sink forget-nothing", "still has it"];
    attacked.tthost.fails(&forget, 1, &words)?;
    Ok(())
}

#[test]
fn a_gigantic_list_of_snapshots_takes_seconds_and_says_little() -> Result<()> {
    let table = |attack: &str| {
        let table = attacker("sinks", attack, "")?;
        Ok::<_, anyhow::Error>(table.replace("memory = \"64 MiB\"", "memory = \"1 GiB\""))
    };
    let attacked = Attacked::new(&(table("many")? + &table("many-damaged")?))?;
    let start = Instant::now();
    let forget = ["forget", "--keep-last", "1", "--sink", "many", "--quiet"];
    // Each of 100,000 is looked for in what is left, and it is found out that they are all there.
    let words = ["the snapshot s", "still has it"];
    attacked.tthost.fails(&forget, 1, &words)?;
    let took = start.elapsed();
    ensure!(took < Duration::from_mins(1), "{took:?}");
    for command in ["snapshots", "forget"] {
        let keep: &[&str] = match command {
            "forget" => &["--keep-last", "1"],
            _ => &[],
        };
        let listing = [&[command, "--sink", "many-damaged"], keep].concat();
        let said = attacked.tthost.run(&listing)?.stderr;
        ensure!(
            said.contains("99980 more snapshots are damaged"),
            "{command}: {said}"
        );
        ensure!(said.lines().count() < 100, "{command}");
    }
    Ok(())
}

#[test]
fn a_flood_of_findings_is_cut_and_counted() -> Result<()> {
    let attacked = Attacked::new(&attacker("sinks", "findings", "")?)?;
    let check = attacked.tthost.run(&["check", "--sink", "findings"])?;
    ensure!(check.status.code() == Some(1), "{}", check.describe());
    let said = check.text()?.to_owned() + &check.stderr;
    ensure!(said.contains("it found 2000 more"), "{}", check.describe());
    ensure!(!said.contains('\u{1b}'));
    Ok(())
}
