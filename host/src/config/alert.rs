//! Alerts: their sections in the configuration, and what the host makes of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use url::{Host, Url};

use super::file::{Command, Job, Value, Variable};
use super::lower::{command, value, variable};
use super::{Environment, Named, quantity, unknown};
use crate::error::{Error, Kind, Result};
use crate::grant::Secret;
use crate::net::Origin;
use crate::notify::{self, Channel, Dialect, Endpoint, Event, TIMEOUT, Tls};

/// A receiver of notices.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Alert {
    /// A request with the notice as JSON.
    Webhook(Hook),
    /// A message in a topic of ntfy. The URL ends with the topic.
    Ntfy(Hook),
    /// A message through an incoming webhook of Slack or a compatible service.
    Slack(Hook),
    /// A message through a webhook of Discord.
    Discord(Hook),
    /// A ping URL of healthchecks or a similar service. It gets the start and the end of each backup.
    Ping(Hook),
    /// A message in a room of Matrix.
    Matrix(Matrix),
    /// A mail.
    Smtp(Smtp),
    /// A program that reads the notice as JSON from its standard input.
    Command(Program),
}

/// The keys that all alerts have.
#[derive(Clone, Debug)]
struct Common<'a> {
    on: Option<&'a Vec<AlertEvent>>,
    jobs: &'a [String],
    timeout: Option<&'a str>,
}

/// An event that an alert reports.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertEvent {
    /// A part of a run failed or is incomplete.
    Failure,
    /// Something that failed or was stale succeeded.
    Recovery,
    /// Nothing succeeded for too long.
    Stale,
    /// A check found damage, or failed.
    Verify,
    /// A drill failed.
    Drill,
}

/// Requests to a URL.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hook {
    /// The URL: a text, or its location. Often, anybody who knows the URL can send to it.
    #[serde(serialize_with = "hidden")]
    pub url: Variable,
    /// A token that goes with each request as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Value>,
    /// A file of certificates in PEM, relative to the configuration file. They are trusted for this
    /// server, together with the system's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The events to report. The default is all. Pings get every backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<AlertEvent>>,
    /// Only events of these jobs. The default is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
    /// The timeout of one attempt. The default is `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// A room of Matrix.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Matrix {
    /// The home server, for example `https://matrix.example.com`.
    #[serde(serialize_with = "hidden")]
    pub url: Variable,
    /// The id of the room, for example `!abc:example.com`.
    pub room: String,
    /// The access token of the user who writes.
    pub token: Value,
    /// A file of certificates in PEM, relative to the configuration file. They are trusted for this
    /// server, together with the system's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The events to report. The default is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<AlertEvent>>,
    /// Only events of these jobs. The default is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
    /// The timeout of one attempt. The default is `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// A mail.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Smtp {
    /// The host of the mail server.
    pub server: String,
    /// Its port. The default is 587 for `starttls`, 465 for `implicit` and 25 for `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The encryption of the connection: `starttls` (the default), `implicit`, or `none` for a server
    /// on this machine or in a private network.
    #[serde(default)]
    pub tls: Tls,
    /// A file of certificates in PEM, relative to the configuration file. They are trusted for this
    /// server, together with the system's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The user, if the server needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Value>,
    /// The sender, for example `tthost <backup@example.com>`.
    pub from: String,
    /// The receivers.
    #[schemars(length(min = 1))]
    pub to: Vec<String>,
    /// The events to report. The default is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<AlertEvent>>,
    /// Only events of these jobs. The default is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
    /// The timeout of one attempt. The default is `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// A program.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Program {
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    pub argv: Vec<String>,
    /// Its environment. It also gets PATH and the variables in `inherit`.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub env: Named<Variable>,
    /// Variables of tthost's own environment that the program gets. A `*` at the end stands for
    /// anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherit: Vec<String>,
    /// The events to report. The default is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<AlertEvent>>,
    /// Only events of these jobs. The default is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
    /// The timeout of one attempt. The default is `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// Shows no more of a URL than its origin.
fn hidden<S: Serializer>(url: &Variable, serializer: S) -> Result<S::Ok, S::Error> {
    match url {
        Variable::Value(value) => value.serialize(serializer),
        Variable::Text(text) => {
            let url = Url::parse(text).ok();
            let origin = url.map(|url| url.origin().ascii_serialization());
            serializer.collect_str(&format_args!("{}/...", origin.unwrap_or_default()))
        }
    }
}

