//! Signed requests to one bucket, with retries.
//!
//! Signatures are in the query, as in presigned URLs of S3. They are valid for a quarter of an hour, and signing does
//! not need the body. `Content-MD5` protects the body. Every server with S3's interface verifies it.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use md5::{Digest as _, Md5};
use restic_plugin::bindings::tthost::backup::log::{Level, log};
use restic_plugin::platform::random;
use restic_repo::{Error, Result};
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use s3_location::{Location, Style};
use tthost_plugin::http::{self, Answer, Message, Method};
use url::Url;
use wasip3::clocks::monotonic_clock::wait_for;

use crate::fault::{Correction, Fault, Object, Right, server_time, untimely};
use crate::part::Part;
use crate::settings::Settings;

/// How long a signature is good for.
const GOOD_FOR: Duration = Duration::from_mins(15);

/// How often a request is sent, at most, when it fails for a passing reason.
const ATTEMPTS: u32 = 8;

/// How often an object is asked for, at most, when the server sends other bytes of it.
const PART_ATTEMPTS: u32 = 3;

/// The longest wait before the second attempt. Each next one doubles it, and up to all of it is
/// left to chance, so that those who failed together do not come again together.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// A request that fails for so long is not sent again.
const RETRY_PERIOD: Duration = Duration::from_secs(150);

/// The longest wait of all.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Clocks that differ by less than this are no reason for a refusal, in seconds.
const SKEW: i64 = 60;

/// An answer that is not a object: an error, or a page of a listing with a thousand names.
const MAX_TEXT_LENGTH: u64 = 8 << 20;

/// Pages of a listing, one after the other, in which nothing is. A server may send some where much was removed.
const MAX_EMPTY: u32 = 1000;

/// A page of a listing.
pub(crate) struct Page {
    /// The names of objects, and their lengths in bytes.
    pub(crate) objects: Vec<(String, u64)>,
    /// Where the next page begins; none after the last.
    next: Option<String>,
}

/// A bucket, with credentials for it.
pub(crate) struct Client {
    location: Location,
    style: Style,
    fingerprint: String,
    credentials: Credentials,
    bucket: RefCell<Bucket>,
    /// What the server's clock is ahead of this one, in seconds.
    ahead: Cell<i64>,
    /// Whether it was looked whether the bucket is there.
    looked: Cell<bool>,
}

impl Client {
    pub(crate) fn new(settings: Settings) -> Result<Self> {
        let bucket = bucket(&settings.location, settings.style, &settings.region)?;
        Ok(Self {
            fingerprint: settings.fingerprint(),
            location: settings.location,
            style: settings.style,
            credentials: settings.credentials,
            bucket: RefCell::new(bucket),
            ahead: Cell::new(0),
            looked: Cell::new(false),
        })
    }

    /// Names place and credentials without giving away either.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The prefix of all objects, as it was configured.
    pub(crate) fn prefix(&self) -> &str {
        &self.location.prefix
    }

    /// Another prefix of the bucket, as restic writes it.
    pub(crate) fn place(&self, prefix: &str) -> String {
        let mut location = self.location.clone();
        prefix.clone_into(&mut location.prefix);
        location.to_string()
    }

    /// Stores an object; where there is one already, `if_absent` makes that [`Fault::Exists`] on
    /// servers that know such conditions.
    pub(crate) async fn put(
        &self,
        key: &str,
        body: &[u8],
        if_absent: bool,
    ) -> Result<Answer, Fault> {
        let mut headers = vec![("content-md5".to_owned(), BASE64.encode(Md5::digest(body)))];
        if if_absent {
            headers.push(("if-none-match".into(), "*".into()));
        }
        let ask = RequestSpec {
            right: Right::Put,
            method: Method::Put,
            key,
            headers,
            body: Some(body),
            most: MAX_TEXT_LENGTH,
        };
        self.ask(&ask, |signer| {
            signer.sign(signer.bucket.put_object(Some(signer.credentials), key))
        })
        .await
    }

    /// An object of at most so many bytes, whole.
    pub(crate) async fn get(&self, key: &str, most: u64) -> Result<Vec<u8>, Fault> {
        self.get_part(key, &[], most, |part| part.whole(key)).await
    }

