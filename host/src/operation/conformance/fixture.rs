//! A store that belongs to one check. Dropping it removes the store.

use std::path::{Path, PathBuf};

use futures::FutureExt as _;
use tempfile::TempDir;
use tthost_conformance::host::{self, CallFuture, Limits};
use tthost_conformance::model;

use super::bench::{STATE, own_journal, store_below};
use super::store::Store;
use super::{calls, convert};
use crate::error::Kind;
use crate::grant::Access;
use crate::operation::Context;
use crate::plugin::{self, Repository, Spec};

/// The directories and settings of one check.
pub(super) struct StoreFixture {
    context: Context,
    spec: Spec,
    store: PathBuf,
    _root: TempDir,
}

impl StoreFixture {
    pub(super) fn new(context: Context, spec: Spec, root: TempDir) -> Self {
        Self {
            context: own_journal(context, root.path()),
            spec,
            store: store_below(root.path()),
            _root: root,
        }
    }

    fn store(&self, repository: Repository) -> Box<dyn host::Store> {
        Box::new(Store::new(self.context.clone(), repository))
    }
}

impl host::StoreFixture for StoreFixture {
    fn limit(&mut self, limits: Limits) {
        let memory = &mut self.spec.limits.memory;
        *memory = limits.memory.min(*memory);
    }

    fn open(&self, access: model::Access) -> CallFuture<'_, Box<dyn host::Store>> {
        let access = convert::access(access);
        let opening = async move {
            let opened = Repository::open(&self.context, &self.spec, access).await?;
            Ok(self.store(opened))
        };
        calls::traced("open", format!("{access:?}"), opening)
    }

    fn create(&self) -> CallFuture<'_, Box<dyn host::Store>> {
        let creating = async {
            let created = Repository::create(&self.context, &self.spec).await?;
            Ok(self.store(created))
        };
        calls::traced("create", "", creating)
    }

    fn probe(&self) -> CallFuture<'_, model::Rights> {
        let probing = plugin::probe(&self.context, &self.spec);
        let probed = probing.map(|rights| rights.map(|rights| convert::rights(&rights)));
        calls::traced("probe", "", probed)
    }

    fn unlock(&self) -> CallFuture<'_, Option<u64>> {
        let unlocking = plugin::unlock(&self.context, &self.spec, true);
        let unlocked = unlocking.map(|unlocked| match unlocked {
            Err(error) if error.kind() == Kind::Unsupported => Ok(None),
            unlocked => unlocked.map(Some),
        });
        calls::traced("unlock", "all", unlocked)
    }

    fn directory(&self) -> Option<&Path> {
        self.store.is_dir().then_some(&*self.store)
    }

    fn protect(&mut self) -> bool {
        let mut is_protected = false;
        for (name, directory) in &mut self.spec.grants.directories {
            if name != STATE {
                directory.access = Access::ReadOnly;
                is_protected = true;
            }
        }
        is_protected
    }
}
