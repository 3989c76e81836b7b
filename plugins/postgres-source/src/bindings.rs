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
    // The contract's `source-plugin` with the imports that it uses, which is all that an operator sees of it.
    inline: "
        package tthost:postgres;

        world postgres-source {
            import tthost:backup/log@0.2.0;
            import tthost:backup/leftovers@0.2.0;
            import tthost:backup/commands@0.2.0;

            export tthost:backup/plugin@0.2.0;
            export tthost:backup/transfer@0.2.0;
            export tthost:backup/source@0.2.0;
            export tthost:backup/survey@0.2.0;
            export tthost:backup/drill@0.2.0;
        }
    ",
    world: "tthost:postgres/postgres-source",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "crate::bindings",
});

use crate::Component;

export!(Component with_types_in self);
