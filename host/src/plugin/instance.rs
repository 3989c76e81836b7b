//! A running plugin: a store in a task of its own, which executes the calls from its handle, several at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, error_span};
use wasmtime::Store;
use wasmtime::component::{Accessor, ResourceAny};

use super::bindings::common::exports::tthost::backup::plugin::Description;
use super::bindings::types;
use super::component::{Capability, Compiled};
use super::convert::from_contract;
use super::exit_report::ExitReport;
use super::exports::ObjectStore;
use super::imports::leftovers::Leftovers;
use super::instantiate::{Exports, Setup, instantiate};
use super::memory::Memory;
use super::stall::Watch;
use super::state::{self, Signals, State};
use super::threads::{self, Threads};
use super::{Context, Role, Runtime, Spec, seconds};
use crate::error::{Error, Kind, Result};
use crate::event::NoEvents;
use crate::grant::{Grants, Limits};

/// How a plugin ended, when it did.
pub(crate) type ExitStatus = watch::Receiver<Option<Error>>;

/// The handle of a running plugin. Dropping it ends the plugin at once, and kills what
/// it started.
pub(crate) struct Instance {
    subject: Arc<str>,
    /// Where it stores things, for messages.
    place: Option<String>,
    jobs: mpsc::UnboundedSender<Job>,
    ended: ExitStatus,
    exit_report: ExitReport,
    signals: Signals,
    role: Option<Role>,
    capabilities: Vec<Capability>,
    /// What may outlive an operation for a while.
    cleanups: TaskTracker,
    watch: Watch,
    memory: Memory,
    /// Where it stores objects.
    store: Option<Arc<ObjectStore>>,
    /// It ends with these.
    _threads: Threads,
    span: Span,
}

type Call = Box<dyn for<'a> FnOnce(&'a Accessor<State>, &'a Exports) -> BoxFuture<'a, ()> + Send>;

/// The messages to a running plugin.
enum Job {
    /// A call of one of its exports.
    Call(Call),
    /// Drops a resource of the plugin, and notifies the sender when it is gone.
    Drop(ResourceAny, oneshot::Sender<()>),
    /// Notifies the sender when no call is in progress.
    Quiet(oneshot::Sender<()>),
}

/// How long a plugin may compute to start and to describe itself: the time that the contract gives it.
const DESCRIBING: Duration = Duration::from_secs(10);

/// How long a plugin may take to start, and to describe itself, however busy the machine is. What it computes has limits of its own,
/// so this ends what waits for something that never comes.
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// How long a sink may make no progress, where the operator does not say it.
const SINK_STALL_TIMEOUT: Duration = Duration::from_mins(10);

/// The same of a source that is read. A database may look for the first row of a large one for long.
const SOURCE_STALL_TIMEOUT: Duration = Duration::from_hours(1);

/// How long a plugin may take to tidy up: to end the calls of a writer that was given up, to run its
/// destructor, and to close what it belongs to.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

impl Instance {
    /// Loads the plugin and starts it.
    pub(crate) async fn start(context: &Context, spec: &Spec) -> Result<Self> {
        let runtime = &context.runtime;
        let subject = spec.subject();
        let span = error_span!("plugin", plugin = %spec.origin);
        let start = async {
            let compiled = Compiled::load(runtime, &spec.origin, &spec.grants).await?;
            compiled.check_offered()?;
            compiled.introduce(runtime, spec).await?;
            let store = match &spec.store {
                Some(store) => Some(Arc::new(Box::pin(ObjectStore::open(context, store)).await?)),
                None => None,
            };
            let setup = Setup {
                subject: subject.as_str().into(),
                place: spec.place(),
                grants: spec.grants.clone(),
                streamed: spec.streamed.clone(),
                limits: spec.limits.clone(),
                events: context.events.clone(),
                leftovers: Some(Leftovers::new(&context.journal, spec)),
                store,
            };
            Self::run(runtime, &compiled, Some(spec.role), setup).await
        };
        let started = start.instrument(span).await;
        started.map_err(|error| error.of(subject.clone()))
    }

