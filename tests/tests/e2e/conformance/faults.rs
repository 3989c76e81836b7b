//! The suite is proven itself: each single fault of the reference plugins fails the check that is meant for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::plugin;
use tthost_tests::tthost::Tthost;

use super::object_faults::STORE;
use super::{names, reference_sink, reference_source, reference_store, token};

/// How a fault comes into the reference.
#[derive(Clone, Copy)]
enum Way {
    /// By the configuration of a sink.
    Sink,
    /// By the configuration of a source.
    Source,
    /// By the configuration of a store.
    Store,
    /// Written into the sink, because nobody configures what describes itself.
    Written,
}

/// Faults of a sink, and the check that is meant for each.
const SINK: &[(&str, &str)] = &[
    ("open-makes-a-store", "open-on-nothing-is-not-found"),
    ("nothing-is-other", "open-on-nothing-is-not-found"),
    ("create-makes-nothing", "create-makes-a-store"),
    ("create-is-open", "create-twice-is-refused"),
    ("create-begins-anew", "create-twice-is-refused"),
    ("an-identity-varies", "identity-stays"),
    ("all-stores-are-one", "identity-stays"),
    ("an-identity-is-empty", "identity-stays"),
    ("looking-writes", "looking-changes-nothing"),
    ("an-open-store-is-busy", "two-may-look-at-once"),
    ("forgets-other-writers", "two-may-write-at-once-or-are-told"),
    ("close-stalls", "close-answers-in-time"),
    ("close-fails", "close-answers-in-time"),
    ("opening-locks", "a-store-that-was-cut-off-opens"),
    ("unlock-removes-nothing", "locks-can-be-removed"),
    ("forgets-the-snapshot", "commit-names-a-new-snapshot"),
    ("names-an-old-snapshot", "commit-names-a-new-snapshot"),
    ("names-no-snapshot", "commit-names-a-new-snapshot"),
    ("commit-stalls", "commit-names-a-new-snapshot"),
    ("id-of-contents", "commit-names-another-each-time"),
    ("a-time-of-its-own", "snapshot-says-what-its-draft-said"),
    ("a-host-of-its-own", "snapshot-says-what-its-draft-said"),
    ("forgets-the-user", "snapshot-says-what-its-draft-said"),
    ("forgets-tags", "snapshot-says-what-its-draft-said"),
    ("forgets-paths", "snapshot-says-what-its-draft-said"),
    ("counts-twice", "receipt-counts-the-tree"),
    ("an-empty-tree-is-refused", "an-empty-tree-is-stored"),
    ("contents-by-number", "snapshots-stand-alone"),
    ("size-and-name-are-enough", "a-changed-file-is-seen"),
    ("leaves-out-the-unchanged", "an-unchanged-file-stays"),
    ("ignores-force", "force-asks-for-everything"),
    ("dry-run-writes", "dry-run-changes-nothing"),
    ("dry-run-names-a-snapshot", "dry-run-changes-nothing"),
    ("dry-run-counts-nothing", "dry-run-counts-the-same"),
    ("incomplete-is-not-said", "an-incomplete-tree-says-so"),
    ("always-incomplete", "a-complete-tree-says-so"),
    ("names-are-text", "names-are-bytes"),
    ("names-are-lower-case", "names-are-bytes"),
    ("nothing-deeper-than-100", "a-deep-tree-comes-back"),
    ("the-first-thousand-alone", "a-wide-directory-comes-back"),
    ("drops-empty-files", "empty-things-come-back"),
    ("drops-empty-directories", "empty-things-come-back"),
    ("holes-are-cut", "holes-come-back"),
    ("follows-symlinks", "symbolic-links-come-back"),
    ("targets-are-text", "symbolic-links-come-back"),
    ("forgets-hard-links", "hard-links-come-back"),
    ("loses-inodes", "hard-links-come-back"),
    ("drops-special-files", "special-files-come-back"),
    ("small-device-numbers", "special-files-come-back"),
    ("loses-xattrs", "attributes-come-back"),
    ("sorts-xattrs", "attributes-come-back"),
    ("times-in-seconds", "times-come-back"),
    ("no-times-before-1970", "times-come-back"),
    ("times-in-32-bits", "times-come-back"),
    ("forgets-accesses", "times-come-back"),
    ("plain-rights", "rights-and-owners-come-back"),
    ("small-owners", "rights-and-owners-come-back"),
    ("forgets-owners-names", "rights-and-owners-come-back"),
    ("blocks-lose-a-byte", "sizes-around-the-limits-come-back"),
    ("equal-is-one", "equal-contents-come-back"),
    ("unknown-size-is-empty", "a-file-of-unknown-size-comes-back"),
    ("a-short-stream-is-whole", "a-large-file-comes-back"),
    ("a-long-stream-is-whole", "a-large-file-comes-back"),
    ("swaps-pieces", "a-large-file-comes-back"),
    ("put-stalls", "a-large-file-comes-back"),
    ("forgets-the-second-batch", "many-entries-come-back"),
    ("asks-twice", "offers-are-answered-in-order"),
    ("asks-backwards", "offers-are-answered-in-order"),
    ("asks-for-links", "offers-are-answered-in-order"),
    ("asks-for-nothing", "new-contents-are-asked-for"),
    ("one-buffer", "several-contents-at-once-keep-apart"),
    ("takes-bad-verdicts", "a-failing-verdict-fails-the-file"),
    ("waits-for-no-verdict", "a-missing-verdict-fails-the-file"),
    ("a-cut-stream-is-whole", "a-cut-stream-leaves-nothing"),
    ("begin-stores", "given-up-after-begin-leaves-nothing"),
    ("giving-up-loops", "given-up-after-begin-leaves-nothing"),
    ("giving-up-traps", "given-up-after-begin-leaves-nothing"),
    ("offer-stores", "given-up-after-an-offer-leaves-nothing"),
    (
        "giving-up-commits",
        "given-up-before-the-commit-leaves-nothing",
    ),
    (
        "a-file-stores",
        "given-up-in-the-middle-of-a-file-leaves-nothing",
    ),
    ("close-commits", "closed-without-a-commit-leaves-nothing"),
    ("begin-locks", "killed-after-begin-leaves-nothing"),
    ("offer-stores", "killed-after-an-offer-leaves-nothing"),
    (
        "small-files-store",
        "killed-after-small-files-leaves-nothing",
    ),
    (
        "a-file-stores",
        "killed-in-the-middle-of-a-file-leaves-nothing",
    ),
    (
        "a-whole-file-stores",
        "killed-before-the-commit-leaves-nothing",
    ),
    (
        "snapshot-before-contents",
        "killed-in-the-commit-leaves-all-or-nothing",
    ),
    (
        "omitted-small-is-empty",
        "an-omitted-small-file-drops-its-entry-only",
    ),
    (
        "omitted-is-kept",
        "an-omitted-large-file-drops-its-entry-only",
    ),
    (
        "omitted-is-an-error",
        "an-omitted-large-file-drops-its-entry-only",
    ),
    ("changed-is-cut", "changed-contents-are-what-came"),
    (
        "changed-has-its-announced-size",
        "changed-contents-are-what-came",
    ),
    ("a-wrong-parent", "a-reader-gives-a-tree"),
    ("in-the-wrong-order", "a-reader-gives-a-tree"),
    ("a-number-comes-twice", "a-reader-gives-a-tree"),
    ("numbers-have-gaps", "a-reader-gives-a-tree"),
    ("next-stalls", "a-reader-gives-a-tree"),
    (
        "more-than-was-asked-for",
        "next-gives-no-more-than-was-asked-for",
    ),
    ("ends-early", "next-gives-no-more-than-was-asked-for"),
    (
        "the-last-batch-alone",
        "contents-of-the-last-two-batches-can-be-read",
    ),
    ("ignores-the-selection", "one-file-can-be-selected"),
    ("nothing-below-a-path", "one-directory-can-be-selected"),
    ("the-first-path-alone", "several-paths-can-be-selected"),
    ("paths-are-text", "paths-are-bytes"),
    ("ignores-levels", "levels-end-the-tree"),
    ("one-level-less", "levels-end-the-tree"),
    ("ignores-the-range", "a-part-of-a-file-can-be-read"),
    ("a-range-begins-at-0", "a-part-of-a-file-can-be-read"),
    ("beyond-the-end-is-an-error", "a-part-of-a-file-can-be-read"),
    ("whole-ids-alone", "a-prefix-names-a-snapshot"),
    ("a-prefix-names-the-first", "a-prefix-names-a-snapshot"),
    (
        "an-unknown-is-the-latest",
        "an-unknown-snapshot-is-not-found",
    ),
    ("an-unknown-is-other", "an-unknown-snapshot-is-not-found"),
    (
        "all-directories-are-one",
        "equal-directories-have-equal-names",
    ),
    (
        "directories-are-never-the-same",
        "equal-directories-have-equal-names",
    ),
    ("cannot-be-given-up", "a-reader-can-be-given-up"),
    ("the-newest-first", "snapshots-come-the-oldest-first"),
    ("lists-one-twice", "snapshots-come-the-oldest-first"),
    ("ids-with-spaces", "ids-are-printable"),
    ("lists-vary", "each-instance-lists-the-same"),
    ("forget-removes-nothing", "forget-removes-exactly-the-named"),
    (
        "forget-removes-a-neighbour",
        "forget-removes-exactly-the-named",
    ),
    ("forget-removes-all", "forget-removes-exactly-the-named"),
    ("forget-removes-contents", "forget-leaves-the-rest-readable"),
    (
        "an-unknown-is-forgotten-already",
        "forget-of-an-unknown-changes-nothing",
    ),
    (
        "forgets-before-it-looks",
        "forget-of-an-unknown-changes-nothing",
    ),
    ("the-last-one-stays", "forget-may-remove-all"),
    ("reclaims-nothing", "reclaim-frees-space"),
    ("reclaim-counts-nothing", "reclaim-frees-space"),
    ("reclaims-too-much", "reclaim-keeps-what-is-needed"),
    (
        "reclaim-forgets-the-oldest",
        "reclaim-without-waste-removes-no-snapshot",
    ),
    ("a-dry-reclaim-reclaims", "a-dry-reclaim-changes-nothing"),
    ("takes-nothing-for-forgotten", "a-dry-reclaim-says-the-same"),
    (
        "reclaims-in-the-wrong-order",
        "a-reclaim-that-is-cut-off-harms-nothing",
    ),
    ("finds-too-much", "a-sound-store-has-no-findings"),
    ("check-writes", "check-changes-nothing"),
    ("reads-for-the-structure", "check-reads-what-it-says"),
    ("reads-more-than-it-says", "check-reads-what-it-says"),
    ("ignores-subsets", "subsets-are-parts-of-the-whole"),
    ("subsets-do-not-go-on", "subsets-are-parts-of-the-whole"),
    ("usage-is-a-guess", "usage-is-what-check-reads"),
    ("finds-nothing", "a-flipped-byte-is-found"),
    ("checks-sizes-alone", "a-flipped-byte-is-found"),
    ("does-not-look-for-the-missing", "a-missing-file-is-found"),
    ("reads-damage", "damage-is-never-read-for-the-truth"),
    ("damage-traps", "damage-is-never-read-for-the-truth"),
    ("skips-in-silence", "what-is-damaged-can-be-skipped"),
    ("probe-leaves-a-file", "probe-leaves-nothing"),
    ("probe-says-no", "probe-agrees-with-what-works"),
    ("probe-says-yes", "probe-sees-what-may-not-be-written"),
    ("stores-anyway", "nothing-is-stored-where-nothing-may-be"),
    (
        "read-only-is-other",
        "nothing-is-stored-where-nothing-may-be",
    ),
    (
        "keeps-contents-in-memory",
        "memory-does-not-grow-with-a-file",
    ),
    ("logs-its-secret", "no-secret-is-said"),
    ("prints-its-secret", "no-secret-is-said"),
    ("its-secret-is-in-errors", "no-secret-is-said"),
    ("stores-its-secret", "no-secret-is-stored"),
];

