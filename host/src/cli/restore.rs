//! `tthost restore`.

use std::os::fd::AsFd as _;
use std::path::Path;

use super::Session;
use super::args;
use super::ask::confirm;
use super::format::{bytes, count, seconds, short, time};
use super::output::note;
use super::snapshots::{filter, show};
use crate::error::{Error, Kind, Result};
use crate::operation::{Restore, Target, Which, find, restore as run, snapshots};
use crate::plugin::Role;

/// Restores a snapshot; without one, lists those that there are.
pub(super) async fn restore(session: &Session<'_>, arguments: &args::Restore) -> Result<u8> {
    let sink = session.config.spec(Role::Sink, &arguments.select.sink)?;
    let Some(wanted) = &arguments.snapshot else {
        let listed = snapshots(&session.context, sink, &filter(&arguments.select)).await?;
        session.screen.clear();
        session.output.result(&listed, || {
            format!("{}\nrestore one with `tthost restore ID --to DIR`, or the newest with `tthost restore latest --to DIR`\n", show(&listed))
        });
        return Ok(0);
    };
    let which = match wanted.as_str() {
        "latest" => Which::Latest(filter(&arguments.select)),
        id => Which::Id(id.to_owned()),
    };
    let (target, question) = destination(session, arguments)?;
    let question = question.filter(|_| !arguments.yes && !arguments.dry_run);
    let which = match question {
        Some(question) => {
            let snapshot = find(&session.context, sink.clone(), &which).await?;
            session.screen.clear();
            confirm(&format!(
                "Snapshot {} of {} {question}.",
                short(&snapshot.id),
                time(snapshot.time)
            ))?;
            // The one that was shown is the one that is restored, whatever comes meanwhile.
            Which::Id(snapshot.id)
        }
        None => which,
    };
    let paths = arguments
        .path
        .iter()
        .map(|path| path.clone().into_bytes())
        .collect();
    let report = run(
        &session.context,
        Restore {
            sink,
            which,
            paths,
            target,
            dry_run: arguments.dry_run,
        },
    )
    .await?;
    session.screen.clear();
    let text = || {
        let done = if arguments.dry_run {
            "would be restored"
        } else {
            "restored"
        };
        format!(
            "snapshot {} {done}: {}, {}, {}",
            short(&report.snapshot.id),
            count(report.files, "file", "files"),
            bytes(report.bytes),
            seconds(report.duration)
        )
    };
    if arguments.stdout {
        // Standard output carries the file.
        note(&text());
    } else {
        session.output.result(&report, text);
    }
    Ok(0)
}

/// Where it goes, and what to ask before, if anything can be lost.
fn destination(
    session: &Session<'_>,
    arguments: &args::Restore,
) -> Result<(Target, Option<String>)> {
    if let Some(path) = &arguments.to {
        let question = (!is_empty(path)?)
            .then(|| format!("is going to overwrite files in {}", path.display()));
        return Ok((Target::Directory(path.clone()), question));
    }
    if let Some(name) = &arguments.source {
        let spec = session.config.spec(Role::Source, name)?;
        let place = arguments.target.clone();
        let onto = place.as_ref().map_or_else(
            || format!("source {name}"),
            |place| format!("{place} of source {name}"),
        );
        let question = format!("is going to replace what is in {onto}");
        return Ok((
            Target::Source {
                spec: Box::new(spec),
                place,
            },
            Some(question),
        ));
    }
    if arguments.stdout {
        return Ok((Target::Stream(Box::new(standard_output()?)), None));
    }
    Err(Error::new(Kind::Config, "no destination was named")
        .help("say --to DIR, --stdout, or --source NAME to restore through a source"))
}

/// Standard output itself, without a buffer that looks for the ends of lines.
fn standard_output() -> Result<std::fs::File> {
    let output = std::io::stdout().as_fd().try_clone_to_owned();
    output.map(Into::into).map_err(|cause| {
        Error::new(
            Kind::Other,
            format!("standard output cannot be used: {cause}"),
        )
    })
}

fn is_empty(path: &Path) -> Result<bool> {
    match std::fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(cause) => Err(Error::new(
            Kind::Config,
            format!(
                "{} is no directory to restore into: {cause}",
                path.display()
            ),
        )),
    }
}
