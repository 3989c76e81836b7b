//! Delivers a notice to a receiver: within a time limit, with a few attempts, and without secrets in error messages.
//!
//! | module | holds |
//! |---|---|
//! | `http` | requests |
//! | their bodies |
//! | mail |
//! | programs |

mod body;
mod http;
mod mail;
mod program;

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::{Alert, Channel, Event, Notice};
use crate::error::{Error, Kind, Result};
use crate::history::Delivery;
use crate::operation::{Report, Verdict};

/// How long all of it may take.
const TOTAL: Duration = Duration::from_mins(1);

/// How long to wait before each further attempt.
const DELAYS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// The time that an attempt needs in addition to the receiver's answer.
const GRACE: Duration = Duration::from_secs(1);

/// The message to a dead man's switch.
#[derive(Clone, Debug)]
pub(super) enum Signal {
    /// A backup begins.
    Start,
    /// It ended.
    End {
        /// The exit code.
        exit_code: u8,
        /// The additional details.
        text: String,
    },
}

/// The result of a test of alerts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tested {
    /// The alerts.
    pub alerts: Vec<Delivery>,
}

impl Report for Tested {
    /// An alert that does not get through is a failure.
    fn verdict(&self) -> Verdict {
        let failed = self.alerts.iter().any(|alert| alert.error.is_some());
        if failed {
            Verdict::Failed(Kind::Unavailable)
        } else {
            Verdict::Done
        }
    }
}

/// The content of one message to a receiver.
#[derive(Clone, Copy)]
enum Message<'a> {
    Notice(&'a Notice),
    Signal(&'a Signal),
}

/// Tells each alert what it wants to hear. Notices go one after the other, alerts all at once.
pub(super) async fn send(alerts: &[Alert], notices: &[Notice]) -> Vec<Delivery> {
    let told = alerts.iter().map(|alert| async move {
        let wanted = notices.iter().filter(|notice| alert.wants(notice));
        let wanted: Vec<_> = wanted.collect();
        if wanted.is_empty() {
            return None;
        }
        let all = async {
            for notice in wanted {
                persist(alert, Message::Notice(notice), &DELAYS).await?;
            }
            Ok(())
        };
        Some(deliver(alert, all).await)
    });
    join_all(told).await.into_iter().flatten().collect()
}

/// Tells an alert that watches for silence. That something begins is told once or not at all.
pub(super) async fn ping(alert: &Alert, signal: &Signal) -> Delivery {
    let delays = match signal {
        Signal::Start => &[][..],
        Signal::End { .. } => &DELAYS,
    };
    deliver(alert, persist(alert, Message::Signal(signal), delays)).await
}

/// Tries each alert.
pub async fn test(alerts: &[Alert], hostname: &str) -> Tested {
    let now = Timestamp::now();
    let notice = Notice::new(Event::Test, hostname, Vec::new(), None, Vec::new(), now);
    let message = Message::Notice(&notice);
    let tried = alerts
        .iter()
        .map(|alert| deliver(alert, persist(alert, message, &[])));
    Tested {
        alerts: join_all(tried).await,
    }
}

/// Tries, and again after these delays where it may work later.
async fn persist(alert: &Alert, message: Message<'_>, delays: &[Duration]) -> Result<()> {
    let mut delays = delays.iter();
    loop {
        let tried = timeout(alert.timeout + GRACE, tell(alert, message)).await;
        let error = match tried {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => late(alert.timeout),
        };
        match delays.next() {
            Some(delay) if error.kind() == Kind::Unavailable => sleep(*delay).await,
            _ => return Err(error),
        }
    }
}

/// One attempt.
async fn tell(alert: &Alert, message: Message<'_>) -> Result<()> {
    let limit = alert.timeout;
    match (&alert.channel, message) {
        (Channel::Hook(dialect, endpoint), Message::Notice(notice)) => {
            http::hook(*dialect, endpoint, notice, limit).await
        }
        (Channel::Matrix { server, room }, Message::Notice(notice)) => {
            http::matrix(server, room, notice, limit).await
        }
        (Channel::Mail(mail), Message::Notice(notice)) => mail::send(mail, notice, limit).await,
        (Channel::Command(command), Message::Notice(notice)) => {
            program::run(&alert.name, command, notice, limit).await
        }
        (Channel::Ping(endpoint), Message::Signal(signal)) => {
            http::ping(endpoint, signal, limit).await
        }
        // What watches for silence has no other test than a sign of life.
        (Channel::Ping(endpoint), Message::Notice(notice)) => {
            let sign = Signal::End {
                exit_code: 0,
                text: notice.text.clone(),
            };
            http::ping(endpoint, &sign, limit).await
        }
        // Others are not told of signs of life.
        (_, Message::Signal(_)) => Ok(()),
    }
}

/// Gives up in time, and says how it went.
async fn deliver(alert: &Alert, told: impl Future<Output = Result<()>>) -> Delivery {
    let told = timeout(TOTAL, told).await;
    let told = told.unwrap_or_else(|_| Err(late(TOTAL)));
    Delivery {
        alert: alert.name.clone(),
        time: Timestamp::now(),
        error: told.err().map(|error| error.message()),
    }
}

fn late(limit: Duration) -> Error {
    let text = format!("it took longer than {} s", limit.as_secs_f32());
    Error::new(Kind::Unavailable, text)
}
