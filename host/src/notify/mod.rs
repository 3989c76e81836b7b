//! Sends alerts about runs to people and monitoring programs.
//!
//! | module | holds |
//! |---|---|
//! | records a command and sends its alerts |
//! | decides on notices, as a function of the run and the history |
//! | the text of a notice |
//! | delivers a notice |
//!
//! Nothing in here changes how a command ends, and all of it ends in time.

mod decide;
mod notice;
mod send;
mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::grant::{Command, Secret};
use crate::operation::examine_command;
use crate::operator_file::{self, MAX_TEXT_SIZE};

pub use notice::Notice;
pub use send::{Tested, test};
pub use watch::{Watch, Watching};

/// How long one attempt may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// An event that an alert can report.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A part of a run failed, or something is missing in it.
    Failure,
    /// A failed or stale backup has succeeded again.
    Recovery,
    /// Nothing succeeded for too long.
    Stale,
    /// A check found damage, or failed.
    Verify,
    /// A drill failed.
    Drill,
    /// A test of the alert.
    Test,
}

impl Event {
    /// The default events of an alert.
    pub const DEFAULT: [Self; 5] = [
        Self::Failure,
        Self::Recovery,
        Self::Stale,
        Self::Verify,
        Self::Drill,
    ];
}

/// A receiver of alerts.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Its name in the configuration.
    pub name: String,
    /// Its events.
    pub on: BTreeSet<Event>,
    /// Only of these jobs; empty for everything.
    pub jobs: Vec<String>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How it is told.
    pub channel: Channel,
}

impl Alert {
    /// Checks that the program and the files of an alert exist. Sends nothing.
    pub async fn examine(&self) -> Result<()> {
        let ca = match &self.channel {
            Channel::Command(command) => return examine_command(command).await,
            Channel::Hook(_, endpoint) | Channel::Ping(endpoint) => &endpoint.ca,
            Channel::Matrix { server, .. } => &server.ca,
            Channel::Mail(mail) => &mail.ca,
        };
        let Some(ca) = ca else {
            return Ok(());
        };
        operator_file::read(ca, MAX_TEXT_SIZE)
            .map(drop)
            .map_err(|cause| {
                let text = format!("the certificates in {} cannot be read", ca.display());
                Error::new(Kind::Config, text).caused_by(cause)
            })
    }
}

/// The way to reach a receiver.
#[derive(Clone, Debug)]
pub enum Channel {
    /// With a message in a request.
    Hook(Dialect, Endpoint),
    /// With a request at the start and the end of each backup. Silence tells as well.
    Ping(Endpoint),
    /// With a message in a room of Matrix.
    Matrix {
        /// The home server, with a token.
        server: Endpoint,
        /// The id of the room.
        room: String,
    },
    /// With a mail.
    Mail(Mail),
    /// With a program that reads the notice as JSON.
    Command(Command),
}

/// Whose words a request is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The notice itself, as JSON.
    Json,
    /// ntfy.
    Ntfy,
    /// Slack, and what understands its incoming webhooks.
    Slack,
    /// Discord.
    Discord,
}

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The URL. It often works as a credential, so tthost never shows it.
    pub url: Secret,
    /// A token that goes with each request.
    pub token: Option<Secret>,
    /// A file of certificates in PEM that are trusted there, besides the system's own.
    pub ca: Option<PathBuf>,
}

/// A mail server, and whom to write to.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The host of the server.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept secret.
    pub tls: Tls,
    /// A file of certificates in PEM that are trusted there, besides the system's own.
    pub ca: Option<PathBuf>,
    /// A user and a password.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: lettre::message::Mailbox,
    /// The receivers.
    pub to: Vec<lettre::message::Mailbox>,
}

/// How a connection to a mail server is kept secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// By `STARTTLS`, without which nothing is sent.
    #[default]
    Starttls,
    /// From its first byte.
    Implicit,
    /// Not at all: for servers on this machine or in a private network.
    None,
}

/// This machine's name.
pub fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

impl Tls {
    /// The port that servers usually have for it.
    pub fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

impl Alert {
    /// Whether it is to be told.
    fn wants(&self, notice: &Notice) -> bool {
        let is_event = self.on.contains(&notice.event) && !matches!(self.channel, Channel::Ping(_));
        is_event && self.concerns(&notice.jobs)
    }

    /// Whether it wants to hear of these jobs.
    fn concerns(&self, jobs: &[String]) -> bool {
        self.jobs.is_empty() || jobs.iter().any(|job| self.jobs.contains(job))
    }
}
