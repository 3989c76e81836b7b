//! The faults of a request, by the reaction of the caller.

use std::fmt;

use restic_repo::Error;
use tthost_plugin::http::ErrorCode;

use tthost_plugin::http::{Answer, Broken};

/// The right that a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Put,
    Get,
    List,
    Delete,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put => "store objects (s3:PutObject)",
            Self::Get => "read objects (s3:GetObject)",
            Self::List => "list the bucket (s3:ListBucket)",
            Self::Delete => "remove objects (s3:DeleteObject)",
        })
    }
}

/// The object of a request, for messages.
pub(crate) struct Object<'a> {
    /// The object with bucket and server, or a prefix.
    pub(crate) name: String,
    /// The server's origin.
    pub(crate) server: String,
    pub(crate) bucket: &'a str,
}

impl Object<'_> {
    /// The fault of a missing bucket.
    pub(crate) fn no_bucket(&self, said: &str) -> Fault {
        let Self { server, bucket, .. } = self;
        // tthost creates no buckets.
        Fault::Final(Error::Config(format!(
            "there is no such bucket: {bucket} at {server} ({said})"
        )))
    }

    /// The answer of the server, which may mean that the bucket does not exist.
    pub(crate) fn maybe_no_bucket(&self, said: &str) -> String {
        let bucket = self.bucket;
        format!(
            "{said} (some servers say so where there is no such bucket: check that {bucket} is there)"
        )
    }
}

/// A failed request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The server refused it, with this text. Some servers also refuse objects that do not exist.
    Denied(Right, String),
    /// The object does not exist.
    Missing(String),
    /// The object exists, and must not be replaced.
    Exists,
    /// The clocks or the regions differ. The request can be signed anew.
    Resign(Correction, String),
    /// The server has an internal error.
    Internal(String),
    /// A retry may succeed.
    Passing(String),
    /// The server does not support the request.
    Unsupported(String),
    /// The server refuses the request without a reason.
    Speechless(String),
    /// A retry is useless.
    Final(Error),
}

/// The correction for the next signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Correction {
    /// The server's time, in seconds since 1970.
    Clock(i64),
    /// The bucket's region.
    Region(String),
}

