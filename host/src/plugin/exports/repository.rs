//! `sink.repository`: an open store, which is always closed.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use vec1::Vec1;
use wasmtime::component::{Accessor, ResourceAny};

use super::sink::no_repository;
use super::{PluginReader, PluginWriter};
use crate::contract::{
    Depth, Draft, Findings, Identity, Reclaimed, Scope, Selection, SnapshotId, Subset, Usage,
};
use crate::error::{Error, Kind, Result};
use crate::grant::{Access, Limits, Purpose};
use crate::plugin::bindings::sink::exports::tthost::backup::sink::{self, GuestRepository};
use crate::plugin::bindings::types;
use crate::plugin::caller::caller;
use crate::plugin::convert::{from_contract, weight_of_finding, weight_of_snapshot};
use crate::plugin::memory::Share;
use crate::plugin::state::State;
use crate::plugin::{Context, Instance, Spec, directories};
use crate::snapshot::Snapshot;
use crate::text::printable;

/// A sink's plugin and its open repository.
pub(crate) struct Repository {
    plugin: Arc<Instance>,
    handle: ResourceAny,
    /// What each reader may give.
    limits: Limits,
    /// The memory of its last two lists, which somebody may still work on.
    held: Mutex<VecDeque<Share>>,
}

/// Whether unused space is freed, or only counted.
pub(crate) enum Reclaim<'a> {
    Now,
    DryRun {
        /// Snapshots that are taken for forgotten.
        without: &'a [SnapshotId],
    },
}

#[derive(Clone, Copy)]
enum Begin {
    Open(Access),
    Create,
}

impl Begin {
    fn name(self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Create => "create",
        }
    }
}

impl Repository {
    /// Starts the sink and opens its repository. With access for reading, the sink cannot change
    /// anything there.
    pub(crate) async fn open(context: &Context, sink: &Spec, access: Access) -> Result<Self> {
        directories::make_state(sink)?;
        let purpose = match access {
            Access::ReadOnly => Purpose::Inspect,
            Access::ReadWrite => Purpose::Work,
        };
        let sink = sink.for_purpose(purpose);
        let opened = Self::start(context, &sink, Begin::Open(access)).await;
        opened.map_err(no_repository)
    }

    /// Starts the sink and makes a new repository, with the directories that it needs.
    pub(crate) async fn create(context: &Context, sink: &Spec) -> Result<Self> {
        directories::make_writable(sink)?;
        let created = Self::start(context, sink, Begin::Create).await;
        created.map_err(|error| match error.kind() {
            // There is nothing yet that a prune could remove.
            Kind::NoSpace => error.help("make room there"),
            _ => error,
        })
    }

    async fn start(context: &Context, sink: &Spec, begin: Begin) -> Result<Self> {
        let config = sink.config_json();
        directories::share(sink);
        let start = async {
            let plugin = Instance::start(context, sink).await?;
            if let (Begin::Create, Some(store)) = (begin, plugin.store()) {
                store.create().await?;
            }
            let opened = plugin.call(begin.name(), move |accessor, exports| {
                Box::pin(async move {
                    let repository = exports.sink()?.tthost_backup_sink().repository();
                    match begin {
                        Begin::Open(access) => {
                            let access = access.into();
                            repository
                                .call_open(accessor, caller(), config, access)
                                .await
                        }
                        Begin::Create => repository.call_create(accessor, caller(), config).await,
                    }
                })
            });
            let handle = opened.await?;
            Ok(Self {
                plugin: Arc::new(plugin),
                handle,
                limits: sink.limits.clone(),
                held: Mutex::default(),
            })
        };
        context.unless_cancelled(start).await
    }

    pub(crate) fn subject(&self) -> &str {
        self.plugin.subject()
    }

