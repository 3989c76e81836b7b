//! `store` and `objects`: an open store of objects, which a sink uses through the host.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::debug;
use wasmtime::component::Accessor;

use crate::contract::{
    BytesOf, Existing, Instant, Object, ObjectName, ObjectPage, ObjectPart, ObjectStat,
};
use crate::error::{Error, Kind, Result};
use crate::grant::{Access, Purpose};
use crate::pipe::{self, Content, Meter};
use crate::plugin::bindings::store::exports::tthost::backup::objects::{self, Guest};
use crate::plugin::bindings::types;
use crate::plugin::convert::from_contract;
use crate::plugin::memory::Share;
use crate::plugin::state::State;
use crate::plugin::streams::{self, Announced, Drained};
use crate::plugin::{Context, Instance, Spec, directories};

/// Calls that may be under way at a time.
const MAX_CALLS: usize = 8;

/// A longer text is not a place in a listing, in bytes.
const MAX_CURSOR_LENGTH: usize = 4096;

/// A plugin that stores objects, open. Dropping it ends the plugin at once.
pub(crate) struct ObjectStore {
    plugin: Arc<Instance>,
    slots: Semaphore,
    /// Bytes that it may give, altogether.
    output: Arc<Meter>,
    is_read_only: bool,
    listings: Mutex<Listings>,
}

/// What listings have had that are under way, by where they go on.
#[derive(Default)]
struct Listings {
    had: HashMap<(Option<ObjectName>, String), Had>,
    hasher: RandomState,
}

/// The names of a listing so far, as numbers.
struct Had {
    names: HashSet<u64>,
    share: Share,
}

/// More listings are not under way: somebody has not gone on with them.
const MAX_LISTINGS: usize = 16;

/// What a name of a listing takes that was had, in bytes.
const NAME: usize = 32;

impl ObjectStore {
    /// Starts the plugin and opens its store. For an operation that only looks, it cannot change anything.
    pub(crate) async fn open(context: &Context, spec: &Spec) -> Result<Self> {
        directories::make_state(spec)?;
        let is_read_only = spec.grants.purpose == Purpose::Inspect;
        let access = if is_read_only {
            Access::ReadOnly
        } else {
            Access::ReadWrite
        };
        let plugin = Instance::start(context, spec).await?;
        let config = spec.config_json();
        let opened = plugin.call("open", move |accessor, exports| {
            Box::pin(async move {
                let store = exports.store()?.tthost_backup_store();
                store.call_open(accessor, config, access.into()).await
            })
        });
        opened.await?;
        Ok(Self {
            plugin: Arc::new(plugin),
            slots: Semaphore::new(MAX_CALLS),
            output: Meter::new(spec.limits.output),
            is_read_only,
            listings: Mutex::default(),
        })
    }

    /// Makes the place for a new repository.
    pub(crate) async fn create(&self) -> Result<()> {
        let created = self.plugin.call("create", |accessor, exports| {
            Box::pin(async move {
                let store = exports.store()?.tthost_backup_store();
                store.call_create(accessor).await
            })
        });
        created.await
    }

    /// Ends the use of the store.
    pub(crate) async fn close(&self) {
        super::close(self.plugin.subject(), self.try_close().await);
    }

    /// The same, and answers what the plugin says of it.
    pub(crate) async fn try_close(&self) -> Result<()> {
        let closing = self.plugin.call("close", |accessor, exports| {
            Box::pin(async move {
                let store = exports.store()?.tthost_backup_store();
                store.call_close(accessor).await
            })
        });
        super::try_close(&self.plugin, closing).await
    }

    /// Ends the plugin at once, and waits for that.
    pub(crate) fn kill(&self) {
        self.plugin.kill();
    }