    /// Part of an object; less, where it ends before that.
    pub(crate) async fn get_range(
        &self,
        key: &str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, Fault> {
        let last = offset.saturating_add(length).saturating_sub(1);
        let range = [("range".to_owned(), format!("bytes={offset}-{last}"))];
        // A server that gives no parts sends the whole object.
        let most = length.max(MAX_TEXT_LENGTH);
        self.get_part(key, &range, most, |part| part.range(key, offset, length))
            .await
    }

    /// Asks for an object, once more where the answer is not what it was asked for.
    async fn get_part(
        &self,
        key: &str,
        headers: &[(String, String)],
        most: u64,
        take: impl Fn(Part) -> Result<Vec<u8>, Fault>,
    ) -> Result<Vec<u8>, Fault> {
        let mut attempt = 1;
        loop {
            let answer = self.get_answer(key, headers.to_vec(), most).await?;
            match Part::of(key, answer).and_then(&take) {
                Err(Fault::Passing(text)) if attempt < PART_ATTEMPTS => {
                    log(Level::Debug, &format!("attempt {attempt} failed: {text}"));
                    attempt += 1;
                }
                taken => return taken,
            }
        }
    }

    async fn get_answer(
        &self,
        key: &str,
        headers: Vec<(String, String)>,
        most: u64,
    ) -> Result<Answer, Fault> {
        let ask = RequestSpec {
            right: Right::Get,
            method: Method::Get,
            key,
            headers,
            body: None,
            most,
        };
        self.ask(&ask, |signer| {
            signer.sign(signer.bucket.get_object(Some(signer.credentials), key))
        })
        .await
    }

    /// What there is to know of an object.
    pub(crate) async fn head(&self, key: &str) -> Result<Answer, Fault> {
        let ask = RequestSpec::of(Right::Get, Method::Head, key);
        let sign = |signer: &Signer<'_>| {
            signer.sign(signer.bucket.head_object(Some(signer.credentials), key))
        };
        match self.ask(&ask, sign).await {
            // An error has words where an object would have contents.
            Err(Fault::Speechless(_)) => {
                let first = vec![("range".to_owned(), "bytes=0-0".to_owned())];
                match self.get_answer(key, first, MAX_TEXT_LENGTH).await {
                    // It may have had to be asked in another way, which is known now.
                    Ok(_) | Err(Fault::Final(Error::Corrupt(_))) => self.ask(&ask, sign).await,
                    Err(fault) => Err(fault),
                }
            }
            told => told,
        }
    }

    /// Removes an object, or one version of it; fine when it is not there.
    pub(crate) async fn delete(&self, key: &str, version: Option<&str>) -> Result<Answer, Fault> {
        let ask = RequestSpec::of(Right::Delete, Method::Delete, key);
        self.ask(&ask, |signer| {
            let mut action = signer.bucket.delete_object(Some(signer.credentials), key);
            if let Some(version) = version {
                action.query_mut().insert("versionId", version.to_owned());
            }
            signer.sign(action)
        })
        .await
    }

