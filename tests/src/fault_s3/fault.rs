//! What a request asks for, and how its answer can be faulty.

use std::time::Duration;

use hyper::Method;
use hyper::header::{HeaderValue, IF_NONE_MATCH, RANGE};
use hyper::http::request::Parts;
use url::form_urlencoded;

/// The directories of a repository.
const DIRECTORIES: [&str; 5] = ["data", "index", "keys", "locks", "snapshots"];

/// The object that a probe of the credentials uses, or the beginning of its name.
const PROBE: &str = "tthost-probe";

/// What is done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Storing it.
    Put,
    /// Reading it, or part of it.
    Get,
    /// Asking what there is to know of it.
    Head,
    /// Removing it.
    Delete,
    /// Listing those whose keys begin so.
    List,
}

/// A request, as a test that injects a fault sees it.
#[derive(Clone, Debug)]
pub struct S3Request {
    /// What is to be done.
    pub operation: Operation,
    /// The object's key, or what the keys of a listing begin with.
    pub key: String,
    /// The request's query.
    pub query: String,
    /// Where the part of an object begins that it asks for; none where it asks for the whole.
    pub part_from: Option<u64>,
    /// Whether it stores an object only where there is none.
    pub exclusive: bool,
    /// How many requests for the same operation and kind of object there were, this one included.
    pub number: usize,
}

/// How an answer is faulty.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Not at all.
    Pass,
    /// Nothing is done, and the answer is an error with this status and code of S3.
    Status(u16, &'static str),
    /// Nothing is done, and the answer points to this URL, with this status.
    Redirect(u16, String),
    /// The connection is reset after so many bytes of the answer's body.
    ResetMidBody(usize),
    /// The whole length is announced, and the connection is closed after so many bytes.
    Truncate(usize),
    /// A byte in the middle of the answer's body is another one.
    Garble,
    /// A byte in the middle of the request's body arrives as another one.
    GarbleUpload,
    /// The answer's body comes at so many bytes a second.
    Trickle(u32),
    /// There is never an answer, and nothing is done.
    Stall,
    /// It is done, and the connection is closed without an answer.
    LoseAnswer,
    /// What is to be stored is not, though the answer says so.
    LoseObject,
    /// A listing lacks what was stored within this time.
    StaleListing(Duration),
    /// A listing comes in pages of so many objects.
    Pages(usize),
    /// A listing has nothing on a page, and another page after each.
    Endless,
    /// Part of an object comes with the status of a whole one, as from `rclone serve s3`.
    PartAsWhole,
    /// The answer is a page for people with the status 200, as from a portal or a proxy. What is to be done is not.
    Portal,
    /// The entity tag is not the object's.
    LyingEtag,
    /// What is not there is forbidden, as to who may not list on AWS.
    Hide,
    /// An object is stored whether there is one already or not, whatever the request says.
    Unconditional,
    /// The server's clock is ahead by so many seconds, and other times are refused like this.
    Skewed(i64, Refusal),
}

/// How a signature of another time is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As what it is: `RequestTimeTooSkewed`.
    TooSkewed,
    /// As AWS does with presigned URLs: `AccessDenied`, and only the message says why.
    Expired,
}

impl S3Request {
    /// The kind of object: a directory of a repository, `config`, or `tthost-probe`.
    pub fn kind(&self) -> &str {
        let mut segments = self.key.split('/');
        if let Some(directory) = segments.find(|segment| DIRECTORIES.contains(segment)) {
            return directory;
        }
        let name = self.key.rsplit('/').next().unwrap_or_default();
        if name.starts_with(PROBE) { PROBE } else { name }
    }

    /// Whether this is to be done with an object of this kind.
    pub fn is(&self, operation: Operation, kind: &str) -> bool {
        self.operation == operation && self.kind() == kind
    }

    /// The request, not counted yet, and the bucket that it is for.
    pub(super) fn read(parts: &Parts) -> (String, Self) {
        let path = parts.uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let query = parts.uri.query().unwrap_or_default();
        let is_listing = parts.method == Method::GET && key.is_empty();
        let operation = match parts.method {
            Method::PUT => Operation::Put,
            Method::HEAD => Operation::Head,
            Method::DELETE => Operation::Delete,
            _ if is_listing => Operation::List,
            _ => Operation::Get,
        };
        let key = if is_listing {
            parameter(query, "prefix").unwrap_or_default()
        } else {
            key.to_owned()
        };
        let asked = Self {
            operation,
            key,
            query: query.to_owned(),
            part_from: parts.headers.get(RANGE).and_then(first_byte),
            exclusive: parts.headers.contains_key(IF_NONE_MATCH),
            number: 0,
        };
        (bucket.to_owned(), asked)
    }
}

/// Where a range begins.
fn first_byte(range: &HeaderValue) -> Option<u64> {
    let (first, _) = range
        .to_str()
        .ok()?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    first.parse().ok()
}

/// A parameter of a query.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}
