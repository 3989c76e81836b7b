//! Records a command in the history, and sends its alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tracing::warn;

use super::decide::{Decision, Seen, decide};
use super::send::{self, Signal};
use super::{Alert, Channel, Notice};
use crate::error::{Error, Result};
use crate::history::{
    Account, Configuration, Delivery, Expected, History, Line, PartKey, PlannedRun, RecordedError,
    Run, RunHandle, State, sets,
};

/// The settings of a configuration for history and alerts.
#[derive(Debug)]
pub struct Watching {
    /// Where the history is.
    pub state: Result<PathBuf>,
    /// Whose it is.
    pub configuration: Configuration,
    /// Whom to tell.
    pub alerts: Vec<Alert>,
    /// The expectations.
    pub expected: Expected,
    /// This machine's name.
    pub hostname: String,
}

/// A command that is watched.
#[derive(Debug)]
pub struct Watch {
    watching: Watching,
    planned: PlannedRun,
    started: Timestamp,
    history: Option<History>,
    handle: Option<RunHandle>,
    /// Alerts that are being told that it began.
    start: Vec<JoinHandle<Delivery>>,
}

impl Watch {
    /// Records that a command begins, and tells those who want to hear of it, while it goes on.
    pub fn begin(watching: Watching, planned: PlannedRun) -> Self {
        let started = Timestamp::now();
        let mut history = history(&watching);
        let handle = history.as_mut().and_then(|history| {
            let begun = history.begin(&planned, started);
            begun.map_err(|error| unrecorded(&error)).ok()
        });
        let start = pings(&watching.alerts, &planned).cloned();
        let start = start
            .map(|alert| tokio::spawn(async move { send::ping(&alert, &Signal::Start).await }))
            .collect();
        Self {
            watching,
            planned,
            started,
            history,
            handle,
            start,
        }
    }

    /// Records how it ended, with what it said, and tells those who want to hear of it.
    pub async fn end<R: Account>(mut self, result: &Result<R>, lines: Vec<Line>) {
        let run = self.run(result);
        if let (Some(history), Some(handle)) = (&mut self.history, self.handle.take())
            && let Err(error) = history.end(handle, &run, &lines)
        {
            unrecorded(&error);
        }
        // Signals in their order.
        let started = join_all(self.start).await;
        let mut deliveries: Vec<_> = started.into_iter().flatten().collect();
        let looked = decision_for(&self.watching, self.history.as_mut(), Some(&run));
        let ended = Signal::End {
            exit_code: run.exit_code.unwrap_or_default(),
            text: looked.text(),
        };
        let pings = pings(&self.watching.alerts, &self.planned);
        let (pinged, told) = tokio::join!(
            join_all(pings.map(|alert| send::ping(alert, &ended))),
            send::send(&self.watching.alerts, &looked.notices)
        );
        deliveries.extend(pinged);
        deliveries.extend(told);
        delivered(self.history.as_mut(), &deliveries);
    }

    fn run<R: Account>(&self, result: &Result<R>) -> Run {
        let (told, verdict, error) = match result {
            Ok(report) => (report.parts(&self.planned), report.verdict(), None),
            Err(error) => (
                Vec::new(),
                crate::operation::Verdict::Failed(error.kind()),
                Some(RecordedError::from(error)),
            ),
        };
        Run {
            id: self.handle.as_ref().map(|handle| handle.run),
            command: self.planned.command.to_owned(),
            job: self.planned.job.clone(),
            started: self.started,
            ended: Some(Timestamp::now()),
            state: State::from(verdict),
            exit_code: Some(verdict.exit_code()),
            parts: self.planned.parts_at_end(&told, error.as_ref()),
            error,
        }
    }
}

impl Watching {
    /// Tells what is stale, and which runs died, without a run. What keeps running does that now and then.
    pub async fn check(&self) {
        let mut history = history(self);
        let decision = decision_for(self, history.as_mut(), None);
        let deliveries = send::send(&self.alerts, &decision.notices).await;
        delivered(history.as_mut(), &deliveries);
    }
}

impl Decision {
    /// All that is told, for those who take only text.
    fn text(&self) -> String {
        let texts: Vec<_> = self
            .notices
            .iter()
            .map(|notice: &Notice| notice.text.as_str())
            .collect();
        texts.join("\n")
    }
}

fn history(watching: &Watching) -> Option<History> {
    let opened = watching.state.clone();
    let opened = opened.and_then(|state| History::open(&state, &watching.configuration));
    opened.map_err(|error| unrecorded(&error)).ok()
}

/// The alerts that are told when such a backup begins and ends.
fn pings<'a>(alerts: &'a [Alert], planned: &PlannedRun) -> impl Iterator<Item = &'a Alert> {
    let jobs: Vec<_> = planned.job.clone().into_iter().collect();
    let is_backup = planned.is_backup();
    alerts.iter().filter(move |alert| {
        is_backup && matches!(alert.channel, Channel::Ping(_)) && alert.concerns(&jobs)
    })
}

/// Decides what is told, and remembers it.
fn decision_for(watching: &Watching, history: Option<&mut History>, run: Option<&Run>) -> Decision {
    let Some(history) = history else {
        // Failures are told all the same.
        return decide(&Seen {
            hostname: &watching.hostname,
            now: Timestamp::now(),
            run,
            died: &[],
            sets: &[],
            successes: &BTreeMap::new(),
            open_alerts: BTreeSet::new(),
        });
    };
    match evaluate(watching, history, run) {
        Ok(decision) => decision,
        Err(error) => {
            unrecorded(&error);
            decision_for(watching, None, run)
        }
    }
}

fn evaluate(watching: &Watching, history: &mut History, run: Option<&Run>) -> Result<Decision> {
    let now = Timestamp::now();
    let died = history.deaths()?;
    let sets = sets(history, &watching.expected, now)?;
    let mut successes: BTreeMap<PartKey, Timestamp> = BTreeMap::new();
    for part in died.iter().chain(run).flat_map(|run| &run.parts) {
        if let Some(time) = history.last_success(&part.key)? {
            successes.insert(part.key.clone(), time);
        }
    }
    let decision = decide(&Seen {
        hostname: &watching.hostname,
        now,
        run,
        died: &died,
        sets: &sets,
        successes: &successes,
        open_alerts: history.open_alerts()?,
    });
    history.mark_deaths_reported(&died)?;
    history.set_open_alerts(&decision.open_alerts)?;
    Ok(decision)
}

/// Warns of alerts that did not get through, and remembers all.
fn delivered(history: Option<&mut History>, deliveries: &[Delivery]) {
    for delivery in deliveries {
        if let Some(error) = &delivery.error {
            let help = "try it with `tthost notify test`";
            warn!(help, "alert {} was not delivered: {error}", delivery.alert);
        }
    }
    let remembered = history.map(|history| history.set_deliveries(deliveries));
    if let Some(Err(error)) = remembered {
        unrecorded(&error);
    }
}

/// Nothing that goes wrong with the history fails a command.
fn unrecorded(error: &Error) {
    warn!(help = error.next_step(), "{}", error.message());
}
