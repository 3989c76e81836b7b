//! Stores of others: each comes with a sink around it, and is looked after as sinks and sources are.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{CONFIGURATION, Site, component};
use crate::json::document;

/// The options that grant a store, and the sink around it, what they need.
fn grants(site: &Site) -> [String; 2] {
    [
        format!("--directory=objects={}", site.path("objects").display()),
        format!(
            "--sink-secret=password=file:{}",
            site.path("password").display()
        ),
    ]
}

/// Adds a store as that of the sink `kept`, and answers the report.
fn add(site: &Site) -> Result<Value> {
    let (file, digest) = component("hostile-store")?;
    let [directory, secret] = grants(site);
    let state = format!("--sink-directory=state={}", site.path("state").display());
    let add = ["plugin", "add", &file, "--name", "kept", "--yes"];
    let options = ["--digest", &digest, &directory, &secret, &state];
    document(&site.tthost, "plugin-add", &[&add[..], &options].concat())
}

/// What the configuration has that was not written by hand.
fn added(site: &Site) -> Result<String> {
    let text = site.text()?;
    let added = text.strip_prefix(CONFIGURATION);
    Ok(added.context("the rest is as it was")?.to_owned())
}

#[test]
fn a_store_comes_with_a_sink_around_it_and_backs_up() -> Result<()> {
    let site = Site::new()?;
    let report = add(&site)?;
    ensure!(
        report["role"] == "store" && report["plugin"]["needs"][0]["granted"] == true,
        "{report:#}"
    );
    let (file, digest) = component("hostile-store")?;
    let hex = digest.trim_start_matches("sha256:");
    let path = |name: &str| site.path(name).display().to_string();
    let expected = format!(
        "\n[sinks.kept]\nplugin = \"restic-sink\"\n\n\
         [sinks.kept.grants]\n\
         directories.state = {{ path = \"{}\", access = \"read-write\" }}\n\
         secrets.password = {{ file = \"{}\" }}\n\n\
         [sinks.kept.store]\n\
         plugin = {{ path = \"plugins/hostile-store-{}.wasm\", sha256 = \"{hex}\" }}\n\n\
         [sinks.kept.store.grants]\n\
         directories.objects = {{ path = \"{}\", access = \"read-write\" }}\n",
        path("state"),
        path("password"),
        &hex[..12],
        path("objects"),
    );
    ensure!(added(&site)? == expected, "{}", added(&site)?);

    fs::create_dir(site.path("objects"))?;
    site.tthost.ok(&["init", "--sink", "kept"])?;
    let run = ["run", "--source", "www", "--sink", "kept"];
    site.tthost.ok(&run)?;
    ensure!(site.path("objects/config").is_file());

    // It is listed, inspected and verified beside its sink.
    let listed = document(&site.tthost, "plugin-list", &["plugin", "list"])?;
    let listed = listed["plugins"].as_array().context("there are some")?;
    let mut kept = listed.iter().filter(|plugin| plugin["name"] == "kept");
    let store = kept.find(|plugin| plugin["role"] == "store");
    ensure!(
        store.context("it is listed")?["pin"] == "matches",
        "{listed:#?}"
    );
    let inspect = ["plugin", "inspect", "kept", "--as", "store"];
    let inspected = document(&site.tthost, "plugin-inspect", &inspect)?;
    ensure!(
        inspected["plugin"]["needs"][0]["grant"] == format!("{} (read-write)", path("objects")),
        "{inspected:#}"
    );
    let verify = ["plugin", "verify"];
    let verified = document(&site.tthost, "plugin-verify", &verify)?;
    ensure!(verified["plugins"][0]["role"] == "store", "{verified:#}");
    let installed = report["file"].as_str().context("it has a file")?;
    fs::write(site.tthost.home().join(installed), "other bytes")?;
    let differs = document(&site.tthost, "plugin-verify", &verify)?;
    ensure!(differs["plugins"][0]["pin"] == "differs", "{differs:#}");
    site.tthost
        .fails(&run, 1, &["store of sink kept", "not the pinned file"])?;
    // The same component from the same place mends it.
    let mend = [
        "plugin", "update", "kept", &file, "--yes", "--digest", &digest,
    ];
    site.tthost.ok(&mend)?;
    site.tthost.ok(&run)?;
    Ok(())
}

