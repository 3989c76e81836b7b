//! The contract in Rust, generated from `wit/`.
#![allow(
    unsafe_code,
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the canonical ABI is unsafe by nature"
)]

wit_bindgen::generate!({
    path: "wit",
    world: "tthost:backup/object-store",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "tthost_plugin::bindings",
});
