//! Finds the destination of a restore that the operator did not name.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};

use super::Session;
use super::args::Select;
use super::format::{short, time};
use crate::config::FilterRequest;
use crate::error::{Error, Kind, Result};
use crate::operation::{self, Snapshot, SnapshotFolder};
use crate::plugin::Role;

/// The snapshot and the one source that it goes back through, where nobody named a destination. It is an error
/// that says what to type unless somebody can be asked, or nothing is written.
pub(super) async fn find_source(
    session: &Session<'_>,
    select: &Select,
    snapshot: &SnapshotFolder,
    dry_run: bool,
) -> Result<(String, String)> {
    let sink = session.config.sink(&select.sink.clone().into())?;
    let filter = FilterRequest::from(select.filter.clone());
    let wanted = session.config.snapshot(&snapshot.snapshot, filter, None)?;
    let found = operation::find(&session.context, &sink, &wanted).await?;
    session.screen.clear();
    let sources = session.config.sources_of(&found)?;
    let configured = session.config.names(Role::Source);
    // What a tag names and no configuration has, nobody offers: the repository is not trusted.
    let offers = |name: &str| io::stdin().is_terminal() && configured.contains(&name);
    match &sources[..] {
        [name] if snapshot.folder.is_none() && (dry_run || offers(name)) => {
            Ok((found.id.to_string(), name.clone()))
        }
        _ => Err(no_destination(&found, &sources, &select.sink.typed())),
    }
}

fn no_destination(snapshot: &Snapshot, sources: &[String], sink: &str) -> Error {
    let text = format!(
        "no destination is given for snapshot {}",
        describe(snapshot)
    );
    let command = format!("`tthost restore {}{sink}", short(&snapshot.id));
    let help = match sources {
        [name] => format!(
            "{command} --source {}` puts it back where it came from, {command} --to DIR` writes its files into a directory",
            quoted(name)
        ),
        [] => format!(
            "{command} --to DIR` writes its files into a directory, {command} --source NAME` puts them back through a source"
        ),
        names => format!(
            "{command} --source NAME` puts it back through one of {}, {command} --to DIR` writes its files into a directory",
            names.join(", ")
        ),
    };
    Error::new(Kind::Config, text).help(help)
}

/// A snapshot with what people know it by.
fn describe(snapshot: &Snapshot) -> String {
    let mut text = format!("{} of {}", short(&snapshot.id), time(snapshot.time));
    for (what, names) in [("tags", &snapshot.tags), ("paths", &snapshot.paths)] {
        if !names.is_empty() {
            text += ", ";
            text += what;
            text += " ";
            text += &names.join(" ");
        }
    }
    text
}

/// A name as one word of a shell.
fn quoted(name: &str) -> Cow<'_, str> {
    shlex::try_quote(name).unwrap_or(Cow::Borrowed("NAME"))
}
