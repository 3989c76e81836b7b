//! Sources: the world `source-plugin`.
//!
//! A source returns the entries of a tree and reads their contents. The SDK numbers the entries, keeps the handles that the host may still
//! ask for, and fails the capture if a file was not read to the end without an error.

use std::marker::PhantomData;

use crate::bindings::exports::tthost::backup::plugin;
use crate::bindings::trees::exports::tthost::backup::{drill, source, survey, transfer};
use crate::configuration::{self, About, Configuration};
use crate::numbers::Owner;
use crate::transfer::{Reading, Writing};
use crate::tree::Writer;
use crate::{Error, Result};

pub use crate::bindings::trees::exports::tthost::backup::survey::{Fate, Kept, Place};
pub use crate::bindings::tthost::backup::types::{Caller, Restoration};
pub use crate::tree::{
    Body, Check, Completeness, Contents, Ending, Entries, Kind, Metadata, Node, Nothing, Output,
    Reader,
};

/// A source. Its captures are [`Reader`]s.
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Source: Reader {
    /// The settings.
    type Config: Configuration;

    /// Restores a tree; [`Nothing`] for a source that cannot.
    type Restoration: Writer;

    /// The name, version and purpose of the plugin.
    const ABOUT: About;

    /// Starts a capture. This must be cheap: start no program and read nothing before the host asks for it.
    async fn open(config: Self::Config, caller: Caller) -> Result<Self>;

    /// The paths of its snapshots, for example `/shop.sql`: at least one, each from the top of the tree.
    fn paths(&self) -> Vec<String>;

    /// Starts to restore a captured tree. A dry run changes nothing.
    async fn restore(
        config: Self::Config,
        caller: Caller,
        restoration: Restoration,
    ) -> Result<Self::Restoration> {
        let _ = (config, caller, restoration);
        let name = Self::ABOUT.name;
        Err(Error::Unsupported(format!(
            "{name} cannot put anything back by itself: restore with --to DIR, and put the files in their places"
        )))
    }
}

/// A source that reports what a restoration would change.
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Survey: Source {
    /// The places that a restoration of these paths would change. The call changes nothing.
    async fn places(
        config: Self::Config,
        caller: Caller,
        restoration: Restoration,
        paths: Vec<String>,
    ) -> Result<Vec<Place>>;
}

/// A source that can also do a test restore.
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Drill: Source {
    /// Starts a drill in a temporary place, which is removed when the writer commits or is dropped.
    async fn drill(
        config: Self::Config,
        caller: Caller,
        label: String,
    ) -> Result<Self::Restoration>;
}

/// Exports a type that implements [`Source`] as the plugin of this crate. `: Survey`, `: Drill` or `: Survey + Drill` exports
/// these traits as well.
#[macro_export]
macro_rules! export_source {
    ($source:ty) => {
        $crate::export_source!(@with $source,);
    };
    ($source:ty: Survey) => {
        $crate::export_source!(@with $source, survey);
    };
    ($source:ty: Drill) => {
        $crate::export_source!(@with $source, drill);
    };
    ($source:ty: Survey + Drill) => {
        $crate::export_source!(@with $source, survey drill);
    };
    (@with $source:ty, $($more:ident)*) => {
        const _: () = {
            type Exported = $crate::source::Plugin<$source>;
            $crate::export_interfaces!(Exported: plugin transfer source $($more)*);
        };
    };
}

/// The plugin of a source.
pub struct Plugin<T>(PhantomData<T>);

impl<T: Source> plugin::Guest for Plugin<T> {
    fn describe() -> plugin::Description {
        configuration::describe::<T::Config>(&T::ABOUT)
    }
}

impl<T: Source> transfer::Guest for Plugin<T> {
    type Reader = Reading<T>;
    type Writer = Writing<T::Restoration>;
}

impl<T: Source> source::Guest for Plugin<T> {
    async fn open(caller: Caller, config: String) -> Result<source::Capture> {
        let owner = Owner::from(&caller);
        let source = T::open(T::Config::read(&config)?, caller).await?;
        Ok(source::Capture {
            paths: source.paths(),
            reader: transfer::Reader::new(Reading::new(source, owner, false)),
        })
    }

    async fn restore(
        caller: Caller,
        config: String,
        restoration: Restoration,
    ) -> Result<transfer::Writer> {
        let writer = T::restore(T::Config::read(&config)?, caller, restoration).await?;
        Ok(transfer::Writer::new(Writing(writer)))
    }
}

impl<T: Survey> survey::Guest for Plugin<T> {
    async fn places(
        caller: Caller,
        config: String,
        restoration: Restoration,
        paths: Vec<String>,
    ) -> Result<Vec<Place>> {
        T::places(T::Config::read(&config)?, caller, restoration, paths).await
    }
}

impl<T: Drill> drill::Guest for Plugin<T> {
    async fn begin(caller: Caller, config: String, label: String) -> Result<transfer::Writer> {
        let writer = T::drill(T::Config::read(&config)?, caller, label).await?;
        Ok(transfer::Writer::new(Writing(writer)))
    }
}
