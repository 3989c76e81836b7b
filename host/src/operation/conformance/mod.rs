//! Runs the conformance suite. Its rules are in the crate `tthost-conformance`. This module runs the plugin for them
//! with the same limits and the same validation as every other operation.
//!
//! | module | holds |
//! |---|---|
//! | the operation: its plan and its report |
//! | the plugin under test and its grants |
//! | `fixture` | a store that belongs to one check |
//! | the calls |
//! | converts between the suite's types and the host's |
//! | traces each call |
//! | `recording` | the messages of the plugin, and its last calls |
//! | the report as JUnit |

mod bench;
mod calls;
mod convert;
mod fixture;
mod junit;
mod objects;
mod reader;
pub(crate) mod recording;
mod source;
mod store;
mod writer;

use std::cell::Cell;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tracing::instrument;
use tthost_conformance::{Checked, Options, Status};
use vec1::Vec1;

use super::Context;
use super::verdict::Verdict;
use crate::error::{Error, Kind, Result};
use crate::grant::{Grants, Limits};
use crate::plugin::{Origin, Role, Spec};
use bench::Bench;

use tthost_conformance::Check;

pub use tthost_conformance::Group;

/// A plan for a test of a plugin.
#[derive(Debug)]
pub struct Plan {
    /// The plugin with its settings and grants. Its directories are replaced by empty ones.
    pub spec: Spec,
    /// The checks to run.
    pub checks: Checks,
    /// Use the sizes that the contract is meant for.
    pub full: bool,
}

/// The checks of a test.
#[derive(Clone, Debug)]
pub enum Checks {
    /// All checks of the plugin's role.
    All,
    /// Those that take a moment.
    Quick,
    /// Those with these names.
    Named(Vec1<String>),
}

/// All rules of the contract that have a check.
#[derive(Serialize, JsonSchema)]
pub struct Rules {
    /// The checks, in the order in which they run.
    pub rules: Vec<Rule>,
}

/// A rule of the contract that has a check.
#[derive(Serialize, JsonSchema)]
pub struct Rule {
    /// The name of the check.
    pub name: &'static str,
    /// The subject of the check.
    pub group: Group,
    /// The roles that it is for: `source`, `sink`, `store`.
    pub roles: Vec<&'static str>,
    /// The file and the item with the rule.
    pub rule: &'static str,
    /// The expected result.
    pub expected: &'static str,
    /// Whether it takes a moment: `plugin dev` and `--quick` run it.
    pub is_quick: bool,
}

/// The result.
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
    /// The traces of the failed checks.
    pub failures: Vec<Failure>,
    /// The operator interrupted it.
    #[serde(skip)]
    is_cut: bool,
}

/// The trace of a failed check.
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

/// The rules for plugins of all roles.
pub fn rules() -> Rules {
    let mut rules: Vec<Rule> = Vec::new();
    for role in [Role::Sink, Role::Source, Role::Store] {
        for check in checks(role) {
            match rules.iter_mut().find(|rule| rule.name == check.name) {
                Some(rule) => rule.roles.push(role.word()),
                None => rules.push(Rule::of(check, role.word())),
            }
        }
    }
    Rules { rules }
}

impl super::Report for Rules {}

impl Rule {
    fn of(check: &Check, role: &'static str) -> Self {
        Self {
            name: check.name,
            group: check.group,
            roles: vec![role],
            rule: check.rule,
            expected: check.expected,
            is_quick: is_quick(check),
        }
    }
}

impl Checks {
    /// The names of the checks; none where all run.
    fn names(self, role: Role) -> Option<Vec<String>> {
        match self {
            Self::All => None,
            Self::Quick => {
                let quick = checks(role).filter(|check| is_quick(check));
                Some(quick.map(|check| check.name.to_owned()).collect())
            }
            Self::Named(names) => Some(names.into_vec()),
        }
    }
}

fn is_quick(check: &Check) -> bool {
    tthost_conformance::QUICK.contains(&check.name)
}

/// A plugin without settings and grants, in the only role that it can have.
pub async fn without_grants(context: &Context, origin: Origin) -> Result<Spec> {
    Ok(Spec {
        name: "test".into(),
        role: role(context, &origin).await?,
        origin,
        config: serde_json::Map::default(),
        grants: Grants::default(),
        limits: Limits::default(),
        store: None,
        streamed: BTreeMap::default(),
    })
}

/// The role of a component, by its exports. If it has several, the configuration has to choose one.
async fn role(context: &Context, origin: &Origin) -> Result<Role> {
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
    let only = plan.checks.names(plan.spec.role);
    let mut names = only.iter().flatten();
    if let Some(unknown) = names.find(|name| !known.contains(&name.as_str())) {
        let text = format!(
            "there is no check {unknown} for a {}",
            plan.spec.role.word()
        );
        return Err(Error::new(Kind::Usage, text).help("`tthost plugin test --list` lists them"));
    }
    let (role, plugin) = (plan.spec.role, plan.spec.origin.to_string());
    recording::forget();
    let bench = Bench::new(context, plan.spec).await?;
    let count = only.as_ref().map_or(known.len(), Vec::len) as u64;
    let options = Options {
        only,
        full: plan.full,
    };
    let mut done = 0;
    let is_cut = || context.cancel.is_cancelled();
    let begun = Cell::new(recording::begin());
    let before = |name: &'static str| {
        let what = format!("checks, {name}");
        context.events.progress(&plugin, &what, done, Some(count));
        done += 1;
        begun.set(recording::begin());
        !is_cut()
    };
    let mut failures = Vec::new();
    let after = |checked: &Checked| {
        if checked.status == Status::Failed {
            let (said, calls) = recording::since(begun.get());
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
