//! Between the connection and the storage: asks the test which fault an answer has, and injects it.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, DATE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, Uri};
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use md5::{Digest as _, Md5};

use super::answer::Answer;
use super::fault::{Fault, Operation, Refusal, S3Request, parameter};
use super::{OWNER, Request, Shared, lock};

/// How much earlier than a signature the server's clock may be.
const EARLIEST: SignedDuration = SignedDuration::from_mins(5);

/// What a portal shows.
const PORTAL: &[u8] = b"<!DOCTYPE html><html><body>Please sign in to this network.</body></html>";

/// Answers a request, or breaks the connection.
pub(super) async fn answer(
    request: hyper::Request<Incoming>,
    shared: Arc<Shared>,
    socket: Arc<TcpStream>,
) -> io::Result<Response<Answer>> {
    let (parts, body) = request.into_parts();
    let (bucket, mut asked) = S3Request::read(&parts);
    let credential = parameter(&asked.query, "X-Amz-Credential").unwrap_or_default();
    let is_owner = credential.split('/').next() == Some(OWNER);
    let digested = parts.headers.contains_key("content-md5");
    let fault = if is_owner {
        Fault::Pass
    } else {
        asked.number = shared.count(&asked);
        (lock(&shared.faults))(&asked)
    };
    let record = |status| {
        if !is_owner {
            lock(&shared.requests).push(Request {
                asked: asked.clone(),
                digested,
                status,
            });
        }
    };
    if matches!(fault, Fault::Stall) {
        record(None);
        return std::future::pending().await;
    }
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let exchange = Exchange {
        shared: &shared,
        bucket: &bucket,
        asked: &asked,
        fault: &fault,
    };
    let answered = exchange.act(parts, body).await;
    record(answered.as_ref().ok().map(|found| found.status().as_u16()));
    let (head, contents) = answered?.into_parts();
    let contents = exchange.deliver(contents, &socket)?;
    Ok(Response::from_parts(head, contents))
}

impl Shared {
    /// How many requests of this sort there were, this one included.
    fn count(&self, asked: &S3Request) -> usize {
        let mut counts = lock(&self.counts);
        let count = counts
            .entry((asked.operation, asked.kind().to_owned()))
            .or_default();
        *count += 1;
        *count
    }

    /// What the storage says.
    async fn ask_storage(&self, mut parts: Parts, body: Bytes) -> io::Result<Response<Bytes>> {
        parts.uri = unsigned(&parts.uri)?;
        let request = hyper::Request::from_parts(parts, s3s::Body::from(body));
        let broken = |cause: &dyn std::fmt::Debug| io::Error::other(format!("{cause:?}"));
        let answer = self.storage.call(request).await;
        let (head, body) = answer.map_err(|cause| broken(&cause))?.into_parts();
        let body = body.collect().await.map_err(|cause| broken(&cause))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

/// A request whose answer is faulty.
struct Exchange<'a> {
    shared: &'a Shared,
    bucket: &'a str,
    asked: &'a S3Request,
    fault: &'a Fault,
}

impl Exchange<'_> {
    /// Does what is asked for, as far as the faults lets it, and answers it whole.
    async fn act(&self, mut parts: Parts, mut body: Bytes) -> io::Result<Response<Bytes>> {
        match self.fault {
            Fault::Status(status, code) => return refusal(*status, code, "injected"),
            Fault::Redirect(status, url) => {
                let code = match status {
                    301 => "PermanentRedirect",
                    _ => "TemporaryRedirect",
                };
                let mut answer = refusal(*status, code, "it is elsewhere")?;
                let url = HeaderValue::from_str(url).map_err(io::Error::other)?;
                answer.headers_mut().insert(LOCATION, url);
                return Ok(answer);
            }
            Fault::Portal => {
                return Response::builder()
                    .header("content-type", "text/html")
                    .body(Bytes::from_static(PORTAL))
                    .map_err(io::Error::other);
            }
            Fault::Endless if self.asked.operation == Operation::List => {
                let number = self.asked.number;
                let page = format!(
                    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>true</IsTruncated>\
                     <NextContinuationToken>{number}</NextContinuationToken></ListBucketResult>"
                );
                return Ok(Response::new(page.into()));
            }
            Fault::LoseObject if self.asked.operation == Operation::Put => {
                let mut answer = Response::new(Bytes::new());
                let tag = format!("\"{}\"", hex::encode(Md5::digest(&body)));
                let tag = HeaderValue::from_str(&tag).map_err(io::Error::other)?;
                answer.headers_mut().insert(ETAG, tag);
                return Ok(answer);
            }
            Fault::Skewed(ahead, how) => {
                let now = Timestamp::now() + SignedDuration::from_secs(*ahead);
                let mut answer = match refuse_time(&self.asked.query, now, *how)? {
                    Some(refusal) => refusal,
                    None => self.store_or_read(parts, body).await?,
                };
                // Without one, hyper puts in the date of this machine.
                answer.headers_mut().insert(DATE, date(now)?);
                return Ok(answer);
            }
            Fault::GarbleUpload => body = garbled(&body),
            Fault::Unconditional => {
                parts.headers.remove(IF_NONE_MATCH);
            }
            Fault::Pages(most) if self.asked.operation == Operation::List => {
                parts.uri = format!("{}&max-keys={most}", parts.uri)
                    .parse()
                    .map_err(io::Error::other)?;
            }
            _ => {}
        }
        let mut answer = self.store_or_read(parts, body).await?;
        match self.fault {
            Fault::LoseAnswer => return Err(io::Error::other("the answer is lost")),
            Fault::Hide if answer.status() == StatusCode::NOT_FOUND => {
                return refusal(403, "AccessDenied", "injected");
            }
            Fault::PartAsWhole if answer.status() == StatusCode::PARTIAL_CONTENT => {
                *answer.status_mut() = StatusCode::OK;
            }
            Fault::LyingEtag if answer.headers().contains_key(ETAG) => {
                let tag = HeaderValue::from_static("\"00000000000000000000000000000000\"");
                answer.headers_mut().insert(ETAG, tag);
            }
            Fault::StaleListing(age) if self.asked.operation == Operation::List => {
                let (mut head, listing) = answer.into_parts();
                let listing = self.older_than(*age, &listing)?;
                head.headers.remove(CONTENT_LENGTH);
                answer = Response::from_parts(head, listing);
            }
            _ => {}
        }
        Ok(answer)
    }

