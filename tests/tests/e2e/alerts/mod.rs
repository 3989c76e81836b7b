//! Who is told of runs, by real receivers.

mod mail;
mod receiver;

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tthost_tests::offsite::OffsiteFixture;
use tthost_tests::ports::Port;
use tthost_tests::tthost::Tthost;

use mail::{LOGIN, MailServer};
use receiver::{Receiver, Request};

const RUN: [&str; 3] = ["run", "--job", "nightly"];

/// A tree, the sink `local`, and the job `nightly` of both.
fn fixture(more: &str) -> Result<OffsiteFixture> {
    let fixture = OffsiteFixture::new(&[])?;
    fixture.init_local()?;
    let file = fixture.tthost.home().join("tthost.toml");
    let text = format!(
        "{}\n[jobs.nightly]\nsources = [\"files\"]\nsinks = [\"local\"]\n{more}\n\
         [sources.files]\nplugin = \"volume-source\"\ngrants.trees.files = {{ path = '{}' }}\n",
        fs::read_to_string(&file)?,
        fixture.tree().display(),
    );
    fs::write(file, text)?;
    Ok(fixture)
}

fn add(fixture: &OffsiteFixture, alerts: &str) -> Result<()> {
    let file = fixture.tthost.home().join("tthost.toml");
    Ok(fs::write(&file, fs::read_to_string(&file)? + alerts)?)
}

/// The only request of this line.
fn one<'a>(requests: &'a [Request], line: &str) -> Result<&'a Request> {
    let mut found = requests
        .iter()
        .filter(|request| request.line.starts_with(line));
    let one = found.next();
    ensure!(found.next().is_none(), "{line} came twice: {requests:#?}");
    one.with_context(|| format!("{line} did not come: {requests:#?}"))
}

fn lines(requests: &[Request]) -> Vec<&str> {
    requests
        .iter()
        .map(|request| request.line.as_str())
        .collect()
}

/// An alert of each type.
fn of_each_type(origin: &str, mail: &MailServer, written: &Path) -> Result<String> {
    let mut alerts = String::new();
    for kind in ["webhook", "ntfy", "slack", "discord", "ping"] {
        write!(
            alerts,
            "[alerts.{kind}]\ntype = \"{kind}\"\nurl = \"{origin}/{kind}-s3cret\"\n"
        )?;
    }
    write!(
        alerts,
        "token.command = [\"echo\", \"t0ken\"]\n\
         [alerts.matrix]\ntype = \"matrix\"\nurl = \"{origin}\"\nroom = \"!room:example.com\"\n\
         token.command = [\"echo\", \"t0ken\"]\n\
         [alerts.mail]\ntype = \"smtp\"\nserver = \"localhost\"\nport = {}\nca = '{}'\n\
         user = \"{}\"\npassword.command = [\"echo\", \"{}\"]\n\
         from = \"tthost <backup@example.com>\"\nto = [\"admin@example.com\"]\n\
         [alerts.program]\ntype = \"command\"\n\
         argv = [\"sh\", \"-c\", 'cat >>\"$1\"; echo \"$HOME\" >>\"$1\"', \"program\", '{}']\n",
        mail.port,
        mail.certificate.display(),
        LOGIN.0,
        LOGIN.1,
        written.display(),
    )?;
    Ok(alerts)
}

/// Fails unless everybody who gets requests was told of a failure. Answers the notice.
fn expect_failure(requests: &[Request]) -> Result<Value> {
    let words = ["backup of files into local failed", "last good one"];
    let notice: Value = serde_json::from_str(&one(requests, "POST /webhook-s3cret")?.body)?;
    assert_eq!(notice["event"], "failure");
    assert_eq!(notice["jobs"][0], "nightly");
    assert_eq!(notice["items"][0]["source"], "files");
    assert_eq!(notice["items"][0]["sink"], "local");
    ensure!(notice["items"][0]["last_success"].is_string(), "{notice:#}");
    for line in ["ntfy", "slack", "discord"] {
        let request = one(requests, &format!("POST /{line}-s3cret"))?;
        for words in words {
            ensure!(request.body.contains(words), "{words} in {request:#?}");
        }
    }
    let ntfy = one(requests, "POST /ntfy-s3cret")?;
    ensure!(
        ntfy.head.iter().any(|line| line == "priority: 4"),
        "{ntfy:#?}"
    );
    one(requests, "POST /ping-s3cret/start")?;
    let ping = one(requests, "POST /ping-s3cret/1")?;
    ensure!(ping.body.contains(words[0]), "{ping:#?}");
    let matrix = one(
        requests,
        "PUT /_matrix/client/v3/rooms/!room:example.com/send/m.room.message/",
    )?;
    let bearer = "authorization: bearer t0ken";
    for request in [matrix, ping] {
        ensure!(
            request.head.iter().any(|line| line == bearer),
            "{request:#?}"
        );
    }
    Ok(notice)
}

