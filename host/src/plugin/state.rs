//! The state of the host for one running plugin.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{Semaphore, watch};
use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use super::Role;
use super::cores::CoreShare;
use super::derived::DerivedKeys;
use super::directories;
use super::exports::ObjectStore;
use super::imports::http::Http;
use super::imports::leftovers::Leftovers;
use super::memory::{Memory, Share};
use super::runtime::Runtime;
use super::stall::Dependencies;
use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::grant::{self, Access, Grants, Limits, Purpose};
use crate::throttle::Throttle;
use crate::tree::{OperatorPath, Root};

/// How much of a plugin's standard error is kept, in bytes. It is where a panic
/// says what happened.
const STDERR: usize = 64 * 1024;

/// The data of a plugin's store.
pub(crate) struct State {
    pub(super) subject: Arc<str>,
    /// Its role; `None` for a plugin that only describes itself.
    pub(super) role: Option<Role>,
    pub(super) events: Arc<dyn Events>,
    pub(super) grants: Arc<Grants>,
    pub(super) cores: CoreShare,
    pub(super) derived_keys: Arc<DerivedKeys>,
    pub(super) throttle: Arc<Throttle>,
    pub(super) trees: BTreeMap<String, Arc<[Root]>>,
    pub(super) table: ResourceTable,
    pub(crate) activity: Activity,
    /// The callers of the calls in progress are gone.
    pub(super) given_up: Arc<AtomicBool>,
    /// Kills the programs that run when it is sent something.
    pub(super) stop_programs: watch::Sender<()>,
    /// Things that could not be restored into a tree.
    pub(super) unrestored: Arc<AtomicU64>,
    /// Restorations into trees that it has begun.
    pub(super) restorations: usize,
    /// Programs that run.
    pub(super) programs: Arc<Semaphore>,
    /// The leftovers that it has to remove; `None` for a plugin that only describes itself.
    pub(super) leftovers: Option<Leftovers>,
    /// Where it stores objects.
    pub(super) store: Option<Arc<ObjectStore>>,
    /// What its store owes it.
    pub(super) dependencies: Dependencies,
    /// The memory of directories that it lists, by the numbers of their streams.
    pub(super) listings: HashMap<u32, Share>,
    wasi: WasiCtx,
    pub(super) http: Http,
    pub(super) memory: Memory,
}

/// State that the host and a running plugin share outside of calls. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Signals {
    pub(super) activity: Activity,
    /// The callers of the calls in progress are gone.
    pub(super) given_up: Arc<AtomicBool>,
    /// Kills the programs that run when it is sent something.
    pub(super) stop_programs: watch::Sender<()>,
    /// Things that could not be restored into a tree.
    pub(super) unrestored: Arc<AtomicU64>,
    /// The other plugins that it waits for.
    pub(super) dependencies: Dependencies,
}

/// Programs of one plugin that may run at a time.
pub(super) const MAX_PROGRAMS: usize = 16;

/// Things of the host that a plugin may hold at a time: open directories and files, streams, processes and so on. A walk
/// through the deepest tree holds 4096 directories.
const MAX_THINGS: usize = 8192;

/// The longest random number that WASI gives, in bytes.
const MAX_RANDOM_LENGTH: u64 = 64 << 10;