    /// All objects whose names begin so.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, Fault> {
        let mut objects = Vec::new();
        let mut next = None;
        let mut empty = 0;
        loop {
            let page = self.page(prefix, next.as_deref()).await?;
            empty = if page.objects.is_empty() {
                empty + 1
            } else {
                0
            };
            objects.extend(page.objects);
            if page.next.is_none() {
                return Ok(objects);
            }
            if page.next == next || empty > MAX_EMPTY {
                let text = format!("the listing of {prefix} goes round in circles");
                return Err(Fault::Final(Error::Corrupt(text)));
            }
            next = page.next;
        }
    }

    /// A page of the objects whose names begin so.
    pub(crate) async fn page(&self, prefix: &str, from: Option<&str>) -> Result<Page, Fault> {
        let ask = RequestSpec::of(Right::List, Method::Get, prefix);
        let answer = self
            .ask(&ask, |signer| {
                let mut action = signer.bucket.list_objects_v2(Some(signer.credentials));
                action.with_prefix(prefix);
                if let Some(token) = from {
                    action.with_continuation_token(token);
                }
                signer.sign(action)
            })
            .await?;
        let unreadable = |cause: &dyn std::fmt::Display| {
            Fault::Passing(format!("the listing of {prefix} cannot be read: {cause}"))
        };
        let text = std::str::from_utf8(&answer.body).map_err(|cause| unreadable(&cause))?;
        let page = ListObjectsV2::parse_response(text).map_err(|cause| unreadable(&cause))?;
        let mut objects = Vec::with_capacity(page.contents.len());
        for object in page.contents {
            // A listing that forgets a length is not a listing.
            let length = object
                .size
                .ok_or_else(|| unreadable(&"a length is missing"))?;
            objects.push((object.key, length));
        }
        Ok(Page {
            objects,
            next: page
                .next_continuation_token
                .filter(|token| !token.is_empty()),
        })
    }

    /// Sends a request until there is an answer that stands.
    async fn ask(
        &self,
        ask: &RequestSpec<'_>,
        sign: impl Fn(&Signer<'_>) -> Url,
    ) -> Result<Answer, Fault> {
        let mut attempt = 1;
        let start = Instant::now();
        loop {
            let url = self.sign(ask, &sign);
            let (fault, wait) = match self.attempt(ask, &url).await {
                Ok(answer) => return Ok(answer),
                Err((Fault::Resign(correction, text), _))
                    if attempt < ATTEMPTS && self.correct(&correction)? =>
                {
                    log(
                        Level::Debug,
                        &format!("attempt {attempt} is signed anew: {text}"),
                    );
                    attempt += 1;
                    continue;
                }
                // The server contradicts itself: perhaps another one behind the same name answers next time.
                Err((Fault::Resign(Correction::Clock(_), text), wait)) => {
                    (Fault::Passing(untimely(&text)), wait)
                }
                Err((Fault::Internal(text), wait)) => {
                    if self.lacks_bucket().await {
                        return Err(self.object("").no_bucket(&text));
                    }
                    (Fault::Passing(self.object("").maybe_no_bucket(&text)), wait)
                }
                Err((fault @ Fault::Passing(_), wait)) => (fault, wait),
                Err((fault, _)) => return Err(fault),
            };
            if attempt == ATTEMPTS || start.elapsed() > RETRY_PERIOD {
                return Err(fault);
            }
            if let Fault::Passing(text) = &fault {
                log(Level::Debug, &format!("attempt {attempt} failed: {text}"));
            }
            let wait = wait.unwrap_or_else(|| backoff(attempt)).min(MAX_WAIT);
            wait_for(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)).await;
            attempt += 1;
        }
    }

    /// The signed URL of a request that is sent now.
    fn sign(&self, ask: &RequestSpec<'_>, sign: impl Fn(&Signer<'_>) -> Url) -> Url {
        sign(&Signer {
            bucket: &self.bucket.borrow(),
            credentials: &self.credentials,
            headers: &ask.headers,
            time: Timestamp::now() + SignedDuration::from_secs(self.ahead.get()),
        })
    }

    /// Sends a request once. With a fault comes the time that the server asks to wait.
    async fn attempt(
        &self,
        ask: &RequestSpec<'_>,
        url: &Url,
    ) -> Result<Answer, (Fault, Option<Duration>)> {
        let message = Message {
            method: ask.method.clone(),
            url,
            headers: &ask.headers,
            body: ask.body,
            most: ask.most,
        };
        let answer = match http::send(&message).await {
            Ok(answer) => answer,
            Err(broken) => return Err((Fault::of_broken(&self.object(ask.key), broken), None)),
        };
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let fault = Fault::of_answer(ask.right, &self.object(ask.key), &answer);
        // A signature of another time is refused in as many ways as there are servers.
        if let (Fault::Denied(_, said), Some(time)) = (&fault, server_time(&answer))
            && (time - self.now()).abs() > SKEW
        {
            return Err((Fault::Resign(Correction::Clock(time), said.clone()), None));
        }
        let wait = answer
            .header("retry-after")
            .and_then(|text| text.parse().ok());
        Err((fault, wait.map(Duration::from_secs)))
    }

    /// Whether the server says that there is no such bucket. Some have no better word for that than an error of
    /// their own, where something is to be stored; asked for the bucket, they tell, if the credentials may know.
    async fn lacks_bucket(&self) -> bool {
        if self.looked.replace(true) {
            return false;
        }
        let ask = RequestSpec::of(Right::List, Method::Head, "");
        let url = self.sign(&ask, |signer| {
            signer.sign(signer.bucket.head_bucket(Some(signer.credentials)))
        });
        matches!(self.attempt(&ask, &url).await, Err((Fault::Missing(_), _)))
    }

    /// An object of the bucket, for messages.
    fn object(&self, key: &str) -> Object<'_> {
        Object {
            name: self.place(key),
            server: self.location.origin(self.style),
            bucket: &self.location.bucket,
        }
    }

    /// Signs what comes next otherwise. Answers whether that is otherwise at all.
    fn correct(&self, correction: &Correction) -> Result<bool, Fault> {
        match correction {
            Correction::Clock(time) => {
                let ahead = time - Timestamp::now().as_second();
                if (ahead - self.ahead.get()).abs() <= SKEW {
                    return Ok(false);
                }
                log(
                    Level::Warn,
                    &format!("the server's clock differs from this machine's by {ahead} s"),
                );
                self.ahead.set(ahead);
            }
            Correction::Region(region) => {
                if self.bucket.borrow().region() == region {
                    return Ok(false);
                }
                let bucket = bucket(&self.location, self.style, region).map_err(Fault::Final)?;
                log(
                    Level::Info,
                    &format!(
                        "the bucket is in the region {region}: set config.region to save a request"
                    ),
                );
                self.bucket.replace(bucket);
            }
        }
        Ok(true)
    }

    /// The time as the server has it, in seconds since 1970.
    fn now(&self) -> i64 {
        Timestamp::now().as_second() + self.ahead.get()
    }
}

