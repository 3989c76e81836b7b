//! What went wrong with a request, in cases that can be acted on.

use std::fmt;

use restic_repo::Error;
use wasip3::http::types::ErrorCode;

use crate::http::{Answer, Broken};

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

/// A request that did not do what it was for.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The server refused it. Some servers say so as well of what is not there.
    Denied(Right, String),
    /// It is not there.
    Missing(String),
    /// There is something already, and that was not to be.
    Exists,
    /// The clocks differ, or the request is for another region: it can be signed anew.
    Resign(Correction, String),
    /// The same may succeed later.
    Passing(String),
    /// The server does not know what it was asked for.
    Unsupported(String),
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
    pub(crate) fn of_answer(right: Right, key: &str, answer: &Answer) -> Self {
        let body = String::from_utf8_lossy(&answer.body);
        let code = element(&body, "Code").unwrap_or_default();
        let message = element(&body, "Message").unwrap_or_default();
        let said = match (code, message) {
            ("", _) => format!("status {}", answer.status),
            (code, "") => code.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        let text = format!("{key}: {said}");
        match (answer.status, code) {
            (_, "NoSuchBucket") => {
                Self::Final(Error::NotFound(format!("there is no such bucket ({said})")))
            }
            (
                _,
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "InvalidToken"
                | "TokenRefreshRequired"
                | "InvalidClientTokenId",
            ) => Self::Final(Error::Unauthenticated(format!(
                "the server refuses the credentials ({said}): check the secrets access-key-id, \
                 secret-access-key and session-token"
            ))),
            (_, "RequestTimeTooSkewed") => match server_time(answer) {
                Some(time) => Self::Resign(Correction::Clock(time), text),
                None => Self::Final(Error::Other(text)),
            },
            (400 | 403, "AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError")
            | (301, _) => {
                let region = answer
                    .header("x-amz-bucket-region")
                    .or_else(|| element(&body, "Region"));
                match region {
                    Some(region) => Self::Resign(Correction::Region(region.to_owned()), text),
                    None if answer.status == 301 => elsewhere(key, &said),
                    None => Self::Final(Error::Other(text)),
                }
            }
            (300..400, _) => elsewhere(key, &said),
            (401 | 403, _) => Self::Denied(right, said),
            (404, _) => Self::Missing(text),
            (412, _) => Self::Exists,
            (501, _) | (_, "NotImplemented") => Self::Unsupported(text),
            // Busy, or garbled on its way.
            (408 | 409 | 425 | 429 | 500 | 502..=504, _)
            | (
                _,
                "SlowDown"
                | "RequestTimeout"
                | "BadDigest"
                | "IncompleteBody"
                | "XAmzContentSHA256Mismatch",
            ) => Self::Passing(text),
            (507, _) => Self::Final(Error::Other(format!("{text}: no space left there"))),
            _ => Self::Final(Error::Other(text)),
        }
    }

    /// What it means that there is no answer.
    pub(crate) fn of_broken(key: &str, broken: Broken) -> Self {
        let code = match broken {
            Broken::Slow => return Self::Passing(format!("{key}: the server is too slow")),
            Broken::Long => {
                return Self::Final(Error::Corrupt(format!(
                    "{key}: the server's answer is too long"
                )));
            }
            Broken::Host(code) => code,
        };
        match code {
            ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
                Self::Final(Error::Denied(
                    "the host does not let the plugin reach this server: see grants.network".into(),
                ))
            }
            ErrorCode::TlsCertificateError => Self::Final(Error::Denied(
                "the server's certificate is not trusted: for a certificate authority of your own, \
                 set `ca` beside its origin in grants.network"
                    .into(),
            )),
            ErrorCode::DnsError(_) | ErrorCode::DnsTimeout | ErrorCode::DestinationNotFound => {
                Self::Passing("the server's name has no address".into())
            }
            ErrorCode::ConnectionRefused => {
                Self::Passing("nobody answers at the server's address".into())
            }
            ErrorCode::InternalError(Some(text)) => Self::Passing(format!("{key}: {text}")),
            other => {
                let name = format!("{other:?}");
                let name = name.strip_prefix("ErrorCode::").unwrap_or(&name);
                Self::Passing(format!("{key}: the connection broke ({name})"))
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
            Fault::Exists => Self::Config("there is a repository already".into()),
            Fault::Resign(Correction::Clock(_), text) => Self::Other(format!(
                "{text}: the clock of this machine and the server's differ too much"
            )),
            Fault::Resign(Correction::Region(region), text) => Self::Config(format!(
                "{text}: the bucket is in the region {region}: set config.region"
            )),
            Fault::Unsupported(text) => Self::Unsupported(text),
            Fault::Passing(text) => Self::Unavailable(text),
            Fault::Final(error) => error,
        }
    }
}

/// An answer that names another place.
fn elsewhere(key: &str, said: &str) -> Fault {
    Fault::Final(Error::Other(format!(
        "{key}: the server points elsewhere ({said}), which is not followed: name the right server and \
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
