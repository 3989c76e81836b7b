//! The HTTP/1.1 client of one plugin, with reused connections.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, Uri, header};
use http_body::Body;
use hyper::rt::Executor;
use hyper_util::client::legacy;
use hyper_util::rt::TokioTimer;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::body::{Incoming, OnProgress, Outgoing, Progress};
use super::connect::{self, Connector};
use super::error::Error;
use super::origin::AllowedOrigin;
use super::origins::Origins;
use super::resolve::{Resolve, System};
use crate::error::Result;

/// How long connecting may take, looking up the name and TLS included, if the plugin does not say it.
pub(super) const CONNECT: Duration = Duration::from_secs(15);

/// How long an unused connection is kept. Servers close theirs soon after.
const IDLE: Duration = Duration::from_secs(15);

/// Requests of one plugin at a time, each with buffers of the host.
const MAX: usize = 128;

/// The client of one plugin. Its connections end with it.
pub(crate) struct Client<B: Body> {
    origins: Arc<Origins>,
    http: legacy::Client<Connector, Outgoing<B>>,
    room: Arc<Semaphore>,
    on_progress: OnProgress,
    _connections: DropGuard,
}

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For a connection.
    pub(crate) connect: Duration,
    /// For an answer, after the last data that was sent.
    pub(crate) first_byte: Duration,
    /// For more of an answer.
    pub(crate) between_bytes: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: CONNECT,
            first_byte: Duration::from_mins(5),
            between_bytes: Duration::from_mins(5),
        }
    }
}

impl<B> Client<B>
where
    B: Body<
            Data: Send + Unpin,
            Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + Unpin,
        > + Send
        + Unpin
        + 'static,
{
    /// A client that reaches what was granted. Data that passes is told to `pulse`.
    pub(crate) fn new(granted: &[AllowedOrigin], on_progress: OnProgress) -> Result<Self> {
        Self::with_resolver(granted, on_progress, Arc::new(System))
    }

    pub(super) fn with_resolver(
        granted: &[AllowedOrigin],
        on_progress: OnProgress,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self> {
        let origins = Arc::new(Origins::new(granted)?);
        let ended = CancellationToken::new();
        let http = legacy::Client::builder(Connections(ended.clone()))
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(Connector::new(origins.clone(), resolver));
        Ok(Self {
            origins,
            http,
            room: Arc::new(Semaphore::new(MAX)),
            on_progress,
            _connections: ended.drop_guard(),
        })
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &self,
        request: Request<B>,
        timeouts: Timeouts,
    ) -> Result<Response<Incoming>, Error> {
        let granted = self.origins.find(request.uri())?;
        if request.method() == Method::CONNECT {
            return Err(Error::Tunnel);
        }
        let room = self.room.clone().try_acquire_owned();
        let room = room.map_err(|_| Error::Crowded(MAX))?;
        let progress = Progress::begin();
        let (mut head, body) = request.into_parts();
        // From here on the granted origin is meant, and not what the plugin wrote.
        head.uri = Uri::builder()
            .scheme(granted.origin.scheme.name())
            .authority(granted.origin.authority())
            .path_and_query(head.uri.path_and_query().map_or("/", |path| path.as_str()))
            .build()
            .map_err(|_| Error::Refused(granted.origin.to_string()))?;
        let mut body = Outgoing::new(body, progress.clone(), self.on_progress.clone());
        // Their requests seldom have a body, and servers know no chunks in them: an empty one of a
        // length that nobody told is left out. hyper does so for GET and HEAD.
        let seldom = [Method::DELETE, Method::OPTIONS, Method::TRACE].contains(&head.method);
        if seldom && !head.headers.contains_key(header::CONTENT_LENGTH) {
            let peeked = timeout(timeouts.first_byte, body.peek()).await;
            peeked.map_err(|_| Error::ResponseTimeout)?;
        }
        let sent = self.http.request(Request::from_parts(head, body));
        let answer = answer(
            connect::LIMIT.scope(timeouts.connect, sent),
            &progress,
            timeouts.first_byte,
        );
        let answer = answer.await?;
        (self.on_progress)();
        Ok(answer.map(|body| {
            Incoming::new(body, timeouts.between_bytes, self.on_progress.clone(), room)
        }))
    }
}

/// Waits for an answer, as long as data is sent or the limit has not passed since.
async fn answer<R>(
    sent: impl Future<Output = Result<R, legacy::Error>>,
    progress: &Progress,
    limit: Duration,
) -> Result<R, Error> {
    let mut sent = pin!(sent);
    loop {
        let due = progress.last() + limit;
        match timeout_at(due, &mut sent).await {
            Ok(answer) => return answer.map_err(Error::Exchange),
            Err(_) if progress.last() + limit > Instant::now() => {}
            Err(_) => return Err(Error::ResponseTimeout),
        }
    }
}

/// Runs connections until the client is gone.
#[derive(Clone)]
struct Connections(CancellationToken);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Connections {
    fn execute(&self, connection: F) {
        tokio::spawn(self.0.clone().run_until_cancelled_owned(connection));
    }
}
