//! Versions of the contract: those that this host supports, and the one that a component was built for.
//!
//! They follow semver. Versions with the same major number, or with the same minor number if the major number is 0, form a
//! series. A component for an earlier version of the series works. A component for a later version works if it needs nothing
//! new. wasmtime links interfaces by the same rule.

use schemars::JsonSchema;
use semver::{Comparator, Op, Version};
use serde::{Serialize, Serializer};

use crate::error::{Error, Kind};
use crate::text::printable;

/// The package that the contract is, in every version.
const PACKAGE: &str = "tthost:backup/";

/// The versions of the contract that this host speaks, all of one series.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ContractVersions {
    /// The first.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub first: Version,
    /// The last, which its own plugins are built for.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub last: Version,
}

/// Formats a version in the form that the parser accepts.
pub(super) fn as_text<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(version)
}

/// The versions that this host speaks.
pub fn spoken() -> ContractVersions {
    let last = Version::parse(env!("TTHOST_CONTRACT")).expect("the contract has a version");
    let minor = if last.major == 0 { last.minor } else { 0 };
    ContractVersions {
        first: Version::new(last.major, minor, 0),
        last,
    }
}

impl ContractVersions {
    /// In words, for example `0.2.0`, or `0.2.0 to 0.2.3`.
    pub fn shown(&self) -> String {
        if self.first == self.last {
            self.last.to_string()
        } else {
            format!("{} to {}", self.first, self.last)
        }
    }

    /// Whether a version is of their series.
    fn contain(&self, version: &Version) -> bool {
        let same_series = Comparator {
            op: Op::Caret,
            major: self.first.major,
            minor: Some(self.first.minor),
            patch: Some(self.first.patch),
            pre: self.first.pre.clone(),
        };
        same_series.matches(version)
    }
}

/// The name and the version of an interface of the contract; `None` for an interface of another package.
fn parse(interface: &str) -> Option<(&str, Version)> {
    let (name, version) = interface.strip_prefix(PACKAGE)?.rsplit_once('@')?;
    Some((name, Version::parse(version).ok()?))
}

/// Whether an interface that a component has is one of ours: of this name, in a version of our series.
pub(super) fn is(interface: &str, ours: &str) -> bool {
    let found = parse(interface);
    found.is_some_and(|(name, version)| {
        parse(ours).is_some_and(|(own, _)| own == name) && spoken().contain(&version)
    })
}

/// The version of the contract that a component with these interfaces is built for. Interfaces of a series that this host does
/// not speak count alone.
pub(super) fn of<'a>(interfaces: impl Iterator<Item = &'a str>) -> Option<Version> {
    let spoken = spoken();
    let versions = interfaces.filter_map(|interface| Some(parse(interface)?.1));
    versions.max_by_key(|version| (!spoken.contain(version), version.clone()))
}

/// The error for a component that is built for another series.
pub(super) fn check(version: &Version) -> Result<(), Error> {
    let spoken = spoken();
    if spoken.contain(version) {
        return Ok(());
    }
    let text = format!(
        "it is built for version {} of the contract, and this tthost speaks {}",
        printable(&version.to_string()),
        spoken.shown()
    );
    Err(Error::new(Kind::Unsupported, text).help(advice(version)))
}

/// The error of a component of a later version that asks for something new; none for one that cannot.
pub(super) fn lacking(version: &Version, what: &str) -> Option<Error> {
    let spoken = spoken();
    (*version > spoken.last).then(|| {
        let text = format!(
            "it is built for version {} of the contract, this tthost speaks {}, and that lacks something: {what}",
            printable(&version.to_string()),
            spoken.shown()
        );
        Error::new(Kind::Unsupported, text).help(advice(version))
    })
}

fn advice(version: &Version) -> String {
    let last = spoken().last;
    if *version > last {
        format!("use a newer tthost, or a version of the plugin that is built for {last}")
    } else {
        format!("ask its author for a version of the plugin that is built for {last}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_series_fit_and_others_do_not() {
        let versions = |first: &str, last: &str| ContractVersions {
            first: Version::parse(first).expect("it is one"),
            last: Version::parse(last).expect("it is one"),
        };
        for (spoken, fitting, other) in [
            (
                versions("0.2.0", "0.2.3"),
                &["0.2.0", "0.2.3", "0.2.9"][..],
                &["0.1.9", "0.3.0", "1.2.0", "0.2.0-draft"][..],
            ),
            (
                versions("1.0.0", "1.4.0"),
                &["1.0.0", "1.4.7", "1.9.0"],
                &["0.2.0", "2.0.0"],
            ),
        ] {
            for (all, fits) in [(fitting, true), (other, false)] {
                for text in all {
                    let version = Version::parse(text).expect("it is one");
                    assert_eq!(
                        spoken.contain(&version),
                        fits,
                        "{text} in {}",
                        spoken.shown()
                    );
                }
            }
        }
        assert_eq!(versions("0.2.0", "0.2.3").shown(), "0.2.0 to 0.2.3");
        assert_eq!(versions("0.2.0", "0.2.0").shown(), "0.2.0");
    }

    #[test]
    fn an_interface_is_known_by_its_name_in_every_version_of_the_series() {
        let ours = "tthost:backup/sink@0.2.0";
        for (interface, is_it) in [
            ("tthost:backup/sink@0.2.0", true),
            ("tthost:backup/sink@0.2.7", true),
            ("tthost:backup/sink@0.1.0", false),
            ("tthost:backup/sink", false),
            ("tthost:backup/source@0.2.0", false),
            ("acme:backup/sink@0.2.0", false),
        ] {
            assert_eq!(is(interface, ours), is_it, "{interface}");
        }
    }

    #[test]
    fn a_component_is_built_for_the_version_that_says_most() {
        let of = |all: &[&str]| of(all.iter().copied()).map(|version| version.to_string());
        let own = "tthost:backup/sink@0.2.0";
        let later = "tthost:backup/log@0.2.4";
        assert_eq!(
            of(&["wasi:cli/exit@9.0.0", own, later]),
            Some("0.2.4".into())
        );
        assert_eq!(of(&[own, "tthost:backup/log@0.1.0"]), Some("0.1.0".into()));
        assert_eq!(of(&["acme:backup/sink@1.0.0"]), None);
    }
}
