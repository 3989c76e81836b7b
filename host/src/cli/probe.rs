//! `tthost probe`.

use std::fmt::Write as _;

use serde_json::json;

use super::args::Probe;
use super::format::time;
use super::table::table;
use super::{Session, exit};
use crate::error::Result;
use crate::operation::{Answer, Class, Rights, probe as find_out};
use crate::plugin::Role;

/// What there is to do with a class of rights.
struct Meaning {
    name: &'static str,
    works: &'static str,
    fails: &'static str,
}

/// Finds out what a sink's credentials allow.
pub(super) async fn probe(session: &Session<'_>, arguments: &Probe) -> Result<u8> {
    let sink = session.config.spec(Role::Sink, &arguments.sink)?;
    let rights = find_out(&session.context, &sink).await?;
    session.screen.clear();
    let class = rights.class();
    let meaning = Meaning::of(class);
    let advice = advice(&rights, class);
    session.output.result(
        &json!({
            "sink": sink.name,
            "class": class,
            "rights": rights,
            "works": meaning.works,
            "does_not_work": meaning.fails,
            "advice": advice,
        }),
        || show(&sink.name, &rights, &meaning, &advice),
    );
    Ok(match class {
        Class::None => exit::FAILED,
        _ => 0,
    })
}

impl Meaning {
    fn of(class: Class) -> Self {
        let (name, works, fails) = match class {
            Class::Full => ("full", "everything", "nothing"),
            Class::AppendOnly => ("append-only", "backup, list, restore, check", "prune"),
            Class::WriteOnly => (
                "write-only",
                "backup, with deduplication against earlier backups of this machine",
                "list, restore, check and prune: those need credentials that may read",
            ),
            Class::ReadOnly => ("read-only", "list, restore, check", "backup, prune"),
            Class::None => ("none", "nothing", "everything"),
        };
        Self { name, works, fails }
    }
}

/// What people call a class of rights.
pub(super) fn class_name(class: Class) -> &'static str {
    Meaning::of(class).name
}

/// What to change, or to know.
pub(super) fn advice(rights: &Rights, class: Class) -> Vec<String> {
    let protected = rights.versioned == Answer::Yes || rights.retained == Answer::Yes;
    let mut advice = Vec::new();
    let mut say = |text: &str| advice.push(text.to_owned());
    match class {
        Class::Full if !protected => say(
            "somebody who takes over this machine can delete every backup there: prevent that with credentials \
             that may not delete, or with versioning and object lock for the bucket",
        ),
        Class::AppendOnly | Class::WriteOnly => {
            say(
                "prune from another machine, with credentials that may delete, while no backup runs; \
                 lifecycle rules of the bucket may expire noncurrent versions. A rule that expires \
                 current objects by age destroys the repository",
            );
            if rights.overwrite == Answer::Yes && !protected {
                say(
                    "existing objects can still be overwritten, and so destroyed: turn on versioning for the bucket, or \
                     require `If-None-Match: *` in its policy",
                );
            }
            if class == Class::WriteOnly {
                say(
                    "when you remove snapshots, keep the newest one of each host and set of paths: the next \
                     backup of this machine builds on it",
                );
            }
        }
        Class::ReadOnly => say("for backups, allow s3:PutObject"),
        Class::None => say(
            "check bucket, prefix and credentials; a backup needs at least s3:PutObject, and a restore \
             s3:GetObject and s3:ListBucket",
        ),
        Class::Full => {}
    }
    advice
}

fn show(sink: &str, rights: &Rights, meaning: &Meaning, advice: &[String]) -> String {
    let word = |answer| match answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::Unknown => "unknown",
    };
    let rows = [
        ("store", rights.put),
        ("read", rights.get),
        ("list", rights.list),
        ("delete", rights.delete),
        ("overwrite", rights.overwrite),
        ("store if absent", rights.exclusive),
        ("keeps old versions", rights.versioned),
        ("object lock protects", rights.retained),
    ]
    .map(|(what, answer)| vec![what.to_owned(), word(answer).to_owned()]);
    let mut text = format!("{sink}: {}\n\n{}\n", meaning.name, table(&rows));
    for (what, said) in [("works", meaning.works), ("does not work", meaning.fails)] {
        let _ = writeln!(text, "{what}: {said}");
    }
    for note in rights.notes.iter().chain(advice) {
        let _ = writeln!(text, "note: {note}");
    }
    if let Some(found) = rights.found {
        let _ = writeln!(text, "probed: {}", time(found));
    }
    text
}
