//! Registries that want to know who asks.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::json;
use tthost_tests::registry::{PASSWORD, Registry, USER};

use super::front::{Front, answer};
use super::{Site, component};

#[test]
fn credentials_are_those_of_docker_login_and_are_never_shown() -> Result<()> {
    let (mut site, registry) = (Site::new()?, Registry::with_password()?);
    let (file, digest) = component("restic-sink")?;
    let reference = registry.reference("private/sink:1");
    let push = ["plugin", "push", &file, &reference, "-vv"];
    site.tthost
        .fails(&push, 12, &["docker login", registry.address()])?;

    let docker = site.path("docker");
    fs::create_dir(&docker)?;
    let log_in = |user: &str, password: &str| {
        let auth = json!({ registry.address(): { "username": user, "password": password } });
        fs::write(
            docker.join("config.json"),
            json!({ "auths": auth }).to_string(),
        )
    };
    site.tthost.set([("DOCKER_CONFIG", &docker)]);
    log_in(USER, "s3cret-but-wrong")?;
    let refused = site.tthost.fails(&push, 12, &["other credentials"])?;
    log_in(USER, PASSWORD)?;
    let pushed = site.tthost.ok(&push)?;
    let add = [
        "plugin", "add", &reference, "-vv", "--yes", "--digest", &digest,
    ];
    let [directory, secret] = site.grants();
    let added = site
        .tthost
        .ok(&[&add[..], &[&directory, &secret]].concat())?;
    for said in [refused, pushed, added] {
        ensure!(!said.describe().contains("s3cret"), "{}", said.describe());
    }
    Ok(())
}

#[test]
fn a_token_is_got_where_the_registry_says_and_used_there_alone() -> Result<()> {
    let mut site = Site::new()?;
    let tokens = Front::start(|head| {
        let scope = "scope=repository%3Asink%3Apull&service=the+registry";
        if head.contains(scope) && head.to_lowercase().contains("authorization: basic ") {
            answer("200 OK", "", br#"{"token": "t0ken"}"#)
        } else {
            answer("400 Bad Request", "", b"")
        }
    })?;
    let realm = format!(
        "www-authenticate: Bearer realm=\"http://{}/token\",service=\"the registry\"\r\n",
        tokens.address()
    );
    let registry = Front::start(move |head| {
        if head.to_lowercase().contains("authorization: bearer t0ken") {
            answer("404 Not Found", "", b"")
        } else {
            answer("401 Unauthorized", &realm, b"")
        }
    })?;
    let address = registry.address().to_string();
    let credentials = json!({ "auths": { address: { "auth": "bWU6czNjcmV0" } } });
    site.tthost
        .set([("DOCKER_AUTH_CONFIG", credentials.to_string())]);
    let place = format!("oci://{}/sink:1", registry.address());
    let (_, digest) = component("restic-sink")?;
    let add = ["plugin", "add", &place, "-vv", "--yes", "--digest", &digest];
    let refused = site.tthost.fails(&add, 1, &["does not have it"])?;
    ensure!(
        !refused.describe().contains("t0ken"),
        "{}",
        refused.describe()
    );
    let heads = registry.heads();
    ensure!(
        heads.iter().all(|head| !head.contains("basic")),
        "{heads:#?}"
    );
    site.expect_untouched()
}