impl Alert {
    fn common(&self) -> Common<'_> {
        let (on, jobs, timeout) = match self {
            Self::Webhook(hook)
            | Self::Ntfy(hook)
            | Self::Slack(hook)
            | Self::Discord(hook)
            | Self::Ping(hook) => (&hook.on, &hook.jobs, &hook.timeout),
            Self::Matrix(matrix) => (&matrix.on, &matrix.jobs, &matrix.timeout),
            Self::Smtp(smtp) => (&smtp.on, &smtp.jobs, &smtp.timeout),
            Self::Command(program) => (&program.on, &program.jobs, &program.timeout),
        };
        Common {
            on: on.as_ref(),
            jobs,
            timeout: timeout.as_deref(),
        }
    }

    /// Checks it as far as possible without its secrets.
    pub(super) fn check(&self, jobs: &Named<Job>) -> Result<()> {
        let common = self.common();
        common.timeout()?;
        let names: Vec<_> = jobs.keys().map(String::as_str).collect();
        if let Some(missing) = common.jobs.iter().find(|job| !jobs.contains_key(*job)) {
            return Err(unknown("job", missing, &names));
        }
        if common.on.is_some_and(Vec::is_empty) {
            let text = "on is empty, so the alert would tell nothing";
            return Err(Error::new(Kind::Config, text)
                .help("name something, or remove it: the default is all"));
        }
        if matches!(self, Self::Ping(_)) && common.on.is_some() {
            let text = "on has no effect on a ping, which hears of every backup";
            return Err(Error::new(Kind::Config, text).help("remove it"));
        }
        if let Self::Smtp(smtp) = self {
            smtp.check()?;
        }
        Ok(())
    }

    /// Resolves the alert for use. This reads its secrets.
    pub(super) fn lower(
        &self,
        name: &str,
        base: &Path,
        environment: &Environment,
    ) -> Result<notify::Alert> {
        let lowering = Lowering { base, environment };
        let common = self.common();
        let channel = match self {
            Self::Webhook(hook) => Channel::Hook(Dialect::Json, lowering.hook(hook)?),
            Self::Ntfy(hook) => Channel::Hook(Dialect::Ntfy, lowering.hook(hook)?),
            Self::Slack(hook) => Channel::Hook(Dialect::Slack, lowering.hook(hook)?),
            Self::Discord(hook) => Channel::Hook(Dialect::Discord, lowering.hook(hook)?),
            Self::Ping(hook) => Channel::Ping(lowering.hook(hook)?),
            Self::Matrix(matrix) => Channel::Matrix {
                server: lowering.endpoint(
                    &matrix.url,
                    Some(&matrix.token),
                    matrix.ca.as_deref(),
                )?,
                room: matrix.room.clone(),
            },
            Self::Smtp(smtp) => Channel::Mail(lowering.mail(smtp)?),
            Self::Command(program) => Channel::Command(command(
                &Command {
                    argv: program.argv.clone(),
                    env: program.env.clone(),
                    inherit: program.inherit.clone(),
                    ..Command::default()
                },
                base,
                environment,
            )?),
        };
        Ok(notify::Alert {
            name: name.to_owned(),
            on: match common.on {
                Some(on) => on.iter().map(|on| Event::from(*on)).collect(),
                None => Event::DEFAULT.into(),
            },
            jobs: common.jobs.to_vec(),
            timeout: common.timeout()?,
            channel,
        })
    }
}

impl Common<'_> {
    fn timeout(&self) -> Result<Duration> {
        let timeout = self.timeout.map(quantity::duration).transpose();
        let timeout =
            timeout.map_err(|text| Error::new(Kind::Config, format!("timeout: {text}")))?;
        Ok(timeout.unwrap_or(TIMEOUT))
    }
}

impl From<AlertEvent> for Event {
    fn from(on: AlertEvent) -> Self {
        match on {
            AlertEvent::Failure => Self::Failure,
            AlertEvent::Recovery => Self::Recovery,
            AlertEvent::Stale => Self::Stale,
            AlertEvent::Verify => Self::Verify,
            AlertEvent::Drill => Self::Drill,
        }
    }
}