    /// Lets the storage do it, which compares digests too late: when it has stored the object.
    async fn store_or_read(&self, parts: Parts, body: Bytes) -> io::Result<Response<Bytes>> {
        if is_garbled(&parts.headers, &body) {
            return refusal(400, "BadDigest", "the body is not what Content-MD5 says");
        }
        let answer = self.shared.ask_storage(parts, body).await?;
        if self.asked.operation == Operation::Put && answer.status().is_success() {
            let name = self.name(&self.asked.key);
            lock(&self.shared.stored).insert(name, Instant::now());
        }
        Ok(answer)
    }

    /// The way of the body to the client.
    fn deliver(&self, body: Bytes, socket: &TcpStream) -> io::Result<Answer> {
        Ok(match self.fault {
            Fault::ResetMidBody(bytes) => {
                // Closing the socket is a reset then.
                rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO))?;
                Answer::broken(&body, *bytes)
            }
            Fault::Truncate(bytes) => Answer::broken(&body, *bytes),
            Fault::Trickle(rate) => Answer::trickling(body, *rate),
            Fault::Garble => Answer::whole(garbled(&body)),
            _ => Answer::whole(body),
        })
    }

    /// The listing without what was stored within this time.
    fn older_than(&self, age: Duration, listing: &[u8]) -> io::Result<Bytes> {
        let listing = std::str::from_utf8(listing).map_err(io::Error::other)?;
        let stored = lock(&self.shared.stored);
        let is_old = |key: &str| {
            let time = stored.get(&self.name(key));
            time.is_none_or(|time| time.elapsed() > age)
        };
        let mut left = String::new();
        let mut rest = listing;
        while let Some((before, after)) = rest.split_once("<Contents>") {
            let (object, behind) = after.split_once("</Contents>").unwrap_or((after, ""));
            let key = object.split_once("<Key>").and_then(|(_, text)| {
                let (key, _) = text.split_once("</Key>")?;
                Some(key)
            });
            left.push_str(before);
            if key.is_none_or(is_old) {
                left.push_str("<Contents>");
                left.push_str(object);
                left.push_str("</Contents>");
            }
            rest = behind;
        }
        left.push_str(rest);
        Ok(left.into())
    }

    fn name(&self, key: &str) -> String {
        format!("{}/{key}", self.bucket)
    }
}

/// An error as S3 has it.
fn refusal(status: u16, code: &str, message: &str) -> io::Result<Response<Bytes>> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Response::builder()
        .status(status)
        .header("content-type", "application/xml")
        .body(body.into())
        .map_err(io::Error::other)
}

/// The refusal of a presigned URL that is not good at this time.
fn refuse_time(query: &str, now: Timestamp, how: Refusal) -> io::Result<Option<Response<Bytes>>> {
    let signed = parameter(query, "X-Amz-Date").unwrap_or_default();
    let signed = strtime::parse("%Y%m%dT%H%M%SZ", signed)
        .and_then(|time| time.to_datetime())
        .and_then(|time| time.to_zoned(TimeZone::UTC))
        .map_err(io::Error::other)?
        .timestamp();
    let good_for = parameter(query, "X-Amz-Expires").unwrap_or_default();
    let good_for = SignedDuration::from_secs(good_for.parse().map_err(io::Error::other)?);
    if (signed - EARLIEST..=signed + good_for).contains(&now) {
        return Ok(None);
    }
    let (code, message) = match how {
        Refusal::TooSkewed => (
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        ),
        Refusal::Expired => ("AccessDenied", "Request has expired"),
    };
    refusal(403, code, message).map(Some)
}

/// A time as HTTP has it.
fn date(time: Timestamp) -> io::Result<HeaderValue> {
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&time);
    HeaderValue::from_str(&text.map_err(io::Error::other)?).map_err(io::Error::other)
}

/// The same with another byte in its middle.
fn garbled(body: &[u8]) -> Bytes {
    let mut garbled = body.to_vec();
    let middle = garbled.len() / 2;
    if let Some(byte) = garbled.get_mut(middle) {
        *byte ^= 1;
    }
    garbled.into()
}

/// The same without its signature: who has no credentials to compare it with refuses all of them.
fn unsigned(uri: &Uri) -> io::Result<Uri> {
    let query = uri.query().unwrap_or_default();
    let left: Vec<_> = query
        .split('&')
        .filter(|parameter| !parameter.starts_with("X-Amz-"))
        .collect();
    format!("{}?{}", uri.path(), left.join("&"))
        .parse()
        .map_err(io::Error::other)
}

fn is_garbled(headers: &HeaderMap, body: &[u8]) -> bool {
    headers
        .get("content-md5")
        .is_some_and(|digest| digest.as_bytes() != BASE64.encode(Md5::digest(body)).as_bytes())
}
