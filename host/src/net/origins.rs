//! Finds the granted origin of a URL.

use http::Uri;
use url::Url;

use super::error::Error;
use super::origin::{AllowedOrigin, Origin};
use super::trust::Trust;
use crate::error::Result;

/// The granted origins.
pub(super) struct Origins(Vec<Granted>);

/// A granted origin.
pub(super) struct Granted {
    pub(super) origin: Origin,
    /// Whether it may be in a private network.
    pub(super) private: bool,
    pub(super) trust: Trust,
}

impl Origins {
    /// Those of a plugin. Reads the certificates of each.
    pub(super) fn new(granted: &[AllowedOrigin]) -> Result<Self> {
        let open = |network: &AllowedOrigin| {
            Ok(Granted {
                origin: network.origin.clone(),
                private: network.private,
                trust: Trust::new(&network.origin, network.ca.as_deref())?,
            })
        };
        granted.iter().map(open).collect::<Result<_>>().map(Self)
    }

    /// The granted origin that a URL begins with.
    pub(super) fn find(&self, uri: &Uri) -> Result<&Granted, Error> {
        let named = origin(uri);
        let granted = self
            .0
            .iter()
            .find(|granted| named.as_ref() == Some(&granted.origin));
        granted.ok_or_else(|| Error::Refused(shown(uri)))
    }
}

/// The origin of a URL, if it is spelled in the one way that all parsers understand alike.
fn origin(uri: &Uri) -> Option<Origin> {
    let authority = uri.authority()?;
    let url = format!("{}://{authority}", uri.scheme_str()?);
    let origin = Origin::of(&Url::parse(&url).ok()?).ok()?;
    // As `Origin` writes it, but for the case.
    let spelled = authority.host();
    let normal = origin.host.to_string();
    (!authority.as_str().contains('@') && spelled.eq_ignore_ascii_case(&normal)).then_some(origin)
}

/// Scheme, host and port, without what may be a secret.
fn shown(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("no scheme");
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let place = authority.rsplit('@').next().unwrap_or_default();
    let user = if authority.contains('@') { "...@" } else { "" };
    format!("{scheme}://{user}{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(origins: &[&str]) -> Origins {
        let network = |text: &&str| AllowedOrigin {
            origin: Origin::parse(text).expect(text),
            private: false,
            ca: None,
        };
        let granted: Vec<_> = origins.iter().map(network).collect();
        Origins::new(&granted).expect("there are no certificates to read")
    }

    /// The origin of a URL, if it has one.
    fn reached(origins: &Origins, url: &str) -> Option<String> {
        let uri: Uri = url.parse().ok()?;
        let found = origins.find(&uri).ok()?;
        Some(found.origin.to_string())
    }

    #[test]
    fn a_granted_origin_is_reached_in_whatever_case_and_with_its_port_or_without() {
        let origins = granted(&[
            "https://s3.example.com",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
        ]);
        for (url, origin) in [
            (
                "https://s3.example.com/bucket?x=1",
                "https://s3.example.com",
            ),
            ("HTTPS://S3.EXAMPLE.COM:443/", "https://s3.example.com"),
            ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
            ("http://[::1]:9000/", "http://[::1]:9000"),
        ] {
            assert_eq!(reached(&origins, url).as_deref(), Some(origin), "{url}");
        }
    }

    #[test]
    fn another_scheme_host_or_port_is_refused() {
        let origins = granted(&["https://s3.example.com", "http://127.0.0.1:9000"]);
        for url in [
            "http://s3.example.com/",
            "http://s3.example.com:443/",
            "https://s3.example.com:8443/",
            "https://example.com/",
            "https://x.s3.example.com/",
            "https://s3.example.com.evil.test/",
            "https://127.0.0.1:9000/",
            "http://127.0.0.1/",
            "http://127.0.0.1:90/",
            "http://127.0.0.2:9000/",
            "http://localhost:9000/",
            "ftp://s3.example.com/",
            "/path",
            "*",
        ] {
            assert_eq!(reached(&origins, url), None, "{url}");
        }
    }

    #[test]
    fn another_spelling_is_refused_even_where_it_means_the_same() {
        let origins = granted(&["http://127.0.0.1:9000", "http://s3.example.com:9000"]);
        for url in [
            "http://user@127.0.0.1:9000/",
            "http://user:pass@s3.example.com:9000/",
            "http://@s3.example.com:9000/",
            "http://s3.example.com:9000@evil.test/",
            "http://evil.test@s3.example.com:9000/",
            "http://s3.example.com.:9000/",
            "http://127.0.0.1.:9000/",
            "http://2130706433:9000/",
            "http://0x7f000001:9000/",
            "http://0x7f.0.0.1:9000/",
            "http://0177.0.0.1:9000/",
            "http://127.1:9000/",
            "http://0127.0.0.1:9000/",
            "http://[::ffff:127.0.0.1]:9000/",
            "http://[::ffff:7f00:1]:9000/",
            "http://[::127.0.0.1]:9000/",
            "http://[::1%25lo]:9000/",
            "http://s3%2eexample.com:9000/",
            "http://s3.example.com%00:9000/",
            "http://s3\u{3002}example.com:9000/",
        ] {
            assert_eq!(reached(&origins, url), None, "{url}");
        }
    }

    #[test]
    fn a_refusal_names_the_place_without_user_password_and_query() {
        let origins = granted(&[]);
        let uri = "https://me:s3cret@evil.test:8443/path?signature=s3cret";
        let error = origins
            .find(&uri.parse().expect("it is a URL"))
            .err()
            .expect("nothing was granted");
        assert_eq!(
            error.to_string(),
            "https://...@evil.test:8443 is not granted: add it to grants.network"
        );
    }
}
