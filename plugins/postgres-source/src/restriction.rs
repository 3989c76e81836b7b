//! Keeps psql from running commands that a dump contains.
//!
//! The scanner of dumps cannot see every setting that decides where a string ends for psql. Since August 2025, psql
//! can be restricted: it then refuses all commands except `\unrestrict` with the token of its restriction. No dump
//! can contain that token, because it is new each time. The first such versions, though, run programs for the
//! arguments of `\unrestrict` before they compare the token.

use std::hash::{BuildHasher as _, RandomState};

use psql_script::Script;
use tthost_plugin::{Error, Level, log};

use crate::arguments;
use crate::capture::psql_lines;

/// For each major version, the first minor ones that know `\restrict`, and that run nothing for `\unrestrict`. Later major
/// versions do both. Nothing is known of the second in 13 and 14.
const FIRST: [(u32, u32, u32); 6] = [
    (13, 22, u32::MAX),
    (14, 19, u32::MAX),
    (15, 14, 19),
    (16, 10, 15),
    (17, 6, 11),
    (18, 0, 6),
];

/// How far psql can be kept from running commands of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restriction {
    /// Not at all.
    None,
    /// But for the command that lifts it.
    Leaky,
    Tight,
}

impl Restriction {
    /// What there is of the psql that is granted.
    pub(crate) async fn of_psql() -> Result<Self, Error> {
        let said = psql_lines(arguments::psql_version()).await?;
        let said = said.first().map(String::as_str).unwrap_or_default();
        let restriction = Self::of_version(said);
        if restriction == Self::None {
            log(
                Level::Warn,
                &format!(
                    "this psql ({said}) cannot be kept from running commands of its own: its input is searched for them. \
                     For a dump that you do not trust, use a psql from after August 2025"
                ),
            );
        }
        Ok(restriction)
    }

    /// What psql, which says this of its version, knows.
    fn of_version(said: &str) -> Self {
        let version = said
            .split_whitespace()
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        let mut numbers = version
            .unwrap_or_default()
            .split(|c: char| !c.is_ascii_digit())
            .map(str::parse);
        let Some(Ok(major)) = numbers.next() else {
            return Self::None;
        };
        let minor: u32 = numbers.next().and_then(Result::ok).unwrap_or_default();
        match FIRST.iter().find(|(known, ..)| *known == major) {
            Some((_, _, tight)) if minor >= *tight => Self::Tight,
            Some((_, first, _)) if minor >= *first => Self::Leaky,
            None if FIRST.iter().all(|(known, ..)| *known < major) => Self::Tight,
            _ => Self::None,
        }
    }

    /// What to restrict psql with.
    pub(crate) fn token(self) -> Option<String> {
        if self == Self::None {
            return None;
        }
        // Its keys are at random, and 16 digits are more than can be tried.
        let number = RandomState::new().hash_one(());
        Some(format!("{number:016x}"))
    }

    /// Follows a dump as closely as this psql needs it.
    pub(crate) fn follow(self, script: Script) -> Box<Script> {
        Box::new(if self == Self::Tight {
            script
        } else {
            script.strictly()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Restriction::{Leaky, None, Tight};
    use super::*;

    #[test]
    fn psql_is_restricted_from_the_first_version_on_that_can_be() {
        for (said, restriction) in [
            ("psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Leaky),
            ("psql (PostgreSQL) 15.19", Tight),
            ("psql (PostgreSQL) 15.14", Leaky),
            ("psql (PostgreSQL) 15.13", None),
            ("psql (PostgreSQL) 13.22", Leaky),
            ("psql (PostgreSQL) 12.22", None),
            ("psql (PostgreSQL) 9.6.24", None),
            ("psql (PostgreSQL) 17.5", None),
            ("psql (PostgreSQL) 18.0", Leaky),
            ("psql (PostgreSQL) 18.6", Tight),
            ("psql (PostgreSQL) 19devel", Tight),
            ("psql (EnterpriseDB) 16.10.0", Leaky),
            ("", None),
            ("sh: psql: not found", None),
        ] {
            assert_eq!(Restriction::of_version(said), restriction, "{said}");
        }
    }
}
