//! Links a plugin's imports.

use wasmtime::component::{HasSelf, Linker};

use super::Runtime;
use super::bindings::common::tthost::backup;
use super::imports::files;
use super::state::State;

/// A linker with WASI, cut down by the plugin's context, and all of the host's interfaces.
///
/// What was not granted is linked as well, and answers `denied`: a plugin that is written against the
/// whole world loads, and gets nothing by that. So each interface looks at the grants in every call.
pub(super) fn linker(runtime: &Runtime) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(runtime.engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    files::replace(&mut linker)?;
    backup::types::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    backup::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    backup::progress::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    backup::leftovers::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    backup::seal::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    backup::objects::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    backup::secrets::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    backup::commands::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    backup::trees::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}
