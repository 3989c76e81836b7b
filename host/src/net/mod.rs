//! Outgoing HTTP: the only way from a plugin to the network, and the way of alerts.
//!
//! It defends against a plugin, or a server that it talks to, that wants to get elsewhere than
//! the operator said:
//!
//! | attempt | what stops it |
//! |---|---|
//! | another host, port or scheme | only granted origins are connected to (`origins`), whatever the URL looks like |
//! | a spelling that parsers understand differently (`user@host`, `2130706433`, `host.`) | a host is taken only in the one way in which URLs are written after parsing |
//! | a granted name that leads into the private network, now or at the second lookup | each address is judged after the lookup (`address`), and the connection goes to the one that was judged (`connect`) |
//! | a cloud's metadata service, link-local addresses | never connected to, whatever was granted |
//! | a redirect to elsewhere | redirects are answers like others, for the plugin to look at |
//! | a proxy that the environment names | not looked at |
//! | connections of another plugin, with its credentials or its certificates | each plugin has a client, and with it connections and trust, of its own |
//! | a machine in between | TLS with the system's roots and those that were granted for this very origin (`trust`) |
//! | answers that end early, or never | a body that is cut off is an error (`body`); waiting has limits |

mod address;
mod body;
mod client;
mod connect;
mod error;
mod origin;
mod origins;
mod resolve;
#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
mod tests;
mod trust;

pub(crate) use body::Incoming;
pub(crate) use client::{Client, Timeouts};
pub(crate) use error::{Error, chain, tls};
pub use origin::{AllowedOrigin, Origin, Scheme};

/// Whether the certificates that were granted can be read.
pub(crate) fn check(granted: &[AllowedOrigin]) -> crate::error::Result<()> {
    origins::Origins::new(granted).map(drop)
}
