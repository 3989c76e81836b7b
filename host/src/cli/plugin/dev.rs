//! `tthost plugin dev`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use vec1::Vec1;

use crate::cli::Session;
use crate::cli::conformance::{SectionOptions, failed, spec, summary};
use crate::cli::output::Answer;
use crate::error::{Error, Kind, Result};
use crate::operation::conformance::{self, Checks, Plan, Report};
use crate::operation::plugins::develop::{Project, Watch, build};
use crate::plugin::{Origin, Role};

#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// The project: a directory with a Cargo.toml, or with a build.sh that makes plugin.wasm
    directory: PathBuf,
    #[command(flatten)]
    section: SectionOptions,
    /// Run this check; give it several times for several checks
    /// [default: the quick ones]
    #[arg(long = "check", value_name = "NAME")]
    checks: Vec<String>,
    /// Build and test once, and end
    #[arg(long)]
    once: bool,
    /// Show every call of the contract, with sizes and times
    #[arg(long)]
    pub(super) trace: bool,
}

/// Builds and tests a plugin that is being written.
pub(super) async fn dev(session: &Session<'_>, arguments: &Dev) -> Result<Answer> {
    let project = Project::find(&arguments.directory)?;
    if arguments.once {
        let report = attempt(session, &project, arguments).await?;
        return session.output.answer(&report, || show(&report));
    }
    if session.output.is_json() {
        let text = "--json prints one document, and this goes on and on";
        return Err(Error::new(Kind::Usage, text).help("add --once"));
    }
    let mut watch = Watch::begin(project.directory())?;
    loop {
        match attempt(session, &project, arguments).await {
            Ok(report) => session.output.line(&show(&report)),
            Err(error) if error.kind() == Kind::Cancelled => return Err(error),
            Err(error) => session.output.failure(&error),
        }
        let directory = project.directory().display();
        let waits = format!("waiting for a change in {directory}; Ctrl-C ends it");
        session.output.line(&waits);
        watch.changed(&session.context).await?;
    }
}

/// Builds and tests it as it is now.
async fn attempt(session: &Session<'_>, project: &Project, arguments: &Dev) -> Result<Report> {
    let start = Instant::now();
    let tell = |line: &str| session.screen.note(line);
    let component = build(&session.context, project, tell).await?;
    let (file, taken) = (component.display(), start.elapsed());
    session.screen.note(&format!("built {file} in {taken:.1?}"));
    let used = match arguments.section.named() {
        Some(named) => Some(named),
        None => user(session, &component)?,
    };
    let origin = Origin::File {
        path: component,
        sha256: None,
    };
    let spec = spec(session, origin, used).await?;
    let named = Vec1::try_from_vec(arguments.checks.clone());
    let plan = Plan {
        spec,
        checks: named.map_or(Checks::Quick, Checks::Named),
        full: false,
    };
    conformance::test(&session.context, plan).await
}

/// The role of this component in the configuration, if it has only one.
fn user(session: &Session<'_>, component: &Path) -> Result<Option<(Role, String)>> {
    let component = component.canonicalize().ok();
    let is_it = |origin: &Origin| match origin {
        Origin::File { path, .. } => path.canonicalize().ok() == component,
        Origin::Bundled(_) => false,
    };
    let plugins = session.config.plugins()?.into_iter();
    let mut found = plugins.filter(|used| is_it(&used.origin));
    Ok(match (found.next(), found.next()) {
        (Some(used), None) => Some((used.role, used.name)),
        _ => None,
    })
}

fn show(report: &Report) -> String {
    let mut text = String::new();
    for check in &report.checks {
        text += &failed(check);
        let circumstances = report.failures.iter();
        for failure in circumstances.filter(|failure| failure.check == check.name) {
            for (title, lines) in [("it said", &failure.said), ("last calls", &failure.calls)] {
                if !lines.is_empty() {
                    let _ = writeln!(text, "  {title}:");
                }
                for line in lines {
                    let _ = writeln!(text, "    {line}");
                }
            }
        }
    }
    text + &summary(report)
}
