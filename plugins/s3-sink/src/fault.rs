//! The faults of a request, in cases that the caller can act on.

use std::fmt;

use restic_repo::Error;
use tthost_plugin::http::ErrorCode;

use tthost_plugin::http::{Answer, Broken};

/// What was tried, by the right that it takes.
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

/// What a request is about, for messages.
pub(crate) struct Object<'a> {
    /// The object with bucket and server, or the beginning of the names of several.
    pub(crate) name: String,
    /// The server's origin.
    pub(crate) server: String,
    pub(crate) bucket: &'a str,
}

impl Object<'_> {
    /// There is no such bucket.
    pub(crate) fn no_bucket(&self, said: &str) -> Fault {
        let Self { server, bucket, .. } = self;
        // No repository can be made there: tthost creates no buckets.
        Fault::Final(Error::Config(format!(
            "there is no such bucket: {bucket} at {server} ({said})"
        )))
    }

    /// What the server said, which may mean that there is no such bucket.
    pub(crate) fn maybe_no_bucket(&self, said: &str) -> String {
        let bucket = self.bucket;
        format!(
            "{said} (some servers say so where there is no such bucket: check that {bucket} is there)"
        )
    }
}

/// A request that did not do what it was for.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The server refused it, and said this. Some servers say so as well of what is not there.
    Denied(Right, String),
    /// It is not there.
    Missing(String),
    /// There is something already, and that was not to be.
    Exists,
    /// The clocks differ, or the request is for another region: it can be signed anew.
    Resign(Correction, String),
    /// The server has an error of its own, for whatever reason.
    Internal(String),
    /// The same may succeed later.
    Passing(String),
    /// The server does not know what it was asked for.
    Unsupported(String),
    /// The server refuses the request, and gives no reason.
    Speechless(String),
    /// Trying again changes nothing.
    Final(Error),
}

/// What to sign differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Correction {
    /// The server's time, in seconds since 1970.
    Clock(i64),
    /// The bucket's region.
    Region(String),
}

impl Fault {
    /// What an answer that is no success means.
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
            // The password of the repository has nothing to do with it.
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
            // It may be read, only not from there.
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
            (412, _) => Self::Exists,
            (501, _) | (_, "NotImplemented") => Self::Unsupported(text),
            (500, _) => Self::Internal(text),
            // Busy, or garbled on its way.
            (408 | 409 | 425 | 429 | 502..=504, _)
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

    /// What it means that there is no answer.
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
            // The host says that of what can be no TLS, however often one tries.
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

/// What it means that a server calls the time of a request wrong.
pub(crate) fn untimely(text: &str) -> String {
    format!("{text}: the clock of this machine and the server's differ too much")
}

/// An answer that names another place.
fn elsewhere(name: &str, said: &str) -> Fault {
    Fault::Final(Error::Other(format!(
        "{name}: the server points elsewhere ({said}), which is not followed: name the right server and \
         bucket"
    )))
}

/// The text of the first element of this name. An error of S3 is one element with a few such in it.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

/// What the server's clock says.
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
}