impl State {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of what a plugin is given, and this is where they come together"
    )]
    pub(super) fn new(
        runtime: &Runtime,
        subject: Arc<str>,
        role: Option<Role>,
        grants: Arc<Grants>,
        streamed: &BTreeMap<String, Vec<Root>>,
        events: Arc<dyn Events>,
        leftovers: Option<Leftovers>,
        store: Option<Arc<ObjectStore>>,
        stderr: MemoryOutputPipe,
        signals: Signals,
        memory: Memory,
    ) -> Result<Self> {
        let Signals {
            activity,
            given_up,
            stop_programs,
            unrestored,
            dependencies,
        } = signals;
        let throttle = Arc::new(Throttle::new(subject.clone()));
        let http = Http::new(&grants, &activity, memory.clone(), throttle.clone())?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_THINGS);
        Ok(Self {
            subject,
            role,
            events,
            leftovers,
            wasi: wasi(&grants, stderr)?,
            trees: trees(&grants, streamed)?,
            grants,
            cores: runtime.cores().share(),
            derived_keys: runtime.derived_keys().clone(),
            throttle,
            table,
            activity,
            given_up,
            stop_programs,
            unrestored,
            restorations: 0,
            dependencies,
            store,
            listings: HashMap::new(),
            programs: Arc::new(Semaphore::new(MAX_PROGRAMS)),
            http,
            memory,
        })
    }

    /// Whether it has a tree whose files come one after the other.
    pub(super) fn reads_sequentially(&self) -> bool {
        let mut roots = self.trees.values().flat_map(|roots| roots.iter());
        roots.any(|root| root.view().is_sequential())
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Where a plugin's standard error goes.
pub(super) fn stderr() -> MemoryOutputPipe {
    MemoryOutputPipe::new(STDERR)
}

/// Makes a store keep to the limits: of memory, and of computing without a sign of life. That is counted in time of the
/// processor: on a machine that has other things to do, everything takes longer. To be called on the plugin's own thread.
pub(super) fn bind_limits(store: &mut Store<State>, limits: &Limits) {
    let crossing = store.data().memory.crossing();
    store.set_hostcall_fuel(crossing);
    store.set_max_component_handles(MAX_THINGS);
    store.limiter(|state| &mut state.memory);
    let slice = limits.cpu_slice;
    // A plugin that only describes itself has no progress to report: only its CPU time counts.
    let counts_activity = store.data().role.is_some();
    let mut seen = store.data().activity.count();
    let mut since = computed();
    store.epoch_deadline_callback(move |store| {
        let now = store.data().activity.count();
        if now != seen && counts_activity {
            seen = now;
            since = computed();
        }
        Ok(if computed().saturating_sub(since) > slice {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Yield(1)
        })
    });
    store.set_epoch_deadline(1);
}

/// How long a processor has worked for this thread.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Counts a plugin's signs of life: bytes given or taken, calls begun or ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity(Arc<AtomicU64>);

impl Activity {
    /// Notes one.
    pub(crate) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The directories that were granted, a standard error that is kept, and nothing else:
/// no environment, no arguments, no network.
fn wasi(grants: &Grants, stderr: MemoryOutputPipe) -> Result<WasiCtx> {
    let mut wasi = WasiCtx::builder();
    wasi.stderr(stderr)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(MAX_RANDOM_LENGTH);
    for (name, directory) in &grants.directories {
        let is_own = name == directories::STATE;
        let permissions = match directory.access {
            // WASI has no word for the error of a file system that is read-only.
            Access::ReadWrite if is_read_only(&directory.path) => FsPerms::ReadOnly,
            Access::ReadWrite if is_own || grants.purpose != Purpose::Inspect => FsPerms::ReadWrite,
            _ => FsPerms::ReadOnly,
        };
        wasi.preopened_dir(&directory.path, format!("/{name}"), permissions)
            .map_err(|cause| {
                let known = cause.downcast_ref::<std::io::Error>();
                unopened(
                    name,
                    &directory.path,
                    known.map(std::io::Error::kind),
                    &cause,
                )
            })?;
    }
    Ok(wasi.build())
}

fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|system| system.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// The trees that were granted, open.
fn trees(
    grants: &Grants,
    streamed: &BTreeMap<String, Vec<Root>>,
) -> Result<BTreeMap<String, Arc<[Root]>>> {
    let writable = grants.purpose.restoration().is_some();
    let mut trees = BTreeMap::new();
    for (name, tree) in &grants.trees {
        let open = |place: &grant::TreePath| {
            let path = OperatorPath::new(&place.path);
            let root = match &place.shown_as {
                Some(names) => Root::named(&path, names.clone(), writable),
                None => Root::at(&path, writable),
            };
            root.map_err(|cause| unopened(name, &place.path, Some(cause.kind()), &cause))
        };
        let elsewhere = streamed.get(name).into_iter().flatten();
        let elsewhere = elsewhere.cloned().map(Ok);
        let roots: Result<Vec<_>> = tree.paths.iter().map(open).chain(elsewhere).collect();
        trees.insert(name.clone(), roots?.into());
    }
    Ok(trees)
}

fn unopened(
    name: &str,
    path: &Path,
    kind: Option<std::io::ErrorKind>,
    cause: &dyn std::fmt::Display,
) -> Error {
    let kind = kind.map_or(Kind::Other, |kind| Kind::of_system(&kind.into()));
    let text = format!("the {name} directory {} cannot be opened", path.display());
    Error::new(kind, text).caused_by(cause.to_string())
}