    async fn call<R: Send + 'static>(
        &self,
        name: &'static str,
        job: impl for<'a> FnOnce(
            &'a Accessor<State>,
            GuestRepository<'a>,
            ResourceAny,
        ) -> BoxFuture<'a, wasmtime::Result<Result<R, types::Error>>>
        + Send
        + 'static,
    ) -> Result<R> {
        let handle = self.handle;
        let called = self.plugin.call(name, move |accessor, exports| {
            Box::pin(async move {
                let guest = exports.sink()?.tthost_backup_sink().repository();
                job(accessor, guest, handle).await
            })
        });
        called.await
    }

    /// What store this is.
    pub(crate) async fn identity(&self) -> Result<Identity> {
        let handle = self.handle;
        let identity = self.plugin.ask("identity", move |accessor, exports| {
            Box::pin(async move {
                let repository = exports.sink()?.tthost_backup_sink().repository();
                repository.call_identity(accessor, handle).await
            })
        });
        let identity = identity.await?;
        Ok(Identity {
            id: printable(&identity.id),
            version: identity.version,
        })
    }

    /// Starts a snapshot.
    pub(crate) async fn begin(&self, draft: Draft) -> Result<PluginWriter> {
        let draft = draft.into();
        let begun = self.call("begin", move |accessor, guest, repository| {
            Box::pin(async move { guest.call_begin(accessor, repository, draft).await })
        });
        Ok(PluginWriter::new(self.plugin.clone(), begun.await?))
    }

    /// All snapshots, in the store's order.
    pub(crate) async fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let listed = self.call("snapshots", |accessor, guest, repository| {
            Box::pin(async move { guest.call_snapshots(accessor, repository).await })
        });
        let listed = listed.await?;
        self.hold(listed.iter().map(weight_of_snapshot).sum())?;
        let snapshots = listed.into_iter().map(Snapshot::try_from);
        let snapshots: Result<Vec<_>> = snapshots.collect();
        let snapshots = snapshots.map_err(|error| error.of(self.subject()))?;
        let mut ids = HashSet::new();
        if let Some(twice) = snapshots.iter().find(|snapshot| !ids.insert(&snapshot.id)) {
            let text = format!("it lists the snapshot {} twice", twice.id);
            return Err(Error::new(Kind::Plugin, text).of(self.subject()));
        }
        Ok(snapshots)
    }

    /// Reads a snapshot, or a part of it.
    pub(crate) async fn read(&self, selection: Selection) -> Result<PluginReader> {
        let scope = Scope::of(&selection);
        let selection = sink::Selection {
            levels: selection.levels,
            skip_damaged: selection.skip_damaged,
            snapshot: selection.snapshot.to_string(),
            // For a plugin, no path is all of them.
            paths: selection.paths.map_or_else(Vec::new, Vec1::into_vec),
        };
        let begun = self.call("read", move |accessor, guest, repository| {
            Box::pin(async move { guest.call_read(accessor, repository, selection).await })
        });
        let reader = begun.await?;
        Ok(PluginReader::new(
            self.plugin.clone(),
            reader,
            Some(scope),
            &self.limits,
        ))
    }

    /// How much is stored in a subset.
    pub(crate) async fn usage(&self, subset: Subset) -> Result<Usage> {
        let subset = subset.into();
        let counted = self.call("usage", move |accessor, guest, repository| {
            Box::pin(async move { guest.call_usage(accessor, repository, subset).await })
        });
        Ok(counted.await?.into())
    }

    /// Checks the store.
    pub(crate) async fn check(&self, depth: Depth) -> Result<Findings> {
        let checked = self.call("check", move |accessor, guest, repository| {
            Box::pin(async move { guest.call_check(accessor, repository, depth.into()).await })
        });
        let checked = checked.await?;
        self.hold(checked.findings.iter().map(weight_of_finding).sum())?;
        Findings::try_from(checked)
            .map_err(|invalid| Error::new(Kind::Plugin, invalid.to_string()).of(self.subject()))
    }

    /// Charges a list.
    fn hold(&self, bytes: usize) -> Result<()> {
        let share = self.plugin.memory().hold(bytes);
        let share = share.map_err(|error| from_contract(error).of(self.subject()))?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.push_back(share);
        if held.len() > 2 {
            held.pop_front();
        }
        Ok(())
    }

    /// Removes exactly these snapshots, and looks whether that is what happened.
    pub(crate) async fn forget(&self, ids: &[SnapshotId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let before = self.snapshots().await?;
        let named: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let forgotten = self.call("forget", move |accessor, guest, repository| {
            Box::pin(async move { guest.call_forget(accessor, repository, named).await })
        });
        forgotten.await?;
        let after = self.snapshots().await?;
        let after: HashSet<_> = after.iter().map(|snapshot| &snapshot.id).collect();
        let gone: HashSet<_> = ids.iter().collect();
        let blame = |text: String| Err(Error::new(Kind::Plugin, text).of(self.subject()));
        if let Some(id) = ids.iter().find(|id| after.contains(id)) {
            return blame(format!(
                "it was to remove the snapshot {id}, and still has it"
            ));
        }
        let stays = |id: &SnapshotId| !gone.contains(id);
        let lost = |snapshot: &&Snapshot| stays(&snapshot.id) && !after.contains(&snapshot.id);
        if let Some(snapshot) = before.iter().find(lost) {
            let id = &snapshot.id;
            return blame(format!("it removed the snapshot {id}, which was to stay"));
        }
        Ok(())
    }

    /// Frees what no snapshot needs. A dry run can take some snapshots for forgotten.
    pub(crate) async fn reclaim(&self, reclaim: Reclaim<'_>) -> Result<Reclaimed> {
        let (assume_forgotten, dry_run) = match reclaim {
            Reclaim::Now => (Vec::new(), false),
            Reclaim::DryRun { without } => {
                (without.iter().map(ToString::to_string).collect(), true)
            }
        };
        let options = sink::ReclaimOptions { assume_forgotten };
        let reclaimed = self.call("reclaim", move |accessor, guest, repository| {
            Box::pin(async move {
                guest
                    .call_reclaim(accessor, repository, options, dry_run)
                    .await
            })
        });
        Ok(reclaimed.await?.into())
    }

    /// Does something with the store, unless interrupted, and closes it in any case.
    pub(crate) async fn use_and_close<T>(
        &self,
        context: &Context,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let result = context.unless_cancelled(work).await;
        self.close().await;
        result
    }

    /// Lets the store give up its locks, and then those who keep its objects go.
    pub(crate) async fn close(&self) {
        super::close(self.subject(), self.try_close().await);
    }

    /// The same, and answers what the plugin says of that.
    pub(crate) async fn try_close(&self) -> Result<()> {
        let closing = self.call("close", |accessor, guest, repository| {
            Box::pin(async move { guest.call_close(accessor, repository).await })
        });
        let closed = super::try_close(&self.plugin, closing).await;
        if let Some(store) = self.plugin.store() {
            store.close().await;
        }
        closed
    }

    /// Ends the plugin at once, whatever it does.
    pub(crate) fn kill(&self) {
        self.plugin.kill();
    }

    /// The last that the plugin wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        self.plugin.stderr()
    }
}