impl Smtp {
    fn check(&self) -> Result<()> {
        if self.to.is_empty() {
            return Err(Error::new(Kind::Config, "to is empty; name a receiver"));
        }
        for (key, address) in
            std::iter::once(("from", &self.from)).chain(self.to.iter().map(|to| ("to", to)))
        {
            mailbox(key, address)?;
        }
        if self.user.is_some() != self.password.is_some() {
            let text = "user and password belong together: one of them is missing";
            return Err(Error::new(Kind::Config, text));
        }
        if self.tls == Tls::None && self.ca.is_some() {
            let text = "ca has no effect with tls = \"none\"";
            return Err(Error::new(Kind::Config, text).help("remove one of them"));
        }
        if self.tls == Tls::None && !is_near(&self.server) {
            let text = format!(
                "tls = \"none\" sends mails that everybody between here and {} can read",
                self.server
            );
            return Err(Error::new(Kind::Config, text)
                .help("use \"starttls\" or \"implicit\"; \"none\" is for servers on this machine or in a private network"));
        }
        Ok(())
    }
}

fn mailbox(key: &str, address: &str) -> Result<lettre::message::Mailbox> {
    address
        .parse()
        .map_err(|cause: lettre::address::AddressError| {
            let text = format!("{key} = \"{address}\" is not an address");
            Error::new(Kind::Config, text)
                .caused_by(cause)
                .help("write for example \"backup@example.com\"")
        })
}

/// Whether a server is on this machine or in a private network: by its address, or by a name without a
/// dot, as containers have them.
fn is_near(server: &str) -> bool {
    match Host::parse(server) {
        Ok(Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Ok(Host::Ipv6(address)) => address.is_loopback() || address.is_unique_local(),
        Ok(Host::Domain(name)) => !name.contains('.'),
        // An address without the brackets that it has in URLs.
        Err(_) => server
            .parse::<std::net::Ipv6Addr>()
            .is_ok_and(|address| address.is_loopback() || address.is_unique_local()),
    }
}

/// The environment for secrets and paths.
struct Lowering<'a> {
    base: &'a Path,
    environment: &'a Environment,
}

impl Lowering<'_> {
    fn hook(&self, hook: &Hook) -> Result<Endpoint> {
        self.endpoint(&hook.url, hook.token.as_ref(), hook.ca.as_deref())
    }

    fn endpoint(
        &self,
        url: &Variable,
        token: Option<&Value>,
        ca: Option<&Path>,
    ) -> Result<Endpoint> {
        let url = variable("the url", url, self.base, self.environment)?;
        let origin = origin(&url)?;
        if ca.is_some() && !origin.is_secure() {
            let text = "ca has no effect, because the url is one of http";
            return Err(Error::new(Kind::Config, text).help("remove ca, or write https://"));
        }
        Ok(Endpoint {
            url,
            token: token
                .map(|token| self.secret("the token", token))
                .transpose()?,
            ca: ca.map(|path| self.base.join(path)),
        })
    }

    fn mail(&self, smtp: &Smtp) -> Result<notify::Mail> {
        let password = smtp.password.as_ref();
        let password = password.map(|password| self.secret("the password", password));
        Ok(notify::Mail {
            server: smtp.server.clone(),
            port: smtp.port.unwrap_or(smtp.tls.port()),
            tls: smtp.tls,
            ca: smtp.ca.as_ref().map(|path| self.base.join(path)),
            login: smtp.user.clone().zip(password.transpose()?),
            from: mailbox("from", &smtp.from)?,
            to: smtp
                .to
                .iter()
                .map(|to| mailbox("to", to))
                .collect::<Result<_>>()?,
        })
    }

    fn secret(&self, what: &str, named: &Value) -> Result<Secret> {
        value(what, named, self.base, self.environment)
    }
}

/// Where a URL leads. The error does not quote it, because it may be a secret.
fn origin(url: &Secret) -> Result<Origin> {
    let text = std::str::from_utf8(url.expose()).ok();
    let url = text.and_then(|text| Url::parse(text).ok());
    let origin = url.map(|url| Origin::parse(&url.origin().ascii_serialization()));
    match origin {
        Some(Ok(origin)) => Ok(origin),
        _ => Err(Error::new(
            Kind::Config,
            "its url is not one of http or https",
        )),
    }
}
