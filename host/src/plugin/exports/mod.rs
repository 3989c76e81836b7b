//! What plugins export, as the host uses it: one file for each resource or interface. Nothing outside of
//! [`super`] speaks wasmtime's interface.

mod reader;
mod repository;
mod sink;
mod source;
mod writer;

pub(crate) use reader::PluginReader;
pub(crate) use repository::{Reclaim, Repository};
pub(crate) use sink::{probe, unlock};
pub(crate) use source::{Restoration, drill, open, restore, survey, tidy};
pub(crate) use writer::PluginWriter;
