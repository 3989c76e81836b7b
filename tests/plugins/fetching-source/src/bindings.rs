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
    // The contract's `source-plugin` without imports: what is imported needs a grant.
    inline: "
        package tthost:fetching;

        world fetching-source {
            export tthost:backup/plugin@0.2.0;
            export tthost:backup/transfer@0.2.0;
            export tthost:backup/source@0.2.0;
        }
    ",
    world: "tthost:fetching/fetching-source",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "crate::bindings",
});

use crate::Component;

export!(Component with_types_in self);