#[test]
fn everybody_is_told_of_a_failure_and_of_its_end() -> Result<()> {
    let fixture = fixture("stale-after = \"26h\"")?;
    let receiver = Receiver::start()?;
    let mail = MailServer::start(&fixture.aside(""))?;
    let written = fixture.aside("written");
    let alerts = of_each_type(&receiver.origin(), &mail, &written)?;
    add(&fixture, &alerts)?;
    let tthost = &fixture.tthost;

    tthost.fails(&["status"], 1, &["never"])?;
    tthost.ok(&RUN)?;
    assert_eq!(
        lines(&receiver.take()),
        ["POST /ping-s3cret", "POST /ping-s3cret/start"]
    );
    ensure!(mail.take()?.is_empty(), "a success is not told");
    tthost.ok(&["status"])?;

    let away = fixture.aside("away");
    fs::rename(fixture.tree(), &away)?;
    let outcome = tthost.fails(&RUN, 1, &["files"])?;
    for secret in ["s3cret", "t0ken", LOGIN.1] {
        ensure!(
            !outcome.describe().contains(secret),
            "{}",
            outcome.describe()
        );
    }
    let requests = receiver.take();
    let notice = expect_failure(&requests)?;
    let mails = mail.take()?;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0]["to"][0], "admin@example.com");
    let text = mails[0]["text"].as_str().context("it is a text")?;
    ensure!(text.contains("backup of files into local failed"), "{text}");
    let written = fs::read_to_string(&written)?;
    let (document, home) = written.rsplit_once('}').context("it is a document")?;
    let document: Value = serde_json::from_str(&format!("{document}}}"))?;
    assert_eq!(document, notice);
    assert_eq!(home.trim(), "");
    tthost.fails(&["status"], 1, &["failed", "tthost logs 2"])?;

    fs::rename(&away, fixture.tree())?;
    tthost.ok(&RUN)?;
    let requests = receiver.take();
    let notice: Value = serde_json::from_str(&one(&requests, "POST /webhook-s3cret")?.body)?;
    assert_eq!(notice["event"], "recovery");
    ensure!(mail.take()?.len() == 1, "the end of a failure is told");
    tthost.ok(&["status"])?;
    tthost.ok(&RUN)?;
    assert_eq!(receiver.take().len(), 2);

    let tested = tthost.ok(&["notify", "test", "--json"])?.json()?;
    assert_eq!(tested["alerts"].as_array().map(Vec::len), Some(8));
    assert_eq!(receiver.take().len(), 6);
    tthost.fails(
        &["notify", "test", "pigeon"],
        1,
        &["no alert pigeon", "ntfy"],
    )?;
    Ok(())
}

#[test]
fn receivers_that_are_dead_neither_fail_a_backup_nor_hold_it_up() -> Result<()> {
    let fixture = fixture("")?;
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let closed = Port::free()?;
    let silent_address = silent.local_addr()?;
    add(
        &fixture,
        &format!(
            "[alerts.silent]\ntype = \"ping\"\nurl = \"http://{silent_address}/s3cret\"\ntimeout = \"300ms\"\n\
             [alerts.closed]\ntype = \"ping\"\nurl = \"http://127.0.0.1:{}/s3cret\"\n\
             [alerts.unset]\ntype = \"ping\"\nurl.env = \"PING_URL\"\n",
            closed.number(),
        ),
    )?;
    // Compiles the plugins, which takes as long as the machine is slow.
    fixture.tthost.ok(&["plugin", "inspect", "files"])?;
    fixture.tthost.ok(&["plugin", "inspect", "local"])?;
    let started = Instant::now();
    let outcome = fixture.tthost.ok(&RUN)?;
    ensure!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    for words in [
        "alert silent was not delivered",
        "alert closed was not delivered",
        "PING_URL",
    ] {
        ensure!(
            outcome.stderr.contains(words),
            "{words}: {}",
            outcome.describe()
        );
    }
    ensure!(
        !outcome.describe().contains("s3cret"),
        "{}",
        outcome.describe()
    );
    let closed = "alert closed was not delivered";
    fixture.tthost.fails(&["status"], 1, &[closed, "ok"])?;
    fixture
        .tthost
        .fails(&["notify", "test", "closed"], 1, &["not delivered"])?;
    let shown = fixture.tthost.ok(&["config", "show"])?;
    ensure!(!shown.text()?.contains("s3cret"), "{}", shown.describe());
    Ok(())
}

#[test]
fn a_backup_that_is_too_old_is_told_once_by_whoever_runs_next() -> Result<()> {
    let fixture = fixture("stale-after = \"1s\"")?;
    let receiver = Receiver::start()?;
    let url = receiver.origin();
    add(
        &fixture,
        &format!("[alerts.hook]\ntype = \"webhook\"\nurl = \"{url}\"\n"),
    )?;
    let tthost = &fixture.tthost;
    let events = |tthost: &Tthost, arguments: &[&str]| -> Result<Vec<String>> {
        tthost.ok(arguments)?;
        let event = |request: &Request| -> Result<String> {
            let notice: Value = serde_json::from_str(&request.body)?;
            Ok(notice["event"].as_str().unwrap_or_default().to_owned())
        };
        receiver.take().iter().map(event).collect()
    };
    let check = ["check", "--sink", "local"];
    ensure!(events(tthost, &RUN)?.is_empty(), "all is well");
    sleep(Duration::from_millis(1100));
    assert_eq!(events(tthost, &check)?, ["stale"]);
    ensure!(events(tthost, &check)?.is_empty(), "it was told");
    tthost.fails(&["status"], 1, &["stale"])?;
    assert_eq!(events(tthost, &RUN)?, ["recovery"]);

    // A check that finds damage is told too.
    let packs = fixture.local().join("data");
    fs::remove_dir_all(packs)?;
    tthost.fails(&check, 1, &["damaged"])?;
    let requests = receiver.take();
    ensure!(
        requests
            .iter()
            .any(|request| request.body.contains("\"verify\"")),
        "{requests:#?}"
    );
    Ok(())
}