    /// Asks a component for its description, without any grant.
    pub(super) async fn describe(
        runtime: &Runtime,
        compiled: &Compiled,
        limits: &Limits,
    ) -> Result<Description> {
        let setup = Setup {
            subject: "plugin".into(),
            place: None,
            grants: Grants::default(),
            streamed: BTreeMap::new(),
            limits: Limits {
                cpu_slice: limits.cpu_slice.min(DESCRIBING),
                ..limits.clone()
            },
            events: Arc::new(NoEvents),
            leftovers: None,
            store: None,
        };
        let described = async {
            let instance = Self::run(runtime, compiled, None, setup).await?;
            let described = instance.ask("describe", |accessor, exports| {
                let plugin = exports.common.tthost_backup_plugin();
                Box::pin(plugin.call_describe(accessor))
            });
            described.await
        };
        timeout(START_TIMEOUT, described).await.map_err(|_| {
            let text = format!(
                "it did not describe itself within {}",
                seconds(START_TIMEOUT)
            );
            Error::new(Kind::Plugin, text)
        })?
    }

    /// Runs a component as the plugin whose span this is in.
    async fn run(
        runtime: &Runtime,
        compiled: &Compiled,
        role: Option<Role>,
        setup: Setup,
    ) -> Result<Self> {
        let subject = setup.subject.clone();
        let memory = Memory::new(setup.limits.memory);
        let exit_report = ExitReport {
            subject: subject.clone(),
            stderr: state::stderr(),
            cpu_slice: setup.limits.cpu_slice,
            crossing: memory.crossing(),
        };
        let signals = Signals::default();
        let (place, store) = (setup.place.clone(), setup.store.clone());
        let stall_timeout = stall_timeout(role, &setup);
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (exit_status, ended) = watch::channel(None);
        let (tell, started) = oneshot::channel();
        let span = Span::current();
        let work = {
            let runtime = runtime.clone();
            let compiled = compiled.clone();
            let (exit_report, signals) = (exit_report.clone(), signals.clone());
            let memory = memory.clone();
            async move {
                let wall_clock = setup.limits.wall_clock;
                let started = instantiate(
                    &runtime,
                    &compiled,
                    role,
                    setup,
                    (&exit_report, signals, memory),
                );
                let (mut store, exports) = match started.await {
                    Ok(started) => started,
                    Err(error) => {
                        // The receiver may be gone.
                        let _ = tell.send(Err(error));
                        return;
                    }
                };
                if tell.send(Ok(())).is_err() {
                    return;
                }
                let why = tokio::select! {
                    result = serve(&mut store, exports, inbox) => match result {
                        Ok(()) => Error::new(Kind::Cancelled, "the host ended it"),
                        Err(cause) => exit_report.explain(&cause),
                    },
                    () = expire(wall_clock) => Error::new(
                        Kind::Plugin,
                        format!("it took longer than its limit of {}", seconds(wall_clock.unwrap_or_default())),
                    ).help("raise limits.wall-clock if the plugin needs more time"),
                };
                exit_status.send_replace(Some(why));
            }
        };
        let threads = threads::start(work.instrument(span.clone()))?;
        match timeout(START_TIMEOUT, started).await {
            Ok(Ok(started)) => started?,
            Ok(Err(_)) => return Err(Error::new(Kind::Plugin, "it ended for an unknown reason")),
            Err(_) => {
                let text = format!("it did not start within {}", seconds(START_TIMEOUT));
                return Err(Error::new(Kind::Plugin, text));
            }
        }
        Ok(Self {
            watch: Watch {
                subject: subject.clone(),
                timeout: stall_timeout,
                activity: signals.activity.clone(),
                dependencies: signals.dependencies.clone(),
                plugin: threads.handle(),
            },
            subject,
            place,
            jobs,
            ended,
            exit_report,
            signals,
            role,
            capabilities: compiled.capabilities.clone(),
            cleanups: runtime.cleanups().clone(),
            memory,
            store,
            _threads: threads,
            span,
        })
    }

