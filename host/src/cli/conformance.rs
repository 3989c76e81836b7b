//! `tthost plugin test`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use tthost_conformance::{Checked, Status};
use vec1::Vec1;

use super::Session;
use super::output::Answer;
use super::table::table;
use crate::error::{Error, Kind, Result};
use crate::operation::conformance::{self, Checks, Plan, Report, Rules};
use crate::own_file;
use crate::plugin::{Origin, Role, Spec};

#[derive(Debug, Args)]
pub(super) struct Test {
    /// A source, a sink, a bundled plugin, or a file
    #[arg(required_unless_present = "list")]
    plugin: Option<String>,
    #[command(flatten)]
    section: SectionOptions,
    #[command(flatten)]
    extent: Extent,
    /// Also write the report to this file, in the format of `JUnit`
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Show every call of the contract, with sizes and times
    #[arg(long)]
    pub(super) trace: bool,
    /// List the checks, and run none
    #[arg(long, conflicts_with_all = ["plugin", "sink", "source", "store", "checks", "quick", "full", "junit", "trace"])]
    list: bool,
}

/// Which checks are run, and how thoroughly.
#[derive(Debug, Args)]
struct Extent {
    /// Run this check; give it several times for several checks
    /// [default: all]
    #[arg(long = "check", value_name = "NAME")]
    checks: Vec<String>,
    /// Run the checks that take a moment
    #[arg(long, conflicts_with_all = ["checks", "full"])]
    quick: bool,
    /// Use files of gigabytes, and trees of many entries
    #[arg(long)]
    full: bool,
}

/// Whose settings a plugin is tested with.
#[derive(Debug, Args)]
pub(super) struct SectionOptions {
    /// Take the settings, grants and limits of this sink; its directories are replaced by empty ones
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "store"])]
    sink: Option<String>,
    /// Take the settings, grants and limits of this source; it is read, and never restored to
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Take the settings, grants and limits of the store of this sink; its directories are replaced by empty ones
    #[arg(long, value_name = "NAME", conflicts_with = "source")]
    store: Option<String>,
}

impl SectionOptions {
    /// The section that is named.
    pub(super) fn named(&self) -> Option<(Role, String)> {
        let named = [
            (Role::Sink, &self.sink),
            (Role::Source, &self.source),
            (Role::Store, &self.store),
        ];
        let mut named = named.into_iter();
        named.find_map(|(role, name)| Some((role, name.clone()?)))
    }
}

impl Extent {
    fn checks(&self) -> Checks {
        match Vec1::try_from_vec(self.checks.clone()) {
            _ if self.quick => Checks::Quick,
            Ok(names) => Checks::Named(names),
            Err(_) => Checks::All,
        }
    }
}

/// Tests whether a plugin keeps the contract.
pub(super) async fn test(session: &Session<'_>, arguments: &Test) -> Result<Answer> {
    let Some(plugin) = arguments.plugin.as_deref() else {
        let rules = conformance::rules();
        return session.output.answer(&rules, || show_rules(&rules));
    };
    let spec = find(session, plugin, arguments).await?;
    let plan = Plan {
        spec,
        checks: arguments.extent.checks(),
        full: arguments.extent.full,
    };
    let report = conformance::test(&session.context, plan).await?;
    if let Some(file) = &arguments.junit {
        write(file, &report.junit())?;
    }
    session.output.answer(&report, || show(&report))
}

/// The plugin that is named, with the settings and grants that are named.
async fn find(session: &Session<'_>, plugin: &str, arguments: &Test) -> Result<Spec> {
    let config = &session.config;
    let named = arguments.section.named().or_else(|| {
        let mut roles = [Role::Sink, Role::Source].into_iter();
        let role = roles.find(|role| config.names(*role).contains(&plugin))?;
        Some((role, plugin.to_owned()))
    });
    // A sink may have the name that its store is meant by.
    let said = named
        .as_ref()
        .filter(|(_, name)| *name == plugin)
        .map(|(role, _)| *role);
    let (origin, _) = config.find_plugin(plugin, said)?;
    spec(session, origin, named).await
}

/// A plugin with the settings and grants of a section, or without any.
pub(super) async fn spec(
    session: &Session<'_>,
    origin: Origin,
    named: Option<(Role, String)>,
) -> Result<Spec> {
    if let Some((role, name)) = named {
        let spec = session.config.spec(role, &name)?;
        return Ok(Spec { origin, ..spec });
    }
    conformance::without_grants(&session.context, origin).await
}

fn write(file: &Path, text: &str) -> Result<()> {
    own_file::replace(file, text.as_bytes()).map_err(|cause| {
        let text = format!("{} cannot be written", file.display());
        Error::new(Kind::Other, text).caused_by(cause)
    })
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
        let failed = failed(check);
        match (check.status, &check.seen) {
            (Status::Skipped, Some(why)) => {
                let _ = write!(text, "\n{}: skipped, because {why}\n", check.name);
            }
            _ if !failed.is_empty() => {
                let _ = write!(text, "\n{failed}");
            }
            _ => {}
        }
    }
    text + "\n" + &summary(report)
}

/// Why a check failed.
pub(super) fn failed(check: &Checked) -> String {
    match (check.status, &check.seen) {
        (Status::Failed, Some(seen)) => format!(
            "{}: FAILED\n  rule: wit/{}\n  expected: {}\n  seen: {seen}\n",
            check.name, check.rule, check.expected
        ),
        _ => String::new(),
    }
}

/// How many checks went how.
pub(super) fn summary(report: &Report) -> String {
    let Report {
        plugin,
        role,
        passed,
        failed,
        skipped,
        ..
    } = report;
    format!("{plugin} as a {role}: {passed} passed, {failed} failed, {skipped} skipped\n")
}
