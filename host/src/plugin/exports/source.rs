//! `source`: captures and restorations; `survey` and `drill`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{PluginReader, PluginWriter};
use crate::contract::{Place, texts};
use crate::error::{Error, Kind, Result};
use crate::grant::{self, Purpose};
use crate::plugin::bindings::types;
use crate::plugin::caller::caller;
use crate::plugin::component::Capability;
use crate::plugin::convert::{MAX_LISTED, from_contract, weight_of_place};
use crate::plugin::imports::leftovers::{self, LeftoverState};
use crate::plugin::{Context, GRACE, Instance, Spec};

/// How often it is looked whether an instance has gone.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A source's tree, ready to be read.
pub(crate) struct Capture {
    /// The paths that a snapshot of it lists.
    pub(crate) paths: Vec<String>,
    pub(crate) reader: PluginReader,
}

/// Where and how a restoration goes.
#[derive(Clone, Debug)]
pub(crate) struct Restoration {
    /// Restore to this target instead of the one that was captured.
    pub(crate) target: Option<String>,
    /// The paths of the snapshot, as its capture named them.
    pub(crate) paths: Vec<String>,
    /// Change what is there where it is.
    pub(crate) in_place: bool,
    /// Restore with the rights of this role.
    pub(crate) role: Option<String>,
    /// What the names of this restoration hold.
    pub(crate) label: String,
    /// What the host lets it do.
    pub(crate) how: grant::Restoration,
}

impl From<Restoration> for types::Restoration {
    fn from(restoration: Restoration) -> Self {
        let (dry_run, delete, verify) = match restoration.how {
            grant::Restoration::DryRun { delete } => (true, delete, false),
            grant::Restoration::Write(options) => (false, options.delete, options.verify),
        };
        Self {
            target: restoration.target,
            paths: restoration.paths,
            in_place: restoration.in_place,
            role: restoration.role,
            label: restoration.label,
            dry_run,
            delete,
            verify,
        }
    }
}

/// Starts the source and begins a capture.
pub(crate) async fn open(context: &Context, spec: &Spec) -> Result<Capture> {
    let source = Instance::start(context, spec).await?;
    let config = spec.config_json();
    let capture = source
        .call("open", move |accessor, exports| {
            Box::pin(async move {
                exports
                    .source()?
                    .tthost_backup_source()
                    .call_open(accessor, caller(), config)
                    .await
            })
        })
        .await?;
    Ok(Capture {
        paths: texts(capture.paths)
            .map_err(|invalid| Error::new(Kind::Plugin, invalid.to_string()).of(spec.subject()))?,
        reader: PluginReader::new(Arc::new(source), capture.reader, None, &spec.limits),
    })
}

/// Starts the source and begins putting a tree back through it.
pub(crate) async fn restore(
    context: &Context,
    spec: &Spec,
    restoration: Restoration,
) -> Result<PluginWriter> {
    let spec = spec.for_purpose(Purpose::Restore(restoration.how));
    let source = Instance::start(context, &spec).await?;
    let config = spec.config_json();
    let writer = source
        .call("restore", move |accessor, exports| {
            Box::pin(async move {
                exports
                    .source()?
                    .tthost_backup_source()
                    .call_restore(accessor, caller(), config, restoration.into())
                    .await
            })
        })
        .await?;
    Ok(PluginWriter::new(Arc::new(source), writer))
}

/// Lets a source remove what an instance of it has left that was ended in the middle. It does so by the contract before
/// whatever it does, so a capture is begun, and given up.
pub(crate) async fn clean_up(context: &Context, spec: &Spec) {
    let state = || leftovers::state_of(&context.journal, spec);
    let settled = async {
        // It may be at that itself, as long as it has time to tidy up.
        while state() == LeftoverState::InUse {
            sleep(POLL_INTERVAL).await;
        }
    };
    let _ = timeout(2 * GRACE, settled).await;
    if state() == LeftoverState::Orphaned {
        // What it cannot remove, it tells, and the next command tries again.
        let _ = timeout(2 * GRACE, open(context, &spec.for_purpose(Purpose::Work))).await;
    }
}

/// Asks a source what a restoration of these of its paths is going to change; none where it cannot tell. No command gets any
/// input, and nothing is written.
pub(crate) async fn survey(
    context: &Context,
    spec: &Spec,
    mut restoration: Restoration,
    paths: Vec<String>,
) -> Result<Option<Vec<Place>>> {
    if !context.runtime.can(spec, Capability::Survey).await? {
        return Ok(None);
    }
    if let grant::Restoration::Write(options) = restoration.how {
        restoration.how = grant::Restoration::DryRun {
            delete: options.delete,
        };
    }
    let spec = spec.for_purpose(Purpose::Restore(restoration.how));
    let source = Instance::start(context, &spec).await?;
    let config = spec.config_json();
    let places = source
        .call("places", move |accessor, exports| {
            Box::pin(async move {
                exports
                    .survey()?
                    .call_places(accessor, caller(), config, restoration.into(), paths)
                    .await
            })
        })
        .await?;
    let places = places.into_iter().take(MAX_LISTED).collect::<Vec<_>>();
    let room = source
        .memory()
        .hold(places.iter().map(weight_of_place).sum());
    let _held = room.map_err(|error| from_contract(error).of(spec.subject()))?;
    let places = places.into_iter();
    Ok(Some(places.map(Place::from).collect()))
}

/// Starts the source and begins a restoration for trial; none where it has no such thing.
pub(crate) async fn drill(
    context: &Context,
    spec: &Spec,
    label: String,
) -> Result<Option<PluginWriter>> {
    if !context.runtime.can(spec, Capability::Drill).await? {
        return Ok(None);
    }
    let source = Instance::start(context, spec).await?;
    let config = spec.config_json();
    let writer = source
        .call("begin", move |accessor, exports| {
            Box::pin(async move {
                exports
                    .drill()?
                    .call_begin(accessor, caller(), config, label)
                    .await
            })
        })
        .await?;
    Ok(Some(PluginWriter::new(Arc::new(source), writer)))
}
