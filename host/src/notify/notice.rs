//! The text of a notice.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};
use schemars::JsonSchema;
use serde::Serialize;

use super::Event;
use crate::history::{PartKey, RecordedError, Run, State};
use crate::json;

/// Something that is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Notice {
    /// The version of this format.
    pub version: u32,
    /// The kind of notice.
    pub event: Event,
    /// In one line.
    pub title: String,
    /// In full.
    pub text: String,
    /// This machine's name.
    pub hostname: String,
    /// The jobs that it is about.
    pub jobs: Vec<String>,
    /// The run that it is about; null where it is about none.
    pub run: Option<RunFacts>,
    /// The subjects of the notice.
    pub items: Vec<Item>,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunFacts {
    /// Its number, for `tthost logs`; null where it could not be recorded.
    pub id: Option<i64>,
    /// The command.
    pub command: String,
    /// The job.
    pub job: Option<String>,
    /// When it began.
    #[serde(serialize_with = "json::time")]
    pub started: Timestamp,
    /// How it stands.
    pub state: State,
    /// The exit code of the program; null where it died.
    pub exit_code: Option<u8>,
}

/// One thing that a notice is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Item {
    /// The thing.
    #[serde(flatten)]
    pub key: PartKey,
    /// The problem.
    pub what: String,
    /// Why.
    pub error: Option<RecordedError>,
    /// When it last succeeded.
    #[serde(serialize_with = "json::optional_time")]
    pub last_success: Option<Timestamp>,
}

/// The version of notices. It changes when a field goes or means something else.
const VERSION: u32 = 1;

impl Notice {
    /// Puts something into words.
    pub(super) fn new(
        event: Event,
        hostname: &str,
        jobs: Vec<String>,
        run: Option<&Run>,
        items: Vec<Item>,
        now: Timestamp,
    ) -> Self {
        let run = run.map(|run| RunFacts {
            id: run.id,
            command: run.command.clone(),
            job: run.job.clone(),
            started: run.started,
            state: run.state,
            exit_code: run.exit_code,
        });
        Self {
            version: VERSION,
            event,
            title: title(event, hostname, &items),
            text: text(event, run.as_ref(), &items, now),
            hostname: hostname.to_owned(),
            jobs,
            run,
            items,
        }
    }
}

fn title(event: Event, hostname: &str, items: &[Item]) -> String {
    let what = match (event, items) {
        (Event::Test, _) => "this is a test".to_owned(),
        (_, [item]) => format!("{} {}", item.key, item.what),
        (Event::Failure, items) => format!("{} parts failed", items.len()),
        (Event::Recovery, items) => format!("{} parts work again", items.len()),
        (Event::Stale, items) => format!("{} backups are too old", items.len()),
        (Event::Verify, items) => format!("{} checks failed", items.len()),
        (Event::Drill, items) => format!("{} drills failed", items.len()),
    };
    format!("tthost on {hostname}: {what}")
}

fn text(event: Event, run: Option<&RunFacts>, items: &[Item], now: Timestamp) -> String {
    let mut text = String::new();
    if event == Event::Test {
        text += "This is how tthost tells of backups that fail.\n";
    }
    for item in items {
        let _ = write!(text, "{} {}", item.key, item.what);
        if let Some(error) = &item.error {
            let _ = write!(text, ": {error}");
        }
        text.push('\n');
        if let Some(help) = item.error.as_ref().and_then(|error| error.help.as_ref()) {
            let _ = writeln!(text, "  what to do: {help}");
        }
        if event != Event::Recovery {
            let last = item.last_success.map_or("never".to_owned(), |at| {
                format!("{} ({})", shown(at), ago(at, now))
            });
            let _ = writeln!(text, "  last good one: {last}");
        }
    }
    if let Some(run) = run {
        let job = run.job.as_ref().map(|job| format!(" of job {job}"));
        let ended = match run.exit_code {
            Some(code) => format!("ended with exit code {code}"),
            None => "never ended".to_owned(),
        };
        let _ = write!(
            text,
            "\n`tthost {}`{}, begun {}, {ended}.",
            run.command,
            job.unwrap_or_default(),
            shown(run.started)
        );
        if let Some(id) = run.id {
            let _ = write!(text, " Its messages: `tthost logs {id}`");
        }
        text.push('\n');
    }
    text
}

fn shown(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S %Z")
        .to_string()
}

/// How long ago a time is, for people.
fn ago(time: Timestamp, now: Timestamp) -> String {
    let minutes = now
        .since((Unit::Minute, time))
        .map_or(0, |span| span.get_minutes());
    match minutes {
        ..120 => format!("{minutes} minutes ago"),
        120..2880 => format!("{} hours ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_says_what_failed_why_what_to_do_and_when_the_last_good_one_was() {
        let second = |number| Timestamp::from_second(number).expect("it is a time");
        let run = Run {
            id: Some(12),
            command: "run".into(),
            job: Some("nightly".into()),
            started: second(1_000_000),
            ended: Some(second(1_000_009)),
            state: State::Incomplete,
            exit_code: Some(3),
            error: None,
            parts: Vec::new(),
        };
        let item = Item {
            key: PartKey::backup("db", "offsite"),
            what: "failed".into(),
            error: Some(RecordedError {
                code: "unavailable".into(),
                subject: Some("sink offsite".into()),
                message: "nobody answers".into(),
                help: Some("look at the network".into()),
            }),
            last_success: Some(second(1_000_000 - 86_400 * 3)),
        };
        let jobs = vec!["nightly".to_owned()];
        let now = second(1_000_009);
        let notice = Notice::new(Event::Failure, "db1", jobs, Some(&run), vec![item], now);
        assert_eq!(
            notice.title,
            "tthost on db1: backup of db into offsite failed"
        );
        for words in [
            "backup of db into offsite failed: sink offsite: nobody answers\n",
            "  what to do: look at the network\n",
            "  last good one: 1970-01-",
            "(3 days ago)\n",
            "`tthost run` of job nightly, begun 1970-01-",
            "ended with exit code 3. Its messages: `tthost logs 12`\n",
        ] {
            assert!(notice.text.contains(words), "{words} in {}", notice.text);
        }
    }
}
