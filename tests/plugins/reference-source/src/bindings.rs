//! The contract in Rust, generated from `wit/`.
#![allow(
    unsafe_code,
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the canonical ABI is unsafe by nature"
)]

wit_bindgen::generate!({
    path: "../../../wit",
    world: "tthost:backup/source-plugin",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "crate::bindings",
});

use crate::Component;

export!(Component with_types_in self);
