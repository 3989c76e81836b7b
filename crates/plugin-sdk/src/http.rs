//! Requests over `wasi:http`. The host handles names, addresses and TLS, and decides which servers a request may
//! reach.

use std::cell::Cell;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::{Either, select};
use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::client;
use wasip3::http::types::{Fields, Request, RequestOptions, Response, Scheme};
use wasip3::wit_bindgen::{StreamReader, StreamResult, StreamWriter};
use wasip3::{wit_future, wit_stream};

use crate::{Error, Result};

pub use url::Url;
pub use wasip3::http::types::{ErrorCode, Method};

/// The number of bytes that are passed to the host, and read from it, at a time.
const PIECE: usize = 1 << 20;

/// How long a server may send nothing.
const SILENCE: Duration = Duration::from_mins(1);

/// The timeout for connecting.
const CONNECTING: Duration = Duration::from_secs(15);

/// The minimum transfer rate in bytes a second, so that a trickling server also times out.
const MIN_RATE: u64 = 8 << 10;

/// A request.
pub struct Message<'a> {
    /// The HTTP method.
    pub method: Method,
    /// The URL.
    pub url: &'a Url,
    /// Its header fields, without the length of the body.
    pub headers: &'a [(String, String)],
    /// Its body, if any.
    pub body: Option<&'a [u8]>,
    /// The maximum length of the answer.
    pub most: u64,
}

/// The complete answer of a server.
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its header fields.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its complete body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header field; `None` if it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}

/// Why a request failed.
#[derive(Debug)]
pub enum Broken {
    /// The error of the host.
    Host(ErrorCode),
    /// The request took too long.
    Slow,
    /// The answer is too long.
    Long,
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Host(ErrorCode::HttpRequestDenied) => {
                Self::Denied("the server is not granted: add its origin to grants.network".into())
            }
            Broken::Host(code) => Self::Unavailable(format!("the server cannot be used: {code:?}")),
            Broken::Slow => Self::Unavailable("the server answers too slowly".into()),
            Broken::Long => Self::Corrupt("the server's answer is longer than it may be".into()),
        }
    }
}

/// Sends a request, and waits for the complete answer. Temporary faults are retried a few times: a broken connection, a busy or
/// failing server. So the request must be idempotent.
pub async fn exchange(message: &Message<'_>) -> Result<Answer> {
    /// The total number of attempts.
    const ATTEMPTS: u32 = 4;
    /// The first pause. Each later one is twice as long.
    const PAUSE: Duration = Duration::from_millis(500);
    let mut attempt = 0;
    loop {
        let answer = send(message).await;
        let may_pass = match &answer {
            Ok(answer) => matches!(answer.status, 423 | 429 | 500 | 502..=504),
            Err(Broken::Host(ErrorCode::HttpRequestDenied) | Broken::Long) => false,
            Err(_) => true,
        };
        attempt += 1;
        if !may_pass || attempt == ATTEMPTS {
            return Ok(answer?);
        }
        wait_for(nanoseconds(PAUSE * (1 << (attempt - 1)))).await;
    }
}

/// Sends a request once, and waits for the complete answer.
pub async fn send(message: &Message<'_>) -> Result<Answer, Broken> {
    let moved = Cell::new(0);
    let exchanged = pin!(exchange_once(message, &moved));
    match select(exchanged, pin!(dawdling(&moved))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(Broken::Slow),
    }
}

/// Ends when the transfer rate is below the minimum.
async fn dawdling(moved: &Cell<u64>) {
    /// How often it is checked.
    const POLL_INTERVAL: Duration = Duration::from_secs(2);
    let start = Instant::now();
    while start.elapsed() < SILENCE + Duration::from_secs(moved.get() / MIN_RATE) {
        wait_for(nanoseconds(POLL_INTERVAL)).await;
    }
}