    /// Its name for the operator.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether it exports an optional interface.
    pub(crate) fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Things that could not be restored into its trees.
    pub(super) fn unrestored(&self) -> u64 {
        self.signals.unrestored.load(Ordering::Relaxed)
    }

    /// The handle to abort it.
    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Its memory, including the memory that the host holds for it.
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Where it stores objects.
    pub(super) fn store(&self) -> Option<&ObjectStore> {
        self.store.as_deref()
    }

    /// Where it is going to be told how the plugin ended.
    pub(crate) fn exit_status(&self) -> ExitStatus {
        self.ended.clone()
    }

    /// Does a call of this name in the plugin and waits for its answer. The error is the plugin's
    /// own, or tells how the plugin broke down.
    pub(crate) async fn call<R: Send + 'static>(
        &self,
        name: &'static str,
        job: impl for<'a> FnOnce(
            &'a Accessor<State>,
            &'a Exports,
        ) -> BoxFuture<'a, wasmtime::Result<Result<R, types::Error>>>
        + Send
        + 'static,
    ) -> Result<R> {
        self.call_while(name, || false, job).await
    }

    /// The same for a call in which the plugin may wait for others, as `waits` tells.
    pub(crate) async fn call_while<R: Send + 'static>(
        &self,
        name: &'static str,
        waits: impl Fn() -> bool,
        job: impl for<'a> FnOnce(
            &'a Accessor<State>,
            &'a Exports,
        ) -> BoxFuture<'a, wasmtime::Result<Result<R, types::Error>>>
        + Send
        + 'static,
    ) -> Result<R> {
        self.ask_while(name, waits, job).await?.map_err(|error| {
            let error = from_contract(error).of(self.subject());
            match &self.place {
                Some(place) => error.at(place),
                None => error,
            }
        })
    }

    /// The same for a call that cannot fail by itself.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        name: &'static str,
        job: impl for<'a> FnOnce(&'a Accessor<State>, &'a Exports) -> BoxFuture<'a, wasmtime::Result<R>>
        + Send
        + 'static,
    ) -> Result<R> {
        self.ask_while(name, || false, job).await
    }

    async fn ask_while<R: Send + 'static>(
        &self,
        name: &'static str,
        waits: impl Fn() -> bool,
        job: impl for<'a> FnOnce(&'a Accessor<State>, &'a Exports) -> BoxFuture<'a, wasmtime::Result<R>>
        + Send
        + 'static,
    ) -> Result<R> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.signals.activity.note();
            let sent = self.jobs.send(Job::Call(Box::new(move |accessor, exports| {
                Box::pin(async move {
                    // The receiver may be gone.
                    let _ = reply.send(job(accessor, exports).await);
                })
            })));
            let answer = match sent {
                Ok(()) => answer.await.ok(),
                Err(_) => None,
            };
            self.signals.activity.note();
            match answer {
                Some(Ok(answer)) => Ok(answer),
                Some(Err(cause)) => Err(self.exit_report.explain(&cause).of(self.subject())),
                None => Err(self.why_ended().await.of(self.subject())),
            }
        };
        let span = error_span!(parent: &self.span, "call", call = name);
        self.watch.over(waits, asked).instrument(span).await
    }

    /// Gives a resource of the plugin's back once the calls under way have ended, and keeps the
    /// plugin alive for that, as long as [`GRACE`] allows. No call waits for a program of a source: those that run are
    /// stopped, and half of the time later those that a call has started since.
    pub(crate) fn discard(self: Arc<Self>, handle: ResourceAny) {
        self.stop_programs();
        let (reply, mut gone) = oneshot::channel();
        if self.jobs.send(Job::Drop(handle, reply)).is_err() {
            // The instance has ended. Its resources are gone.
            return;
        }
        self.cleanups.clone().spawn(async move {
            if timeout(GRACE / 2, &mut gone).await.is_err() {
                // A call that was between two programs has not noticed.
                self.stop_programs();
                // Whatever it does, it ends after that.
                let _ = timeout(GRACE / 2, gone).await;
            }
            drop(self);
        });
    }

    fn stop_programs(&self) {
        // A sink may need its programs to close its store.
        if self.role == Some(Role::Source) {
            self.signals.stop_programs.send_replace(());
        }
    }

    /// Waits until no call is under way, for instance because nobody waited for it any more. The host
    /// computes nothing for the plugin meanwhile, so that long calls end early.
    pub(crate) async fn quiet(&self) {
        let (reply, quiet) = oneshot::channel();
        self.signals.given_up.store(true, Ordering::Relaxed);
        if self.jobs.send(Job::Quiet(reply)).is_ok() {
            // When it has ended, it is quiet too.
            let _ = quiet.await;
        }
        self.signals.given_up.store(false, Ordering::Relaxed);
    }

    /// Ends it at once, whatever it does, and waits until it has ended: nothing that is asked of it after that is done. Not for use on
    /// its own thread.
    pub(crate) fn kill(&self) {
        self.watch.plugin.abort();
        let start = std::time::Instant::now();
        // The sender of the exit report is dropped last, after the store and its journal.
        while self.ended.has_changed().is_ok() && start.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The last that it wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.exit_report.stderr.contents()).into_owned()
    }

    async fn why_ended(&self) -> Error {
        let mut ended = self.ended.clone();
        let why = ended
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|why| why.clone());
        why.unwrap_or_else(|| Error::new(Kind::Plugin, "it ended for an unknown reason"))
    }
}

