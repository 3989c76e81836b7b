//! Servers that see some things in another way: the time, where the bucket is, what may be told to
//! whom, and whether a request can have a condition.

use std::io::ErrorKind;
use std::net::TcpListener;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::bent_s3::{Asked, Bend, Operation, Refusal};

use super::{BUCKET, PREFIX, Scene};

/// The refusals of credentials that may only store objects.
fn write_only(asked: &Asked) -> Option<Bend> {
    match asked.operation {
        Operation::Put => None,
        _ => Some(Bend::Status(403, "AccessDenied")),
    }
}

#[test]
fn clocks_that_differ_are_made_up_for_and_named() -> Result<()> {
    for hours in [3, -3] {
        for refusal in [Refusal::TooSkewed, Refusal::Expired] {
            let ahead = hours * 60 * 60;
            let scene = Scene::new(move |_| Bend::Skewed(ahead, refusal))?;
            scene.init()?;
            let outcome = scene.depot.run("offsite")?.success()?;
            let said = outcome
                .stderr
                .split_once("the server's clock differs from this machine's by ")
                .with_context(|| format!("no warning: {}", outcome.stderr))?
                .1;
            let seconds: i64 = said
                .split_whitespace()
                .next()
                .context("a number of seconds")?
                .parse()?;
            ensure!((seconds - ahead).abs() < 60, "{seconds} s were named");
            scene.check()?;
            scene.expect_sound(1)?;
        }
    }
    Ok(())
}

#[test]
fn a_server_that_points_elsewhere_is_not_followed() -> Result<()> {
    let elsewhere = TcpListener::bind("127.0.0.1:0")?;
    elsewhere.set_nonblocking(true)?;
    let scene = Scene::ready("")?;
    for status in [301, 302, 307, 308] {
        let url = format!("http://{}/{BUCKET}/{PREFIX}", elsewhere.local_addr()?);
        scene
            .server
            .set(move |_| Bend::Redirect(status, url.clone()));
        scene
            .depot
            .run("offsite")?
            .expect_failure(1, &["offsite", "points elsewhere"])?;
    }
    let nobody = elsewhere.accept().map_err(|cause| cause.kind());
    ensure!(matches!(nobody, Err(ErrorKind::WouldBlock)), "{nobody:?}");
    scene.expect_sound(0)
}

#[test]
fn what_is_not_there_may_be_called_forbidden() -> Result<()> {
    let scene = Scene::new(|_| Bend::Hide)?;
    scene.init()?;
    let init = ["init", "--sink", "offsite"];
    scene
        .depot
        .tthost
        .fails(&init, 1, &["a repository already"])?;
    scene.depot.back_up("offsite")?;
    scene.check()?;
    scene.expect_sound(1)?;
    // What somebody else removed is gone for this machine too, which has a copy.
    for (key, _) in scene.bucket.list(&format!("{PREFIX}/snapshots/"))? {
        ensure!(scene.bucket.delete(&key)? == 204, "{key} cannot be removed");
    }
    scene.depot.back_up("offsite")?;
    scene.expect_sound(1)?;

    // Who may not list either is not told whether there is a repository.
    let scene = Scene::new(|asked| match asked.operation {
        Operation::List => Bend::Status(403, "AccessDenied"),
        _ => Bend::Hide,
    })?;
    let probe = ["probe", "offsite", "--json"];
    let found = scene.depot.tthost.ok(&probe)?.json()?;
    ensure!(found["class"] == "write-only", "{found:#}");
    scene.depot.back_up("offsite")?;
    scene.expect_sound(1)
}

#[test]
fn without_conditional_requests_full_rights_are_enough() -> Result<()> {
    let unknown = |asked: &Asked| {
        if asked.exclusive {
            Bend::Status(501, "NotImplemented")
        } else {
            Bend::Pass
        }
    };
    let ignored = |_: &Asked| Bend::Unconditional;
    for scene in [Scene::new(unknown)?, Scene::new(ignored)?] {
        scene.init()?;
        scene.depot.back_up("offsite")?;
        let init = ["init", "--sink", "offsite"];
        scene
            .depot
            .tthost
            .fails(&init, 1, &["a repository already"])?;
        let probe = ["probe", "offsite", "--json"];
        let found = scene.depot.tthost.ok(&probe)?.json()?;
        ensure!(found["rights"]["exclusive"] == "no", "{found:#}");
        scene.check()?;
        scene.expect_sound(1)?;
    }
    Ok(())
}

#[test]
fn without_conditional_requests_write_only_credentials_keep_to_themselves() -> Result<()> {
    let unknown = |asked: &Asked| match write_only(asked) {
        Some(refusal) => refusal,
        None if asked.exclusive => Bend::Status(501, "NotImplemented"),
        None => Bend::Pass,
    };
    let ignored = |asked: &Asked| write_only(asked).unwrap_or(Bend::Unconditional);
    let scenes = [
        Scene::ready("").inspect(|scene| scene.server.set(unknown))?,
        Scene::ready("").inspect(|scene| scene.server.set(ignored))?,
    ];
    for scene in scenes {
        let before = scene.bucket.get(&format!("{PREFIX}/config"))?;
        // As on another machine, which knows nothing of the repository.
        scene.forget()?;
        scene.depot.back_up("offsite")?;
        scene.depot.back_up("offsite")?;
        ensure!(
            scene.bucket.get(&format!("{PREFIX}/config"))? == before,
            "the configuration was replaced"
        );
        let (config, _) = scene
            .bucket
            .list(&format!("{PREFIX}/tthost-"))?
            .into_iter()
            .find(|(key, _)| key.ends_with("/config"))
            .context("there is no repository of its own")?;
        let own = config.strip_suffix("/config").context("it ends so")?;
        scene.expect_sound_at(own, 2)?;
    }
    Ok(())
}
