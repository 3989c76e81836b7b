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
    // The contract's `maintained-sink-plugin` with the imports that a restic repository needs.
    inline: "
        package tthost:restic;

        world restic-plugin {
            import tthost:backup/log@0.2.0;
            import tthost:backup/progress@0.2.0;
            import tthost:backup/leftovers@0.2.0;
            import tthost:backup/secrets@0.2.0;
            import tthost:backup/seal@0.2.0;
            import tthost:backup/objects@0.2.0;

            export tthost:backup/plugin@0.2.0;
            export tthost:backup/transfer@0.2.0;
            export tthost:backup/sink@0.2.0;
            export tthost:backup/maintenance@0.2.0;
        }
    ",
    world: "tthost:restic/restic-plugin",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "restic_plugin::bindings",
});
