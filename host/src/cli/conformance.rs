//! `tthost plugin test`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use tthost_conformance::Status;

use super::Session;
use super::output::Answer;
use super::table::table;
use crate::error::{Error, Kind, Result};
use crate::grant::Limits;
use crate::operation::conformance::{self, Check, Plan, Report, checks, role};
use crate::own_file;
use crate::plugin::{Role, Spec};

#[derive(Debug, Args)]
pub(super) struct Test {
    /// A source, a sink, a bundled plugin, or a file
    #[arg(required_unless_present = "list")]
    plugin: Option<String>,
    /// Take the settings, grants and limits of this sink; its directories are replaced by empty ones
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "store"])]
    sink: Option<String>,
    /// Take the settings, grants and limits of this source; it is read, and never restored to
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Take the settings, grants and limits of the store of this sink; its directories are replaced by empty ones
    #[arg(long, value_name = "NAME", conflicts_with = "source")]
    store: Option<String>,
    /// Run this check; give it several times for several checks
    /// [default: all]
    #[arg(long = "check", value_name = "NAME")]
    checks: Vec<String>,
    /// Use files of gigabytes, and trees of many entries
    #[arg(long)]
    full: bool,
    /// Also write the report to this file, in the format of `JUnit`
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// List the checks, and run none
    #[arg(long, conflicts_with_all = ["plugin", "sink", "source", "store", "checks", "full", "junit"])]
    list: bool,
}

/// What there is to be checked.
#[derive(Serialize, JsonSchema)]
pub(super) struct Rules {
    /// All checks, in the order in which they are run.
    rules: Vec<Listed>,
}

/// A rule of the contract that is checked.
#[derive(Serialize, JsonSchema)]
struct Listed {
    /// The name of the check.
    name: &'static str,
    /// What it is about.
    group: conformance::Group,
    /// Of whom it is asked: `source`, `sink`, `store`.
    roles: Vec<&'static str>,
    /// Where the rule stands.
    rule: &'static str,
    /// What has to be.
    expected: &'static str,
}

impl crate::operation::Report for Rules {}

/// Tests whether a plugin keeps the contract.
pub(super) async fn test(session: &Session<'_>, arguments: &Test) -> Result<Answer> {
    let Some(plugin) = arguments.plugin.as_deref() else {
        let rules = rules();
        return session.output.answer(&rules, || show_rules(&rules));
    };
    let plan = Plan {
        spec: spec(session, plugin, arguments).await?,
        only: arguments.checks.clone(),
        full: arguments.full,
    };
    let report = conformance::test(&session.context, plan).await?;
    if let Some(file) = &arguments.junit {
        write(file, &report.junit())?;
    }
    session.output.answer(&report, || show(&report))
}

/// The plugin that is named, with the settings and grants that are named.
async fn spec(session: &Session<'_>, plugin: &str, arguments: &Test) -> Result<Spec> {
    let config = &session.config;
    let said = [
        (Role::Sink, &arguments.sink),
        (Role::Source, &arguments.source),
        (Role::Store, &arguments.store),
    ];
    let said = said
        .into_iter()
        .find_map(|(role, name)| Some((role, name.as_deref()?)));
    let named = said.or_else(|| {
        let roles = [Role::Sink, Role::Source].into_iter();
        let mut uses = roles.map(|role| (role, plugin));
        uses.find(|(role, name)| config.names(*role).contains(name))
    });
    // A sink may have the name that its store is meant by.
    let said = named
        .filter(|(_, name)| *name == plugin)
        .map(|(role, _)| role);
    let (origin, _) = config.find_plugin(plugin, said)?;
    if let Some((role, name)) = named {
        let spec = config.spec(role, name)?;
        return Ok(Spec { origin, ..spec });
    }
    Ok(Spec {
        name: "test".into(),
        role: role(&session.context, &origin).await?,
        origin,
        config: serde_json::Map::default(),
        grants: crate::grant::Grants::default(),
        limits: Limits::default(),
        store: None,
        streamed: BTreeMap::default(),
    })
}

fn write(file: &Path, text: &str) -> Result<()> {
    own_file::replace(file, text.as_bytes()).map_err(|cause| {
        let text = format!("{} cannot be written", file.display());
        Error::new(Kind::Other, text).caused_by(cause)
    })
}

fn rules() -> Rules {
    let mut rules: Vec<Listed> = Vec::new();
    for role in [Role::Sink, Role::Source, Role::Store] {
        let word = role.word();
        for check in checks(role) {
            match rules.iter_mut().find(|rule| rule.name == check.name) {
                Some(rule) => rule.roles.push(word),
                None => rules.push(Listed::of(check, word)),
            }
        }
    }
    Rules { rules }
}

impl Listed {
    fn of(check: &Check, role: &'static str) -> Self {
        Self {
            name: check.name,
            group: check.group,
            roles: vec![role],
            rule: check.rule,
            expected: check.expected,
        }
    }
}

fn show_rules(rules: &Rules) -> String {
    let mut rows = vec![
        ["CHECK", "OF", "RULE", "EXPECTED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(rules.rules.iter().map(|rule| {
        vec![
            rule.name.into(),
            rule.roles.join(", "),
            rule.rule.into(),
            rule.expected.into(),
        ]
    }));
    table(&rows)
}

fn show(report: &Report) -> String {
    let mut rows = vec![["CHECK", "RESULT", "RULE"].map(str::to_owned).to_vec()];
    rows.extend(report.checks.iter().map(|check| {
        let result = match check.status {
            Status::Passed => "passed",
            Status::Failed => "FAILED",
            Status::Skipped => "skipped",
        };
        vec![check.name.into(), result.into(), check.rule.into()]
    }));
    let mut text = table(&rows);
    for check in &report.checks {
        let Some(seen) = &check.seen else {
            continue;
        };
        let _ = match check.status {
            Status::Skipped => write!(text, "\n{}: skipped, because {seen}\n", check.name),
            _ => write!(
                text,
                "\n{}: FAILED\n  rule: wit/{}\n  expected: {}\n  seen: {seen}\n",
                check.name, check.rule, check.expected
            ),
        };
    }
    let Report {
        plugin,
        role,
        passed,
        failed,
        skipped,
        ..
    } = report;
    text + &format!("\n{plugin} as a {role}: {passed} passed, {failed} failed, {skipped} skipped\n")
}