impl Fault {
    /// The fault of an unsuccessful answer.
    pub(crate) fn of_answer(right: Right, object: &Object<'_>, answer: &Answer) -> Self {
        let body = String::from_utf8_lossy(&answer.body);
        let code = element(&body, "Code").unwrap_or_default();
        let message = element(&body, "Message").unwrap_or_default();
        let said = match (code, message) {
            ("", _) => format!("status {}", answer.status),
            (code, "") => code.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        let Object { name, server, .. } = object;
        let text = format!("{name}: {said}");
        match (answer.status, code) {
            (_, "NoSuchBucket") => object.no_bucket(&said),
            // Not [`Error::Unauthenticated`], which means a wrong password of the repository.
            (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired") => {
                Self::Final(Error::Denied(format!(
                    "the credentials for the server {server} have expired ({said}): get new ones for the secrets \
                     access-key-id, secret-access-key and session-token"
                )))
            }
            (
                _,
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "InvalidToken"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "AccountProblem"
                | "NotSignedUp",
            ) => Self::Final(Error::Denied(format!(
                "the server {server} refuses the credentials ({said}): check the secrets access-key-id, \
                 secret-access-key and session-token"
            ))),
            (_, "RequestTimeTooSkewed") => match server_time(answer) {
                Some(time) => Self::Resign(Correction::Clock(time), text),
                None => Self::Passing(untimely(&text)),
            },
            // The object is readable after it was restored from the archive.
            (_, "InvalidObjectState") => Self::Final(Error::Other(format!(
                "{text}: it was moved to an archive (Glacier and the like): have it restored there, and let the \
                 bucket's lifecycle rules move no object of a repository"
            ))),
            (407, _) => Self::Final(Error::Denied(format!(
                "{text}: a proxy on the way to {server} asks for credentials, which tthost has none of"
            ))),
            (400 | 403, "AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError")
            | (301, _) => {
                let region = answer
                    .header("x-amz-bucket-region")
                    .or_else(|| element(&body, "Region"));
                match region {
                    Some(region) => Self::Resign(Correction::Region(region.to_owned()), text),
                    None if answer.status == 301 => elsewhere(name, &said),
                    None => Self::Final(Error::Other(text)),
                }
            }
            (400, "") => match answer.header("x-amz-bucket-region") {
                Some(region) => Self::Resign(Correction::Region(region.to_owned()), text),
                None => Self::Speechless(format!(
                    "{text}, and {server} gives no reason: check that it is the S3 server itself, that config.region is right, \
                     and that the credentials have not expired"
                )),
            },
            (300..400, _) => elsewhere(name, &said),
            (507, _) | (_, "QuotaExceeded" | "XMinioStorageFull" | "StorageFull") => {
                Self::Final(Error::NoSpace(format!("{text}: no space left there")))
            }
            (401 | 403, _) => Self::Denied(right, text),
            (404, _) => Self::Missing(text),
            (412, _) if right == Right::Put => Self::Exists,
            (501, _) | (_, "NotImplemented") => Self::Unsupported(text),
            (500, _) => Self::Internal(text),
            // The server is busy, or the request was garbled. Only a PUT has a condition.
            (408 | 409 | 412 | 425 | 429 | 502..=504, _)
            | (
                _,
                "SlowDown"
                | "RequestTimeout"
                | "BadDigest"
                | "IncompleteBody"
                | "XAmzContentSHA256Mismatch",
            ) => Self::Passing(text),
            _ => Self::Final(Error::Other(text)),
        }
    }

    /// The fault of a request without an answer.
    pub(crate) fn of_broken(object: &Object<'_>, broken: Broken) -> Self {
        let Object { name, server, .. } = object;
        let code = match broken {
            Broken::Slow => return Self::Passing(format!("{name}: the server is too slow")),
            Broken::Long => {
                return Self::Final(Error::Corrupt(format!(
                    "{name}: the server's answer is too long"
                )));
            }
            Broken::Host(code) => code,
        };
        match code {
            ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
                Self::Final(Error::Denied(format!(
                    "the host does not let the plugin reach this server: see grants.network ({server})"
                )))
            }
            ErrorCode::TlsCertificateError => Self::Final(Error::Denied(format!(
                "the certificate of {server} is not trusted: for a certificate authority of your own, set `ca` beside \
                 its origin in grants.network"
            ))),
            // The host reports this if the server does not speak TLS. A retry is useless.
            ErrorCode::TlsProtocolError => Self::Final(Error::Config(format!(
                "{server} does not speak TLS: if it is meant to be asked without, write http:// in config.repository or \
                 config.endpoint, and in grants.network"
            ))),
            ErrorCode::DnsError(_) | ErrorCode::DnsTimeout | ErrorCode::DestinationNotFound => {
                Self::Passing(format!("the name of the server has no address: {server}"))
            }
            ErrorCode::ConnectionRefused => Self::Passing(format!("nobody answers at {server}")),
            ErrorCode::InternalError(Some(text)) => Self::Passing(format!("{name}: {text}")),
            other => {
                let code = format!("{other:?}");
                let code = code.strip_prefix("ErrorCode::").unwrap_or(&code);
                Self::Passing(format!("{name}: the connection broke ({code})"))
            }
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Denied(right, said) => {
                Self::Denied(format!("the credentials may not {right}: {said}"))
            }
            Fault::Missing(text) => Self::NotFound(format!("{text} (it is not there)")),
            Fault::Exists => Self::Exists("there is a repository already".into()),
            Fault::Resign(Correction::Clock(_), text) => Self::Unavailable(untimely(&text)),
            Fault::Resign(Correction::Region(region), text) => Self::Config(format!(
                "{text}: the bucket is in the region {region}: set config.region"
            )),
            Fault::Unsupported(text) => Self::Unsupported(text),
            Fault::Internal(text) | Fault::Passing(text) => Self::Unavailable(text),
            Fault::Speechless(text) => Self::Other(text),
            Fault::Final(error) => error,
        }
    }
}

/// The fault of a request with a wrong time.
pub(crate) fn untimely(text: &str) -> String {
    format!("{text}: the clock of this machine and the server's differ too much")
}

/// The fault of a redirect.
fn elsewhere(name: &str, said: &str) -> Fault {
    Fault::Final(Error::Other(format!(
        "{name}: the server points elsewhere ({said}), which is not followed: name the right server and \
         bucket"
    )))
}

/// The text of the first XML element of this name. An error of S3 is an element with a few children.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

/// The server's time.
pub(crate) fn server_time(answer: &Answer) -> Option<i64> {
    let date = answer.header("date")?;
    let date = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(date.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_s3_is_read() {
        let xml =
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>";
        assert_eq!(element(xml, "Code"), Some("AccessDenied"));
        assert_eq!(element(xml, "Message"), Some("No."));
        assert_eq!(element(xml, "Region"), None);
        assert_eq!(element("<Code>cut o", "Code"), None);
    }

    #[test]
    fn only_what_is_stored_can_be_there_already() {
        let object = Object {
            name: "object".into(),
            server: "server".into(),
            bucket: "bucket",
        };
        let answer = Answer {
            status: 412,
            headers: Vec::new(),
            body: b"<Error><Code>PreconditionFailed</Code></Error>".to_vec(),
        };
        let fault = |right| Fault::of_answer(right, &object, &answer);
        assert!(matches!(fault(Right::Put), Fault::Exists));
        // As a refusal, it would take away the right until the next probe.
        for right in [Right::Get, Right::List, Right::Delete] {
            assert!(matches!(fault(right), Fault::Passing(_)), "{right}");
        }
    }
}
