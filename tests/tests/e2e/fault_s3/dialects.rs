//! Servers that see some things in another way: the time, where the bucket is, what may be told to
//! whom, whether a request can have a condition, and what is whole.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::fault_s3::{Fault, Operation, Refusal, S3Request};

use super::{BUCKET, Fixture, PREFIX};

/// The refusals of credentials that may only store objects.
fn write_only(asked: &S3Request) -> Option<Fault> {
    match asked.operation {
        Operation::Put => None,
        _ => Some(Fault::Status(403, "AccessDenied")),
    }
}

#[test]
fn clocks_that_differ_are_made_up_for_and_named() -> Result<()> {
    for hours in [3, -3] {
        for refusal in [Refusal::TooSkewed, Refusal::Expired] {
            let ahead = hours * 60 * 60;
            let fixture = Fixture::new(move |_| Fault::Skewed(ahead, refusal))?;
            fixture.init()?;
            let outcome = fixture.offsite.run("offsite")?.success()?;
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
            fixture.check()?;
            fixture.expect_sound(1)?;
        }
    }
    Ok(())
}

#[test]
fn a_refusal_of_the_time_is_a_passing_fault_where_the_clocks_agree() -> Result<()> {
    let fixture = Fixture::new(|asked| match asked.number {
        1 | 2 => Fault::Status(403, "RequestTimeTooSkewed"),
        _ => Fault::Pass,
    })?;
    fixture.init()?;
    fixture.offsite.back_up("offsite")?;
    fixture.expect_sound(1)
}

#[test]
fn a_refusal_of_the_server_is_no_wrong_password_and_says_what_was_refused() -> Result<()> {
    let fixture = Fixture::ready("")?;
    fixture.offsite.back_up("offsite")?;
    let denied = "the credentials may";
    for (status, code, says) in [
        (400, "ExpiredToken", "have expired"),
        (400, "TokenRefreshRequired", "have expired"),
        (400, "InvalidToken", "refuses the credentials"),
        (403, "InvalidAccessKeyId", "refuses the credentials"),
        (403, "SignatureDoesNotMatch", "refuses the credentials"),
        (403, "AccessDenied", denied),
        (
            400,
            "",
            "gives no reason: check that it is the S3 server itself",
        ),
        (401, "", denied),
        (403, "", denied),
        (407, "", "a proxy on the way"),
        (403, "InvalidObjectState", "moved to an archive"),
        (507, "", "no space left there"),
        (403, "QuotaExceeded", "no space left there"),
    ] {
        fixture.server.set(move |_| Fault::Status(status, code));
        fixture
            .offsite
            .run("offsite")?
            .expect_failure(1, &["sink offsite", says])
            .with_context(|| format!("{status} {code}"))?;
    }
    fixture.server.set(|_| Fault::Pass);
    fixture.expect_sound(1)
}

#[test]
fn a_refusal_without_a_word_is_asked_for_in_another_way() -> Result<()> {
    let fixture = Fixture::ready("")?;
    for (code, says) in [("", "gives no reason"), ("ExpiredToken", "have expired")] {
        fixture.server.set(move |asked| match asked.operation {
            Operation::Head => Fault::Status(400, ""),
            Operation::Get if asked.part_from.is_some() && !code.is_empty() => {
                Fault::Status(400, code)
            }
            _ => Fault::Pass,
        });
        fixture
            .offsite
            .run("offsite")?
            .expect_failure(1, &["sink offsite", says])?;
    }
    fixture.server.set(|_| Fault::Pass);
    fixture.offsite.back_up("offsite")?;
    fixture.expect_sound(1)
}

#[test]
fn a_server_that_points_elsewhere_is_not_followed() -> Result<()> {
    let elsewhere = TcpListener::bind("127.0.0.1:0")?;
    elsewhere.set_nonblocking(true)?;
    let fixture = Fixture::ready("")?;
    for status in [301, 302, 307, 308] {
        let url = format!("http://{}/{BUCKET}/{PREFIX}", elsewhere.local_addr()?);
        fixture
            .server
            .set(move |_| Fault::Redirect(status, url.clone()));
        fixture
            .offsite
            .run("offsite")?
            .expect_failure(1, &["offsite", "points elsewhere"])?;
    }
    let nobody = elsewhere.accept().map_err(|cause| cause.kind());
    ensure!(matches!(nobody, Err(ErrorKind::WouldBlock)), "{nobody:?}");
    fixture.expect_sound(0)
}

