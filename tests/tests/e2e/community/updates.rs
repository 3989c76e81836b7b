//! Newer versions, moved tags and files that are not what they were.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::registry::Registry;

use super::{Site, component, push};
use crate::json::document;

#[test]
fn a_moved_tag_is_told_and_an_update_asks_again() -> Result<()> {
    let (site, registry) = (Site::new()?, Registry::start()?);
    let (_, digest) = component("restic-sink")?;
    push(&site.tthost, &registry, "restic-sink", "sink:latest")?;
    let place = registry.reference("sink:latest");
    site.add(&place, &["--yes", "--digest", &digest])?;
    let verify = ["plugin", "verify", "--registry"];
    let same = document(&site.tthost, "plugin-verify", &verify)?;
    ensure!(
        same["plugins"][0]["registry"]["is_pinned"] == true,
        "{same:#}"
    );
    let update = ["plugin", "update", "theirs", "--yes", "--digest"];
    let current = [&update[..], &[&digest]].concat();
    let current = document(&site.tthost, "plugin-update", &current)?;
    ensure!(current["changed"] == false, "{current:#}");

    // Somebody publishes something else under the same tag.
    push(&site.tthost, &registry, "s3-sink", "sink:latest")?;
    let (_, other) = component("s3-sink")?;
    let before = site.text()?;
    let moved = document(&site.tthost, "plugin-verify", &verify)?;
    ensure!(moved["verdict"] == "ok", "{moved:#}");
    ensure!(moved["plugins"][0]["pin"] == "matches", "{moved:#}");
    let asked = &moved["plugins"][0]["registry"];
    ensure!(format!("sha256:{}", asked["sha256"].as_str().context("it has one")?) == other);
    ensure!(asked["is_pinned"] == false, "{moved:#}");

    // It is not taken for what was agreed to, and not without what it needs besides.
    site.tthost.fails(
        &[&update[..], &[&digest]].concat(),
        1,
        &["not the component"],
    )?;
    let bare = [&update[..], &[&other]].concat();
    let missing = [
        "--secret access-key-id=",
        "--allow-host",
        "--set repository=",
    ];
    site.tthost.fails(&bare, 1, &missing)?;
    ensure!(site.text()? == before);
    let state = format!("state={}", site.path("state").display());
    let secret = |name: &str| format!("{name}=file:{}", site.path("password").display());
    let (key, key_id) = (secret("secret-access-key"), secret("access-key-id"));
    let grants = [
        "--directory",
        &state,
        "--secret",
        &key,
        "--secret",
        &key_id,
        "--allow-private-host",
        "http://127.0.0.1:9000",
        "--set",
        "repository=s3:http://127.0.0.1:9000/bucket",
    ];
    let updated = document(
        &site.tthost,
        "plugin-update",
        &[&bare[..], &grants].concat(),
    )?;
    let changes = &updated["changes"];
    ensure!(changes["name"] == "restic-sink" && updated["plugin"]["name"] == "s3-sink");
    let names = |key: &str| changes[key].to_string();
    ensure!(
        names("needs_added").contains("access-key-id"),
        "{changes:#}"
    );
    ensure!(names("needs_removed").contains("repository"), "{changes:#}");
    ensure!(
        names("imports_added").contains("wasi:http/client@0.3"),
        "{changes:#}"
    );
    ensure!(
        names("settings_added").contains("repository"),
        "{changes:#}"
    );

    // What both ask for stays granted, and what only the earlier one asked for does not.
    let text = site.text()?;
    ensure!(text.contains("secrets.password = "), "{text}");
    ensure!(!text.contains("directories.repository"), "{text}");
    ensure!(text.contains("# all of it") && text.contains("[sources.www]   # the site"));
    site.tthost.ok(&["plugin", "verify", "theirs"])?;
    Ok(())
}

#[test]
fn a_file_that_is_not_the_pinned_one_is_told() -> Result<()> {
    let site = Site::new()?;
    let (file, digest) = component("restic-sink")?;
    let added = site.add(&file, &["--yes", "--digest", &digest])?;
    let installed = site
        .tthost
        .home()
        .join(added["file"].as_str().context("it has one")?);
    let verify = ["plugin", "verify"];
    site.tthost.ok(&verify)?;
    fs::write(&installed, "other bytes")?;
    let differs = document(&site.tthost, "plugin-verify", &verify)?;
    ensure!(differs["verdict"] == "failed", "{differs:#}");
    ensure!(differs["plugins"][0]["pin"] == "differs", "{differs:#}");
    fs::remove_file(&installed)?;
    let missing = document(&site.tthost, "plugin-verify", &verify)?;
    ensure!(missing["plugins"][0]["pin"] == "missing", "{missing:#}");
    // The same component from the same place mends it.
    let update = [
        "plugin", "update", "theirs", &file, "--yes", "--digest", &digest,
    ];
    site.tthost.ok(&update)?;
    site.tthost.ok(&verify)?;
    let unpinned = site.text()?.replace(
        &format!(", sha256 = \"{}\"", digest.trim_start_matches("sha256:")),
        "",
    );
    fs::write(site.file(), unpinned)?;
    let unpinned = document(&site.tthost, "plugin-verify", &verify)?;
    ensure!(unpinned["verdict"] == "incomplete", "{unpinned:#}");
    // Without a place that it came from, one has to be named.
    let nowhere = ["plugin", "update", "theirs", "--yes", "--digest", &digest];
    site.tthost
        .fails(&nowhere, 1, &["where the plugin of theirs came from"])?;
    Ok(())
}
