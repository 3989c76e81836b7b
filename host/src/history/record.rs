//! A run and its parts.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::json;

/// What was done to a thing.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// A source was backed up into a sink.
    Backup,
    /// Snapshots were copied into a sink.
    Copy,
    /// A snapshot of a sink was restored.
    Restore,
    /// A source was restored from a sink for trial.
    Drill,
    /// A sink was checked.
    Check,
    /// A sink was pruned.
    Prune,
    /// A sink's access was probed.
    Probe,
}

impl Activity {
    const ALL: [Self; 7] = [
        Self::Backup,
        Self::Copy,
        Self::Restore,
        Self::Drill,
        Self::Check,
        Self::Prune,
        Self::Probe,
    ];

    /// As it is written in the history.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Copy => "copy",
            Self::Restore => "restore",
            Self::Drill => "drill",
            Self::Check => "check",
            Self::Prune => "prune",
            Self::Probe => "probe",
        }
    }

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|activity| activity.word() == word)
    }
}

/// What a part of a run is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Thing {
    /// What was done.
    pub activity: Activity,
    /// The source; null where there is none.
    pub source: Option<String>,
    /// The sink; null where there is none.
    pub sink: Option<String>,
}

impl Thing {
    /// A source in a sink.
    pub fn backup(source: &str, sink: &str) -> Self {
        Self {
            activity: Activity::Backup,
            source: Some(source.to_owned()),
            sink: Some(sink.to_owned()),
        }
    }

    /// A source that is restored from a sink for trial.
    pub fn drill(source: &str, sink: &str) -> Self {
        Self {
            activity: Activity::Drill,
            ..Self::backup(source, sink)
        }
    }

    /// Something that is done to a sink.
    pub fn of_sink(activity: Activity, sink: &str) -> Self {
        Self {
            activity,
            source: None,
            sink: Some(sink.to_owned()),
        }
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.activity.word())?;
        if let Some(source) = &self.source {
            write!(f, " of {source}")?;
        }
        match (&self.sink, self.activity) {
            (None, _) => Ok(()),
            (Some(sink), Activity::Backup | Activity::Copy) => write!(f, " into {sink}"),
            (Some(sink), Activity::Restore | Activity::Drill) => write!(f, " from {sink}"),
            (Some(sink), _) => write!(f, " of {sink}"),
        }
    }
}

/// How a run, or a part of it, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It goes on.
    Running,
    /// Everything was done.
    Ok,
    /// Something is missing in it.
    Incomplete,
    /// It failed.
    Failed,
    /// It never ended: the process was killed, or the machine stopped.
    Died,
}

impl State {
    const ENDED: [Self; 3] = [Self::Ok, Self::Incomplete, Self::Failed];

    /// As people and the history read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Died => "died",
        }
    }

    pub(super) fn ended(word: &str) -> Option<Self> {
        Self::ENDED.into_iter().find(|state| state.word() == word)
    }

    /// Whether there is something to show for it.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Incomplete)
    }
}

/// Why something failed, as it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The stable code.
    pub code: String,
    /// Whose failure it is, for example `sink offsite`; null where nobody's.
    pub subject: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Self {
            code: error.kind().code().to_owned(),
            subject: error.subject().map(str::to_owned),
            message: error.message(),
            help: error.next_step().map(str::to_owned),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subject) = &self.subject {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// A part of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Part {
    /// What it is about.
    #[serde(flatten)]
    pub thing: Thing,
    /// How it stands.
    pub state: State,
    /// What there is to know of it.
    #[serde(flatten)]
    pub detail: Detail,
}

/// What there is to know of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detail {
    /// The snapshot that was stored or read.
    pub snapshot_id: Option<String>,
    /// The bytes of what was backed up.
    pub total_bytes_processed: Option<u64>,
    /// Bytes that the sink did not have, before compression.
    pub data_added: Option<u64>,
    /// What the sink's credentials allow, where that was found out.
    pub access: Option<String>,
    /// Why it failed.
    pub error: Option<Problem>,
}

