//! `tthost run`.

use serde_json::{Value, json};

use super::args::Run;
use super::format::{bytes, count, seconds, short};
use super::tally::Tally;
use super::{Session, offsite, output};
use crate::config::Job;
use crate::error::{Error, Kind, Result};
use crate::operation::{Backup, BackupReport, Receipt, backup};
use crate::plugin::Role;

/// Backs up every source into all sinks. A source that fails does not stop the others.
pub(super) async fn run(session: &Session<'_>, arguments: &Run) -> Result<u8> {
    let job = plan(session, arguments)?;
    // Whatever is wrong with the configuration is found before anything is done.
    let mut backups = Vec::new();
    for source in &job.sources {
        let sinks = job
            .sinks
            .iter()
            .map(|name| session.config.spec(Role::Sink, name))
            .collect::<Result<Vec<_>>>()?;
        backups.push(Backup {
            source: session.config.spec(Role::Source, source)?,
            sinks,
            tags: tags(source, &job),
            hostname: job.host.clone(),
            dry_run: arguments.rehearse,
            force: arguments.force,
        });
    }
    let mut tally = Tally::default();
    let mut reports = Vec::new();
    for request in backups {
        let source = request.source.name.clone();
        let result = backup(&session.context, request).await;
        session.screen.clear();
        reports.push(report(session, &source, &result, &mut tally));
        if session.context.cancel.is_cancelled() {
            break;
        }
    }
    session
        .output
        .result(&json!({ "sources": reports }), String::new);
    Ok(tally.exit_code())
}

/// What is to be run: a job, with what the command line adds, or what it names.
fn plan(session: &Session<'_>, arguments: &Run) -> Result<Job> {
    let offsite = offsite(session, arguments.offsite)?;
    let mut job = match &arguments.job {
        Some(name) => session.config.job(name)?.clone(),
        None if arguments.source.is_empty() => {
            return Err(Error::new(Kind::Config, "no source is given").help(format!(
                "give one with --source ({}), or a job with --job",
                session.config.names(Role::Source).join(", ")
            )));
        }
        None if arguments.sink.is_empty() && offsite.is_empty() => {
            return Err(Error::new(Kind::Config, "no sink is given").help(format!(
                "give one with --sink ({})",
                session.config.names(Role::Sink).join(", ")
            )));
        }
        None => Job {
            sources: arguments.source.clone(),
            sinks: arguments.sink.clone(),
            ..Job::default()
        },
    };
    for sink in offsite {
        if !job.sinks.contains(&sink) {
            job.sinks.push(sink);
        }
    }
    job.tags.extend(arguments.tag.iter().cloned());
    if arguments.host.is_some() {
        job.host.clone_from(&arguments.host);
    }
    Ok(job)
}

/// The tags of a source's snapshots. Its own name is one, so that `restore` and retention can
/// tell them from those of other sources.
fn tags(source: &str, job: &Job) -> Vec<String> {
    let mut tags = vec![source.to_owned()];
    tags.extend(job.tags.iter().filter(|tag| *tag != source).cloned());
    tags
}

/// Prints how one source went, and answers the same as JSON.
fn report(
    session: &Session<'_>,
    source: &str,
    result: &Result<BackupReport>,
    tally: &mut Tally,
) -> Value {
    let failed = |error: &Error, tally: &mut Tally| {
        if !session.output.is_json() {
            session.output.error(error);
        }
        tally.errors.push(error.clone());
        output::json(error)
    };
    let report = match result {
        Ok(report) => report,
        Err(error) => return json!({ "source": source, "error": failed(error, tally) }),
    };
    tally.incomplete |= !report.complete;
    // They were reported as they came.
    tally.errors.extend(report.aftermath.iter().cloned());
    let made: Vec<_> = report
        .sinks
        .iter()
        .filter(|(_, result)| result.is_ok())
        .map(|(sink, _)| sink.as_str())
        .collect();
    let mut sinks = Vec::new();
    for (sink, result) in &report.sinks {
        let required = session.config.is_required(sink);
        sinks.push(match result {
            Ok(receipt) => {
                tally.made += 1;
                session
                    .output
                    .line(&sentence(sink, source, receipt, report));
                json!({ "sink": sink, "required": required, "receipt": receipt })
            }
            Err(error) if required || made.is_empty() => {
                if required {
                    tally.required.get_or_insert(error.exit_code());
                }
                json!({ "sink": sink, "required": required, "error": failed(error, tally) })
            }
            Err(error) => {
                let succeeded = made.join(", ");
                session.output.warning(
                    &format!(
                        "{succeeded} backup succeeded, {sink} failed: {}",
                        error.message()
                    ),
                    error.next_step(),
                );
                tally.errors.push(error.clone());
                json!({ "sink": sink, "required": required, "error": output::json(error) })
            }
        });
    }
    json!({
        "source": source,
        "time": report.time,
        "files": report.files,
        "bytes": report.bytes,
        "complete": report.complete,
        "aftermath": report.aftermath.iter().map(output::json).collect::<Vec<_>>(),
        "seconds": report.duration.as_secs_f64(),
        "sinks": sinks,
    })
}

fn sentence(sink: &str, source: &str, receipt: &Receipt, report: &BackupReport) -> String {
    let done = match &receipt.snapshot {
        Some(id) if !report.complete => {
            format!(
                "incomplete snapshot {} of {source} saved in {sink}",
                short(id)
            )
        }
        Some(id) => format!("snapshot {} of {source} saved in {sink}", short(id)),
        None => format!("dry run of {source} into {sink}, nothing saved"),
    };
    format!(
        "{done}: {}, {} read, {} new, {} stored, {}",
        count(report.files, "file", "files"),
        bytes(report.bytes),
        bytes(receipt.bytes_added),
        bytes(receipt.bytes_stored),
        seconds(report.duration)
    )
}