    /// The last that it wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        self.plugin.stderr()
    }

    /// Stores an object of `size` bytes.
    pub(crate) async fn put(
        &self,
        name: ObjectName,
        size: u64,
        existing: Existing,
        content: Content,
    ) -> Result<()> {
        self.check_writable()?;
        let _permit = self.permit().await?;
        let (backlog, verdict) = (content.bytes.backlog(), content.verdict.clone());
        let (drained, told) = (Drained::default(), content.verdict.clone());
        let is_drained = drained.clone();
        // With nothing to take, or no verdict to hear, it waits for the sink.
        let waits =
            move || backlog.is_empty() && (!backlog.is_closed() || verdict.peek().is_none());
        let asked = name.to_string();
        let put = self
            .plugin
            .call_while("put", waits, move |accessor, exports| {
                Box::pin(async move {
                    let body =
                        accessor.with(|mut access| streams::feed(&mut access, content, drained))?;
                    let objects = exports.store()?.tthost_backup_objects();
                    let existing = existing.into();
                    objects
                        .call_put(accessor, asked, size, existing, body)
                        .await
                })
            });
        put.await?;
        // What it says is worth nothing when it cannot know.
        match told.peek() {
            Some(Ok(_)) if is_drained.is_whole() => Ok(()),
            _ => Err(self.blame(format!(
                "it says that it stored the object {name}, and did not take all of it"
            ))),
        }
    }

    /// An object, or a part of it.
    pub(crate) async fn get(&self, name: ObjectName, part: Option<ObjectPart>) -> Result<Content> {
        let permit = self.permit().await?;
        let (writer, bytes) = pipe::single();
        let flow = writer.flow();
        let (meter, exit_status) = (self.output.clone(), self.plugin.exit_status());
        let file = Announced {
            whose: BytesOf::Object(name.clone()),
            size: part.map(|part| part.length),
        };
        let part = part.map(|part| objects::Part {
            offset: part.offset,
            length: part.length,
        });
        let get = self.plugin.call("get", move |accessor, exports| {
            Box::pin(async move {
                let objects = exports.store()?.tthost_backup_objects();
                Ok(
                    match objects.call_get(accessor, name.to_string(), part).await? {
                        Ok(body) => Ok(accessor.with(|mut access| {
                            let ended = Some(exit_status);
                            streams::take_in(&mut access, file, body, writer, meter, ended)
                        })?),
                        Err(error) => Err(error),
                    },
                )
            })
        });
        let verdict = get.await?;
        drop(permit);
        // When there is no room in the pipe, it waits for the sink.
        let watch = self.plugin.watch().clone();
        let watched = async move { watch.over(|| flow.waits(), verdict).await };
        Ok(Content {
            bytes,
            verdict: watched.boxed().shared(),
        })
    }

    /// Some of the objects below a prefix.
    pub(crate) async fn list(
        &self,
        prefix: Option<ObjectName>,
        after: Option<String>,
    ) -> Result<ObjectPage> {
        if after
            .as_ref()
            .is_some_and(|after| after.len() > MAX_CURSOR_LENGTH)
        {
            return Err(Error::new(Kind::Denied, "no listing goes on there"));
        }
        let asked = prefix.as_deref().unwrap_or_default().to_owned();
        let given = after.clone();
        let page = self.call("list", |accessor, objects| {
            Box::pin(async move { objects.call_list(accessor, asked, given).await })
        });
        let page = page.await?;
        let is_stuck = page.next.is_some() && (page.next == after || page.objects.is_empty());
        if is_stuck
            || page
                .next
                .as_ref()
                .is_some_and(|next| next.len() > MAX_CURSOR_LENGTH)
        {
            return Err(self.blame("it does not say where its listing goes on".into()));
        }
        let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        let before = after.and_then(|after| listings.had.remove(&(prefix.clone(), after)));
        let mut had = match before {
            Some(had) => had,
            None => Had {
                names: HashSet::new(),
                share: self
                    .plugin
                    .memory()
                    .hold(0)
                    .map_err(|error| self.own(error))?,
            },
        };
        let grown = had.share.grow(NAME * page.objects.len());
        grown.map_err(|error| self.own(error))?;
        let mut objects = Vec::with_capacity(page.objects.len());
        for object in page.objects {
            // Others may have stored what no sink can have.
            let Ok(name) = ObjectName::new(object.name) else {
                debug!(
                    subject = self.plugin.subject(),
                    "what is not a object is left out of a listing"
                );
                continue;
            };
            if prefix.as_ref().is_some_and(|prefix| !name.is_below(prefix)) {
                return Err(self.blame(format!("it lists {name}, which nobody asked for")));
            }
            if !had.names.insert(listings.hasher.hash_one(&*name)) {
                return Err(self.blame(format!("it lists the object {name} twice")));
            }
            let size = object.size;
            objects.push(Object { name, size });
        }
        if let Some(next) = &page.next {
            if listings.had.len() == MAX_LISTINGS {
                listings.had.clear();
            }
            listings.had.insert((prefix, next.clone()), had);
        }
        Ok(ObjectPage {
            objects,
            next: page.next,
        })
    }

    /// What is known of an object; none when it is not there.
    pub(crate) async fn stat(&self, name: ObjectName) -> Result<Option<ObjectStat>> {
        let stat = self.call("stat", move |accessor, objects| {
            Box::pin(async move { objects.call_stat(accessor, name.to_string()).await })
        });
        let Some(stat) = stat.await? else {
            return Ok(None);
        };
        let stored = stat.stored.map(Instant::try_from).transpose();
        Ok(Some(ObjectStat {
            size: stat.size,
            stored: stored.map_err(|invalid| self.blame(invalid.to_string()))?,
        }))
    }

    /// Removes an object.
    pub(crate) async fn remove(&self, name: ObjectName) -> Result<()> {
        self.check_writable()?;
        let removed = self.call("remove", move |accessor, objects| {
            Box::pin(async move { objects.call_remove(accessor, name.to_string()).await })
        });
        removed.await
    }

    async fn call<R: Send + 'static>(
        &self,
        name: &'static str,
        job: impl for<'a> FnOnce(
            &'a Accessor<State>,
            &'a Guest,
        ) -> BoxFuture<'a, wasmtime::Result<Result<R, types::Error>>>
        + Send
        + 'static,
    ) -> Result<R> {
        let _permit = self.permit().await?;
        let called = self.plugin.call(name, move |accessor, exports| {
            Box::pin(async move { job(accessor, exports.store()?.tthost_backup_objects()).await })
        });
        called.await
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        let permit = self.slots.acquire().await;
        permit.map_err(|cause| Error::new(Kind::Other, "the store is gone").caused_by(cause))
    }

    fn check_writable(&self) -> Result<()> {
        if self.is_read_only {
            let text = "nothing may be changed in the store";
            return Err(Error::new(Kind::ReadOnly, text).of(self.plugin.subject()));
        }
        Ok(())
    }

    /// An error of the plugin itself.
    fn own(&self, error: types::Error) -> Error {
        from_contract(error).of(self.plugin.subject())
    }

    /// An error of the plugin that broke the contract.
    fn blame(&self, fault: String) -> Error {
        Error::new(Kind::Plugin, fault).of(self.plugin.subject())
    }
}

impl From<Existing> for objects::Existing {
    fn from(existing: Existing) -> Self {
        match existing {
            Existing::Replaced => Self::Replaced,
            Existing::Kept => Self::Kept,
        }
    }
}
