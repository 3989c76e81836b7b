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

/// The validity of a signature.
const GOOD_FOR: Duration = Duration::from_mins(15);

/// The number of attempts for a request that fails temporarily.
const ATTEMPTS: u32 = 8;

/// The number of attempts for an object whose answers are wrong.
const PART_ATTEMPTS: u32 = 3;

/// The longest wait before the second attempt. It doubles with each attempt. The actual wait is random,
/// so that clients that failed together do not retry together.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Requests are not retried for longer than this.
const RETRY_PERIOD: Duration = Duration::from_secs(150);

/// The longest wait between two attempts.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Clock differences below this do not explain a refusal, in seconds.
const SKEW: i64 = 60;

/// The largest answer that is not an object: an error, or a page of a listing with a thousand names.
const MAX_TEXT_LENGTH: u64 = 8 << 20;

/// The number of consecutive empty pages of a listing. A server may send some after many removals.
const MAX_EMPTY: u32 = 1000;

/// A page of a listing.
pub(crate) struct Page {
    /// The names of the objects, and their lengths in bytes.
    pub(crate) objects: Vec<(String, u64)>,
    /// The start of the next page. `None` on the last page.
    next: Option<String>,
}

/// A bucket with credentials.
pub(crate) struct Client {
    location: Location,
    style: Style,
    fingerprint: String,
    credentials: Credentials,
    bucket: RefCell<Bucket>,
    /// How far the server's clock is ahead, in seconds.
    ahead: Cell<i64>,
    /// Whether the existence of the bucket was checked.
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

    /// A digest of the bucket, the prefix and the credentials.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The configured prefix of all objects.
    pub(crate) fn prefix(&self) -> &str {
        &self.location.prefix
    }

    /// The location with another prefix, in restic's form.
    pub(crate) fn place(&self, prefix: &str) -> String {
        let mut location = self.location.clone();
        prefix.clone_into(&mut location.prefix);
        location.to_string()
    }

    /// Stores an object. With `if_absent`, an existing object is [`Fault::Exists`] on
    /// servers with conditional requests.
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

    /// Reads an object of at most `most` bytes.
    pub(crate) async fn get(&self, key: &str, most: u64) -> Result<Vec<u8>, Fault> {
        self.get_part(key, &[], most, |part| part.whole(key)).await
    }

    /// Reads a range of an object, shorter if the object ends before.
    pub(crate) async fn get_range(
        &self,
        key: &str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, Fault> {
        let last = offset.saturating_add(length).saturating_sub(1);
        let range = [("range".to_owned(), format!("bytes={offset}-{last}"))];
        // A server without ranges sends the whole object.
        let most = length.max(MAX_TEXT_LENGTH);
        self.get_part(key, &range, most, |part| part.range(key, offset, length))
            .await
    }

    /// Reads an object, and again if the answer does not match the request.
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

    /// Reads the headers of an object.
    pub(crate) async fn head(&self, key: &str) -> Result<Answer, Fault> {
        let ask = RequestSpec::of(Right::Get, Method::Head, key);
        let sign = |signer: &Signer<'_>| {
            signer.sign(signer.bucket.head_object(Some(signer.credentials), key))
        };
        match self.ask(&ask, sign).await {
            // A GET returns the text of the error, which HEAD lacks.
            Err(Fault::Speechless(_)) => {
                let first = vec![("range".to_owned(), "bytes=0-0".to_owned())];
                match self.get_answer(key, first, MAX_TEXT_LENGTH).await {
                    // The GET may have corrected the signature.
                    Ok(_) | Err(Fault::Final(Error::Corrupt(_))) => self.ask(&ask, sign).await,
                    Err(fault) => Err(fault),
                }
            }
            told => told,
        }
    }

    /// Removes an object or one version of it, if it exists.
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

    /// Lists all objects with a prefix.
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

    /// Lists one page of the objects with a prefix.
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
            // A listing without a length is invalid.
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

    /// Sends a request, and retries it.
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
                // The server contradicts itself. Another server behind the same name may answer next time.
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

    /// The signed URL of a request, valid from now.
    fn sign(&self, ask: &RequestSpec<'_>, sign: impl Fn(&Signer<'_>) -> Url) -> Url {
        sign(&Signer {
            bucket: &self.bucket.borrow(),
            credentials: &self.credentials,
            headers: &ask.headers,
            time: Timestamp::now() + SignedDuration::from_secs(self.ahead.get()),
        })
    }

    /// Sends a request once. Returns a fault with the wait that the server asks for.
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
        // Each server refuses a wrong time in its own way.
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

    /// Whether the server says that the bucket does not exist. Some answer a PUT with an internal error then, and tell
    /// only when asked for the bucket, if the credentials allow that.
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

    /// The description of an object for messages.
    fn object(&self, key: &str) -> Object<'_> {
        Object {
            name: self.place(key),
            server: self.location.origin(self.style),
            bucket: &self.location.bucket,
        }
    }

    /// Corrects later signatures. Returns whether that changes anything.
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

    /// The server's time, in seconds since 1970.
    fn now(&self) -> i64 {
        Timestamp::now().as_second() + self.ahead.get()
    }
}

/// A request without its signature.
struct RequestSpec<'a> {
    right: Right,
    method: Method,
    /// The object, or the prefix of a listing.
    key: &'a str,
    headers: Vec<(String, String)>,
    body: Option<&'a [u8]>,
    most: u64,
}

impl<'a> RequestSpec<'a> {
    /// A request without a body and with a short answer.
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

/// The parts of a signature.
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

/// A random wait after this many attempts. The upper bound doubles with each attempt.
fn backoff(attempts: u32) -> Duration {
    let longest = FIRST_WAIT
        .saturating_mul(1 << attempts.min(8))
        .min(MAX_WAIT);
    let mut chance = [0; 4];
    random(&mut chance);
    longest.mul_f64(f64::from(u32::from_le_bytes(chance)) / f64::from(u32::MAX))
}
