//! A run and its parts.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::json;

/// The activity of a part.
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
    /// A drill restored a source from a sink.
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

    /// Its name in the history.
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

/// Identifies a part of a run: what is done, to which source and sink.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct PartKey {
    /// What was done.
    pub activity: Activity,
    /// The source; null where there is none.
    pub source: Option<String>,
    /// The sink; null where there is none.
    pub sink: Option<String>,
}

impl PartKey {
    /// A source in a sink.
    pub fn backup(source: &str, sink: &str) -> Self {
        Self {
            activity: Activity::Backup,
            source: Some(source.to_owned()),
            sink: Some(sink.to_owned()),
        }
    }

    /// A drill of a source from a sink.
    pub fn drill(source: &str, sink: &str) -> Self {
        Self {
            activity: Activity::Drill,
            ..Self::backup(source, sink)
        }
    }

    /// An activity on a sink.
    pub fn of_sink(activity: Activity, sink: &str) -> Self {
        Self {
            activity,
            source: None,
            sink: Some(sink.to_owned()),
        }
    }
}

impl fmt::Display for PartKey {
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

/// The state of a run or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is running.
    Running,
    /// It succeeded.
    Ok,
    /// It is incomplete.
    Incomplete,
    /// It failed.
    Failed,
    /// It never ended: the process was killed, or the machine stopped.
    Died,
}

impl State {
    const ENDED: [Self; 3] = [Self::Ok, Self::Incomplete, Self::Failed];

    /// Its name in output and in the history.
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

    /// Whether it has a result.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Incomplete)
    }
}

/// An error, as it was reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedError {
    /// The stable code.
    pub code: String,
    /// The source, sink or file that failed, for example `sink offsite`, or null.
    pub subject: Option<String>,
    /// The message.
    pub message: String,
    /// The next step.
    pub help: Option<String>,
}

impl From<&Error> for RecordedError {
    fn from(error: &Error) -> Self {
        Self {
            code: error.kind().code().to_owned(),
            subject: error.subject().map(str::to_owned),
            message: error.message(),
            help: error.next_step().map(str::to_owned),
        }
    }
}

impl fmt::Display for RecordedError {
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
    /// Its key.
    #[serde(flatten)]
    pub key: PartKey,
    /// Its state.
    pub state: State,
    /// Its details.
    #[serde(flatten)]
    pub detail: Detail,
}

/// The details of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detail {
    /// The snapshot that was stored or read.
    pub snapshot_id: Option<String>,
    /// The bytes that were backed up.
    pub total_bytes_processed: Option<u64>,
    /// Bytes that the sink did not have, before compression.
    pub data_added: Option<u64>,
    /// The class of the sink's credentials, if known.
    pub access: Option<String>,
    /// The error.
    pub error: Option<RecordedError>,
}

impl Part {
    pub(super) fn new(key: PartKey, state: State) -> Self {
        Self {
            key,
            state,
            detail: Detail::default(),
        }
    }

    pub(super) fn failed(key: PartKey, error: RecordedError) -> Self {
        let mut part = Self::new(key, State::Failed);
        part.detail.error = Some(error);
        part
    }
}

/// The plan of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRun {
    /// The command, for example `run`.
    pub command: &'static str,
    /// The job.
    pub job: Option<String>,
    /// Its parts, as far as they are known in advance.
    pub parts: Vec<PartKey>,
}

impl PlannedRun {
    /// A command that works on sinks.
    pub fn of_sinks<'a>(
        command: &'static str,
        activity: Activity,
        sinks: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let keys = sinks
            .into_iter()
            .map(|sink| PartKey::of_sink(activity, sink));
        Self {
            command,
            job: None,
            parts: keys.collect(),
        }
    }

    /// Whether it is a backup.
    pub fn is_backup(&self) -> bool {
        let mut planned = self.parts.iter();
        planned.any(|key| key.activity == Activity::Backup)
    }

    /// What became of everything that was planned, from what was told and from what ended the run early. What
    /// nobody tells of was not begun.
    pub(crate) fn parts_at_end(&self, told: &[Part], error: Option<&RecordedError>) -> Vec<Part> {
        let tells_of = |part: &Part, key: &PartKey| {
            part.key.activity == key.activity
                && (part.key.source == key.source)
                && (part.key.sink.is_none() || part.key.sink == key.sink)
        };
        let mut parts: Vec<Part> = Vec::new();
        for key in &self.parts {
            match (told.iter().find(|part| tells_of(part, key)), error) {
                (Some(part), _) => parts.push(Part {
                    key: key.clone(),
                    ..part.clone()
                }),
                (None, Some(error)) => parts.push(Part::failed(key.clone(), error.clone())),
                (None, None) => {}
            }
        }
        let is_new = |part: &Part| !self.parts.iter().any(|key| tells_of(part, key));
        parts.extend(told.iter().filter(|part| is_new(part)).cloned());
        parts
    }
}

/// A run of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Run {
    /// Its number; null if it could not be recorded.
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
    /// Its state.
    pub state: State,
    /// The exit code of the program.
    pub exit_code: Option<u8>,
    /// The error that ended it early.
    pub error: Option<RecordedError>,
    /// Its parts.
    pub parts: Vec<Part>,
}

impl Run {
    /// Whether the operator interrupted it.
    pub fn was_interrupted(&self) -> bool {
        self.exit_code == Some(crate::error::Kind::Cancelled.exit_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_planned_is_settled_by_what_was_told() {
        let planned = PlannedRun {
            command: "run",
            job: None,
            parts: [("db", "a"), ("db", "b"), ("files", "a")]
                .map(|(source, sink)| PartKey::backup(source, sink))
                .into(),
        };
        let error = RecordedError {
            code: "unavailable".into(),
            subject: None,
            message: "nobody answers".into(),
            help: None,
        };
        let mut source = PartKey::backup("db", "");
        source.sink = None;
        let told = vec![
            Part::failed(source, error.clone()),
            Part::new(PartKey::backup("files", "c"), State::Ok),
        ];
        let parts = planned.parts_at_end(&told, None);
        let found: Vec<_> = parts
            .iter()
            .map(|part| format!("{}: {}", part.key, part.state.word()))
            .collect();
        assert_eq!(
            found,
            [
                "backup of db into a: failed",
                "backup of db into b: failed",
                "backup of files into c: ok"
            ]
        );
        let parts = planned.parts_at_end(&[], Some(&error));
        assert!(parts.iter().all(|part| part.state == State::Failed));
        assert_eq!(parts.len(), 3);
    }
}
