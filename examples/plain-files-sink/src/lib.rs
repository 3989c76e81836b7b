//! Snapshots that a person can read without any program: each is a directory with the files as they were.
//!
//! Nothing is encrypted, and what did not change is stored again. What a directory cannot hold (owners, times, links, devices, odd
//! names) is in a list beside the files. [`layout`] says what is where.

mod audit;
mod layout;
mod pending;
mod reading;
mod record;

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};

use layout::{Description, failed, path};
use pending::Pending;
use reading::Reading;
use tthost_plugin::snapshots::{
    Access, Caller, Depth, Draft, Findings, Identity, Reclaim, Reclaimed, Rights, Snapshot,
    Snapshots, Subset, Usage, probe_directory,
};
use tthost_plugin::{About, Error, Result, leftovers};

tthost_plugin::configuration! {
    /// There is nothing to set.
    struct Config {}
    needs {
        writable_directory "store": "It holds the snapshots.",
    }
}

struct PlainFiles {
    id: String,
}

tthost_plugin::export_sink!(PlainFiles);

impl Snapshots for PlainFiles {
    type Config = Config;
    type Pending = Pending;
    type Reading = Reading;

    const ABOUT: About = About {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        summary: "Stores snapshots as plain files in a directory",
    };

    async fn open(_: Config, _: Caller, access: Access) -> Result<Self> {
        if !fs::exists(path("store.json")).unwrap_or(false) {
            return Err(Error::NotFound(
                "the directory has no store of plain files".into(),
            ));
        }
        let id = layout::read("store.json")?;
        if access == Access::ReadWrite {
            remove_leftovers().await?;
        }
        Ok(Self { id })
    }

    async fn create(_: Config, _: Caller) -> Result<Self> {
        if fs::exists(path("store.json")).unwrap_or(false) {
            return Err(Error::Exists(
                "the directory has a store of plain files already".into(),
            ));
        }
        for directory in ["snapshots", "partial", "forgotten"] {
            fs::create_dir_all(path(directory)).map_err(|cause| failed(directory, &cause))?;
        }
        layout::write("README.txt", layout::README.as_bytes())?;
        let id = format!("{:016x}{:016x}", random(), random());
        layout::write("store.json", &layout::sealed(&id)?)?;
        layout::sync(".")?;
        Ok(Self { id })
    }

    async fn probe(_: Config) -> Result<Rights> {
        probe_directory(layout::ROOT).map_err(|cause| layout::failed("the store", &cause))
    }

    fn identity(&self) -> Identity {
        Identity {
            id: self.id.clone(),
            version: 1,
        }
    }

    async fn begin(&self, draft: Draft) -> Result<Pending> {
        let id = layout::new_id(draft.time, random());
        if !draft.dry_run {
            leftovers::note(id.clone()).await?;
        }
        Pending::begin(id, draft)
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let snapshots = layout::names("snapshots")?.into_iter();
        Ok(snapshots
            .map(|id| match Description::of(&id) {
                Ok(description) => description.snapshot(id),
                Err(error) => Snapshot::damaged(id, layout::text(error)),
            })
            .collect())
    }

    async fn read(&self, id: &str) -> Result<Reading> {
        Reading::begin(id)
    }

    async fn usage(&self, subset: Subset) -> Result<Usage> {
        audit::usage(subset)
    }

    async fn check(&self, depth: Depth) -> Result<Findings> {
        audit::check(depth)
    }

    async fn forget(&self, ids: &BTreeSet<String>) -> Result<()> {
        for id in ids {
            let renamed = fs::rename(
                path(&format!("snapshots/{id}")),
                path(&format!("forgotten/{id}")),
            );
            renamed.map_err(|cause| failed(id, &cause))?;
        }
        layout::sync("forgotten")?;
        layout::sync("snapshots")
    }

    async fn reclaim(&self, reclaim: Reclaim) -> Result<Reclaimed> {
        let (assumed, is_dry) = match reclaim {
            Reclaim::Now => (BTreeSet::new(), false),
            Reclaim::DryRun(assumed) => (assumed, true),
        };
        let forgotten = layout::names("forgotten")?;
        let mut reclaimed = Reclaimed::default();
        let gone = forgotten.iter().map(|id| format!("forgotten/{id}"));
        for directory in gone.chain(assumed.iter().map(|id| format!("snapshots/{id}"))) {
            let (files, bytes) = audit::size(&format!("{directory}/files"))?;
            reclaimed.objects_removed += files;
            reclaimed.bytes_removed += bytes;
        }
        for id in layout::names("snapshots")?.difference(&assumed) {
            // What a damaged one holds, nobody knows.
            reclaimed.bytes_left += Description::of(id).map_or(0, |description| description.bytes);
        }
        if !is_dry {
            for id in forgotten {
                layout::remove(&format!("forgotten/{id}"))?;
            }
        }
        Ok(reclaimed)
    }
}

/// Removes snapshots that were never committed, because their process was cut off.
async fn remove_leftovers() -> Result<()> {
    for id in leftovers::left().await {
        if layout::remove(&format!("partial/{id}")).is_ok() {
            leftovers::clear(id).await?;
        }
    }
    Ok(())
}

/// A number that no other has.
fn random() -> u64 {
    RandomState::new().hash_one(())
}
