//! `tthost plugin update`.

use clap::Args;

use super::options::{Consent, GrantOptions, Reach, RoleName};
use super::words::{difference, introduction};
use crate::cli::Session;
use crate::cli::ask::{agree, tell};
use crate::cli::output::Answer;
use crate::config::UpdateRequest;
use crate::error::Result;
use crate::operation::plugins::{ComponentLocation, Installed, compare, fetch, install, unchanged};
use crate::plugin::Role;

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// The source or sink, also of the plugin in its store
    name: String,
    /// Where the new version is [default: where the present one came from]
    from: Option<String>,
    /// It is this, where several things have the name
    #[arg(long = "as", value_name = "ROLE")]
    role: Option<RoleName>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    grants: GrantOptions,
}

/// Fetches a plugin, shows what is different, asks, and puts it in the place of the one that is there.
pub(super) async fn update(session: &Session<'_>, arguments: Update) -> Result<Answer> {
    let (config, context) = (&session.config, &session.context);
    let mut request = UpdateRequest {
        plugin: config.plugin_in_file(&arguments.name, arguments.role.map(Role::from))?,
        given: arguments.grants.given()?,
    };
    let location = match arguments.from {
        Some(from) => ComponentLocation::parse(&from)?,
        None => request.location()?,
    };
    let consent = arguments.consent;
    consent.expect(&location)?;
    let access = arguments.reach.access(session);
    let candidate = fetch(context, location, &access).await?;
    consent.compare(&candidate)?;
    if request.is_up_to_date(&candidate) {
        let spec = config.spec(request.plugin.role, &request.plugin.name)?;
        let report = unchanged(context, spec, config.expect_changeable()?, &candidate).await?;
        return session.output.outcome(&report, || show(&report));
    }
    let compared = compare(context, &request.plugin, &candidate).await;
    let changes = match compared {
        Ok(changes) => Some(changes),
        Err(error) => {
            let text = format!("the present one cannot be looked at: {error:#}");
            session.output.warning(&text, error.next_step());
            None
        }
    };
    let shown = match &changes {
        Some(changes) => difference(changes, &candidate),
        None => introduction(&candidate, request.plugin.role),
    };
    if consent.yes {
        session.output.line(&shown);
    } else {
        tell(&shown)?;
    }
    let missing = request.missing(config, &candidate.description);
    consent.complete(&mut request.given, &missing)?;
    let plan = request.plan(config, candidate, changes)?;
    if !consent.yes {
        let subject = request.plugin.role.subject(&request.plugin.name);
        agree(&format!("Put it in the place of the {subject}?"))?;
    }
    let report = install(context, plan).await?;
    session.output.outcome(&report, || show(&report))
}

fn show(report: &Installed) -> String {
    let Installed {
        name,
        role,
        plugin,
        file,
        ..
    } = report;
    let what = role.subject(name);
    let version = format!("{} {}", plugin.name, plugin.version);
    if report.changed {
        format!(
            "the {what} is now {version} ({})\nThe file of the earlier one stays: a run may be using it.\n",
            file.display()
        )
    } else {
        format!("the {what} is up to date: {version}\n")
    }
}
