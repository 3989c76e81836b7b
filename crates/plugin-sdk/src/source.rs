//! Something that is backed up, and the plugin that it makes: the world `source-plugin`.
//!
//! A source gives the entries of a tree and says how one is read. The SDK numbers them, keeps what the host may still ask for, and sees
//! to it that a file that was not read to its good end leaves no snapshot.

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

/// Something that is backed up. A capture of it is a [`Reader`].
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Source: Reader {
    /// What the operator sets.
    type Config: Configuration;

    /// Puts a tree back; [`Nothing`] for a source that cannot.
    type Restoration: Writer;

    /// What the plugin is.
    const ABOUT: About;

    /// Starts a capture. It is cheap: no program is started and nothing is read before the host asks for it.
    async fn open(config: Self::Config, caller: Caller) -> Result<Self>;

    /// The paths that a snapshot of it lists, for example `/shop.sql`: at least one, each from the top of the tree.
    fn paths(&self) -> Vec<String>;

    /// Starts to put a captured tree back. In a dry run, nothing is changed.
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

/// A source that tells what a restoration is going to change.
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Survey: Source {
    /// The places that a restoration of these paths is going to change. Nothing is changed.
    async fn places(
        config: Self::Config,
        caller: Caller,
        restoration: Restoration,
        paths: Vec<String>,
    ) -> Result<Vec<Place>>;
}

/// A source that can also restore for trial.
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Drill: Source {
    /// Starts a drill in a place of its own, of which nothing is left when the writer has committed or is dropped.
    async fn drill(
        config: Self::Config,
        caller: Caller,
        label: String,
    ) -> Result<Self::Restoration>;
}

/// Exports a type that implements [`Source`] as the plugin that this crate is compiled to. With `: Survey`, `: Drill` or
/// `: Survey + Drill` behind it, what the type can do besides.
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

/// The plugin that a source makes.
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