impl Part {
    pub(super) fn new(thing: Thing, state: State) -> Self {
        Self {
            thing,
            state,
            detail: Detail::default(),
        }
    }

    pub(super) fn failed(thing: Thing, error: Problem) -> Self {
        let mut part = Self::new(thing, State::Failed);
        part.detail.error = Some(error);
        part
    }
}

/// What a command is going to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The command, for example `run`.
    pub command: &'static str,
    /// The job.
    pub job: Option<String>,
    /// Its parts, as far as they are known beforehand.
    pub planned: Vec<Thing>,
}

impl Subject {
    /// A command that does something to sinks.
    pub fn of_sinks<'a>(
        command: &'static str,
        activity: Activity,
        sinks: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let things = sinks.into_iter().map(|sink| Thing::of_sink(activity, sink));
        Self {
            command,
            job: None,
            planned: things.collect(),
        }
    }

    /// Whether it backs something up.
    pub fn is_backup(&self) -> bool {
        let mut planned = self.planned.iter();
        planned.any(|thing| thing.activity == Activity::Backup)
    }

    /// What became of everything that was planned, from what was told and from what ended the run early. What
    /// nobody tells of was not begun.
    pub(crate) fn settle(&self, told: &[Part], error: Option<&Problem>) -> Vec<Part> {
        let tells_of = |part: &Part, thing: &Thing| {
            part.thing.activity == thing.activity
                && (part.thing.source == thing.source)
                && (part.thing.sink.is_none() || part.thing.sink == thing.sink)
        };
        let mut parts: Vec<Part> = Vec::new();
        for thing in &self.planned {
            match (told.iter().find(|part| tells_of(part, thing)), error) {
                (Some(part), _) => parts.push(Part {
                    thing: thing.clone(),
                    ..part.clone()
                }),
                (None, Some(error)) => parts.push(Part::failed(thing.clone(), error.clone())),
                (None, None) => {}
            }
        }
        let is_new = |part: &Part| !self.planned.iter().any(|thing| tells_of(part, thing));
        parts.extend(told.iter().filter(|part| is_new(part)).cloned());
        parts
    }
}

/// A run of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Run {
    /// Its number; null where it could not be recorded.
    pub id: Option<i64>,
    /// The command, for example `run`.
    pub command: String,
    /// The job; null for a run without one.
    pub job: Option<String>,
    /// When it began.
    #[serde(serialize_with = "json::time")]
    pub started: Timestamp,
    /// When it ended; null while it runs, or if it died.
    #[serde(serialize_with = "json::optional_time")]
    pub ended: Option<Timestamp>,
    /// How it stands.
    pub state: State,
    /// The exit code of the program.
    pub exit_code: Option<u8>,
    /// What ended it early.
    pub error: Option<Problem>,
    /// Its parts.
    pub parts: Vec<Part>,
}

impl Run {
    /// Whether the operator ended it.
    pub fn was_interrupted(&self) -> bool {
        self.exit_code == Some(crate::error::Kind::Cancelled.exit_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_planned_is_settled_by_what_was_told() {
        let subject = Subject {
            command: "run",
            job: None,
            planned: [("db", "a"), ("db", "b"), ("files", "a")]
                .map(|(source, sink)| Thing::backup(source, sink))
                .into(),
        };
        let problem = Problem {
            code: "unavailable".into(),
            subject: None,
            message: "nobody answers".into(),
            help: None,
        };
        let mut source = Thing::backup("db", "");
        source.sink = None;
        let told = vec![
            Part::failed(source, problem.clone()),
            Part::new(Thing::backup("files", "c"), State::Ok),
        ];
        let parts = subject.settle(&told, None);
        let found: Vec<_> = parts
            .iter()
            .map(|part| format!("{}: {}", part.thing, part.state.word()))
            .collect();
        assert_eq!(
            found,
            [
                "backup of db into a: failed",
                "backup of db into b: failed",
                "backup of files into c: ok"
            ]
        );
        let parts = subject.settle(&[], Some(&problem));
        assert!(parts.iter().all(|part| part.state == State::Failed));
        assert_eq!(parts.len(), 3);
    }
}
