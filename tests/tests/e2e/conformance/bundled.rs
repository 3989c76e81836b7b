//! The bundled plugins keep the contract, against the real parts.

use std::fs;

use anyhow::Result;
use tthost_tests::fixture::Fixture;
use tthost_tests::offsite::OffsiteFixture;
use tthost_tests::seaweed::{Class, Seaweed};
use tthost_tests::tthost::Tthost;

use super::expect_passed;

/// Checks of a sink with a repository in restic's format: one or two of each group, because each opening of such a repository derives a
/// key. All of them take minutes.
const OF_RESTIC: [&str; 23] = [
    "closed-without-a-commit-leaves-nothing",
    "given-up-before-the-commit-leaves-nothing",
    "describe-is-quick",
    "unknown-setting-is-refused",
    "needs-say-what-for",
    "open-on-nothing-is-not-found",
    "create-twice-is-refused",
    "commit-names-a-new-snapshot",
    "dry-run-changes-nothing",
    "names-are-bytes",
    "hard-links-come-back",
    "attributes-come-back",
    "times-come-back",
    "offers-are-answered-in-order",
    "a-failing-verdict-fails-the-file",
    "given-up-in-the-middle-of-a-file-leaves-nothing",
    "killed-in-the-middle-of-a-file-leaves-nothing",
    "an-omitted-small-file-drops-its-entry-only",
    "several-paths-can-be-selected",
    "a-part-of-a-file-can-be-read",
    "what-is-damaged-can-be-skipped",
    "forget-may-remove-all",
    "a-reclaim-that-is-cut-off-harms-nothing",
];

#[test]
fn the_bundled_restic_sink_passes_checks_of_each_group() -> Result<()> {
    let named = OF_RESTIC.iter().flat_map(|name| ["--check", name]);
    let plugin: Vec<_> = ["restic-sink"].into_iter().chain(named).collect();
    expect_passed(&Tthost::new()?, &plugin, &[])
}

#[test]
fn the_bundled_source_of_files_passes_every_check() -> Result<()> {
    let tthost = Tthost::new()?;
    let tree = tthost.home().join("tree");
    fs::create_dir(&tree)?;
    fs::write(tree.join("small"), "some text")?;
    fs::write(tree.join("large"), vec![7; 3 << 20])?;
    std::os::unix::fs::symlink("small", tree.join("link"))?;
    let configuration = format!(
        "[sources.files]\nplugin = \"volume-source\"\ngrants.trees.files = {{ path = '{}' }}\n",
        tree.display()
    );
    fs::write(tthost.home().join("tthost.toml"), configuration)?;
    // It has neither programs nor secrets, and the small file is too small for a part.
    let skipped = [
        "opening-starts-no-program",
        "parts-are-right-or-unsupported",
        "a-failing-program-is-no-success",
        "a-program-that-fails-at-once-is-no-success",
        "a-missing-program-is-no-success",
        "a-source-tells-no-secret",
    ];
    expect_passed(&tthost, &["files"], &skipped)
}

/// Checks of a sink on a server, which take a second or two each: what the directory of the other sink shows in another way.
const OF_S3: [&str; 6] = [
    "describe-needs-no-grant",
    "open-on-nothing-is-not-found",
    "a-failing-verdict-fails-the-file",
    "killed-in-the-middle-of-a-file-leaves-nothing",
    "probe-agrees-with-what-works",
    "no-secret-is-said",
];

#[test]
fn the_bundled_s3_sink_passes_checks_of_each_group_on_a_real_server() -> Result<()> {
    let seaweed = Seaweed::start()?;
    seaweed.new_bucket("conformance")?;
    let offsite = seaweed.offsite("conformance/{scratch}", Class::Full);
    let fixture = OffsiteFixture::new(&[("remote", &offsite)])?;
    let named = OF_S3.iter().flat_map(|name| ["--check", name]);
    let plugin: Vec<_> = ["remote"].into_iter().chain(named).collect();
    expect_passed(&fixture.tthost, &plugin, &[])
}

#[test]
fn the_bundled_source_of_databases_passes_every_check_on_a_real_server() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let configuration = fixture.configuration(&["shop"])?;
    fixture.configure(&configuration)?;
    // Nobody knows the size of a dump beforehand. And it is granted no secret: libpq's variables name the server of the test.
    let skipped = ["parts-are-right-or-unsupported", "a-source-tells-no-secret"];
    expect_passed(&fixture.tthost, &["postgres"], &skipped)
}
