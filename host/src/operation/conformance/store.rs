//! An open store.

use std::fmt::Display;

use futures::FutureExt as _;
use tthost_conformance::host::{self, CallFuture};
use tthost_conformance::model;
use vec1::Vec1;

use super::calls::{self, Amount};
use super::convert;
use super::reader::Reader;
use super::recording::record;
use super::writer::Writer;
use crate::contract::{Selection, SnapshotId};
use crate::error::{Error, Kind, Result};
use crate::operation::Context;
use crate::plugin::{Reclaim, Repository};

/// A repository in an instance of its own.
pub(super) struct Store {
    context: Context,
    repository: Repository,
}

impl Store {
    pub(super) fn new(context: Context, repository: Repository) -> Self {
        Self {
            context,
            repository,
        }
    }

    /// Waits for a call, unless the operator interrupts it.
    fn call<'a, T: 'a, U: Amount + 'a>(
        &'a self,
        name: &'static str,
        given: impl Display + 'a,
        call: impl Future<Output = Result<T>> + 'a,
        convert: impl FnOnce(T) -> U + 'a,
    ) -> CallFuture<'a, U> {
        let call = async move { self.context.unless_cancelled(call).await.map(convert) };
        calls::traced(name, given, call)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        record(&self.repository.stderr());
    }
}

impl host::Store for Store {
    fn identity(&self) -> CallFuture<'_, model::Identity> {
        self.call("identity", "", self.repository.identity(), |identity| {
            model::Identity {
                id: identity.id,
                version: identity.version,
            }
        })
    }

    fn begin(&self, draft: model::Draft) -> CallFuture<'_, Box<dyn host::Writer>> {
        let given = if draft.dry_run { "a dry run" } else { "" };
        let beginning = async move { self.repository.begin(convert::draft(draft)?).await };
        self.call("begin", given, beginning, |writer| {
            Box::new(Writer::new(writer)) as Box<dyn host::Writer>
        })
    }

    fn snapshots(&self) -> CallFuture<'_, Vec<model::Snapshot>> {
        self.call("snapshots", "", self.repository.snapshots(), |listed| {
            listed.into_iter().map(convert::snapshot).collect()
        })
    }

    fn read(&self, selection: model::Selection) -> CallFuture<'_, Box<dyn host::Reader>> {
        let given = match selection.paths.len() {
            0 => "all".to_owned(),
            paths => calls::counted(paths, "path"),
        };
        let reading = async move {
            let selection = Selection {
                snapshot: id(&selection.snapshot)?,
                paths: Vec1::try_from_vec(selection.paths).ok(),
                levels: selection.levels,
                skip_damaged: selection.skip_damaged,
            };
            self.repository.read(selection).await
        };
        self.call("read", given, reading, |reader| {
            Box::new(Reader::new(reader)) as Box<dyn host::Reader>
        })
    }

    fn usage(&self, subset: model::Subset) -> CallFuture<'_, model::Usage> {
        let usage = self.repository.usage(convert::subset(subset));
        self.call("usage", "", usage, |usage| model::Usage {
            objects: usage.objects,
            bytes: usage.bytes,
        })
    }

    fn check(&self, depth: model::Depth) -> CallFuture<'_, model::Findings> {
        let check = self.repository.check(convert::depth(depth));
        self.call("check", format!("{depth:?}"), check, |findings| {
            convert::findings(&findings)
        })
    }

    fn forget(&self, ids: Vec<String>) -> CallFuture<'_, ()> {
        let given = calls::counted(ids.len(), "snapshot");
        let forgetting = async move {
            let ids: Result<Vec<_>> = ids.iter().map(|name| id(name)).collect();
            self.repository.forget(&ids?).await
        };
        self.call("forget", given, forgetting, |()| ())
    }

    fn reclaim(
        &self,
        assume_forgotten: Vec<String>,
        dry_run: bool,
    ) -> CallFuture<'_, model::Reclaimed> {
        let reclaiming = async move {
            let ids: Result<Vec<_>> = assume_forgotten.iter().map(|name| id(name)).collect();
            let ids = ids?;
            let reclaim = if dry_run {
                Reclaim::DryRun { without: &ids }
            } else {
                Reclaim::Now
            };
            self.repository.reclaim(reclaim).await
        };
        let given = if dry_run { "a dry run" } else { "" };
        self.call("reclaim", given, reclaiming, |reclaimed| model::Reclaimed {
            objects_removed: reclaimed.objects_removed,
            bytes_removed: reclaimed.bytes_removed,
        })
    }

    fn close(self: Box<Self>) -> CallFuture<'static, ()> {
        let closing = async move {
            let closed = calls::trace_call("close", "", self.repository.try_close()).await;
            closed.map_err(|error| convert::error(&error))
        };
        closing.boxed_local()
    }

    fn kill(&self) {
        self.repository.kill();
    }
}

fn id(name: &str) -> Result<SnapshotId> {
    SnapshotId::new(name).map_err(|invalid| Error::new(Kind::NotFound, invalid.to_string()))
}
