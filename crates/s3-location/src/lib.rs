//! Where a restic repository in S3 is: `s3:HOST/BUCKET/PREFIX`, as restic writes it.
//!
//! The host grants the origin of the location, and the plugin requests it. So both parse it here.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use url::{Host, Url};

/// The characters that are percent-encoded in a URL.
const IN_URLS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'%')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`');

/// A text that names no place in S3.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no place in S3: {why}")]
pub struct Invalid {
    text: String,
    why: String,
}

impl Invalid {
    fn new(text: &str, why: &str) -> Self {
        // The part before an @ can be a password.
        let text = match text.rsplit_once('@') {
            Some((_, rest)) => format!("...@{rest}"),
            None => text.to_owned(),
        };
        Self {
            text,
            why: why.to_owned(),
        }
    }
}

/// A place in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Whether the server is asked over TLS.
    pub secure: bool,
    /// The server's host in lower case, without a port; IPv6 addresses in brackets.
    pub host: String,
    /// The server's port, none for the one of the scheme.
    pub port: Option<u16>,
    /// The bucket.
    pub bucket: String,
    /// The prefix of all names, without slashes at its ends. Empty for the whole bucket.
    pub prefix: String,
}

/// Where requests have the bucket's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// At the beginning of the path.
    Path,
    /// In front of the host.
    VirtualHost,
}

impl Location {
    /// Reads restic's spelling: `s3:HOST/BUCKET/PREFIX`, `s3:https://HOST:PORT/BUCKET` and
    /// `s3://HOST/BUCKET`. Only a location with a scheme is a URL, in which `%20` is a space.
    pub fn parse(repository: &str) -> Result<Self, Invalid> {
        let wrong = |why: &str| Invalid::new(repository, why);
        let rest = repository
            .strip_prefix("s3:")
            .ok_or_else(|| wrong("it does not begin with s3:"))?;
        let (server, path) = split(rest);
        let (secure, host, port) = server_of(server).map_err(|why| wrong(&why))?;
        let path = if server.contains("://") {
            let decoded = percent_decode_str(path).decode_utf8();
            decoded.map_err(|_| wrong("what it has in percents is not UTF-8"))?
        } else {
            path.into()
        };
        if path.contains(['?', '#', '\\']) || path.chars().any(char::is_control) {
            return Err(wrong("there are characters in it that have no place there"));
        }
        let (bucket, prefix) = path.split_once('/').unwrap_or((&path, ""));
        if bucket.is_empty() {
            return Err(wrong("it names no bucket: write s3:HOST/BUCKET/PREFIX"));
        }
        let prefix = prefix.trim_matches('/');
        if path
            .trim_matches('/')
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..")
        {
            return Err(wrong("a part of its path is empty, . or .."));
        }
        Ok(Self {
            secure,
            host,
            port,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// The same place on another server, which `AWS_ENDPOINT_URL` for example names.
    pub fn with_endpoint(self, endpoint: &str) -> Result<Self, Invalid> {
        let wrong = |why: String| Invalid::new(endpoint, &why);
        let server = endpoint.strip_suffix('/').unwrap_or(endpoint);
        let (secure, host, port) = server_of(server).map_err(wrong)?;
        Ok(Self {
            secure,
            host,
            port,
            ..self
        })
    }

    /// The origin that requests go to.
    pub fn origin(&self, style: Style) -> String {
        match style {
            Style::Path => self.endpoint(),
            Style::VirtualHost => self.server(&format!("{}.{}", self.bucket, self.host)),
        }
    }

    /// The server's own origin.
    pub fn endpoint(&self) -> String {
        self.server(&self.host)
    }

    /// Where the server is known to want the bucket's name: AWS does in front of the host, unless
    /// no certificate could fit that.
    pub fn default_style(&self) -> Style {
        if self.host.ends_with(".amazonaws.com") && is_label(&self.bucket) {
            Style::VirtualHost
        } else {
            Style::Path
        }
    }

    /// The region that the host's name tells, as in `s3.eu-central-1.amazonaws.com`.
    pub fn region(&self) -> Option<String> {
        let labels: Vec<&str> = self.host.split('.').collect();
        let region = match labels.as_slice() {
            ["s3", "dualstack", region, _, _, ..] | ["s3", region, _, _, ..] => *region,
            [first, "amazonaws", _, ..] => first.strip_prefix("s3-")?,
            _ => return None,
        };
        // An address has numbers for labels.
        (region.contains('-') && !region.starts_with('-')).then(|| region.to_owned())
    }

    fn server(&self, host: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        match self.port {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = |text| utf8_percent_encode(text, IN_URLS);
        write!(f, "s3:{}/{}", self.endpoint(), encoded(&self.bucket))?;
        if self.prefix.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", encoded(&self.prefix))
        }
    }
}

/// Whether a name can be one of the parts of a host's name that have dots between them.
fn is_label(name: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    name.len() <= 63 && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// The server, with its scheme where there is one, and the path after it.
fn split(text: &str) -> (&str, &str) {
    let server = text.find("://").map_or_else(
        || usize::from(text.starts_with("//")) * 2,
        |scheme| scheme + 3,
    );
    match text[server..].find('/') {
        Some(end) => (&text[..server + end], &text[server + end + 1..]),
        None => (text, ""),
    }
}

/// Scheme, host and port of a server.
fn server_of(text: &str) -> Result<(bool, String, Option<u16>), String> {
    let (secure, authority) = match text.split_once("://") {
        Some(("https", authority)) => (true, authority),
        Some(("http", authority)) => (false, authority),
        Some((scheme, _)) => return Err(format!("its scheme is {scheme}, not http or https")),
        None => (true, text.strip_prefix("//").unwrap_or(text)),
    };
    // Left to itself, the parser of URLs drops tabs and line ends without a word.
    let stray = |c: char| c.is_control() || ['@', '/', '?', '#', '\\', ' '].contains(&c);
    if authority.contains(stray) || authority.is_empty() {
        return Err("its server is not a host, or host and port".into());
    }
    let scheme = if secure { "https" } else { "http" };
    let url = Url::parse(&format!("{scheme}://{authority}/")).map_err(|cause| cause.to_string())?;
    match url.host() {
        Some(host @ (Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_))) => {
            Ok((secure, host.to_string(), url.port()))
        }
        None => Err("it has no host".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    #[test]
    fn every_spelling_of_restic_is_read() {
        for (text, shown) in [
            (
                "s3:s3.amazonaws.com/bucket",
                "s3:https://s3.amazonaws.com/bucket",
            ),
            (
                "s3://S3.amazonaws.com/bucket/a/b/",
                "s3:https://s3.amazonaws.com/bucket/a/b",
            ),
            (
                "s3:https://host:9000/bucket/a",
                "s3:https://host:9000/bucket/a",
            ),
            (
                "s3:http://127.0.0.1:80/bucket",
                "s3:http://127.0.0.1/bucket",
            ),
            ("s3:http://[::1]:8333/bucket", "s3:http://[::1]:8333/bucket"),
            ("s3:https://host/b/a%20b%25", "s3:https://host/b/a%20b%25"),
            ("s3:host/b/a%20b", "s3:https://host/b/a%2520b"),
        ] {
            assert_eq!(parse(text).to_string(), shown);
            assert_eq!(parse(shown), parse(text));
        }
    }

    #[test]
    fn only_in_a_url_a_percent_says_something() {
        assert_eq!(parse("s3:http://host/b/a%20b").prefix, "a b");
        assert_eq!(parse("s3:host/b/a%20b").prefix, "a%20b");
    }

    #[test]
    fn what_is_no_place_is_named() {
        for text in [
            "/srv/backup",
            "s3:host",
            "s3:host/",
            "s3:https:///bucket",
            "s3:ftp://host/bucket",
            "s3:https://user:secret@host/bucket",
            "s3:ho\tst/bucket",
            "s3:host/bucket/../other",
            "s3:host/bucket//twice",
            "s3:host/bucket?versions",
            "s3:host/bucket/\n",
            "s3:https://host/bucket/%0a",
            "s3:https://host/bucket/%2e%2e/other",
            "s3:https://host/bucket/%ff",
        ] {
            let error = Location::parse(text).expect_err(text);
            let error = error.to_string();
            assert!(error.contains("names no place in S3"), "{error}");
            assert!(!error.contains("secret"), "{error}");
            assert!(!error.contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn aws_has_the_bucket_in_front_of_its_host() {
        let aws = parse("s3:s3.eu-central-1.amazonaws.com/bucket/a");
        assert_eq!(aws.default_style(), Style::VirtualHost);
        assert_eq!(
            aws.origin(Style::VirtualHost),
            "https://bucket.s3.eu-central-1.amazonaws.com"
        );
        assert_eq!(
            aws.origin(Style::Path),
            "https://s3.eu-central-1.amazonaws.com"
        );
        for elsewhere in [
            "s3:s3.amazonaws.com/with.dots",
            "s3:s3.amazonaws.com/Old_Bucket",
            "s3:minio.example.com/bucket",
        ] {
            assert_eq!(parse(elsewhere).default_style(), Style::Path, "{elsewhere}");
        }
    }

    #[test]
    fn the_host_tells_the_region() {
        for (host, region) in [
            ("s3.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("s3-eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("s3.dualstack.us-east-2.amazonaws.com", Some("us-east-2")),
            ("s3.us-west-000.backblazeb2.com", Some("us-west-000")),
            ("s3.eu-central-2.wasabisys.com", Some("eu-central-2")),
            ("s3.amazonaws.com", None),
            ("s3.example.com", None),
            ("127.0.0.1", None),
        ] {
            let found = parse(&format!("s3:{host}/bucket")).region();
            assert_eq!(found.as_deref(), region, "{host}");
        }
    }

    #[test]
    fn an_endpoint_takes_the_place_of_the_server() {
        let moved = parse("s3:s3.amazonaws.com/bucket/a").with_endpoint("http://localhost:9000/");
        let moved = moved.expect("it is a server");
        assert_eq!(moved.to_string(), "s3:http://localhost:9000/bucket/a");
        let path = parse("s3:host/bucket").with_endpoint("https://host/path");
        assert!(path.is_err());
    }

    #[test]
    fn a_location_may_hold_anything() {
        tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "location", &[], |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Ok(location) = Location::parse(&text) else {
                return;
            };
            let shown = location.to_string();
            let again = Location::parse(&shown).expect("it is written as it is read");
            assert_eq!(again.to_string(), shown);
            for style in [Style::Path, Style::VirtualHost] {
                location.origin(style);
            }
            location.region();
            let _ = location.with_endpoint(&text);
        });
    }
}
