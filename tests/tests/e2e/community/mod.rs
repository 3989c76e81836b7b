//! Somebody else's plugins: they come from files, servers and registries, are agreed to, pinned, exchanged and removed.

mod consent;
mod credentials;
mod front;
mod registries;
mod stores;
mod updates;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tthost_tests::files::write_private;
use tthost_tests::plugin;
use tthost_tests::registry::Registry;
use tthost_tests::tthost::Tthost;

use crate::json::document;

/// A configuration that somebody has written by hand.
const CONFIGURATION: &str = "\
# The backups of the shop.
[sources.www]   # the site
plugin   = 'volume-source'
grants.trees.files = { path = \"www\" }

# At night.
[jobs.nightly]
sources = [
  'www', # all of it
]
sinks = ['restic-local']
";

/// A site with a configuration, and components as others publish them.
struct Site {
    tthost: Tthost,
    directory: TempDir,
}

impl Site {
    fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tthost-site.").tempdir()?;
        let site = Self {
            tthost: Tthost::new()?,
            directory,
        };
        fs::create_dir(site.tthost.home().join("www"))?;
        fs::write(site.tthost.home().join("www/index"), "an index\n")?;
        write_private(&site.path("password"), "a password")?;
        write_private(&site.file(), CONFIGURATION)?;
        Ok(site)
    }

    /// The configuration.
    fn file(&self) -> PathBuf {
        self.tthost.home().join("tthost.toml")
    }

    fn text(&self) -> Result<String> {
        Ok(fs::read_to_string(self.file())?)
    }

    /// Another place of the test's own.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The options that grant restic-sink what it needs.
    fn grants(&self) -> [String; 2] {
        [
            format!("--directory=repository={}", self.path("store").display()),
            format!("--secret=password=file:{}", self.path("password").display()),
        ]
    }

    /// Adds restic-sink from a place as the sink `theirs`, to which this consents.
    fn add(&self, place: &str, consent: &[&str]) -> Result<Value> {
        let grants = self.grants();
        let grants = grants.each_ref().map(String::as_str);
        let add = ["plugin", "add", place, "--name", "theirs"];
        let added = document(
            &self.tthost,
            "plugin-add",
            &[&add[..], &grants, consent].concat(),
        )?;
        ensure!(added["verdict"] == "ok", "{added:#}");
        Ok(added)
    }

    /// Fails unless nothing of a plugin is there.
    fn expect_untouched(&self) -> Result<()> {
        ensure!(self.text()? == CONFIGURATION, "{}", self.text()?);
        ensure!(!self.tthost.home().join("plugins").exists());
        Ok(())
    }
}

/// The component of a plugin, and its digest.
fn component(name: &str) -> Result<(String, String)> {
    let path = plugin::component(name)?;
    let digest = Sha256::digest(fs::read(&path)?);
    let path = path.to_str().context("it is text")?.to_owned();
    Ok((path, format!("sha256:{}", hex::encode(digest))))
}

/// Publishes a plugin, and answers its report.
fn push(tthost: &Tthost, registry: &Registry, name: &str, place: &str) -> Result<Value> {
    let (path, digest) = component(name)?;
    let reference = registry.reference(place);
    let pushed = document(
        tthost,
        "plugin-push",
        &["plugin", "push", &path, &reference],
    )?;
    let sha256 = pushed["sha256"].as_str().context("it has a digest")?;
    ensure!(format!("sha256:{sha256}") == digest, "{pushed:#}");
    Ok(pushed)
}

