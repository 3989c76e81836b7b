//! The engine that compiles and runs plugins, and what all plugins share of the machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Cache, CacheConfig, Config, Engine};

use super::cores::Cores;
use crate::error::{Error, Kind, Result};

/// How often running plugins are interrupted to look whether they may go on.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The runtime that compiles and runs plugins. Clones share it.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    cores: Cores,
}

impl Runtime {
    /// A runtime that keeps compiled components in the directory `cache`, which is
    /// created when it is missing; none to compile each time.
    pub fn new(cache: Option<PathBuf>) -> Result<Self> {
        let mut config = Config::new();
        config.wasm_component_model_async(true);
        config.epoch_interruption(true);
        if let Some(directory) = cache {
            config.cache(Some(open_cache(&directory)?));
        }
        let engine = Engine::new(&config).map_err(|cause| {
            Error::new(
                Kind::Other,
                format!("the WebAssembly engine does not start: {cause:#}"),
            )
        })?;
        tick(&engine)?;
        Ok(Self {
            shared: Arc::new(Shared {
                engine,
                cores: Cores::new()?,
            }),
        })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(super) fn cores(&self) -> &Cores {
        &self.shared.cores
    }
}

/// The cache holds native code that is run as it is, so nobody else may write there. It has a
/// directory to itself, because it removes whatever it finds there and does not know.
fn open_cache(directory: &Path) -> Result<Cache> {
    let directory = &directory.join("compiled");
    let failed = |cause: &dyn std::fmt::Display| {
        Error::new(
            Kind::Other,
            format!(
                "the cache directory {} cannot be used: {cause}",
                directory.display()
            ),
        )
        .help("name another one with --cache-dir")
    };
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .recursive(true)
        .create(directory)
        .map_err(|cause| failed(&cause))?;
    let absolute = directory.canonicalize().map_err(|cause| failed(&cause))?;
    let metadata = absolute.metadata().map_err(|cause| failed(&cause))?;
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o022 != 0 {
        return Err(failed(
            &"other users may write to it, and it holds code that tthost runs",
        ));
    }
    let mut config = CacheConfig::new();
    config.with_directory(absolute);
    Cache::new(config).map_err(|cause| failed(&cause))
}

/// Counts the engine's epoch on until the engine is gone.
fn tick(engine: &Engine) -> Result<()> {
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
            }
        })
        .map(drop)
        .map_err(|cause| Error::new(Kind::Other, format!("cannot start a thread: {cause}")))
}
