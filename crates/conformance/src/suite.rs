//! Runs the checks and collects their results.

use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::ALL;
use crate::host::Host;
use crate::lab::Lab;
use crate::model::{Error, Role};

/// One rule of the contract, and how it is tried.
pub struct Check {
    /// Its name, the same for ever.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// Where the rule stands: a file of `wit/`, and the item in it.
    pub rule: &'static str,
    /// What has to be.
    pub expected: &'static str,
    pub(crate) try_it: for<'a> fn(&'a Lab<'a>) -> LocalBoxFuture<'a, Verdict>,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// What a plugin says of itself.
    Description,
    /// Making, opening and closing a store.
    Opening,
    /// What a commit promises.
    Storing,
    /// A tree comes back as it was.
    Trees,
    /// What is not committed leaves nothing.
    Verdicts,
    /// What a writer asks for.
    Offers,
    /// What a reader gives.
    Reading,
    /// The list of snapshots.
    Listing,
    /// Removing snapshots, and what only they needed.
    Removing,
    /// Damage is found.
    Damage,
    /// What can be done in a place.
    Probing,
    /// Memory, time and secrets.
    Limits,
    /// What a source captures.
    Capturing,
    /// Objects, and their names.
    Objects,
    /// Listings of objects, and the place that holds them.
    ObjectLists,
    /// What does not come whole is not a object.
    ObjectVerdicts,
}

impl Group {
    /// Whose rules they are.
    fn is_for(self, role: Role) -> bool {
        match self {
            Self::Description => true,
            Self::Capturing => role == Role::Source,
            Self::Objects | Self::ObjectLists | Self::ObjectVerdicts => role == Role::Store,
            _ => role == Role::Sink,
        }
    }
}

/// What comes of one check.
pub type Verdict = Result<(), Stop>;

/// Why a check ended before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The rule is broken. What was seen.
    Failed(String),
    /// The plugin does not claim what the rule is about. What it says.
    Skipped(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(format!("the plugin answered {error}"))
    }
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Checked {
    /// The check.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// Where the rule stands.
    pub rule: &'static str,
    /// How it went.
    pub status: Status,
    /// What has to be.
    pub expected: &'static str,
    /// What was seen of a broken rule, or why the rule does not apply; null where the check passed.
    pub seen: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The plugin keeps the rule.
    Passed,
    /// The plugin breaks the rule.
    Failed,
    /// The plugin does not claim what the rule is about.
    Skipped,
}

/// Which checks are run, and how thoroughly.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The names of the checks to run; all checks without it.
    pub only: Option<Vec<String>>,
    /// Use the sizes that the contract is meant for, which takes minutes.
    pub full: bool,
}

/// The checks of plugins of this role, in their order.
pub fn checks(role: Role) -> impl Iterator<Item = &'static Check> {
    let all = ALL.iter().copied().flatten();
    all.filter(move |check| check.group.is_for(role))
}

/// Runs the checks that the options name. Tells of each before it is run, when it can still be said that it should not, and
/// after.
pub async fn run(
    host: &dyn Host,
    options: &Options,
    mut before: impl FnMut(&'static str) -> bool,
    mut after: impl FnMut(&Checked),
) -> Vec<Checked> {
    let lab = Lab::new(host, options.full);
    let mut all = Vec::new();
    let is_wanted = |check: &&Check| {
        let only = options.only.as_ref();
        only.is_none_or(|only| only.iter().any(|name| name == check.name))
    };
    for check in checks(host.role()).filter(is_wanted) {
        if !before(check.name) {
            break;
        }
        let start = Instant::now();
        let verdict = (check.try_it)(&lab).await;
        let checked = checked(check, verdict, start.elapsed());
        after(&checked);
        all.push(checked);
    }
    all
}

fn checked(check: &Check, verdict: Verdict, time: Duration) -> Checked {
    let (status, seen) = match verdict {
        Ok(()) => (Status::Passed, None),
        Err(Stop::Failed(seen)) => (Status::Failed, Some(seen)),
        Err(Stop::Skipped(why)) => (Status::Skipped, Some(why)),
    };
    Checked {
        name: check.name,
        group: check.group,
        rule: check.rule,
        status,
        expected: check.expected,
        seen,
        seconds: time.as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all() -> Vec<&'static Check> {
        ALL.iter().copied().flatten().collect()
    }

    #[test]
    fn each_check_has_a_name_of_its_own_in_plain_words() {
        let mut names = BTreeSet::new();
        for check in all() {
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(check.name.chars().all(is_plain), "{}", check.name);
            assert!(names.insert(check.name), "{} is there twice", check.name);
        }
    }

    #[test]
    fn each_rule_stands_where_its_check_says() {
        let wit = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        for check in all() {
            let (file, item) = check.rule.split_once(": ").expect(check.rule);
            let text = std::fs::read_to_string(wit.join(file)).expect(check.rule);
            // The item is a path: each name of it is declared in the file.
            for name in item.split('.') {
                let is_there = text.lines().any(|line| {
                    let line = line.trim().replace('%', "");
                    let declares = |keyword: &str| line.starts_with(&format!("{keyword} {name} "));
                    line.starts_with(&format!("{name}: "))
                        || line.starts_with(&format!("{name}("))
                        || line.starts_with(&format!("{name},"))
                        || line.starts_with(&format!("package {name}"))
                        || [
                            "interface",
                            "resource",
                            "record",
                            "variant",
                            "world",
                            "enum",
                        ]
                        .into_iter()
                        .any(declares)
                });
                assert!(is_there, "{}: {name} is not in {file}", check.name);
            }
        }
    }
}
