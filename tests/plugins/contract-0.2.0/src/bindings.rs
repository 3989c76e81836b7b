//! Version 0.2.0 of the contract in Rust, generated from the copy of it that belongs to this plugin.
#![allow(
    unsafe_code,
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the canonical ABI is unsafe by nature"
)]

wit_bindgen::generate!({
    path: "wit",
    // All that a plugin can be, and all that it can ask for.
    inline: "
        package tthost:everything;

        world everything {
            import tthost:backup/log@0.2.0;
            import tthost:backup/progress@0.2.0;
            import tthost:backup/leftovers@0.2.0;
            import tthost:backup/secrets@0.2.0;
            import tthost:backup/commands@0.2.0;
            import tthost:backup/trees@0.2.0;
            import tthost:backup/seal@0.2.0;
            import tthost:backup/objects@0.2.0;

            export tthost:backup/plugin@0.2.0;
            export tthost:backup/transfer@0.2.0;
            export tthost:backup/source@0.2.0;
            export tthost:backup/survey@0.2.0;
            export tthost:backup/drill@0.2.0;
            export tthost:backup/sink@0.2.0;
            export tthost:backup/maintenance@0.2.0;
            export tthost:backup/store@0.2.0;
            export tthost:backup/objects@0.2.0;
        }
    ",
    world: "tthost:everything/everything",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "crate::bindings",
});

use crate::Component;

export!(Component with_types_in self);
