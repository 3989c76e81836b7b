//! Versions of the contract: what was built for an earlier one works for ever after, and what cannot work is told with both versions.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tthost_tests::cheap_key::cheapen;
use tthost_tests::files::write_private;
use tthost_tests::plugin;
use tthost_tests::tthost::Tthost;

use crate::json::document;

/// The plugin that is built for version 0.2.0 and for no other.
const OLD: &str = "contract-0-2-0";

/// The password of the repository in the store.
const PASSWORD: &str = "a password";

/// The program, and a place for components.
struct Site {
    tthost: Tthost,
    directory: TempDir,
}

impl Site {
    fn new() -> Result<Self> {
        Ok(Self {
            tthost: Tthost::new()?,
            directory: tempfile::tempdir()?,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a component a source, a sink, and the store of another sink.
    fn use_as_everything(&self, component: &Path) -> Result<()> {
        let path = |name: &str| self.path(name).display().to_string();
        for place in ["sink", "store"] {
            fs::create_dir(self.path(place))?;
        }
        write_private(&self.path("password"), PASSWORD)?;
        let component = component.display();
        let text = format!(
            "[sources.old]\nplugin = {{ path = '{component}' }}\n\
             [sinks.old]\nplugin = {{ path = '{component}' }}\n\
             grants.directories.place = {{ path = '{}', access = \"read-write\" }}\n\
             [sinks.stored]\nplugin = \"restic-sink\"\ngrants.secrets.password = {{ file = '{}' }}\n\
             [sinks.stored.store]\nplugin = {{ path = '{component}' }}\n\
             grants.directories.place = {{ path = '{}', access = \"read-write\" }}\n",
            path("sink"),
            path("password"),
            path("store"),
        );
        Ok(fs::write(self.tthost.home().join("tthost.toml"), text)?)
    }

    /// Fails unless inspecting these bytes does, with these words.
    fn expect_refused(&self, component: &[u8], words: &[&str]) -> Result<()> {
        let path = self.path("other.wasm");
        fs::write(&path, component)?;
        let inspect = ["plugin", "inspect", &path.to_string_lossy()];
        self.tthost.fails(&inspect, 1, words).map(drop)
    }
}

/// A component with a text in the place of another, which is as long.
fn with(component: &[u8], old: &str, new: &str) -> Result<Vec<u8>> {
    ensure!(old.len() == new.len());
    let mut changed = component.to_vec();
    let mut is_there = false;
    for at in 0..=component.len() - old.len() {
        if component[at..].starts_with(old.as_bytes()) {
            changed[at..at + new.len()].copy_from_slice(new.as_bytes());
            is_there = true;
        }
    }
    ensure!(is_there, "the component has no {old}");
    Ok(changed)
}

/// The component as its tools would have made it for another version.
fn of_version(component: &[u8], version: &str) -> Result<Vec<u8>> {
    // Only where the contract is named: the plugin's own texts are no version of it.
    let mut changed = component.to_vec();
    for interface in INTERFACES {
        let named = |version: &str| format!("tthost:backup/{interface}@{version}");
        changed = with(&changed, &named("0.2.0"), &named(version))?;
    }
    Ok(changed)
}

/// The interfaces of version 0.2.0.
const INTERFACES: [&str; 17] = [
    "types",
    "log",
    "progress",
    "leftovers",
    "secrets",
    "commands",
    "trees",
    "seal",
    "objects",
    "plugin",
    "transfer",
    "source",
    "survey",
    "drill",
    "sink",
    "maintenance",
    "store",
];

/// Backs up, lists, checks, restores and forgets, with a plugin as everything that it can be.
fn expect_use(site: &Site) -> Result<()> {
    let tthost = &site.tthost;
    tthost.ok(&["init", "--sink", "stored"])?;
    cheapen(&site.path("store"), PASSWORD)?;
    tthost.ok(&["init", "--sink", "old"])?;
    tthost.ok(&["config", "check"])?;
    for sink in ["old", "stored"] {
        tthost.ok(&["run", "--source", "old", "--sink", sink])?;
        tthost.ok(&["check", "--sink", sink, "--read-data"])?;
        let target = site.path(&format!("from-{sink}"));
        let to = target.to_string_lossy();
        tthost.ok(&["restore", "latest", "--sink", sink, "--to", &to])?;
        ensure!(fs::read(target.join("directory/small"))? == b"small");
        ensure!(fs::read(target.join("directory/large"))? == vec![b'x'; 1 << 20]);
        tthost.ok(&[
            "restore", "latest", "--sink", sink, "--source", "old", "--yes",
        ])?;
        tthost.ok(&["drill", "--sink", sink, "--source", "old"])?;
        tthost.ok(&["unlock", "--sink", sink])?;
        tthost.ok(&["run", "--source", "old", "--sink", sink])?;
        tthost.ok(&["prune", "--sink", sink, "--keep-last", "1"])?;
        let listed = document(tthost, "snapshots", &["snapshots", "--sink", sink])?;
        let count = listed["snapshots"].as_array().map(Vec::len);
        ensure!(count == Some(1), "{listed:#}");
    }
    Ok(())
}

#[test]
fn a_plugin_of_the_first_version_is_all_that_it_was() -> Result<()> {
    let site = Site::new()?;
    let component = plugin::component(OLD)?;
    // It has and asks for all that its version has.
    let path = component.to_string_lossy();
    let inspected = document(
        &site.tthost,
        "plugin-inspect",
        &["plugin", "inspect", &path],
    )?;
    ensure!(inspected["plugin"]["contract"] == "0.2.0", "{inspected:#}");
    let of = |list: &Value, key: Option<&str>| -> BTreeSet<String> {
        let names = list.as_array().into_iter().flatten();
        let names = names.filter_map(|name| key.map_or(Some(name), |key| name.get(key)));
        let names = names.filter_map(|name| name.as_str()?.strip_prefix("tthost:backup/"));
        names
            .map(|name| name.trim_end_matches("@0.2.0").to_owned())
            .collect()
    };
    let plugin = &inspected["plugin"];
    let mut all = of(&plugin["imports"], Some("interface"));
    all.extend(of(&plugin["exports"], None));
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/contract-0.2.0/wit");
    let declared = declared_interfaces(&wit)?;
    ensure!(all == declared, "{:?}", all.symmetric_difference(&declared));
    ensure!(
        INTERFACES
            .map(str::to_owned)
            .into_iter()
            .collect::<BTreeSet<_>>()
            == declared
    );

    site.use_as_everything(&component)?;
    expect_use(&site)
}

/// The names of the interfaces that these files declare.
fn declared_interfaces(wit: &Path) -> Result<BTreeSet<String>> {
    let mut interfaces = BTreeSet::new();
    for file in fs::read_dir(wit)? {
        let text = fs::read_to_string(file?.path())?;
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix("interface "));
        interfaces.extend(names.map(|name| name.trim_end_matches(" {").to_owned()));
    }
    Ok(interfaces)
}

#[test]
fn what_a_version_of_the_contract_has_stays_in_it() -> Result<()> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let declarations = |path: &Path| -> Result<Vec<String>> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let lines = text.lines().map(str::trim);
        let says = |line: &&str| {
            !line.is_empty() && !line.starts_with("//") && !line.starts_with("package ")
        };
        Ok(lines.filter(says).map(str::to_owned).collect())
    };
    for file in fs::read_dir(tests.join("plugins/contract-0.2.0/wit"))? {
        let file = file?;
        let now = declarations(&tests.join("../wit").join(file.file_name()))?;
        let mut now = now.iter();
        // Something may stand between two lines that was not there before.
        for line in declarations(&file.path())? {
            ensure!(
                now.any(|new| *new == line),
                "{}: what version 0.2.0 has is gone or is not where it was: {line}",
                file.path().display()
            );
        }
    }
    Ok(())
}