/// What is asked, apart from the signature.
struct RequestSpec<'a> {
    right: Right,
    method: Method,
    /// The object, or what the names of those begin with that are listed.
    key: &'a str,
    headers: Vec<(String, String)>,
    body: Option<&'a [u8]>,
    most: u64,
}

impl<'a> RequestSpec<'a> {
    /// A request without a body, whose answer is short.
    fn of(right: Right, method: Method, key: &'a str) -> Self {
        Self {
            right,
            method,
            key,
            headers: Vec::new(),
            body: None,
            most: MAX_TEXT_LENGTH,
        }
    }
}

/// What a signature is made of.
struct Signer<'a> {
    bucket: &'a Bucket,
    credentials: &'a Credentials,
    headers: &'a [(String, String)],
    time: Timestamp,
}

impl<'a> Signer<'a> {
    fn sign(&self, mut action: impl S3Action<'a>) -> Url {
        for (name, value) in self.headers {
            action.headers_mut().insert(name.clone(), value.clone());
        }
        action.sign_with_time(GOOD_FOR, &self.time)
    }
}

fn bucket(location: &Location, style: Style, region: &str) -> Result<Bucket> {
    let wrong = |cause: &dyn std::fmt::Display| {
        Error::Config(format!("config: {location} cannot be asked: {cause}"))
    };
    let endpoint = location
        .endpoint()
        .parse::<Url>()
        .map_err(|cause| wrong(&cause))?;
    let style = match style {
        Style::Path => UrlStyle::Path,
        Style::VirtualHost => UrlStyle::VirtualHost,
    };
    Bucket::new(endpoint, style, location.bucket.clone(), region.to_owned())
        .map_err(|cause| wrong(&cause))
}

/// How long to wait after this many attempts: between nothing and twice as much as the time before.
fn backoff(attempts: u32) -> Duration {
    let longest = FIRST_WAIT
        .saturating_mul(1 << attempts.min(8))
        .min(MAX_WAIT);
    let mut chance = [0; 4];
    random(&mut chance);
    longest.mul_f64(f64::from(u32::from_le_bytes(chance)) / f64::from(u32::MAX))
}
