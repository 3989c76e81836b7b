//! Requests to receivers, through the host's own client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use url::Url;

use super::Signal;
use super::body::{self, Body};
use crate::error::{Error, Kind, Result};
use crate::net::{self, AllowedOrigin, Client, Origin, Timeouts};
use crate::notify::{Dialect, Endpoint, Notice};

/// Sends a notice in a request.
pub(super) async fn hook(
    dialect: Dialect,
    endpoint: &Endpoint,
    notice: &Notice,
    limit: Duration,
) -> Result<()> {
    let mut request = request(
        Method::POST,
        endpoint,
        &url(endpoint)?,
        body::body(dialect, notice),
    )?;
    if dialect == Dialect::Ntfy {
        let headers = request.headers_mut();
        let title = HeaderValue::from_bytes(notice.title.as_bytes());
        let title = title.map_err(|cause| Error::new(Kind::Other, "the title").caused_by(cause))?;
        headers.insert("title", title);
        let priority = body::priority(notice.event);
        headers.insert("priority", HeaderValue::from_static(priority));
    }
    send(endpoint, request, limit).await
}

/// Tells a receiver that watches for silence: its URL for a success, the URL with `/start` or with the exit
/// code behind it for the rest.
pub(super) async fn ping(endpoint: &Endpoint, signal: &Signal, limit: Duration) -> Result<()> {
    let mut url = url(endpoint)?;
    let (behind, text) = match signal {
        Signal::Start => (Some("start".to_owned()), ""),
        Signal::End { exit_code: 0, text } => (None, text.as_str()),
        Signal::End { exit_code, text } => (Some(exit_code.to_string()), text.as_str()),
    };
    if let Some(behind) = behind {
        let mut path = url.path_segments_mut().map_err(|()| wrong())?;
        path.pop_if_empty().push(&behind);
    }
    let body = Body {
        kind: "text/plain; charset=utf-8",
        text: text.to_owned(),
    };
    send(
        endpoint,
        request(Method::POST, endpoint, &url, body)?,
        limit,
    )
    .await
}

/// Sends a notice into a room of Matrix.
pub(super) async fn matrix(
    server: &Endpoint,
    room: &str,
    notice: &Notice,
    limit: Duration,
) -> Result<()> {
    let mut url = url(server)?;
    let mut number = [0; 16];
    getrandom::fill(&mut number)
        .map_err(|cause| Error::new(Kind::Other, "no random number").caused_by(cause))?;
    url.path_segments_mut()
        .map_err(|()| wrong())?
        .pop_if_empty()
        .extend(["_matrix", "client", "v3", "rooms", room])
        .extend(["send", "m.room.message", &hex::encode(number)]);
    let request = request(Method::PUT, server, &url, body::matrix(notice))?;
    send(server, request, limit).await
}

fn url(endpoint: &Endpoint) -> Result<Url> {
    let text = std::str::from_utf8(endpoint.url.expose()).map_err(|_| wrong())?;
    Url::parse(text).map_err(|_| wrong())
}

/// Without quoting what may be a secret.
fn wrong() -> Error {
    Error::new(Kind::Config, "its url is not one of http or https")
}

/// The origin of a URL: all that is shown of it.
pub(super) fn origin(url: &Url) -> Result<Origin> {
    Origin::parse(&url.origin().ascii_serialization()).map_err(|_| wrong())
}

fn request(
    method: Method,
    endpoint: &Endpoint,
    url: &Url,
    body: Body,
) -> Result<Request<Full<Bytes>>> {
    let origin = origin(url)?;
    let mut target = format!("{origin}{}", url.path());
    if let Some(query) = url.query() {
        target += "?";
        target += query;
    }
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(header::CONTENT_TYPE, body.kind)
        .header(
            header::USER_AGENT,
            concat!("tthost/", env!("CARGO_PKG_VERSION")),
        )
        .body(Full::from(body.text))
        .map_err(|_| wrong())?;
    if let Some(token) = &endpoint.token {
        let bearer = [b"Bearer ", token.expose()].concat();
        let bearer = HeaderValue::from_bytes(&bearer);
        let mut bearer =
            bearer.map_err(|_| Error::new(Kind::Config, "its token cannot stand in a header"))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
    }
    Ok(request)
}

async fn send(endpoint: &Endpoint, request: Request<Full<Bytes>>, limit: Duration) -> Result<()> {
    // The operator chose the place, and it may be in the private network.
    let allowed = AllowedOrigin {
        origin: origin(&url(endpoint)?)?,
        private: true,
        ca: endpoint.ca.clone(),
    };
    let place = allowed.origin.to_string();
    let client = Client::new(&[allowed], Arc::new(|| ()))?;
    let timeouts = Timeouts {
        connect: limit,
        first_byte: limit,
        between_bytes: limit,
    };
    let answer = client.send(request, timeouts).await;
    let answer = answer.map_err(|error| unreachable(&place, &error))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(refused(&place, status)),
    }
}

/// Why there was no answer. What comes from the network names no more than the origin.
fn unreachable(place: &str, error: &net::Error) -> Error {
    let root = error.root();
    let kind = if root.concerns_operator() {
        Kind::Denied
    } else {
        Kind::Unavailable
    };
    match root {
        net::Error::Exchange(_) | net::Error::ResponseTimeout => {
            Error::new(kind, format!("{place} does not answer"))
        }
        root => Error::new(kind, root.in_full()),
    }
}

/// The meaning of an answer. Its body is not shown: it may repeat the request.
fn refused(place: &str, status: StatusCode) -> Error {
    let kind = match status {
        StatusCode::TOO_MANY_REQUESTS => Kind::Unavailable,
        status if status.is_server_error() => Kind::Unavailable,
        _ => Kind::Denied,
    };
    let help = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": its token or its url is refused",
        StatusCode::NOT_FOUND | StatusCode::GONE => ": there is nothing at its url",
        status if status.is_redirection() => ": it wants to send elsewhere, which is not followed",
        _ => "",
    };
    Error::new(kind, format!("{place} answers {status}{help}"))
}
