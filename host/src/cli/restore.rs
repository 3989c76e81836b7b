//! `tthost restore`.

use std::os::fd::AsFd as _;
use std::path::Path;

use tthost_patterns::Patterns;

use super::args;
use super::ask::confirm;
use super::format::{bytes, count, seconds, short, time};
use super::output::note;
use super::snapshots::{filter, show};
use super::{Session, exit};
use crate::error::{Error, Kind, Result};
use crate::operation::{Filter, Restore, Target, Which, find, restore as run, snapshots};
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
        "latest" => Which::Latest(latest_of(arguments)),
        id => Which::Id(id.to_owned()),
    };
    let patterns = patterns(arguments)?;
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
    let report = Box::pin(run(
        &session.context,
        Restore {
            sink,
            which,
            paths,
            patterns,
            target,
            dry_run: arguments.dry_run,
            delete: arguments.delete,
            verify: arguments.verify,
        },
    ))
    .await?;
    session.screen.clear();
    let text = || {
        let done = if arguments.dry_run {
            "would be restored"
        } else {
            "restored"
        };
        let removed = match report.removed {
            0 => String::new(),
            removed => format!(", {removed} removed"),
        };
        format!(
            "snapshot {} {done}: {}, {}{removed}, {}",
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
    Ok(if report.complete { 0 } else { exit::INCOMPLETE })
}

/// Which snapshots `latest` is the newest of: of the source that it goes back to, unless tags say
/// something else.
fn latest_of(arguments: &args::Restore) -> Filter {
    let mut filter = filter(&arguments.select);
    if filter.tags.is_empty() {
        filter.tags.extend(arguments.source.clone());
    }
    filter
}

fn patterns(arguments: &args::Restore) -> Result<Option<Patterns>> {
    let (exclude, include) = (&arguments.exclude, &arguments.include);
    if exclude.is_empty() && include.is_empty() {
        return Ok(None);
    }
    let patterns = Patterns::new(exclude, include);
    patterns
        .map(Some)
        .map_err(|cause| Error::new(Kind::Config, format!("--{cause}")))
}

/// Where it goes, and what to ask before, if anything can be lost.
fn destination(
    session: &Session<'_>,
    arguments: &args::Restore,
) -> Result<(Target, Option<String>)> {
    if let Some(path) = &arguments.to {
        let question =
            (!is_empty(path)?).then(|| format!("will overwrite files in {}", path.display()));
        return Ok((Target::Directory(path.clone()), question));
    }
    if let Some(name) = &arguments.source {
        let mut spec = session.config.spec(Role::Source, name)?;
        let mut place = arguments.target.clone();
        let onto = place.as_ref().map_or_else(
            || format!("source {name}"),
            |place| format!("{place} of source {name}"),
        );
        let question = format!("will replace the data in {onto}");
        if spec.has_trees() {
            if let Some(target) = place.take() {
                session.config.redirect(&mut spec, &target)?;
            }
            spec.open_for_writing();
        }
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
    Err(Error::new(Kind::Config, "no destination is given")
        .help("give --to DIR, --stdout, or --source NAME"))
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
                "{} is not a directory to restore into: {cause}",
                path.display()
            ),
        )),
    }
}
