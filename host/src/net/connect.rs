//! Connections to granted origins. A name is resolved once, its addresses are checked, and the connection goes to a
//! checked address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;
use url::Host;

use super::address::{AddressClass, class};
use super::error::{Advice, Error};
use super::origin::{Origin, Scheme};
use super::origins::{Granted, Origins};
use super::resolve::Resolve;

tokio::task_local! {
    /// How long connecting may take for the request that this task is about: a connector is told
    /// nothing but the URL.
    pub(super) static LIMIT: Duration;
}

/// Connects to granted origins, and to nothing else. Clones share what was granted.
#[derive(Clone)]
pub(super) struct Connector {
    origins: Arc<Origins>,
    resolver: Arc<dyn Resolve>,
}

/// A connection, with or without TLS.
pub(super) type Link = TokioIo<Box<dyn Stream>>;

/// Bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connection for Box<dyn Stream> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Link, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        let limit = LIMIT
            .try_with(|limit| *limit)
            .unwrap_or(super::client::CONNECT);
        Box::pin(async move { connector.connect(&uri, limit).await })
    }
}

impl Connector {
    pub(super) fn new(origins: Arc<Origins>, resolver: Arc<dyn Resolve>) -> Self {
        Self { origins, resolver }
    }

    async fn connect(&self, uri: &Uri, limit: Duration) -> Result<Link, Error> {
        let granted = self.origins.find(uri)?;
        let origin = &granted.origin;
        let deadline = Instant::now() + limit;
        let addresses = self.addresses(granted, deadline).await?;
        let stream = dial(origin, &addresses, deadline).await?;
        let stream: Box<dyn Stream> = match origin.scheme {
            Scheme::Http => Box::new(stream),
            Scheme::Https => {
                let secured = timeout_at(deadline, granted.trust.secure(origin, stream)).await;
                Box::new(secured.map_err(|_| Error::ConnectTimeout(origin.clone()))??)
            }
        };
        Ok(TokioIo::new(stream))
    }

    /// The addresses of an origin that may be connected to; at least one.
    async fn addresses(
        &self,
        granted: &Granted,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, Error> {
        let origin = &granted.origin;
        let found = match &origin.host {
            Host::Ipv4(address) => vec![IpAddr::from(*address)],
            Host::Ipv6(address) => vec![IpAddr::from(*address)],
            Host::Domain(name) => timeout_at(deadline, self.resolver.resolve(name.clone()))
                .await
                .map_err(|_| Error::LookupTimeout(name.clone()))?
                .map_err(|cause| Error::Lookup {
                    host: name.clone(),
                    cause,
                })?,
        };
        let mut allowed = Vec::new();
        let mut refused = None;
        for address in found {
            match judge(granted, address) {
                Ok(()) => allowed.push(SocketAddr::new(address, origin.port)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            _ if !allowed.is_empty() => Ok(allowed),
            Some(error) => Err(error),
            None => Err(Error::Lookup {
                host: origin.host.to_string(),
                cause: std::io::Error::other("it has no address"),
            }),
        }
    }
}

fn judge(granted: &Granted, address: IpAddr) -> Result<(), Error> {
    let (what, advice) = match class(address) {
        AddressClass::Public => return Ok(()),
        AddressClass::Private(_) if granted.private => return Ok(()),
        AddressClass::Private(what) => (what, Advice::Private),
        AddressClass::Never(what) => (what, Advice::Nothing),
    };
    Err(Error::Prohibited {
        origin: granted.origin.clone(),
        address,
        what,
        advice,
    })
}

/// Connects to the first address that answers. What time there is, is divided between those
/// that are left.
async fn dial(
    origin: &Origin,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<TcpStream, Error> {
    let mut failure = None;
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let now = Instant::now();
        let share =
            deadline.saturating_duration_since(now) / u32::try_from(left).unwrap_or(u32::MAX);
        let unreachable = |cause| Error::Unreachable {
            origin: origin.clone(),
            address: *address,
            cause,
        };
        failure = Some(
            match timeout_at(now + share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Requests are written as a whole; nothing is gained by waiting for more.
                    stream.set_nodelay(true).map_err(unreachable)?;
                    return Ok(stream);
                }
                Ok(Err(cause)) => unreachable(cause),
                Err(_) => Error::ConnectTimeout(origin.clone()),
            },
        );
    }
    Err(failure.unwrap_or_else(|| Error::ConnectTimeout(origin.clone())))
}
