//! `tthost plugin add`.

use clap::Args;

use super::options::{Consent, GrantOptions, Reach, RoleName};
use super::words::introduction;
use crate::cli::Session;
use crate::cli::ask::{agree, tell};
use crate::cli::output::Answer;
use crate::config::AddRequest;
use crate::error::Result;
use crate::operation::plugins::{Installed, Place, fetch, install};
use crate::plugin::Role;

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// A file, https://…, or `oci://HOST/REPOSITORY:TAG` (or @sha256:… in the place of the tag)
    from: String,
    /// Call it so in the configuration [default: the plugin's own name]
    #[arg(long)]
    name: Option<String>,
    /// Use it as this [default: what it is]
    #[arg(long = "as", value_name = "ROLE")]
    role: Option<RoleName>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    grants: GrantOptions,
}

/// Fetches a plugin, shows what it wants, asks, and adds it.
pub(super) async fn add(session: &Session<'_>, arguments: Add) -> Result<Answer> {
    let place = Place::parse(&arguments.from)?;
    let consent = arguments.consent;
    let mut request = AddRequest {
        name: arguments.name,
        role: arguments.role.map(Role::from),
        given: arguments.grants.given()?,
    };
    session.config.expect_changeable()?;
    consent.expect(&place)?;
    let access = arguments.reach.access(session);
    let candidate = fetch(&session.context, place, &access).await?;
    consent.compare(&candidate)?;
    let shown = introduction(&candidate, request.role(&candidate.description)?);
    if consent.yes {
        session.output.line(&shown);
    } else {
        tell(&shown)?;
    }
    let missing = request.missing(&candidate.description);
    consent.complete(&mut request.given, &missing)?;
    let plan = request.plan(&session.config, candidate)?;
    if !consent.yes {
        tell(&format!(
            "\nThis goes into {}:\n\n{}\n",
            plan.config.display(),
            plan.section
        ))?;
        agree("Add it?")?;
    }
    let report = install(&session.context, plan).await?;
    session.output.outcome(&report, || show(&report))
}

fn show(report: &Installed) -> String {
    let Installed {
        name,
        role,
        plugin,
        config,
        ..
    } = report;
    let next = match role {
        Role::Source => {
            format!("Back it up with `tthost run --source {name} --sink …`, or add it to a job.")
        }
        Role::Sink | Role::Store => format!(
            "`tthost init --sink {name}` creates its store. Back up with `tthost run --source … --sink {name}`, or add it to a job."
        ),
    };
    format!(
        "added the {} {name} ({} {}) to {}\n{next}\n",
        role.word(),
        plugin.name,
        plugin.version,
        config.display()
    )
}