/// How long a plugin of this role may make no progress. A restoration may do a single thing for hours, like an index
/// of a large table, so it is the operator who limits it.
fn stall_timeout(role: Option<Role>, setup: &Setup) -> Option<Duration> {
    let said = setup.limits.stall_timeout;
    match role? {
        Role::Sink | Role::Store => Some(sink_stall_timeout(&setup.limits)),
        Role::Source if setup.grants.purpose.restoration().is_some() => said,
        Role::Source => Some(said.unwrap_or(SOURCE_STALL_TIMEOUT)),
    }
}

/// How long a sink with these limits may make no progress.
pub(crate) fn sink_stall_timeout(limits: &Limits) -> Duration {
    limits.stall_timeout.unwrap_or(SINK_STALL_TIMEOUT)
}

/// Runs the jobs until the last sender is gone.
async fn serve(
    store: &mut Store<State>,
    exports: Exports,
    mut inbox: mpsc::UnboundedReceiver<Job>,
) -> wasmtime::Result<()> {
    loop {
        let calls = store.run_concurrent(async |accessor| {
            let mut running = FuturesUnordered::new();
            let unwanted = loop {
                tokio::select! {
                    job = inbox.recv() => match job {
                        Some(Job::Call(call)) => running.push(call(accessor, &exports)),
                        Some(Job::Drop(handle, reply)) => break (Some(handle), reply),
                        Some(Job::Quiet(reply)) => break (None, reply),
                        None => return None,
                    },
                    Some(()) = running.next() => {}
                }
            };
            // A resource cannot go while a call uses it.
            while running.next().await.is_some() {}
            Some(unwanted)
        });
        let Some((handle, reply)) = calls.await? else {
            return Ok(());
        };
        // Destructors run only between calls.
        if let Some(handle) = handle {
            handle.resource_drop_async(&mut *store).await?;
        }
        // The receiver may be gone.
        let _ = reply.send(());
    }
}

async fn expire(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
