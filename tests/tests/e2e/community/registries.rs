//! Registries that are damaged, hold something else, or want to send elsewhere.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tthost_tests::registry::{MANIFEST, Registry};

use super::front::{Front, answer};
use super::{Site, component, push};

/// Fails unless adding from a place does, with these words.
fn expect_refused(site: &Site, place: &str, code: i32, words: &[&str]) -> Result<()> {
    let (_, digest) = component("restic-sink")?;
    let add = ["plugin", "add", place, "--yes", "--digest", &digest];
    site.tthost.fails(&add, code, words)?;
    site.expect_untouched()
}

#[test]
fn what_a_registry_holds_in_the_place_of_a_plugin_is_refused() -> Result<()> {
    let (site, registry) = (Site::new()?, Registry::start()?);
    push(&site.tthost, &registry, "restic-sink", "sink:1")?;
    let manifest = registry.manifest("sink", "1")?;

    // An image, and an artifact of another kind.
    for (tag, pointer, kind) in [
        (
            "image",
            "/config/mediaType",
            "application/vnd.oci.image.config.v1+json",
        ),
        (
            "tar",
            "/layers/0/mediaType",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ),
    ] {
        let mut other = manifest.clone();
        *other.pointer_mut(pointer).context("it is there")? = kind.into();
        registry.put_manifest("sink", tag, &other)?;
        let place = registry.reference(&format!("sink:{tag}"));
        expect_refused(&site, &place, 1, &["not a component", kind])?;
    }

    // One for several platforms.
    let pushed = push(&site.tthost, &registry, "restic-sink", "sink:2")?;
    let pinned = pushed["pinned_reference"].as_str().context("it has one")?;
    let (_, digest) = pinned.rsplit_once('@').context("it has a digest")?;
    let length = manifest.to_string().len();
    let platforms = ["amd64", "arm64"].map(|architecture| {
        json!({
            "mediaType": MANIFEST, "digest": digest, "size": length,
            "platform": { "os": "linux", "architecture": architecture },
        })
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": platforms,
    });
    registry.put_manifest("sink", "index", &index)?;
    let place = registry.reference("sink:index");
    expect_refused(&site, &place, 1, &["index of 2 manifests", digest])?;

    expect_refused(
        &site,
        &registry.reference("sink:3"),
        1,
        &["does not have it"],
    )?;
    expect_refused(
        &site,
        &registry.reference("other:1"),
        1,
        &["does not have it"],
    )?;
    let gone = registry.reference("sink:1");
    drop(registry);
    expect_refused(&site, &gone, 1, &["cannot be reached"])
}

#[test]
fn a_layer_and_a_manifest_that_somebody_has_changed_are_refused() -> Result<()> {
    let (site, registry) = (Site::new()?, Registry::start()?);
    let pushed = push(&site.tthost, &registry, "restic-sink", "sink:1")?;
    let manifest = registry.manifest("sink", "1")?;
    let layer = manifest["layers"][0]["digest"]
        .as_str()
        .context("it has one")?;
    let blob = registry.blob(layer)?;
    let mut bytes = fs::read(&blob)?;
    *bytes.last_mut().context("it is not empty")? ^= 1;
    fs::write(&blob, &bytes)?;
    let words = ["the component is not the one that was named", layer];
    expect_refused(&site, &registry.reference("sink:1"), 1, &words)?;
    // Longer than it says is not even read.
    fs::write(&blob, [&bytes[..], &bytes].concat())?;
    expect_refused(&site, &registry.reference("sink:1"), 1, &["sink:1"])?;

    // A manifest by its digest, in the place of which there is one of another component.
    let pinned = pushed["pinned_reference"].as_str().context("it has one")?;
    let (_, digest) = pinned.rsplit_once('@').context("it has a digest")?;
    let path = registry.blob(digest)?;
    let text = fs::read_to_string(&path)?.replace("restic-sink", "restic-sunk");
    fs::write(&path, text)?;
    expect_refused(
        &site,
        pinned,
        1,
        &["manifest is not the one that was named"],
    )
}

#[test]
fn a_redirect_is_followed_without_the_credentials() -> Result<()> {
    let (mut site, registry) = (Site::new()?, Registry::start()?);
    push(&site.tthost, &registry, "restic-sink", "sink:1")?;
    let manifest = registry.manifest("sink", "1")?.to_string();
    let (file, digest) = component("restic-sink")?;
    let bytes = fs::read(&file)?;
    let storage = Front::start(move |_| answer("200 OK", "", &bytes))?;
    let elsewhere = format!("location: http://{}/bytes?signed\r\n", storage.address());
    let front = Front::start(move |head| {
        if !head.to_lowercase().contains("authorization: basic ") && !head.contains(" /v2/ ") {
            let wanted = "www-authenticate: Basic realm=\"test\"\r\n";
            return answer("401 Unauthorized", wanted, b"");
        }
        if head.contains("/blobs/") {
            return answer("307 Temporary Redirect", &elsewhere, b"");
        }
        answer("200 OK", "", manifest.as_bytes())
    })?;
    let address = front.address();
    let credentials = json!({ "auths": { address.to_string(): { "auth": "bWU6czNjcmV0" } } });
    site.tthost
        .set([("DOCKER_AUTH_CONFIG", credentials.to_string())]);
    let place = format!("oci://{address}/sink:1");
    site.add(&place, &["--yes", "--digest", &digest])?;
    let (asked, sent_on) = (front.heads(), storage.heads());
    ensure!(
        asked
            .iter()
            .any(|head| head.contains("authorization: basic bwu6cznjcmv0"))
    );
    ensure!(
        sent_on.len() == 1 && !sent_on[0].contains("authorization"),
        "{sent_on:#?}"
    );
    Ok(())
}

#[test]
fn a_server_that_never_stops_is_stopped() -> Result<()> {
    let site = Site::new()?;
    let endless = Front::start(|_| {
        let body = vec![b' '; 5 << 20];
        answer("200 OK", "", &body)
    })?;
    let place = format!("oci://{}/sink:1", endless.address());
    expect_refused(&site, &place, 1, &["larger than 4194304 bytes"])?;
    let around = Front::start(|_| answer("302 Found", "location: /again\r\n", b""))?;
    let place = format!("http://{}/sink.wasm", around.address());
    expect_refused(&site, &place, 1, &["sends on and on"])
}

#[test]
fn a_file_of_a_server_is_added_and_never_past_tls_unless_that_is_meant() -> Result<()> {
    let site = Site::new()?;
    let (file, digest) = component("restic-sink")?;
    let bytes = fs::read(&file)?;
    let server = Front::start(move |_| answer("200 OK", "", &bytes))?;
    let place = format!("http://{}/restic_sink.wasm", server.address());
    expect_refused(
        &site,
        "http://192.0.2.1/sink.wasm",
        1,
        &["without TLS", "--plain-http"],
    )?;
    let added = site.add(&place, &["--yes", "--digest", &digest])?;
    ensure!(
        added["from"] == place && added["manifest"].is_null(),
        "{added:#}"
    );
    Ok(())
}
