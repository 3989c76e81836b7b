//! The contract in Rust, generated from `wit/`.
#![allow(
    unsafe_code,
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the canonical ABI is unsafe by nature"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "sink-plugin",
    pub_export_macro: true,
    default_bindings_module: "restic_plugin::bindings",
});
