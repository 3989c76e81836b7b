//! Whether a plugin keeps the contract. The rules are those of the crate `tthost-conformance`; here is what runs the plugin for
//! them, as every other operation does: with the same limits, and the same doubts about what it answers.
//!
//! | module | holds |
//! |---|---|
//! | here | the operation: what is asked for, and the report |
//! | `bench` | the plugin under test, and what it is granted |
//! | `place` | a place for a store that no one else uses |
//! | `store`, `writer`, `reader`, `source`, `objects` | the calls |
//! | `convert` | between the suite's words and the host's |
//! | `calls` | what is told of each call |
//! | `heard` | what the plugin has said, and the last calls |
//! | `junit` | the report as other programs read it |

mod bench;
mod calls;
mod convert;
pub(crate) mod heard;
mod junit;
mod objects;
mod place;
mod reader;
mod source;
mod store;
mod writer;

use std::cell::Cell;

use schemars::JsonSchema;
use serde::Serialize;
use tracing::instrument;
use tthost_conformance::{Checked, Options, Status};

use super::Context;
use super::verdict::Verdict;
use crate::error::{Error, Kind, Result};
use crate::plugin::{Origin, Role, Spec};
use bench::Bench;

pub use tthost_conformance::{Check, Group};

/// What is put to the test.
#[derive(Debug)]
pub struct Plan {
    /// The plugin with its settings and grants. Its directories are replaced by empty ones.
    pub spec: Spec,
    /// The names of the checks to run; all where there are none.
    pub only: Vec<String>,
    /// With the sizes that the contract is meant for.
    pub full: bool,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The plugin: a name, or a file.
    pub plugin: String,
    /// `source`, `sink` or `store`.
    pub role: &'static str,
    /// Checks that the plugin passed.
    pub passed: usize,
    /// Checks that it failed.
    pub failed: usize,
    /// Checks of what it does not claim.
    pub skipped: usize,
    /// Each check, in the order in which they were run.
    pub checks: Vec<Checked>,
    /// What went on in those that failed.
    pub failures: Vec<Failure>,
    /// Somebody ended it before its end.
    #[serde(skip)]
    is_cut: bool,
}

/// What went on in a check that failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Failure {
    /// The check.
    pub check: &'static str,
    /// What the plugin said meanwhile, and what the host says of it: the last lines of its messages, of its standard error, and of
    /// where it broke down.
    pub said: Vec<String>,
    /// The last calls over the contract, and how each ended.
    pub calls: Vec<String>,
}

impl super::Report for Report {
    fn verdict(&self) -> Verdict {
        match (self.is_cut, self.failed) {
            (true, _) => Verdict::Failed(Kind::Cancelled),
            (false, 0) => Verdict::Done,
            (false, _) => Verdict::Failed(Kind::Plugin),
        }
    }
}

impl Report {
    /// As `JUnit` has it, which most services that run tests read.
    pub fn junit(&self) -> String {
        junit::junit(self)
    }
}

/// The checks of plugins of this role.
pub fn checks(role: Role) -> impl Iterator<Item = &'static Check> {
    tthost_conformance::checks(convert::role(role))
}

/// The names of those that take a moment.
pub fn quick(role: Role) -> Vec<String> {
    let quick = checks(role).filter(|check| tthost_conformance::QUICK.contains(&check.name));
    quick.map(|check| check.name.to_owned()).collect()
}

/// What a component is used as: what it exports. One that can be both has to be used by a configuration.
pub async fn role(context: &Context, origin: &Origin) -> Result<Role> {
    match *context.runtime.roles(origin).await? {
        [role] => Ok(role),
        [] => Err(Error::new(
            Kind::Unsupported,
            format!("{origin} exports nothing that the suite has checks for"),
        )
        .help("`tthost plugin inspect` prints what it is")),
        _ => Err(
            Error::new(Kind::Usage, format!("{origin} is several things"))
                .help("say how it is used with --source, --sink or --store"),
        ),
    }
}

/// Runs the checks one after another, and tells which is being run.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "test"))]
pub async fn test(context: &Context, plan: Plan) -> Result<Report> {
    let known: Vec<_> = checks(plan.spec.role).map(|check| check.name).collect();
    if let Some(unknown) = plan
        .only
        .iter()
        .find(|name| !known.contains(&name.as_str()))
    {
        let text = format!(
            "there is no check {unknown} for a {}",
            plan.spec.role.word()
        );
        return Err(Error::new(Kind::Usage, text).help("`tthost plugin test --list` lists them"));
    }
    let (role, plugin) = (plan.spec.role, plan.spec.origin.to_string());
    heard::forget();
    let bench = Bench::new(context, plan.spec).await?;
    let options = Options {
        only: plan.only,
        full: plan.full,
    };
    let count = if options.only.is_empty() {
        known.len()
    } else {
        options.only.len()
    } as u64;
    let mut done = 0;
    let is_cut = || context.cancel.is_cancelled();
    let begun = Cell::new(heard::begin());
    let before = |name: &'static str| {
        let what = format!("checks, {name}");
        context.events.progress(&plugin, &what, done, Some(count));
        done += 1;
        begun.set(heard::begin());
        !is_cut()
    };
    let mut failures = Vec::new();
    let after = |checked: &Checked| {
        if checked.status == Status::Failed {
            let (said, calls) = heard::since(begun.get());
            let check = checked.name;
            failures.push(Failure { check, said, calls });
        }
    };
    let run = tthost_conformance::run(&bench, &options, before, after);
    let mut checks = run.await;
    if is_cut() {
        // What was under way then says nothing of the plugin.
        checks.pop();
        failures.retain(|failure| checks.iter().any(|check| check.name == failure.check));
    }
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    Ok(Report {
        role: role.word(),
        passed: count(Status::Passed),
        failed: count(Status::Failed),
        skipped: count(Status::Skipped),
        is_cut: is_cut(),
        plugin,
        checks,
        failures,
    })
}
