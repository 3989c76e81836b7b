//! A reference to a component in a registry.

use std::fmt;
use std::str::FromStr;

use super::digest::Digest;
use crate::error::{Error, Kind, Result};

/// The prefix of such a name.
const SCHEME: &str = "oci://";

/// The longest path of a repository, in bytes, with the registry before it.
const MAX_LENGTH: usize = 255;

/// A component in a registry: `oci://HOST[:PORT]/REPOSITORY:TAG`, or `@sha256:…` in the place of the tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The host, with its port where that is not the usual one.
    pub(super) registry: String,
    pub(super) repository: String,
    /// Which one of the repository.
    pub version: Version,
}

/// Which one of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// The component that has this tag now. Anyone with write access to the repository can move the tag.
    Tag(String),
    /// The one whose manifest has this digest.
    Manifest(Digest),
}

impl Reference {
    /// Whether a text is meant as such a name.
    pub fn is_reference(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads one. Nothing is filled in: neither a registry nor a tag.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::new(Kind::Config, format!("{text} names no component: {why}"))
                .help("write oci://HOST/REPOSITORY:TAG or oci://HOST/REPOSITORY@sha256:…")
        };
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| wrong("it does not begin with oci://"))?;
        let (registry, path) = rest
            .split_once('/')
            .ok_or_else(|| wrong("it has no repository"))?;
        if registry.is_empty() || registry.contains(['@', '?', '#']) {
            return Err(wrong("the part before the repository is not a host"));
        }
        let (repository, version) = if let Some((repository, digest)) = path.split_once('@') {
            let digest = Digest::from_str(digest).map_err(|why| wrong(&why))?;
            (repository, Version::Manifest(digest))
        } else {
            let (repository, tag) = path
                .rsplit_once(':')
                .ok_or_else(|| wrong("it has neither a tag nor a digest"))?;
            if !is_tag(tag) {
                return Err(wrong("its tag is not valid"));
            }
            (repository, Version::Tag(tag.to_owned()))
        };
        if repository.contains(':') {
            return Err(wrong(
                "it has a tag and a digest, and one of them is enough",
            ));
        }
        if !is_repository(repository) || registry.len() + repository.len() > MAX_LENGTH {
            return Err(wrong("its repository is not a path of lower-case names"));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            version,
        })
    }

    /// The registry, as it is known to people.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The one of the same repository whose manifest has this digest.
    #[must_use]
    pub fn at(&self, manifest: Digest) -> Self {
        Self {
            version: Version::Manifest(manifest),
            ..self.clone()
        }
    }
}

impl Version {
    /// How requests name it.
    pub(super) fn in_path(&self) -> String {
        match self {
            Self::Tag(tag) => tag.clone(),
            Self::Manifest(digest) => digest.to_string(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            registry,
            repository,
            version,
        } = self;
        let separator = match version {
            Version::Tag(_) => ':',
            Version::Manifest(_) => '@',
        };
        let version = version.in_path();
        write!(f, "{SCHEME}{registry}/{repository}{separator}{version}")
    }
}

fn is_tag(tag: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128
        && tag.starts_with(first)
        && tag.chars().all(|c| first(c) || c == '.' || c == '-')
}

/// Names of lower-case letters and digits, with separators between them.
fn is_repository(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    path.split('/').all(|name| {
        name.starts_with(is_plain)
            && name.ends_with(is_plain)
            && name.chars().all(|c| is_plain(c) || "._-".contains(c))
            && !name.contains("..")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_and_written_alike() {
        let digest = "sha256:".to_owned() + &"a1".repeat(32);
        for text in [
            "oci://ghcr.io/acme/webdav-sink:0.3.1".to_owned(),
            "oci://localhost:5000/a/b/c_d:latest".to_owned(),
            format!("oci://[::1]:5000/sink@{digest}"),
        ] {
            let reference = Reference::parse(&text).expect("it is one");
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn what_is_missing_is_not_guessed_and_what_leads_elsewhere_is_refused() {
        let both = format!("oci://h/a:1@sha256:{}", "0".repeat(64));
        for (text, why) in [
            ("ghcr.io/acme/sink:1", "oci://"),
            ("oci://ghcr.io", "no repository"),
            ("oci://ghcr.io/acme/sink", "neither a tag"),
            ("oci:///acme/sink:1", "not a host"),
            ("oci://user@ghcr.io/sink:1", "not a host"),
            ("oci://ghcr.io/../sink:1", "not a path"),
            ("oci://ghcr.io/a//b:1", "not a path"),
            ("oci://ghcr.io/Acme:1", "not a path"),
            ("oci://ghcr.io/sink:", "tag is not valid"),
            ("oci://ghcr.io/sink:a/b", "tag is not valid"),
            ("oci://ghcr.io/sink@sha256:12", "64 hexadecimal"),
            (&both, "one of them"),
        ] {
            let error = Reference::parse(text).expect_err(text);
            assert!(error.message().contains(why), "{error}");
        }
    }
}