/// Faults of what a plugin says of itself, and the check that is meant for each.
const WRITTEN: &[(&str, &str)] = &[
    ("describe-traps", "describe-needs-no-grant"),
    ("a-name-is-empty", "describe-needs-no-grant"),
    ("describe-is-slow", "describe-is-quick"),
    ("describe-varies", "describe-answers-the-same"),
    ("the-schema-is-no-json", "schema-describes-a-table"),
    ("the-schema-is-of-anything", "schema-describes-a-table"),
    ("the-schema-takes-anything", "unknown-setting-is-refused"),
    ("a-need-without-a-reason", "needs-say-what-for"),
    ("a-need-comes-twice", "needs-say-what-for"),
];

/// Faults of a source, and the check that is meant for each.
const SOURCE: &[(&str, &str)] = &[
    ("open-is-slow", "opening-is-cheap"),
    ("open-starts-a-program", "opening-starts-no-program"),
    ("no-paths", "a-capture-has-paths"),
    ("a-relative-path", "a-capture-has-paths"),
    ("a-path-comes-twice", "a-capture-has-paths"),
    ("a-name-is-a-path", "a-capture-is-a-tree"),
    ("in-the-wrong-order", "a-capture-is-a-tree"),
    ("a-wrong-parent", "a-capture-is-a-tree"),
    ("a-number-comes-twice", "a-capture-is-a-tree"),
    ("more-than-was-asked-for", "a-capture-is-a-tree"),
    ("next-stalls", "a-capture-is-a-tree"),
    ("a-small-file-is-short", "announced-sizes-hold"),
    ("a-large-file-is-short", "announced-sizes-hold"),
    ("a-large-file-is-long", "announced-sizes-hold"),
    ("a-verdict-is-missing", "every-verdict-is-given"),
    ("the-end-is-bad", "every-verdict-is-given"),
    ("begins-again", "the-end-stays-the-end"),
    ("captures-differ", "two-captures-are-alike"),
    ("a-part-is-the-whole", "parts-are-right-or-unsupported"),
    ("ignores-the-exit", "a-failing-program-is-no-success"),
    (
        "no-output-is-no-failure",
        "a-program-that-fails-at-once-is-no-success",
    ),
    (
        "a-missing-program-is-empty",
        "a-missing-program-is-no-success",
    ),
    ("logs-its-secret", "a-source-tells-no-secret"),
];

