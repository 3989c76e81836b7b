//! A store of objects, called as a sink's host calls it.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use futures::FutureExt as _;
use tempfile::TempDir;
use tthost_conformance::host::{self, CallFuture, Given};
use tthost_conformance::model;

use super::bench::{own_journal, store_below};
use super::calls::{self, Amount};
use super::convert;
use super::reader::drain;
use super::recording::record;
use super::writer::give;
use crate::contract::{ObjectName, ObjectPart};
use crate::error::{Error, Kind, Result};
use crate::grant::Purpose;
use crate::operation::Context;
use crate::plugin::{ObjectStore, Spec};

/// The directories and settings of one check.
pub(super) struct ObjectStoreFixture {
    context: Context,
    spec: Spec,
    store: PathBuf,
    _root: TempDir,
}

impl ObjectStoreFixture {
    pub(super) fn new(context: Context, spec: Spec, root: TempDir) -> Self {
        Self {
            context: own_journal(context, root.path()),
            spec,
            store: store_below(root.path()),
            _root: root,
        }
    }
}

impl host::ObjectStoreFixture for ObjectStoreFixture {
    fn open(&self, access: model::Access) -> CallFuture<'_, Box<dyn host::Objects>> {
        let purpose = match access {
            model::Access::ReadOnly => Purpose::Inspect,
            model::Access::ReadWrite => Purpose::Work,
        };
        let opening = async move {
            let spec = self.spec.for_purpose(purpose);
            let opening = ObjectStore::open(&self.context, &spec);
            let store = self.context.unless_cancelled(opening).await?;
            let context = self.context.clone();
            Ok(Box::new(Objects { context, store }) as Box<dyn host::Objects>)
        };
        calls::traced("store.open", format!("{access:?}"), opening)
    }

    fn directory(&self) -> Option<&Path> {
        self.store.is_dir().then_some(&*self.store)
    }
}

/// An open store in an instance of its own.
struct Objects {
    context: Context,
    store: ObjectStore,
}

impl Objects {
    /// Waits for a call, unless the operator interrupts it.
    fn call<'a, T: Amount + 'a>(
        &'a self,
        name: &'static str,
        given: impl Display + 'a,
        call: impl Future<Output = Result<T>> + 'a,
    ) -> CallFuture<'a, T> {
        calls::traced(name, given, self.context.unless_cancelled(call))
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        record(&self.store.stderr());
    }
}

impl host::Objects for Objects {
    fn create(&self) -> CallFuture<'_, ()> {
        self.call("create", "", self.store.create())
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        existing: model::Existing,
        contents: Given,
    ) -> CallFuture<'a, ()> {
        let size = contents.body.length;
        let existing = convert::existing(existing);
        let given = format!("{name}, {} of {size} bytes", contents.sent);
        self.call("put", given, async move {
            let name = named(name)?;
            let put = |content| self.store.put(name, size, existing, content);
            give(contents, put).await
        })
    }

    fn get<'a>(
        &'a self,
        name: &'a str,
        part: Option<model::Range>,
        take: &'a mut dyn FnMut(&[u8]) -> bool,
    ) -> CallFuture<'a, ()> {
        let given = match part {
            Some(part) => format!("{name}, {} bytes of it", part.length),
            None => name.to_owned(),
        };
        let getting = self.context.unless_cancelled(async move {
            let part = part.map(|part| ObjectPart::new(part.offset, part.length));
            let part = part.transpose().map_err(odd)?;
            let content = self.store.get(named(name)?, part).await?;
            let mut bytes = 0;
            let mut counted = |piece: &[u8]| {
                bytes += piece.len() as u64;
                take(piece)
            };
            let ending = drain(content, &mut counted).await?;
            Ok((ending, bytes))
        });
        let got = calls::trace_call("get", given, getting);
        convert::call(got.map(|got| got.map(drop)))
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<String>) -> CallFuture<'a, model::Page> {
        self.call("list", prefix.to_owned(), async move {
            let prefix = ObjectName::prefix(prefix.to_owned()).map_err(odd)?;
            let page = self.store.list(prefix, after).await?;
            let objects = page.objects.into_iter();
            Ok(model::Page {
                objects: objects
                    .map(|object| (object.name.to_string(), object.size))
                    .collect(),
                next: page.next,
            })
        })
    }

    fn stat<'a>(&'a self, name: &'a str) -> CallFuture<'a, Option<u64>> {
        self.call("stat", name.to_owned(), async move {
            let stat = self.store.stat(named(name)?).await?;
            Ok(stat.map(|stat| stat.size))
        })
    }

    fn remove<'a>(&'a self, name: &'a str) -> CallFuture<'a, ()> {
        self.call("remove", name.to_owned(), async move {
            self.store.remove(named(name)?).await
        })
    }

    fn close(self: Box<Self>) -> CallFuture<'static, ()> {
        let closing = async move {
            let closed = calls::trace_call("close", "", self.store.try_close()).await;
            closed.map_err(|error| convert::error(&error))
        };
        closing.boxed_local()
    }

    fn kill(&self) {
        self.store.kill();
    }
}

fn named(name: &str) -> Result<ObjectName> {
    ObjectName::new(name).map_err(odd)
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over errors")]
fn odd(invalid: crate::contract::Invalid) -> Error {
    Error::new(Kind::Other, format!("the sample: {invalid}"))
}
