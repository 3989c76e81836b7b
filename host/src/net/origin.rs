//! An origin: scheme, host and port.

use std::fmt;
use std::path::PathBuf;

use url::{Host, Url};

/// A scheme, a host and a port, written as a URL is after it was parsed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// How it is spoken with.
    pub scheme: Scheme,
    /// Its name in lower case, or its address.
    pub host: Host,
    /// Its TCP port.
    pub port: u16,
}

/// The protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP as it is.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|scheme| scheme.name() == name)
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Origin {
    /// Reads one that is written as a URL with nothing behind the port. The error says what is
    /// wrong, without quoting what may be a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|cause| cause.to_string())?;
        Self::of(&url)
    }

    /// The origin that a URL consists of.
    pub(crate) fn of(url: &Url) -> Result<Self, String> {
        let scheme = Scheme::named(url.scheme())
            .ok_or_else(|| format!("its scheme is {} and not http or https", url.scheme()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it contains a user name or a password".into());
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("there is something behind the host and the port".into());
        }
        let host = url.host().ok_or("it has no host")?.to_owned();
        // To the resolver it is the same name, to a server and its certificate another.
        if matches!(&host, Host::Domain(name) if name.ends_with('.')) {
            return Err("its host ends with a dot".into());
        }
        let port = url.port().unwrap_or_else(|| scheme.default_port());
        if port == 0 {
            return Err("nothing can be reached at port 0".into());
        }
        Ok(Self { scheme, host, port })
    }

    /// Whether it is spoken with so that nobody between can listen.
    pub(crate) fn is_secure(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// The host, and the port where it is not the scheme's own.
    pub(crate) fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority())
    }
}

/// An origin that a plugin may send HTTP requests to.
#[derive(Clone, Debug)]
pub struct AllowedOrigin {
    /// The origin.
    pub origin: Origin,
    /// Its address may be one of this machine, or of a private network.
    pub private: bool,
    /// A file of certificates in PEM that are trusted there, besides the system's own.
    pub ca: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_in_one_way() {
        for (text, origin) in [
            ("https://s3.example.com", "https://s3.example.com"),
            ("https://s3.example.com/", "https://s3.example.com"),
            ("HTTPS://S3.Example.COM:443", "https://s3.example.com"),
            ("http://s3.example.com:443", "http://s3.example.com:443"),
            ("http://10.0.0.1:9000", "http://10.0.0.1:9000"),
            ("http://0xa.1:9000", "http://10.0.0.1:9000"),
            ("http://[0:0::1]:80", "http://[::1]"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            let parsed = Origin::parse(text).map(|parsed| parsed.to_string());
            assert_eq!(parsed.as_deref(), Ok(origin), "{text}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused_without_quoting_it() {
        for (text, why) in [
            ("s3.example.com", "relative URL"),
            ("ftp://s3.example.com", "ftp and not http"),
            ("https://", "empty host"),
            ("https://s3.example.com/bucket", "behind the host"),
            ("https://s3.example.com?key=s3cret", "behind the host"),
            ("https://s3.example.com#part", "behind the host"),
            ("https://me:s3cret@s3.example.com", "user name"),
            ("https://s3.example.com.", "ends with a dot"),
            ("https://s3.example.com:0", "port 0"),
            ("https://s3.example.com:99999", "port number"),
            ("https://[fe80::1%25eth0]", "IPv6 address"),
        ] {
            let error = Origin::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("s3cret"), "{text}: {error}");
        }
    }
}
