//! Nothing is added that nobody has agreed to, and no more than that.

use std::fs;

use anyhow::{Result, ensure};

use super::{CONFIGURATION, Site, component};

#[test]
fn without_a_terminal_a_plugin_needs_a_yes_and_its_digest() -> Result<()> {
    let site = Site::new()?;
    let (file, digest) = component("restic-sink")?;
    let [directory, secret] = site.grants();
    let other = format!("sha256:{}", "0".repeat(64));
    let add = ["plugin", "add", &file, &directory, &secret];
    for (consent, words) in [
        (&[][..], &["no terminal", "--yes", "--digest"][..]),
        (&["--yes"], &["--yes needs a digest"]),
        (&["--digest", &digest], &["no terminal"]),
        (
            &["--yes", "--digest", &other],
            &["not the component", &digest],
        ),
    ] {
        site.tthost.fails(&[&add[..], consent].concat(), 1, words)?;
    }
    // What it cannot do without is named with the option that gives it.
    let bare = ["plugin", "add", &file, "--yes", "--digest", &digest];
    let missing = [
        "cannot do without",
        "--directory repository=PATH",
        "--secret password=",
    ];
    site.tthost.fails(&bare, 1, &missing)?;
    // What it does not ask for is not granted.
    let more = [&bare[..], &[&directory, &secret, "--command", "sh=/bin/sh"]].concat();
    site.tthost
        .fails(&more, 1, &["grants.commands.sh has no effect"])?;
    let unset = [&bare[..], &[&directory, "--secret", "password=env:NOSUCH"]].concat();
    site.tthost.fails(&unset, 1, &["NOSUCH", "not set"])?;
    ensure!(site.text()? == CONFIGURATION);
    let plugins = site.tthost.home().join("plugins");
    ensure!(!plugins.exists() || fs::read_dir(plugins)?.count() == 0);
    Ok(())
}

#[test]
fn on_a_terminal_it_is_shown_what_a_plugin_wants_and_asked_for_what_is_missing() -> Result<()> {
    let site = Site::new()?;
    let (file, digest) = component("restic-sink")?;
    let [directory, secret] = site.grants();
    let add = ["plugin", "add", &file, &directory, "--name", "theirs"];
    let place = secret.trim_start_matches("--secret=password=").to_owned();
    let refused = site.tthost.on_terminal(&add, &format!("{place}\nn\n"))?;
    let shown = refused.text()?;
    for words in [
        "read-write access to one directory, called repository: ",
        "the secret password: ",
        &digest,
        "[sinks.theirs]",
        "Add it? [y/N]",
        "nothing was done",
    ] {
        ensure!(shown.contains(words), "{words}: {}", refused.describe());
    }
    site.expect_untouched()?;
    let agreed = site.tthost.on_terminal(&add, &format!("{place}\ny\n"))?;
    ensure!(agreed.status.success(), "{}", agreed.describe());
    ensure!(site.text()?.contains("[sinks.theirs]"), "{}", site.text()?);
    site.tthost.ok(&["plugin", "verify"])?;
    // A second one of the name is another matter.
    let again = [
        "plugin", "add", &file, "--name", "theirs", "--yes", "--digest", &digest,
    ];
    let again = [&again[..], &[&directory, &secret]].concat();
    site.tthost
        .fails(&again, 1, &["sink theirs already", "plugin update theirs"])?;
    Ok(())
}

#[test]
fn a_plugin_that_a_job_uses_stays_and_one_that_goes_leaves_the_rest_as_it_was() -> Result<()> {
    let site = Site::new()?;
    let (file, digest) = component("restic-sink")?;
    site.add(&file, &["--yes", "--digest", &digest])?;
    let used = site.text()?.replace("['restic-local']", "['theirs']");
    fs::write(site.file(), &used)?;
    let remove = ["plugin", "remove", "theirs"];
    site.tthost
        .fails(&remove, 1, &["sink theirs", "job nightly"])?;
    ensure!(site.text()? == used);
    fs::write(site.file(), used.replace("['theirs']", "['restic-local']"))?;
    let removed = crate::json::document(&site.tthost, "plugin-remove", &remove)?;
    ensure!(
        removed["name"] == "theirs" && removed["role"] == "sink",
        "{removed:#}"
    );
    ensure!(site.text()? == CONFIGURATION, "{}", site.text()?);
    // It is not known any more, and its file stays for a run that may be using it.
    site.tthost.fails(&remove, 1, &["theirs"])?;
    let file = removed["file"].as_str().unwrap_or_default();
    ensure!(site.tthost.home().join(file).is_file(), "{removed:#}");
    site.tthost
        .fails(&["plugin", "remove", "www"], 1, &["ships inside"])?;
    Ok(())
}
