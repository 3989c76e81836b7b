//! `tthost copy`.

use serde_json::json;

use super::format::{bytes, count, short, time};
use super::snapshots::filter_of;
use super::tally::Tally;
use super::{Session, args, output};
use crate::error::{Error, Kind, Result};
use crate::operation::{Copied, Copy, Snapshot, Wanted, Which, copy as run};
use crate::plugin::Role;

/// Copies snapshots from one sink into another. One that fails does not stop the others.
pub(super) async fn copy(session: &Session<'_>, arguments: &args::Copy) -> Result<u8> {
    if arguments.from == arguments.to {
        let text = format!("--from and --to are both {}", arguments.to);
        return Err(Error::new(Kind::Config, text).help("name two different sinks"));
    }
    let mut filter = filter_of(&arguments.host, &arguments.tag);
    filter.paths.clone_from(&arguments.path);
    let request = Copy {
        from: session.config.spec(Role::Sink, &arguments.from)?,
        to: session.config.spec(Role::Sink, &arguments.to)?,
        wanted: match arguments.snapshot.as_deref() {
            None => Wanted::All(filter),
            Some("latest") => Wanted::One(Which::Latest(filter)),
            Some(id) => Wanted::One(Which::Id(id.to_owned())),
        },
    };
    let mut tally = Tally::default();
    let mut copied = Vec::new();
    let mut present = Vec::new();
    let tell = |snapshot: &Snapshot, result: &Result<Copied>| {
        session.screen.clear();
        match result {
            Ok(Copied::Present) => present.push(snapshot.id.clone()),
            Ok(Copied::New(receipt)) => {
                tally.made += 1;
                session.output.line(&format!(
                    "snapshot {} of {} copied to {} as {}: {}, {} new, {} stored",
                    short(&snapshot.id),
                    time(snapshot.time),
                    arguments.to,
                    short(receipt.snapshot.as_deref().unwrap_or_default()),
                    count(receipt.files_total, "file", "files"),
                    bytes(receipt.bytes_added),
                    bytes(receipt.bytes_stored),
                ));
                copied.push(json!({ "snapshot": snapshot, "receipt": receipt }));
            }
            Err(error) => {
                if !session.output.is_json() {
                    session.output.error(error);
                }
                tally.errors.push(error.clone());
                copied.push(json!({ "snapshot": snapshot, "error": output::json(error) }));
            }
        }
    };
    Box::pin(run(&session.context, request, tell)).await?;
    session.screen.clear();
    if !present.is_empty() {
        let were = count(present.len() as u64, "snapshot was", "snapshots were");
        let line = format!("{were} in {} already", arguments.to);
        session.output.line(&line);
    } else if copied.is_empty() {
        session.output.line("no snapshot matches");
    }
    let report = json!({ "copied": copied, "present": present });
    session.output.result(&report, String::new);
    Ok(tally.exit_code())
}