#[test]
fn a_plugin_of_a_later_version_works_while_it_asks_for_nothing_new() -> Result<()> {
    let site = Site::new()?;
    let component = fs::read(plugin::component(OLD)?)?;
    let later = of_version(&component, "0.2.9")?;
    let path = site.path("later.wasm");
    fs::write(&path, &later)?;
    let shown = site
        .tthost
        .ok(&["plugin", "inspect", &path.to_string_lossy()])?;
    ensure!(
        shown
            .text()?
            .contains("contract: 0.2.9 (this tthost speaks 0.2.0)"),
        "{}",
        shown.describe()
    );
    site.use_as_everything(&path)?;
    site.tthost.ok(&["init", "--sink", "old"])?;
    site.tthost
        .ok(&["run", "--source", "old", "--sink", "old"])?;

    // An interface that is new, and a new function in one that is known.
    let both = [
        "built for version 0.2.9",
        "speaks 0.2.0",
        "use a newer tthost",
    ];
    for (old, new, named) in [
        (
            "leftovers@0.2.9",
            "leftowers@0.2.9",
            "tthost:backup/leftowers",
        ),
        ("decompress", "decompresz", "decompresz"),
    ] {
        let words = [&both[..], &[named]].concat();
        site.expect_refused(&with(&later, old, new)?, &words)?;
    }
    Ok(())
}

#[test]
fn a_plugin_of_another_version_is_told_with_both() -> Result<()> {
    let site = Site::new()?;
    let component = fs::read(plugin::component(OLD)?)?;
    for (version, advice) in [
        ("0.1.0", "ask its author"),
        ("0.3.0", "use a newer tthost"),
        ("1.0.0", "use a newer tthost"),
    ] {
        let built = format!("built for version {version} of the contract");
        let other = of_version(&component, version)?;
        site.expect_refused(&other, &[&built, "speaks 0.2.0", advice])?;
    }
    // Another contract altogether.
    let other = with(&component, "tthost:backup/", "acmeco:backup/")?;
    let words = ["no plugin", "acmeco:backup/", "tthost:backup/sink@0.2.0"];
    site.expect_refused(&other, &words)
}
