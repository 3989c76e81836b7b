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
    // The contract's `object-store` without `commands`: what works on streams is bound to the first interface that has
    // some, and a store without programs must not import that one.
    inline: "
        package tthost:plugin;

        world object-store {
            import tthost:backup/log@0.2.0;
            import tthost:backup/progress@0.2.0;
            import tthost:backup/leftovers@0.2.0;
            import tthost:backup/secrets@0.2.0;

            export tthost:backup/plugin@0.2.0;
            export tthost:backup/store@0.2.0;
            export tthost:backup/objects@0.2.0;
        }
    ",
    world: "tthost:plugin/object-store",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "tthost_plugin::bindings",
});

/// The interface `commands`, for those who run programs.
pub mod programs {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package tthost:plugin;

            world programs {
                import tthost:backup/commands@0.2.0;
            }
        ",
        world: "tthost:plugin/programs",
        with: { "tthost:backup/types@0.2.0": crate::bindings::tthost::backup::types },
        generate_all,
    });
}
