//! Containers that are paused or stopped while a volume is read or restored. Several processes may suspend one container at a
//! time. The last of them resumes it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::engine::{Container, Engine, Status};
use crate::error::{Error, Kind, Result};
use crate::journal::{Journal, JournalLock, Leftover, Note, SuspendMode, SuspendedContainer};

/// How long after its grace period the engine may take to end a container.
const DELAY: Duration = Duration::from_mins(1);

/// How often the engine is asked whether a container has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A container that this process has paused or stopped.
pub(super) struct Suspension {
    engine: Engine,
    held: SuspendedContainer,
    note: Note,
}

/// Something that is to be done to a container.
pub(super) struct Plan {
    container: Container,
    /// Another process holds it already, and how.
    held: Option<SuspendMode>,
}

/// Finds out which of these containers are to be held, and whether they can be. Nothing is done yet.
pub(super) async fn plan(
    journal: &Journal,
    engine: &Engine,
    halt: SuspendMode,
    containers: Vec<Container>,
) -> Result<Vec<Plan>> {
    let elsewhere = journal.elsewhere().map_err(unreadable)?;
    let mut plans = Vec::new();
    for container in containers {
        let held = elsewhere.iter().find_map(|leftover| match leftover {
            Leftover::Container(held)
                if held.engine == engine.address() && held.id == container.id =>
            {
                Some(held.halt)
            }
            _ => None,
        });
        match (container.status, held, halt) {
            (Status::Running, _, SuspendMode::Stop) => {
                let details = engine.details(&container.id, &container.name).await?;
                if details.is_some_and(|details| details.is_removed_with_its_end) {
                    let text = format!(
                        "{} would be removed when it stops, with its anonymous volumes: it was started with --rm",
                        container.name
                    );
                    return Err(Error::new(Kind::Config, text).help(
                        "write containers = \"pause\", or start the container without --rm",
                    ));
                }
            }
            (Status::Running, ..)
            | (_, Some(SuspendMode::Stop), _)
            | (_, Some(SuspendMode::Pause), SuspendMode::Pause) => {}
            (_, Some(SuspendMode::Pause), SuspendMode::Stop) => {
                let text = format!(
                    "another run has paused {}, which is to stop",
                    container.name
                );
                return Err(
                    Error::new(Kind::Busy, text).help("run it again when that run has ended")
                );
            }
            // Another process has paused or stopped it.
            (Status::Halted, None, _) => continue,
        }
        plans.push(Plan { container, held });
    }
    Ok(plans)
}

impl Suspension {
    /// Writes down that a container is going to be held.
    pub(super) fn note(
        journal: &Journal,
        engine: &Engine,
        halt: SuspendMode,
        plan: &Plan,
    ) -> Result<Self> {
        let held = SuspendedContainer {
            engine: engine.address().to_owned(),
            id: plan.container.id.clone(),
            name: plan.container.name.clone(),
            // What another process has done is what is to be undone, if that one ends first.
            halt: match plan.container.status {
                Status::Running => halt,
                Status::Halted => plan.held.unwrap_or(halt),
            },
            since: Timestamp::now(),
        };
        let note = journal.note(Leftover::Container(held.clone()));
        Ok(Self {
            engine: engine.clone(),
            note: note.map_err(|cause| unwritten(&held.name, cause))?,
            held,
        })
    }

    /// Keeps the container from running, where it runs.
    pub(super) async fn take(&self, plan: &Plan) -> Result<()> {
        match (plan.container.status, self.held.halt) {
            (Status::Halted, _) => Ok(()),
            (Status::Running, SuspendMode::Pause) => {
                self.engine.pause(&self.held.id, &self.held.name).await
            }
            (Status::Running, SuspendMode::Stop) => {
                self.engine.stop(&self.held.id, &self.held.name).await
            }
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.held.id
    }

    /// Lets the container go on, unless another process needs it to stand still.
    pub(super) async fn release(&self, journal: &Journal) -> Result<()> {
        let _lock = journal.lock().await.map_err(unreadable)?;
        wake(journal, &self.engine, &self.held).await?;
        journal.clear(self.note).map_err(unreadable)
    }
}

/// Lets a container go on that a process held which is gone. This process has the lock.
pub(super) async fn wake_abandoned(
    journal: &Journal,
    held: &SuspendedContainer,
    _lock: &JournalLock,
) -> Result<()> {
    // This process may hold it by now.
    let own = journal.outstanding();
    let is_held = own.iter().any(|(_, leftover)| is_of(leftover, held));
    if is_held {
        return Ok(());
    }
    let engine = Engine::connect(std::slice::from_ref(&held.engine)).await?;
    wake(journal, &engine, held).await
}

async fn wake(journal: &Journal, engine: &Engine, held: &SuspendedContainer) -> Result<()> {
    let elsewhere = journal.elsewhere().map_err(unreadable)?;
    if elsewhere.iter().any(|leftover| is_of(leftover, held)) {
        return Ok(());
    }
    match held.halt {
        SuspendMode::Pause => engine.unpause(&held.id, &held.name).await,
        SuspendMode::Stop => {
            wait_for_its_end(engine, held).await?;
            engine.start(&held.id, &held.name).await
        }
    }
}

/// A container that was told to stop and still runs may be about to end, and would stay down when it is started before that.
async fn wait_for_its_end(engine: &Engine, held: &SuspendedContainer) -> Result<()> {
    while let Some(details) = engine.details(&held.id, &held.name).await? {
        let until = held.since + details.grace_period + DELAY;
        if details.status != Status::Running || Timestamp::now() >= until {
            break;
        }
        sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

fn is_of(leftover: &Leftover, held: &SuspendedContainer) -> bool {
    matches!(leftover, Leftover::Container(other) if other.is_same(held))
}

fn unreadable(cause: std::io::Error) -> Error {
    Error::new(
        Kind::Other,
        "what other runs have paused or stopped cannot be read",
    )
    .caused_by(cause)
}

fn unwritten(name: &str, cause: std::io::Error) -> Error {
    let text = format!(
        "nothing is done to {name}: the state directory cannot hold that it has to be undone"
    );
    Error::new(Kind::Other, text)
        .caused_by(cause)
        .help("make room in the state directory, or set TTHOST_STATE_DIR to another one")
}
