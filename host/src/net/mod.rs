//! Outgoing HTTP: the only way from a plugin to the network, and the way of alerts.
//!
//! It defends against plugins and servers that try to reach other servers than the operator granted:
//!
//! | attempt | defence |
//! |---|---|
//! | another host, port or scheme | connections go to granted origins only (`origins`), whatever the URL looks like |
//! | a spelling that parsers understand differently (`user@host`, `2130706433`, `host.`) | a host is taken only in the one way in which URLs are written after parsing |
//! | a granted name that leads into the private network, now or at the second lookup | each address is judged after the lookup (`address`), and the connection goes to the one that was judged (`connect`) |
//! | a cloud's metadata service, link-local addresses | the host never connects to these, whatever is granted |
//! | a redirect to elsewhere | the host follows no redirects; the plugin gets them as answers |
//! | a proxy that the environment names | it is ignored |
//! | connections of another plugin, with its credentials or its certificates | each plugin has its own client, with its own connections and trusted certificates |
//! | a man in the middle | TLS with the system's roots and those that are granted for this origin (`trust`) |
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
