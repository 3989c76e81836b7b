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
    // A source and a sink at once.
    inline: "
        package tthost:hostile;

        world hostile-plugin {
            import tthost:backup/log@0.2.0;
            import tthost:backup/leftovers@0.2.0;
            import tthost:backup/progress@0.2.0;
            import tthost:backup/secrets@0.2.0;
            import tthost:backup/seal@0.2.0;

            export tthost:backup/plugin@0.2.0;
            export tthost:backup/transfer@0.2.0;
            export tthost:backup/source@0.2.0;
            export tthost:backup/sink@0.2.0;
        }
    ",
    world: "tthost:hostile/hostile-plugin",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "crate::bindings",
});

use crate::Component;

export!(Component with_types_in self);
