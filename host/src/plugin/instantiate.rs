//! Instantiates a component and finds its exports.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::Store;

use super::bindings::common::AnyPlugin;
use super::bindings::drill::Drilled;
use super::bindings::drill::exports::tthost::backup::drill;
use super::bindings::maintenance::Maintained;
use super::bindings::maintenance::exports::tthost::backup::maintenance;
use super::bindings::mover::Mover;
use super::bindings::mover::exports::tthost::backup::transfer;
use super::bindings::sink::SinkPlugin;
use super::bindings::source::SourcePlugin;
use super::bindings::store::ObjectStore as StorePlugin;
use super::bindings::survey::Surveyed;
use super::bindings::survey::exports::tthost::backup::survey;
use super::component::{Capability, Compiled};
use super::exit_report::ExitReport;
use super::exports::ObjectStore;
use super::imports::leftovers::Leftovers;
use super::linker::linker;
use super::memory::Memory;
use super::state::{self, Signals, State};
use super::{Role, Runtime};
use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::grant::{Grants, Limits};
use crate::tree::Root;

/// What an instance is made with.
pub(super) struct Setup {
    pub(super) subject: Arc<str>,
    /// Where it stores things, for messages.
    pub(super) place: Option<String>,
    pub(super) grants: Grants,
    pub(super) streamed: BTreeMap<String, Vec<Root>>,
    pub(super) limits: Limits,
    pub(super) events: Arc<dyn Events>,
    /// The leftovers that it has to remove; `None` for a plugin that only describes itself.
    pub(super) leftovers: Option<Leftovers>,
    /// Where it stores objects.
    pub(super) store: Option<Arc<ObjectStore>>,
}

/// The typed views of an instance: the exports of every plugin, and those of its role.
pub(crate) struct Exports {
    pub(crate) common: AnyPlugin,
    source: Option<SourcePlugin>,
    sink: Option<SinkPlugin>,
    store: Option<StorePlugin>,
    mover: Option<Mover>,
    maintenance: Option<Maintained>,
    survey: Option<Surveyed>,
    drill: Option<Drilled>,
}

impl Exports {
    /// The exports of a source.
    pub(crate) fn source(&self) -> wasmtime::Result<&SourcePlugin> {
        self.source
            .as_ref()
            .ok_or_else(|| wasmtime::format_err!("it is not a source"))
    }

    /// The exports of a sink.
    pub(crate) fn sink(&self) -> wasmtime::Result<&SinkPlugin> {
        self.sink
            .as_ref()
            .ok_or_else(|| wasmtime::format_err!("it is not a sink"))
    }

    /// The exports of a store of objects.
    pub(crate) fn store(&self) -> wasmtime::Result<&StorePlugin> {
        self.store
            .as_ref()
            .ok_or_else(|| wasmtime::format_err!("it is not an object store"))
    }

    /// The exports of a plugin that trees come out of and go into.
    pub(crate) fn transfer(&self) -> wasmtime::Result<&transfer::Guest> {
        self.mover
            .as_ref()
            .map(Mover::tthost_backup_transfer)
            .ok_or_else(|| wasmtime::format_err!("no trees come out of it"))
    }

    /// The exports of a plugin that cares for its store.
    pub(crate) fn maintenance(&self) -> wasmtime::Result<&maintenance::Guest> {
        self.maintenance
            .as_ref()
            .map(Maintained::tthost_backup_maintenance)
            .ok_or_else(|| wasmtime::format_err!("it does not care for its store"))
    }

    /// The exports of a source that describes the changes of a restore in advance.
    pub(crate) fn survey(&self) -> wasmtime::Result<&survey::Guest> {
        self.survey
            .as_ref()
            .map(Surveyed::tthost_backup_survey)
            .ok_or_else(|| wasmtime::format_err!("it does not tell what a restoration changes"))
    }

    /// The exports of a source that restores for trial.
    pub(crate) fn drill(&self) -> wasmtime::Result<&drill::Guest> {
        self.drill
            .as_ref()
            .map(Drilled::tthost_backup_drill)
            .ok_or_else(|| wasmtime::format_err!("it does not restore for trial"))
    }
}

/// Creates a store with an instance of the component, and finds the exports of its role.
pub(super) async fn instantiate(
    runtime: &Runtime,
    compiled: &Compiled,
    role: Option<Role>,
    setup: Setup,
    (exit_report, signals, memory): (&ExitReport, Signals, Memory),
) -> Result<(Store<State>, Exports)> {
    let linker = linker(runtime).map_err(|cause| {
        Error::new(
            Kind::Other,
            format!("cannot link the host's interfaces: {cause:#}"),
        )
    })?;
    let limits = setup.limits;
    let state = State::new(
        runtime,
        setup.subject,
        role,
        setup.grants.into(),
        &setup.streamed,
        setup.events,
        setup.leftovers,
        setup.store,
        exit_report.stderr.clone(),
        signals,
        memory,
    )?;
    let mut store = Store::new(runtime.engine(), state);
    state::bind_limits(&mut store, &limits);

    let failed = |cause: wasmtime::Error| exit_report.explain(&cause);
    let unfit = |cause: wasmtime::Error| match compiled.expect_linkable(&cause) {
        Ok(()) => failed(cause),
        Err(error) => error,
    };
    let ready = linker.instantiate_pre(&compiled.component);
    let instance = ready
        .map_err(unfit)?
        .instantiate_async(&mut store)
        .await
        .map_err(failed)?;
    compiled.expect_plugin()?;
    let capabilities = &compiled.capabilities;
    let mut exports = Exports {
        common: AnyPlugin::new(&mut store, &instance).map_err(unfit)?,
        source: None,
        sink: None,
        store: None,
        mover: None,
        maintenance: None,
        survey: None,
        drill: None,
    };
    match role {
        Some(Role::Source) => {
            exports.source = Some(SourcePlugin::new(&mut store, &instance).map_err(unfit)?);
        }
        Some(Role::Sink) => {
            exports.sink = Some(SinkPlugin::new(&mut store, &instance).map_err(unfit)?);
        }
        Some(Role::Store) => {
            exports.store = Some(StorePlugin::new(&mut store, &instance).map_err(unfit)?);
        }
        None => {}
    }
    if let Some(Role::Source | Role::Sink) = role {
        exports.mover = Some(Mover::new(&mut store, &instance).map_err(unfit)?);
    }
    if capabilities.contains(&Capability::Maintenance) {
        exports.maintenance = Some(Maintained::new(&mut store, &instance).map_err(unfit)?);
    }
    if capabilities.contains(&Capability::Survey) {
        exports.survey = Some(Surveyed::new(&mut store, &instance).map_err(unfit)?);
    }
    if capabilities.contains(&Capability::Drill) {
        exports.drill = Some(Drilled::new(&mut store, &instance).map_err(unfit)?);
    }
    Ok((store, exports))
}