async fn exchange_once(message: &Message<'_>, moved: &Cell<u64>) -> Result<Answer, Broken> {
    let (upload, contents) = match message.body {
        Some(body) => {
            let (writer, reader) = wit_stream::new();
            (Some((writer, body)), Some(reader))
        }
        None => (None, None),
    };
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    drop(trailers);
    let (request, sent) = Request::new(headers(message)?, contents, no_trailers, Some(options()));
    drop(sent);
    let refused = |()| Broken::Host(ErrorCode::HttpRequestUriInvalid);
    request.set_method(&message.method).map_err(refused)?;
    let scheme = match message.url.scheme() {
        "http" => Scheme::Http,
        _ => Scheme::Https,
    };
    request.set_scheme(Some(&scheme)).map_err(refused)?;
    request
        .set_authority(Some(message.url.authority()))
        .map_err(refused)?;
    let path = match message.url.query() {
        Some(query) => format!("{}?{query}", message.url.path()),
        None => message.url.path().to_owned(),
    };
    request.set_path_with_query(Some(&path)).map_err(refused)?;

    let answered = pin!(client::send(request));
    let uploaded = pin!(upload_all(upload, moved));
    // A server may answer before it has everything, with an error mostly: then that counts.
    let response = match select(answered, uploaded).await {
        Either::Left((response, _)) => response,
        Either::Right(((), answered)) => answered.await,
    };
    receive(response.map_err(Broken::Host)?, message, moved).await
}

async fn upload_all(upload: Option<(StreamWriter<u8>, &[u8])>, moved: &Cell<u64>) {
    let Some((mut writer, body)) = upload else {
        return;
    };
    for piece in body.chunks(PIECE) {
        // What is left over was not taken: why, the answer says.
        if !writer.write_all(piece.to_vec()).await.is_empty() {
            return;
        }
        moved.set(moved.get() + piece.len() as u64);
    }
}

async fn receive(
    response: Response,
    message: &Message<'_>,
    moved: &Cell<u64>,
) -> Result<Answer, Broken> {
    let status = response.get_status_code();
    let headers = response.get_headers().copy_all();
    let (consumed, tell) = wit_future::new(|| Ok(()));
    drop(consumed);
    let (stream, whole) = Response::consume_body(response, tell);
    let body = read_all(stream, message.most, moved).await?;
    // Only this tells whether the body came to its end.
    whole.await.map_err(Broken::Host)?;
    let answer = Answer {
        status,
        headers,
        body,
    };
    let announced = answer
        .header("content-length")
        .and_then(|text| text.parse().ok());
    if !matches!(message.method, Method::Head)
        && announced.is_some_and(|length: u64| length != answer.body.len() as u64)
    {
        return Err(Broken::Host(ErrorCode::HttpResponseIncomplete));
    }
    Ok(answer)
}

async fn read_all(
    mut stream: StreamReader<u8>,
    most: u64,
    moved: &Cell<u64>,
) -> Result<Vec<u8>, Broken> {
    let mut body = Vec::new();
    loop {
        body.reserve(
            PIECE
                .min(usize::try_from(most).unwrap_or(PIECE))
                .max(1 << 12),
        );
        let before = body.len();
        let (result, more) = stream.read(body).await;
        body = more;
        moved.set(moved.get() + (body.len() - before) as u64);
        if body.len() as u64 > most {
            return Err(Broken::Long);
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return Ok(body);
        }
    }
}

fn headers(message: &Message<'_>) -> Result<Fields, Broken> {
    let mut fields: Vec<(String, Vec<u8>)> = message
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
        .collect();
    if let Some(body) = message.body {
        fields.push(("content-length".into(), body.len().to_string().into_bytes()));
    }
    Fields::from_list(&fields)
        .map_err(|cause| Broken::Host(ErrorCode::InternalError(Some(format!("{cause:?}")))))
}

fn options() -> RequestOptions {
    let options = RequestOptions::new();
    // A host that has no such timeouts has its own.
    let _ = options.set_connect_timeout(Some(nanoseconds(CONNECTING)));
    let _ = options.set_first_byte_timeout(Some(nanoseconds(SILENCE)));
    let _ = options.set_between_bytes_timeout(Some(nanoseconds(SILENCE)));
    options
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
