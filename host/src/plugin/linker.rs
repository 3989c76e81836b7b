//! What a plugin's imports are connected to.

use wasmtime::component::{HasSelf, Linker};

use super::Runtime;
use super::bindings::common::tthost::backup;
use super::imports::files;
use super::state::State;
use crate::grant::Grants;

/// Which of the host's interfaces that need a grant are linked.
#[derive(Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each interface is linked or not, whatever the others are"
)]
pub(super) struct Links {
    secrets: bool,
    commands: bool,
    trees: bool,
    network: bool,
}

impl Links {
    /// All, for a plugin that is only asked what it is: without grants they give nothing.
    pub(super) const ALL: Self = Self {
        secrets: true,
        commands: true,
        trees: true,
        network: true,
    };

    /// Those that were granted.
    pub(super) fn granted(grants: &Grants) -> Self {
        Self {
            secrets: !grants.secrets.is_empty(),
            commands: !grants.commands.is_empty(),
            trees: grants.has_trees(),
            network: !grants.network.is_empty(),
        }
    }
}

/// A linker with WASI, cut down by the plugin's context, and of the host's interfaces
/// those that are for everybody and the given ones.
pub(super) fn linker(runtime: &Runtime, links: Links) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(runtime.engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    files::replace(&mut linker)?;
    backup::types::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    backup::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    backup::progress::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    backup::seal::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    if links.secrets {
        backup::secrets::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    }
    if links.commands {
        backup::commands::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    }
    if links.trees {
        backup::trees::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    }
    if links.network {
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    }
    Ok(linker)
}
