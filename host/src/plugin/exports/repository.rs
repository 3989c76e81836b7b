//! An open store: a sink's plugin with its repository, closed in good order.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use wasmtime::component::{Accessor, ResourceAny};

use super::caller::caller;
use super::{Context, directories};
use crate::error::{Kind, Result};
use crate::event::Level;
use crate::plugin::State;
use crate::plugin::bindings::sink::exports::tthost::backup::sink::{
    Draft, GuestRepository, Selection,
};
use crate::plugin::bindings::types;
use crate::plugin::{Instance, Spec, printable};
use crate::transfer::{PluginWriter, Reader, Writer, patiently};

/// How long a store may take to give up its locks after an interruption.
const PATIENCE: Duration = Duration::from_secs(10);

/// A store that exists.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Identity {
    /// The store's own id.
    pub id: String,
    /// The version of its format.
    pub version: u32,
}

/// Makes a new store.
pub async fn create(context: &Context, sink: Spec) -> Result<Identity> {
    directories::make(&sink, directories::Which::All)?;
    let store = Store::start(context, &sink, Way::Create).await?;
    store.use_and_close(context, store.identity()).await
}

/// A sink's plugin and its open repository.
pub(super) struct Store {
    plugin: Arc<Instance>,
    repository: ResourceAny,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    Create,
}

impl Store {
    /// Starts the sink and opens its repository.
    pub(super) async fn open(context: &Context, sink: &Spec) -> Result<Self> {
        Self::start(context, sink, Way::Open)
            .await
            .map_err(|error| match error.kind() {
                Kind::NotFound => error.into_no_repository(),
                _ => error,
            })
    }

    async fn start(context: &Context, sink: &Spec, way: Way) -> Result<Self> {
        directories::make(sink, directories::Which::State)?;
        let config = serde_json::Value::Object(sink.config.clone()).to_string();
        context
            .unless_cancelled(async {
                let plugin =
                    Instance::start(&context.runtime, sink, context.events.clone()).await?;
                let opened = plugin.call(move |accessor, exports| {
                    Box::pin(async move {
                        let repository = exports.sink()?.tthost_backup_sink().repository();
                        match way {
                            Way::Open => repository.call_open(accessor, caller(), config).await,
                            Way::Create => repository.call_create(accessor, caller(), config).await,
                        }
                    })
                });
                let repository = patiently(&plugin, || false, opened).await?;
                Ok(Self {
                    plugin: Arc::new(plugin),
                    repository,
                })
            })
            .await
    }

    pub(super) fn subject(&self) -> &str {
        self.plugin.subject()
    }

    /// Does a call of the repository and waits for its answer.
    pub(super) async fn call<R: Send + 'static>(
        &self,
        job: impl for<'a> FnOnce(
            &'a Accessor<State>,
            GuestRepository<'a>,
            ResourceAny,
        ) -> BoxFuture<'a, wasmtime::Result<Result<R, types::Error>>>
        + Send
        + 'static,
    ) -> Result<R> {
        let repository = self.repository;
        let called = self.plugin.call(move |accessor, exports| {
            Box::pin(async move {
                let guest = exports.sink()?.tthost_backup_sink().repository();
                job(accessor, guest, repository).await
            })
        });
        patiently(&self.plugin, || false, called).await
    }

    async fn identity(&self) -> Result<Identity> {
        let repository = self.repository;
        let identity = self
            .plugin
            .ask(move |accessor, exports| {
                Box::pin(async move {
                    exports
                        .sink()?
                        .tthost_backup_sink()
                        .repository()
                        .call_identity(accessor, repository)
                        .await
                })
            })
            .await?;
        Ok(Identity {
            id: printable(&identity.id),
            version: identity.version,
        })
    }

    /// Starts a snapshot.
    pub(super) async fn begin(&self, draft: Draft) -> Result<Box<dyn Writer>> {
        let begun = self.call(move |accessor, guest, repository| {
            Box::pin(async move { guest.call_begin(accessor, repository, draft).await })
        });
        let writer = begun.await?;
        Ok(Box::new(PluginWriter::new(self.plugin.clone(), writer)))
    }

    /// Reads a snapshot, or a part of it, of which so many bytes may come.
    pub(super) async fn read(&self, selection: Selection, limit: Option<u64>) -> Result<Reader> {
        let begun = self.call(move |accessor, guest, repository| {
            Box::pin(async move { guest.call_read(accessor, repository, selection).await })
        });
        let reader = begun.await?;
        Ok(Reader::new(self.plugin.clone(), reader, limit))
    }

    /// Does something with the store, unless interrupted, and closes it in any case.
    pub(super) async fn use_and_close<T>(
        &self,
        context: &Context,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let result = context.unless_cancelled(work).await;
        self.close(context).await;
        result
    }

    /// Lets the store give up its locks. What it says of that does not change what was
    /// achieved, so it goes to the log.
    pub(super) async fn close(&self, context: &Context) {
        let closing = self.call(move |accessor, guest, repository| {
            Box::pin(async move { guest.call_close(accessor, repository).await })
        });
        let closed = tokio::time::timeout(PATIENCE, closing).await;
        let problem = match closed {
            Ok(Ok(())) => return,
            // Why it broke down has been reported.
            Ok(Err(error)) if error.kind() == Kind::Plugin => return,
            Ok(Err(error)) => format!("it was not closed in good order: {}", error.message()),
            Err(_) => "it does not close".to_owned(),
        };
        context.events.log(self.subject(), Level::Warn, &problem);
    }
}
