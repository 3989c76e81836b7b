//! Keeps psql from running commands of its own that a dump contains.
//!
//! The scanner of dumps cannot see everything on which it depends where a string ends for psql. Since August 2025, psql can
//! be restricted: it then refuses all commands but `\unrestrict` with the token with which it was restricted. No dump can
//! have that, because it is new each time.

use std::hash::{BuildHasher as _, RandomState};

use crate::arguments;
use crate::bindings::tthost::backup::log::{Level, log};
use crate::bindings::tthost::backup::types::Error;
use crate::capture::psql_lines;

/// The first minor version of each major one that knows `\restrict`. Later major versions all do.
const FIRST: [(u32, u32); 5] = [(13, 22), (14, 19), (15, 14), (16, 10), (17, 6)];

/// What to restrict psql with; none where it is too old for that.
pub(crate) async fn token() -> Result<Option<String>, Error> {
    let said = psql_lines(arguments::psql_version()).await?;
    let said = said.first().map(String::as_str).unwrap_or_default();
    if knows_restrict(said) {
        // Its keys are at random, and 16 digits are more than can be tried.
        let number = RandomState::new().hash_one(());
        return Ok(Some(format!("{number:016x}")));
    }
    log(
        Level::Warn,
        &format!(
            "this psql ({said}) cannot be kept from running commands of its own: its input is searched for them. \
             For a dump that you do not trust, use a psql from after August 2025"
        ),
    );
    Ok(None)
}

/// Whether psql, which says this of its version, can be restricted.
fn knows_restrict(said: &str) -> bool {
    let version = said
        .split_whitespace()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    let mut numbers = version
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse);
    let Some(Ok(major)) = numbers.next() else {
        return false;
    };
    let minor: u32 = numbers.next().and_then(Result::ok).unwrap_or_default();
    match FIRST.iter().find(|(known, _)| *known == major) {
        Some((_, first)) => minor >= *first,
        None => FIRST.iter().all(|(known, _)| *known < major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psql_is_restricted_from_the_first_version_on_that_can_be() {
        for (said, knows) in [
            ("psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", true),
            ("psql (PostgreSQL) 15.14", true),
            ("psql (PostgreSQL) 15.13", false),
            ("psql (PostgreSQL) 13.22", true),
            ("psql (PostgreSQL) 12.22", false),
            ("psql (PostgreSQL) 9.6.24", false),
            ("psql (PostgreSQL) 17.5", false),
            ("psql (PostgreSQL) 18.0", true),
            ("psql (PostgreSQL) 19devel", true),
            ("psql (EnterpriseDB) 16.10.0", true),
            ("", false),
            ("sh: psql: not found", false),
        ] {
            assert_eq!(knows_restrict(said), knows, "{said}");
        }
    }
}
