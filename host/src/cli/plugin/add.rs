//! `tthost plugin add`.

use clap::Args;

use super::options::{Consent, GrantOptions, Reach, RoleName, SinkOptions};
use super::words::{introduction, sentence};
use crate::cli::Session;
use crate::cli::ask::{agree, tell};
use crate::cli::output::Answer;
use crate::config::AddRequest;
use crate::error::Result;
use crate::operation::plugins::{ComponentLocation, Installed, around, fetch, install};
use crate::plugin::{Description, Role};

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
    #[command(flatten)]
    sink: SinkOptions,
}

/// Fetches a plugin, shows what it wants, asks, and adds it.
pub(super) async fn add(session: &Session<'_>, arguments: Add) -> Result<Answer> {
    let location = ComponentLocation::parse(&arguments.from)?;
    let consent = arguments.consent;
    let mut request = AddRequest {
        name: arguments.name,
        role: arguments.role.map(Role::from),
        given: arguments.grants.given()?,
    };
    arguments.sink.add_to(&mut request.given)?;
    session.config.expect_changeable()?;
    consent.expect(&location)?;
    let access = arguments.reach.access(session);
    let candidate = fetch(&session.context, location, &access).await?;
    consent.compare(&candidate)?;
    let role = request.role(&candidate.description)?;
    let mut shown = introduction(&candidate, role);
    let around = match role {
        Role::Store => Some(around(&session.context).await?),
        Role::Source | Role::Sink => None,
    };
    shown += &around.as_ref().map_or_else(String::new, introduce_sink);
    if consent.yes {
        session.output.line(&shown);
    } else {
        tell(&shown)?;
    }
    let missing = request.missing(&candidate.description, around.as_ref());
    consent.complete(&mut request.given, &missing)?;
    let plan = request.plan(&session.config, candidate, around.as_ref())?;
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

/// What the sink around a store is, and what it needs besides.
fn introduce_sink(sink: &Description) -> String {
    let needs = sink.needs.iter();
    let needs = needs.filter(|need| !need.optional && !need.granted);
    let needs: Vec<_> = needs
        .map(|need| format!("  {}\n", sentence(need)))
        .collect();
    format!(
        "It becomes the store of a new sink with the plugin {}, which encrypts all that it stores. That sink needs:\n{}",
        sink.name,
        needs.concat()
    )
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
    let what = match role {
        Role::Source | Role::Sink => format!("{} {name}", role.word()),
        Role::Store => format!("sink {name} with its store"),
    };
    format!(
        "added the {what} ({} {}) to {}\n{next}\n",
        plugin.name,
        plugin.version,
        config.display()
    )
}