#[test]
fn a_plugin_from_a_registry_is_pinned_and_backs_up() -> Result<()> {
    let (site, registry) = (Site::new()?, Registry::start()?);
    let pushed = push(&site.tthost, &registry, "restic-sink", "acme/sink:1.0")?;
    let place = registry.reference("acme/sink:1.0");
    let (_, digest) = component("restic-sink")?;
    let added = site.add(&place, &["--yes", "--digest", &digest])?;
    ensure!(added["role"] == "sink" && added["plugin"]["needs"][0]["granted"] == true);
    let manifest = added["manifest"]
        .as_str()
        .context("it came from a registry")?;
    ensure!(pushed["pinned_reference"] == registry.reference(&format!("acme/sink@{manifest}")));

    // Nothing but the section is new, and it names the file that is there.
    let text = site.text()?;
    let (before, after) = CONFIGURATION.split_at(CONFIGURATION.len());
    ensure!(text.starts_with(before) && text.ends_with(after), "{text}");
    let hex = digest.trim_start_matches("sha256:");
    let file = format!("plugins/restic-sink-{}.wasm", &hex[..12]);
    let expected = format!(
        "\n[sinks.theirs]\nplugin = {{ path = \"{file}\", sha256 = \"{hex}\", from = \"{place}\" }}\n\n\
         [sinks.theirs.grants]\n\
         directories.repository = {{ path = \"{}\", access = \"read-write\" }}\n\
         secrets.password = {{ file = \"{}\" }}\n",
        site.path("store").display(),
        site.path("password").display()
    );
    ensure!(text[before.len()..] == expected, "{text}");
    ensure!(fs::read(site.tthost.home().join(&file))? == fs::read(component("restic-sink")?.0)?);

    // A run needs no registry.
    drop(registry);
    fs::create_dir(site.path("store"))?;
    site.tthost.ok(&["init", "--sink", "theirs"])?;
    site.tthost
        .ok(&["run", "--source", "www", "--sink", "theirs"])?;
    let inspected = document(
        &site.tthost,
        "plugin-inspect",
        &["plugin", "inspect", "theirs"],
    )?;
    let needs = inspected["plugin"]["needs"]
        .as_array()
        .context("it has needs")?;
    let grant = format!("{} (read-write)", site.path("store").display());
    ensure!(
        needs.iter().any(|need| need["grant"] == grant),
        "{inspected:#}"
    );
    let listed = document(&site.tthost, "plugin-list", &["plugin", "list"])?;
    let listed = listed["plugins"].as_array().context("there are some")?;
    let theirs = listed.iter().find(|plugin| plugin["name"] == "theirs");
    let theirs = theirs.context("it is listed")?;
    ensure!(
        theirs["pin"] == "matches" && theirs["from"] == place,
        "{theirs:#}"
    );
    let www = listed.iter().find(|plugin| plugin["name"] == "www");
    ensure!(www.context("it is listed")?["jobs"][0] == "nightly");
    Ok(())
}

#[test]
fn what_is_no_plugin_is_not_added() -> Result<()> {
    let site = Site::new()?;
    let file = site.path("plugin.wasm").display().to_string();
    let digest = |bytes: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    // A component that exports an instance of this name, with nothing in it.
    let earlier = [
        &b"\0asm\x0d\0\x01\0\x05\x03\x01\x01\0\x0b\x1e\x01\0\x18"[..],
        b"tthost:backup/sink@0.1.0",
        b"\x05\0\0",
    ]
    .concat();
    for (bytes, words) in [
        // A module, which is what other programs make of WebAssembly.
        (&b"\0asm\x01\0\0\0"[..], &["not a component"][..]),
        // A component of no world of ours.
        (
            b"\0asm\x0d\0\x01\0",
            &["no plugin", "tthost:backup/sink@0.2.0"],
        ),
        (&earlier, &["version 0.1.0 of the contract", "speaks 0.2.0"]),
        (b"#!/bin/sh\n", &["not a component"]),
        (b"", &["not a component"]),
    ] {
        fs::write(&file, bytes)?;
        let add = ["plugin", "add", &file, "--yes", "--digest", &digest(bytes)];
        site.tthost.fails(&add, 1, words)?;
    }
    let missing = site.path("nosuch.wasm").display().to_string();
    let add = ["plugin", "add", &missing, "--yes", "--digest", &digest(b"")];
    site.tthost
        .fails(&add, 1, &["nosuch.wasm", "cannot be read"])?;
    site.expect_untouched()
}
