//! From WebAssembly to machine code, [aside](super::aside): a small component can ask for any amount of time and memory.

use std::borrow::Cow;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read, Write};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use tokio::time::interval;
use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::Runtime;
use super::aside::{self, Limits};
use super::runtime::engine_config;
use crate::error::{Error, Kind, Result};
use crate::event::Events;

/// What this program is started with to compile a component.
pub(crate) const COMMAND: &str = "__compile";

/// The largest component that is compiled, in bytes.
pub(crate) const MAX_SIZE: u64 = 64 << 20;

/// Threads that compile.
const THREADS: &str = "4";

/// What compiling a component of so many bytes may take. Plugins that were built in the usual way take a tenth of the time, and a
/// quarter of the memory.
fn limits(length: usize) -> Limits {
    const MIB: u64 = 1 << 20;
    let length = length as u64;
    Limits {
        memory: 256 * MIB + 64 * length,
        cpu: 5 + 10 * length / MIB,
    }
}

/// Compiles the component that has this digest, or takes it from the cache. Only compiling needs its bytes.
pub(super) async fn compile<'a>(
    runtime: &Runtime,
    sha256: [u8; 32],
    bytes: impl FnOnce() -> Cow<'a, [u8]>,
) -> Result<Component> {
    let engine = runtime.engine();
    let mut compatibility = DefaultHasher::new();
    engine
        .precompile_compatibility_hash()
        .hash(&mut compatibility);
    let name = format!("{}-{:016x}", hex::encode(sha256), compatibility.finish());
    let found = || {
        let file = runtime.cache()?.find(&name)?;
        load(engine, &file).ok()
    };
    if let Some(component) = found() {
        return Ok(component);
    }
    // The next caller for the same component finds it in the cache.
    let turn = runtime.compiling(&name);
    let _turn = turn.lock().await;
    if let Some(component) = found() {
        return Ok(component);
    }
    let lost = |cause: std::io::Error| Error::of_system("it cannot be compiled", cause);
    let file =
        memfd_create("component", MemfdFlags::CLOEXEC).map_err(|cause| lost(cause.into()))?;
    let file = File::from(file);
    tell_meanwhile(runtime.events(), compile_into(&bytes(), &file)).await?;
    let component = load(engine, &file)?;
    if let Some(cache) = runtime.cache()
        && let Err(cause) = cache.keep(&name, &file)
    {
        warn!(
            help = "make room there, or name another directory with --cache-dir",
            "the compiled plugin is not kept for the next time: {cause}"
        );
    }
    Ok(component)
}

/// Tells each second how long some compiling has taken so far: a large component takes a minute, once.
async fn tell_meanwhile<T>(events: &dyn Events, compiling: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let mut second = interval(Duration::from_secs(1));
    // That one is over at once.
    second.tick().await;
    tokio::pin!(compiling);
    loop {
        tokio::select! {
            biased;
            compiled = &mut compiling => return compiled,
            _ = second.tick() => {
                let taken = start.elapsed().as_secs();
                events.progress("a plugin that is new here", "s of compiling", taken, None);
            }
        }
    }
}

/// Lets another process compile a component into a file.
async fn compile_into(bytes: &[u8], file: &File) -> Result<()> {
    let lost = |cause: std::io::Error| Error::of_system("it cannot be compiled", cause);
    let mut program = aside::program(COMMAND);
    program
        .env("RAYON_NUM_THREADS", THREADS)
        .stdout(file.try_clone().map_err(lost)?);
    let limits = limits(bytes.len());
    let compiled = Box::pin(aside::run(program, "compiling it", bytes, &limits)).await;
    compiled.map(drop)
}

/// Loads machine code from this very file.
#[expect(unsafe_code, reason = "machine code cannot be loaded in another way")]
fn load(engine: &Engine, file: &File) -> Result<Component> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the file holds what wasmtime's compiler wrote in a process of this program, whole. It is either in no
    // directory at all, or one that `Cache` found or made: this user or root owns it, and nobody else can write
    // to it or to the way there. wasmtime itself compares its version and settings with those of the file.
    let component = unsafe { Component::deserialize_file(engine, path) };
    component.map_err(|cause| {
        Error::new(Kind::Other, "it cannot be loaded").caused_by(format!("{cause:#}"))
    })
}

/// The work of the other process: compiles what comes in. The error is for people.
pub(crate) fn serve(input: impl Read, mut output: impl Write) -> Result<(), String> {
    let mut bytes = Vec::new();
    let read = input.take(MAX_SIZE).read_to_end(&mut bytes);
    read.map_err(|cause| cause.to_string())?;
    let limits = limits(bytes.len());
    limits.apply().map_err(|cause| cause.to_string())?;
    let engine = Engine::new(&engine_config()).map_err(|cause| format!("{cause:#}"))?;
    let compiled = engine.precompile_component(&bytes);
    let compiled = compiled.map_err(|cause| format!("{cause:#}"))?;
    let written = output.write_all(&compiled).and_then(|()| output.flush());
    written.map_err(|cause| cause.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Records the progress events that it receives.
    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Events for Heard {
        fn planned(&self, _: &str) {}
        fn transferred(&self, _: u64, _: u64) {}
        fn progress(&self, subject: &str, what: &str, done: u64, _: Option<u64>) {
            let mut heard = self.0.lock().expect("nobody panics");
            heard.push(format!("{subject}: {done} {what}"));
        }
    }

    #[tokio::test]
    async fn what_takes_long_to_compile_is_told_and_what_does_not_is_not() {
        let heard = Heard::default();
        tell_meanwhile(&heard, async {}).await;
        assert!(heard.0.lock().expect("nobody panics").is_empty());
        let long = tokio::time::sleep(Duration::from_millis(1200));
        tell_meanwhile(&heard, long).await;
        let heard = heard.0.into_inner().expect("nobody panics");
        assert_eq!(heard, ["a plugin that is new here: 1 s of compiling"]);
    }
}
