//! The requests to the server.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tthost_plugin::http::{self, Answer, Message, Method, Url};
use tthost_plugin::store::ObjectStat;
use tthost_plugin::{Error, Instant, Result};

use crate::listing::{self, Listed};

/// The longest answer that is taken, in bytes: the largest object, or a listing of some 100,000.
const MAX_LENGTH: u64 = 128 << 20;

/// What is asked for of each file in a collection.
const PROPERTIES: &[u8] = br#"<?xml version="1.0"?>
<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/></prop></propfind>"#;

pub(crate) struct Server {
    /// The collection, with a slash at its end.
    base: Url,
    headers: Vec<(String, String)>,
}

impl Server {
    pub(crate) fn new(url: &str, login: Option<(String, String)>) -> Result<Self> {
        let base = format!("{}/", url.trim_end_matches('/'));
        let base = Url::parse(&base)
            .map_err(|cause| Error::Config(format!("config.url is not a URL: {cause}")))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(Error::Config(
                "config.url must not say who logs in: set config.user, and grant the secret password".into(),
            ));
        }
        let authorization = login.map(|(user, password)| {
            let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
            ("authorization".to_owned(), format!("Basic {login}"))
        });
        Ok(Self {
            base,
            headers: authorization.into_iter().collect(),
        })
    }

    /// Stores a file as it comes.
    pub(crate) async fn upload(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let answer = self.ask(Method::Put, name, &[], Some(bytes)).await?;
        expect(&answer, &[200, 201, 204], name).map(drop)
    }

    /// Moves a file in the place of another. Answers whether there is a collection to move it to.
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<bool> {
        let destination = self.url(to)?.to_string();
        let headers = [("destination", &*destination), ("overwrite", "T")];
        let method = Method::Other("MOVE".into());
        let answer = self.ask(method, from, &headers, None).await?;
        let status = expect(&answer, &[201, 204, 403, 404, 409], to)?;
        Ok(matches!(status, 201 | 204))
    }

    /// Makes a collection; fine when it is there already.
    pub(crate) async fn make_collection(&self, name: &str) -> Result<()> {
        let method = Method::Other("MKCOL".into());
        let answer = self.ask(method, name, &[], None).await?;
        expect(&answer, &[201, 405], name).map(drop)
    }

    /// Removes a file; fine when it is not there.
    pub(crate) async fn remove(&self, name: &str) -> Result<()> {
        let answer = self.ask(Method::Delete, name, &[], None).await?;
        expect(&answer, &[200, 204, 404], name).map(drop)
    }

    /// A file, or so many of its bytes from an offset on.
    pub(crate) async fn get(&self, name: &str, range: Option<(u64, u64)>) -> Result<Vec<u8>> {
        let Some((offset, length)) = range else {
            let answer = self.ask(Method::Get, name, &[], None).await?;
            expect(&answer, &[200], name)?;
            return Ok(answer.body);
        };
        let range = format!("bytes={offset}-{}", offset + length - 1);
        let answer = self
            .ask(Method::Get, name, &[("range", &range)], None)
            .await?;
        let short = || Error::Corrupt(format!("{name} ends before byte {}", offset + length));
        let bytes = match expect(&answer, &[200, 206, 416], name)? {
            416 => return Err(short()),
            206 => answer.body,
            // It knows no ranges, and answers everything.
            _ => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                answer.body.get(start..).ok_or_else(short)?.to_vec()
            }
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(bytes.get(..length).ok_or_else(short)?.to_vec())
    }

    /// What is known of a file; none when it is not there.
    pub(crate) async fn stat(&self, name: &str) -> Result<Option<ObjectStat>> {
        let answer = self.ask(Method::Head, name, &[], None).await?;
        // Of a collection, some servers say that it cannot be read.
        if expect(&answer, &[200, 404, 405], name)? != 200 {
            return Ok(None);
        }
        let size = answer
            .header("content-length")
            .and_then(|text| text.parse().ok());
        let size = size
            .ok_or_else(|| Error::Other(format!("the server does not say how long {name} is")))?;
        let stored = answer.header("last-modified").and_then(instant);
        Ok(Some(ObjectStat { size, stored }))
    }

    /// What is in a collection and below it, or only in it where the server tells no more; nothing when it is not there.
    pub(crate) async fn list(&self, name: &str) -> Result<Vec<Listed>> {
        let path = match name {
            "" => String::new(),
            name => format!("{name}/"),
        };
        let mut answer = self.look(&path, "infinity").await?;
        if answer.status == 403 {
            // It refuses to look so deep (RFC 4918, section 9.1).
            answer = self.look(&path, "1").await?;
        }
        if expect(&answer, &[207, 404], name)? == 404 {
            return Ok(Vec::new());
        }
        listing::parse(&answer.body, &self.base, name)
    }

    async fn look(&self, path: &str, depth: &str) -> Result<Answer> {
        let headers = [("depth", depth), ("content-type", "application/xml")];
        let method = Method::Other("PROPFIND".into());
        self.ask(method, path, &headers, Some(PROPERTIES)).await
    }

    fn url(&self, name: &str) -> Result<Url> {
        let url = self.base.join(name);
        url.map_err(|cause| Error::Other(format!("{name} has no URL: {cause}")))
    }

    async fn ask(
        &self,
        method: Method,
        name: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer> {
        let more = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers: Vec<_> = self.headers.iter().cloned().chain(more).collect();
        let message = Message {
            method,
            url: &self.url(name)?,
            headers: &headers,
            body,
            most: MAX_LENGTH,
        };
        http::exchange(&message).await
    }
}

/// The status, if it is one of these.
fn expect(answer: &Answer, expected: &[u16], name: &str) -> Result<u16> {
    let status = answer.status;
    if expected.contains(&status) {
        return Ok(status);
    }
    let text = format!("the server answers {status} for \"{name}\"");
    Err(match status {
        401 => Error::Unauthenticated(format!("{text}: see config.user and the secret password")),
        403 => Error::Denied(text),
        404 => Error::NotFound(format!("{name} is not there")),
        405 => Error::NotFound(format!("{text}: it is not a file")),
        409 => Error::NotFound(format!("{text}: the collection above it is not there")),
        423 => Error::Busy(text),
        507 => Error::NoSpace(text),
        429 | 500..=599 => Error::Unavailable(text),
        _ => Error::Other(text),
    })
}

/// A time as HTTP writes it.
fn instant(date: &str) -> Option<Instant> {
    let time = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(Instant {
        seconds: time.timestamp().as_second(),
        nanoseconds: 0,
    })
}
