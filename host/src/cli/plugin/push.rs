//! `tthost plugin push`.

use std::path::PathBuf;

use clap::Args;

use super::options::Reach;
use crate::cli::Session;
use crate::cli::output::Answer;
use crate::error::Result;
use crate::operation::plugins::{self, Pushed, Reference};

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The component
    file: PathBuf,
    /// Where others find it: `oci://HOST/REPOSITORY:TAG`
    reference: String,
    #[command(flatten)]
    reach: Reach,
}

/// Publishes a plugin.
pub(super) async fn push(session: &Session<'_>, arguments: Push) -> Result<Answer> {
    let Push {
        file,
        reference,
        reach,
    } = arguments;
    let reference = Reference::parse(&reference)?;
    let access = reach.access(session);
    let report = plugins::push(&session.context, file, &reference, &access).await?;
    session.output.outcome(&report, || show(&report))
}

fn show(report: &Pushed) -> String {
    let Pushed {
        reference,
        pinned_reference,
        plugin_name,
        plugin_version,
        sha256,
    } = report;
    format!(
        "published {plugin_name} {plugin_version} as {reference}\n\nOthers add it with\n  \
         tthost plugin add {pinned_reference}\nor, by its tag, with --digest sha256:{sha256}\n"
    )
}