#[test]
fn what_is_not_there_may_be_called_forbidden() -> Result<()> {
    let fixture = Fixture::new(|_| Fault::Hide)?;
    fixture.init()?;
    let init = ["init", "--sink", "offsite"];
    let again = fixture.offsite.tthost.ok(&init)?;
    ensure!(again.text()?.starts_with("took over the repository"));
    fixture.offsite.back_up("offsite")?;
    fixture.check()?;
    fixture.expect_sound(1)?;
    // What somebody else removed is gone for this machine too, which has a copy.
    for (key, _) in fixture.bucket.list(&format!("{PREFIX}/snapshots/"))? {
        ensure!(
            fixture.bucket.delete(&key)? == 204,
            "{key} cannot be removed"
        );
    }
    fixture.offsite.back_up("offsite")?;
    fixture.expect_sound(1)?;

    // Who may not list either is not told whether there is a repository.
    let fixture = Fixture::new(|asked| match asked.operation {
        Operation::List => Fault::Status(403, "AccessDenied"),
        _ => Fault::Hide,
    })?;
    let probe = ["probe", "offsite", "--json"];
    let found = fixture.offsite.tthost.ok(&probe)?.json()?;
    ensure!(found["class"] == "write-only", "{found:#}");
    fixture.offsite.back_up("offsite")?;
    fixture.expect_sound(1)
}

#[test]
fn a_part_may_come_with_the_status_of_a_whole() -> Result<()> {
    let fixture = Fixture::new(|_| Fault::PartAsWhole)?;
    fixture.init()?;
    fixture.offsite.fill("second", 2, 1 << 20)?;
    fixture.offsite.back_up("offsite")?;
    // What stays is behind it in the pack.
    fs::remove_file(fixture.offsite.tree().join("first"))?;
    fixture.offsite.back_up("offsite")?;
    fixture.forget()?;
    fixture.restore()?;
    let requests = fixture.server.requests();
    let from_the_middle = requests.iter().any(|request| {
        request.asked.is(Operation::Get, "data")
            && request.asked.part_from.is_some_and(|first| first > 0)
            && request.status == Some(200)
    });
    ensure!(from_the_middle, "no part was read that begins inside");
    fixture.check()?;
    fixture.expect_sound(2)
}

#[test]
fn without_conditional_requests_full_rights_are_enough() -> Result<()> {
    let unknown = |asked: &S3Request| {
        if asked.exclusive {
            Fault::Status(501, "NotImplemented")
        } else {
            Fault::Pass
        }
    };
    let ignored = |_: &S3Request| Fault::Unconditional;
    for fixture in [Fixture::new(unknown)?, Fixture::new(ignored)?] {
        fixture.init()?;
        fixture.offsite.back_up("offsite")?;
        let init = ["init", "--sink", "offsite"];
        let again = fixture.offsite.tthost.ok(&init)?;
        ensure!(again.text()?.starts_with("took over the repository"));
        let probe = ["probe", "offsite", "--json"];
        let found = fixture.offsite.tthost.ok(&probe)?.json()?;
        ensure!(found["rights"]["put_if_absent"] == "no", "{found:#}");
        fixture.check()?;
        fixture.expect_sound(1)?;
    }
    Ok(())
}

#[test]
fn without_conditional_requests_write_only_credentials_keep_to_themselves() -> Result<()> {
    let unknown = |asked: &S3Request| match write_only(asked) {
        Some(refusal) => refusal,
        None if asked.exclusive => Fault::Status(501, "NotImplemented"),
        None => Fault::Pass,
    };
    let ignored = |asked: &S3Request| write_only(asked).unwrap_or(Fault::Unconditional);
    let fixtures = [
        Fixture::ready("").inspect(|fixture| fixture.server.set(unknown))?,
        Fixture::ready("").inspect(|fixture| fixture.server.set(ignored))?,
    ];
    for fixture in fixtures {
        let before = fixture.bucket.get(&format!("{PREFIX}/config"))?;
        // As on another machine, which knows nothing of the repository.
        fixture.forget()?;
        fixture.offsite.back_up("offsite")?;
        fixture.offsite.back_up("offsite")?;
        ensure!(
            fixture.bucket.get(&format!("{PREFIX}/config"))? == before,
            "the configuration was replaced"
        );
        let (config, _) = fixture
            .bucket
            .list(&format!("{PREFIX}/tthost-"))?
            .into_iter()
            .find(|(key, _)| key.ends_with("/config"))
            .context("there is no repository of its own")?;
        let own = config.strip_suffix("/config").context("it ends so")?;
        fixture.expect_sound_at(own, 2)?;
    }
    Ok(())
}