#[test]
fn a_store_is_exchanged_and_goes_with_its_sink() -> Result<()> {
    let site = Site::new()?;
    add(&site)?;
    let (other, digest) = component("contract-0-2-0")?;
    let place = format!("--directory=place={}", site.path("objects").display());
    let update = ["plugin", "update", "kept", &other, "--yes"];
    let update = [&update[..], &["--digest", &digest, &place]].concat();
    let updated = document(&site.tthost, "plugin-update", &update)?;
    let changes = &updated["changes"];
    ensure!(changes["name"] == "hostile-store", "{updated:#}");
    ensure!(
        changes["needs_removed"].to_string().contains("objects"),
        "{changes:#}"
    );
    // The grants of the sink are its own business.
    let text = added(&site)?;
    ensure!(!text.contains("directories.objects"), "{text}");
    for kept in ["directories.place", "directories.state", "secrets.password"] {
        ensure!(text.contains(kept), "{kept}: {text}");
    }
    fs::create_dir(site.path("objects"))?;
    site.tthost.ok(&["init", "--sink", "kept"])?;
    site.tthost
        .ok(&["run", "--source", "www", "--sink", "kept"])?;

    // What is not a store does not take its place.
    let (sink, digest) = component("restic-sink")?;
    let wrong = [
        "plugin", "update", "kept", &sink, "--yes", "--digest", &digest,
    ];
    site.tthost
        .fails(&wrong, 1, &["store of sink kept", "is not a store"])?;

    let used = site.text()?.replace("['restic-local']", "['kept']");
    fs::write(site.file(), &used)?;
    let remove = ["plugin", "remove", "kept"];
    site.tthost
        .fails(&remove, 1, &["store of sink kept", "job nightly"])?;
    fs::write(site.file(), used.replace("['kept']", "['restic-local']"))?;
    let removed = document(&site.tthost, "plugin-remove", &remove)?;
    ensure!(removed["role"] == "store", "{removed:#}");
    ensure!(site.text()? == CONFIGURATION, "{}", site.text()?);
    ensure!(site.path("objects/config").is_file());
    Ok(())
}

#[test]
fn a_store_is_not_added_before_its_sink_has_what_it_needs() -> Result<()> {
    let site = Site::new()?;
    let (file, digest) = component("hostile-store")?;
    let [directory, secret] = grants(&site);
    let add = ["plugin", "add", &file, "--name", "kept", &directory];
    let yes = [&add[..], &["--yes", "--digest", &digest]].concat();
    site.tthost
        .fails(&yes, 1, &["cannot do without", "--sink-secret password="])?;
    // What the sink does not ask for is not granted, and a sink has no sink around it.
    let more = [&yes[..], &[&secret, "--sink-directory", "attic=/srv"]].concat();
    site.tthost
        .fails(&more, 1, &["grants.directories.attic has no effect"])?;
    let (sink, digest) = component("restic-sink")?;
    let [own, password] = site.grants();
    let around = ["plugin", "add", &sink, "--yes", "--digest", &digest];
    let around = [&around[..], &[&own, &password, &secret]].concat();
    site.tthost
        .fails(&around, 1, &["--sink-secret", "restic-sink is not a store"])?;
    ensure!(site.text()? == CONFIGURATION);

    let place = secret.trim_start_matches("--sink-secret=password=");
    let agreed = site.tthost.on_terminal(&add, &format!("{place}\ny\n"))?;
    let shown = agreed.text()?;
    for words in [
        "hostile-store 0.1.0, a store",
        "a new sink with the plugin restic-sink",
        "the secret password: ",
        "[sinks.kept.store]",
        "added the sink kept with its store",
    ] {
        ensure!(shown.contains(words), "{words}: {}", agreed.describe());
    }
    ensure!(agreed.status.success() && added(&site)?.contains("[sinks.kept.store]"));
    Ok(())
}
