//! The engine that compiles and runs plugins, and what all plugins share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;
use wasmtime::{Config, Engine};

use super::cache::{self, Cache};
use super::cores::{Cores, Relief};
use super::derived::DerivedKeys;
use crate::error::{Error, Kind, Result};
use crate::event::Events;

/// How often running plugins are interrupted to look whether they may go on.
const TICK: Duration = Duration::from_millis(10);

/// The runtime that compiles and runs plugins. Clones share it.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

/// A lock for each name.
type NamedLocks = std::sync::Mutex<BTreeMap<String, Arc<Mutex<()>>>>;

struct Shared {
    engine: Engine,
    cache: Option<Cache>,
    /// Held while a component is compiled, by the name of its cached file.
    compiling: NamedLocks,
    cores: Cores,
    /// Digests of schemas, and of tables that match them.
    judged: std::sync::Mutex<BTreeSet<[u8; 32]>>,
    derived_keys: Arc<DerivedKeys>,
    /// Plugins that tidy up after their operation has ended.
    cleanups: TaskTracker,
    /// Hears how long compiling takes.
    events: Arc<dyn Events>,
}

impl Runtime {
    /// A runtime that keeps compiled components in the directory `cache`, which is
    /// created when it is missing; none to compile each time. Tells how long that takes.
    pub fn new(cache: Option<PathBuf>, events: Arc<dyn Events>) -> Result<Self> {
        let cache = cache.map(|directory| cache::open(&directory)).transpose()?;
        let engine = Engine::new(&engine_config()).map_err(|cause| {
            Error::new(
                Kind::Other,
                format!("the WebAssembly engine does not start: {cause:#}"),
            )
        })?;
        let derived_keys = Arc::new(DerivedKeys::default());
        let cores = Cores::new()?;
        tick(&engine, derived_keys.clone(), cores.relief())?;
        Ok(Self {
            shared: Arc::new(Shared {
                engine,
                cache,
                compiling: NamedLocks::default(),
                cores,
                judged: std::sync::Mutex::default(),
                derived_keys,
                cleanups: TaskTracker::new(),
                events,
            }),
        })
    }

    /// Waits until all plugins have tidied up that were given up in the middle, which takes the time
    /// of [`GRACE`](super::GRACE) at most. To be called after the last operation.
    pub async fn wait_for_cleanup(&self) {
        self.shared.cleanups.close();
        self.shared.cleanups.wait().await;
    }

    pub(super) fn cleanups(&self) -> &TaskTracker {
        &self.shared.cleanups
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(super) fn cache(&self) -> Option<&Cache> {
        self.shared.cache.as_ref()
    }

    pub(super) fn events(&self) -> &dyn Events {
        &*self.shared.events
    }

    /// The lock for compiling this component. Other components compile independently.
    pub(super) fn compiling(&self, name: &str) -> Arc<Mutex<()>> {
        let locks = self.shared.compiling.lock();
        let mut locks = locks.unwrap_or_else(PoisonError::into_inner);
        locks.entry(name.to_owned()).or_default().clone()
    }

    pub(super) fn cores(&self) -> &Cores {
        &self.shared.cores
    }

    /// Whether nothing is wrong with what has this digest: see [`super::schema`].
    pub(super) fn has_judged(&self, digest: [u8; 32]) -> bool {
        let judged = self.shared.judged.lock();
        let judged = judged.unwrap_or_else(PoisonError::into_inner);
        judged.contains(&digest)
    }

    /// Nothing is wrong with what has this digest.
    pub(super) fn note_judged(&self, digest: [u8; 32]) {
        let judged = self.shared.judged.lock();
        let mut judged = judged.unwrap_or_else(PoisonError::into_inner);
        judged.insert(digest);
    }

    pub(super) fn derived_keys(&self) -> &Arc<DerivedKeys> {
        &self.shared.derived_keys
    }
}

/// What components are compiled for, and run with.
pub(super) fn engine_config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    config
}

/// Counts the engine's epoch on until the engine is gone, has old keys forgotten, and work done that waits for too long.
fn tick(engine: &Engine, derived_keys: Arc<DerivedKeys>, relief: Relief) -> Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("epoch".into())
        .spawn(move || {
            loop {
                std::thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.increment_epoch();
                derived_keys.forget_old();
                relief.look();
            }
        })
        .map(drop)
        .map_err(|cause| Error::new(Kind::Other, "cannot start a thread").caused_by(cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::NoEvents;

    #[tokio::test]
    async fn a_component_that_compiles_keeps_only_its_own_like_waiting() {
        let runtime = Runtime::new(None, Arc::new(NoEvents)).expect("it starts");
        let turn = runtime.compiling("a");
        let _turn = turn.lock().await;
        assert!(runtime.compiling("a").try_lock().is_err());
        assert!(runtime.compiling("b").try_lock().is_ok());
    }
}
