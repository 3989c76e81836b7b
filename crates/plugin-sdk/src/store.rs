//! Stores of named objects: the world `object-store`.
//!
//! The host connects such a plugin to a sink like `restic-sink`, which does everything else. The store sees only ciphertext and
//! names.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use wit_bindgen::{FutureReader, StreamReader};

use crate::bindings::exports::tthost::backup::plugin;
use crate::bindings::store::exports::tthost::backup::{objects, store};
use crate::bindings::store::{wit_future, wit_stream};
use crate::configuration::{self, About, Configuration};
use crate::{Error, Result};

pub use crate::bindings::store::exports::tthost::backup::objects::{
    Existing, Object, ObjectStat, Page, Part,
};
pub use crate::bindings::tthost::backup::types::Access;
pub use crate::body::Body;

/// A store of named objects. Names consist of parts of `a-z`, `0-9`, `.`, `_` and `-`, separated by `/`, and have at most 200
/// bytes.
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Objects: Sized + 'static {
    /// The settings.
    type Config: Configuration;

    /// The name, version and purpose of the plugin.
    const ABOUT: About;

    /// Opens the store. Its location need not exist yet. With read-only access, later calls store and remove nothing.
    async fn open(config: Self::Config, access: Access) -> Result<Self>;

    /// Creates the location, for a new repository. Succeeds if it already exists.
    async fn create(&self) -> Result<()> {
        Ok(())
    }

    /// Stores an object of `size` bytes. `Ok` means that the object is complete and durable. If the call fails or the body's
    /// verdict is an error, the name keeps its earlier object.
    async fn put(&self, name: &str, size: u64, existing: Existing, body: Body) -> Result<()>;

    /// An object, or exactly the requested part: [`Error::NotFound`] if it does not exist, [`Error::Corrupt`] if the part extends
    /// beyond its end.
    async fn get(&self, name: &str, part: Option<Part>) -> Result<Body>;

    /// The objects whose names begin with `prefix` and a `/`. An empty prefix lists all objects. `after` is the `next` of the
    /// previous page.
    async fn list(&self, prefix: &str, after: Option<String>) -> Result<Page>;

    /// The properties of an object; `None` if it does not exist.
    async fn stat(&self, name: &str) -> Result<Option<ObjectStat>>;

    /// Removes an object. Succeeds if it does not exist.
    async fn remove(&self, name: &str) -> Result<()>;

    /// Closes the store.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Exports a type that implements [`Objects`] as the plugin of this crate.
#[macro_export]
macro_rules! export_store {
    ($objects:ty) => {
        const _: () = {
            type Exported = $crate::store::Plugin<$objects>;
    $crate::export_interfaces!(Exported: plugin store objects);
        };
    };
}

impl Page {
    /// A single page with the objects of a complete listing that are below a prefix.
    pub fn of(objects: impl IntoIterator<Item = Object>, prefix: &str) -> Self {
        let is_below = |object: &Object| {
            let rest = object.name.strip_prefix(prefix);
            prefix.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
        };
        Self {
            objects: objects.into_iter().filter(is_below).collect(),
            next: None,
        }
    }
}

/// The plugin of a store.
pub struct Plugin<T>(PhantomData<T>);

thread_local! {
    /// The open store of this instance.
    static OPEN: RefCell<Option<Rc<dyn Any>>> = const { RefCell::new(None) };
}

impl<T: Objects> Plugin<T> {
    fn opened() -> Result<Rc<T>> {
        let open = OPEN.with_borrow(Clone::clone);
        let open = open.and_then(|open| open.downcast().ok());
        open.ok_or_else(|| Error::Other("the store was used before it was opened".into()))
    }
}

impl<T: Objects> plugin::Guest for Plugin<T> {
    fn describe() -> plugin::Description {
        configuration::describe::<T::Config>(&T::ABOUT)
    }
}

impl<T: Objects> store::Guest for Plugin<T> {
    async fn open(config: String, access: Access) -> Result<()> {
        let place = T::open(T::Config::read(&config)?, access).await?;
        OPEN.set(Some(Rc::new(place)));
        Ok(())
    }

    async fn create() -> Result<()> {
        Self::opened()?.create().await
    }

    async fn close() -> Result<()> {
        let place = Self::opened()?;
        OPEN.set(None);
        place.close().await
    }
}

impl<T: Objects> objects::Guest for Plugin<T> {
    async fn put(
        name: String,
        size: u64,
        existing: Existing,
        body: (StreamReader<u8>, FutureReader<Result<()>>),
    ) -> Result<()> {
        let body = Body::given(body);
        Self::opened()?.put(&name, size, existing, body).await
    }

    async fn get(
        name: String,
        part: Option<Part>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<()>>)> {
        let body = Self::opened()?.get(&name, part).await?;
        Ok(body.give(wit_stream::new, wit_future::new, |_| ()))
    }

    async fn list(prefix: String, after: Option<String>) -> Result<Page> {
        Self::opened()?.list(&prefix, after).await
    }

    async fn stat(name: String) -> Result<Option<ObjectStat>> {
        Self::opened()?.stat(&name).await
    }

    async fn remove(name: String) -> Result<()> {
        Self::opened()?.remove(&name).await
    }
}
