//! Ports for servers that must be told a number before they start.

use std::net::TcpListener;
use std::ops::Range;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use anyhow::{Context, Result};

/// Below the ports that Linux gives to connections and to whoever asks for port 0. One of those is free when
/// it is looked for, and may be some connection's own end when the server wants it.
const PORTS: Range<u16> = 10_000..32_768;

/// A port that no other test uses until this is dropped, and perhaps one above it.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// No two tests get the same port: of a name like this there is one on the whole machine, and it is gone
    /// with its owner.
    _claims: Vec<UnixListener>,
}

impl Port {
    /// A free port.
    pub fn free() -> Result<Self> {
        Self::find(&[0])
    }

    /// A free port above which, so many ports away, is another free one.
    pub fn with_one_above(distance: u16) -> Result<Self> {
        Self::find(&[0, distance])
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    fn find(distances: &[u16]) -> Result<Self> {
        let farthest = distances.iter().max().copied().unwrap_or(0);
        let end = PORTS.end.saturating_sub(farthest);
        let from = fastrand::u16(PORTS.start..end);
        (from..end)
            .chain(PORTS.start..from)
            .find_map(|number| {
                let claims = distances.iter().map(|distance| claim(number + distance));
                Some(Self {
                    number,
                    _claims: claims.collect::<Option<_>>()?,
                })
            })
            .context("there is no free port")
    }
}

/// Nothing if somebody has the port.
fn claim(port: u16) -> Option<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("tthost-test-port-{port}")).ok()?;
    let claim = UnixListener::bind_addr(&name).ok()?;
    TcpListener::bind(("127.0.0.1", port)).ok()?;
    Some(claim)
}
