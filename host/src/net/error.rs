//! Why a request failed.

use std::net::{IpAddr, SocketAddr};
use std::{fmt, io};

use super::origin::Origin;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody granted it. The text names the place without what may be secret.
    #[error("{0} is not granted: add it to grants.network")]
    Refused(String),
    /// `CONNECT` would make a tunnel of an HTTP connection.
    #[error("CONNECT requests cannot be sent")]
    Tunnel,
    /// As many requests as there may be are under way.
    #[error("{0} requests are in flight already")]
    Crowded(usize),
    /// The name leads only to addresses that may not be connected to; the first of them.
    #[error("{origin} is at {address}, {what}: {advice}")]
    Prohibited {
        origin: Origin,
        address: IpAddr,
        what: &'static str,
        advice: Advice,
    },
    /// The name could not be looked up.
    #[error("{host} cannot be looked up")]
    Lookup {
        host: String,
        #[source]
        cause: io::Error,
    },
    /// Looking the name up took too long.
    #[error("looking up {0} took too long")]
    LookupTimeout(String),
    /// No address could be connected to; what the last one said.
    #[error("{origin} at {address} cannot be reached")]
    Unreachable {
        origin: Origin,
        address: SocketAddr,
        #[source]
        cause: io::Error,
    },
    /// Connecting took too long.
    #[error("connecting to {0} took too long")]
    ConnectTimeout(Origin),
    /// There is no certificate to trust.
    #[error(
        "{0} cannot be trusted, because this system has no root certificates: install ca-certificates, or name a file of them as ca beside it in the configuration"
    )]
    NoRoots(Origin),
    /// The server does not speak TLS.
    #[error(
        "{0} does not speak TLS: if the server is meant to be asked without, name it http:// in grants.network and in the plugin's settings"
    )]
    NoTls(Origin),
    /// TLS failed.
    #[error("{origin}: TLS failed")]
    Tls {
        origin: Origin,
        #[source]
        cause: io::Error,
    },
    /// There was no answer.
    #[error("there was no answer in time")]
    ResponseTimeout,
    /// The rest of an answer did not come.
    #[error("the answer stopped")]
    BodyTimeout,
    /// The exchange failed, or the connection could not be made.
    #[error("the request failed")]
    Exchange(#[source] hyper_util::client::legacy::Error),
    /// The answer broke off.
    #[error("the answer broke off")]
    Body(#[source] hyper::Error),
}

/// The grant that would allow an address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Advice {
    /// The grant that it lacks.
    Private,
    /// Nothing.
    Nothing,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "set private = true beside its origin in grants.network to allow it",
            Self::Nothing => "no grant allows that",
        })
    }
}

impl Error {
    /// The error that this one began as: one of connecting comes in one of the exchange.
    pub(crate) fn root(&self) -> &Self {
        let own = chain(self).filter_map(|error| error.downcast_ref());
        own.last().unwrap_or(self)
    }

    /// The error and its causes.
    pub(crate) fn in_full(&self) -> String {
        let texts: Vec<_> = chain(self).map(ToString::to_string).collect();
        texts.join(": ")
    }

    /// Whether a grant of the private network is all that it lacks.
    pub(crate) fn wants_private(&self) -> bool {
        matches!(
            self,
            Self::Prohibited {
                advice: Advice::Private,
                ..
            }
        )
    }

    /// Whether only the operator can do something about it.
    pub(crate) fn concerns_operator(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Prohibited { .. } | Self::NoRoots(_) | Self::NoTls(_) => true,
            Self::Tls { cause, .. } => {
                matches!(tls(cause), Some(rustls::Error::InvalidCertificate(_)))
            }
            _ => false,
        }
    }
}

/// The error of rustls.
pub(crate) fn tls(cause: &io::Error) -> Option<&rustls::Error> {
    cause.get_ref()?.downcast_ref()
}

/// An error and what it comes from.
pub(crate) fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}