/// Checks that no fault of the references fails, because the host itself sees to what they ask for.
const UNPROVEN: [&str; 2] = ["imports-and-exports-fit", "a-capture-can-be-given-up"];

/// Checks that are tried at the same time.
const AT_ONCE: usize = 3;

#[test]
fn each_single_fault_fails_the_check_that_is_meant_for_it() -> Result<()> {
    let sink = plugin::component("reference-sink")?;
    let source = plugin::component("reference-source")?;
    let store = plugin::component("reference-store")?;
    let mut faults = Vec::new();
    for (way, table) in [
        (Way::Written, WRITTEN),
        (Way::Sink, SINK),
        (Way::Source, SOURCE),
        (Way::Store, STORE),
    ] {
        faults.extend(table.iter().map(|(fault, check)| (way, *fault, *check)));
    }
    let next = AtomicUsize::new(0);
    let missed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = expect_caught(*fault, [&sink, &source, &store]) {
                        let mut missed = missed.lock().expect("nobody panics");
                        missed.push(format!("{} by {}: {error:#}", fault.1, fault.2));
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().expect("nobody panics");
    ensure!(
        missed.is_empty(),
        "{} of {} faults are not caught:\n{}",
        missed.len(),
        faults.len(),
        missed.join("\n")
    );
    Ok(())
}

#[test]
fn each_check_is_proven_by_a_fault() -> Result<()> {
    let listed = Tthost::new()?.ok(&["plugin", "test", "--list", "--json"])?;
    let report = listed.json()?;
    let rules = report["rules"].as_array().context("it has rules")?;
    let rules: BTreeSet<_> = rules
        .iter()
        .filter_map(|rule| rule["name"].as_str())
        .collect();
    let proven = [SINK, WRITTEN, SOURCE, STORE].into_iter().flatten();
    let proven = proven.map(|(_, check)| *check).chain(UNPROVEN);
    let proven: BTreeSet<_> = proven.collect();
    ensure!(proven == rules, "{:?}", proven.symmetric_difference(&rules));
    Ok(())
}

/// Runs the check that is meant for a fault, and fails unless it fails.
fn expect_caught(
    (way, fault, check): (Way, &str, &str),
    [sink, source, store]: [&Path; 3],
) -> Result<()> {
    let tthost = Tthost::new()?;
    let token = token(tthost.home())?;
    let mut plugin = vec!["reference"];
    let configuration = match way {
        Way::Sink => reference_sink(sink, &token, fault),
        Way::Source => reference_source(source, &token, fault),
        Way::Store => {
            plugin.extend(["--store", "reference"]);
            reference_store(store, &token, fault)
        }
        Way::Written => {
            let component = tthost.home().join("faulty.wasm");
            fs::write(&component, written(&fs::read(sink)?, fault)?)?;
            plugin = vec!["faulty.wasm"];
            String::new()
        }
    };
    fs::write(tthost.home().join("tthost.toml"), configuration)?;
    let test = ["plugin", "test", "--check", check, "--json"];
    let outcome = tthost.run(&[&test[..], &plugin].concat())?;
    let report = outcome.json()?;
    ensure!(
        names(&report, "failed")? == [check],
        "{}",
        outcome.describe()
    );
    ensure!(outcome.status.code() == Some(1));
    Ok(())
}

/// The component with this fault written into it.
fn written(component: &[u8], fault: &str) -> Result<Vec<u8>> {
    let marker = b"fault:..................................";
    let mut windows = component.windows(marker.len());
    let at = windows.position(|window| window == marker);
    let at = at.context("the component has no place for a fault")? + b"fault:".len();
    let mut written = component.to_vec();
    written[at..at + fault.len()].copy_from_slice(fault.as_bytes());
    Ok(written)
}
