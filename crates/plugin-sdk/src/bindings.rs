//! The contract in Rust, generated from `wit/`. A plugin exports the interfaces that it implements, and imports those that it uses.
//!
//! `wit-bindgen` binds stream operations to the first interface of a world that has streams. So there is a world for each kind of plugin
//! with other interfaces: a store without programs must not import the interface of programs.
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
    inline: "
        package tthost:plugin;

        world plugin {
            import tthost:backup/log@0.2.0;
            import tthost:backup/progress@0.2.0;
            import tthost:backup/leftovers@0.2.0;
            import tthost:backup/secrets@0.2.0;

            export tthost:backup/plugin@0.2.0;
        }
    ",
    world: "tthost:plugin/plugin",
    generate_all,
    pub_export_macro: true,
});

/// The exports of an object store.
pub mod store {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package tthost:plugin;

            world store {
                export tthost:backup/store@0.2.0;
                export tthost:backup/objects@0.2.0;
            }
        ",
        world: "tthost:plugin/store",
        with: { "tthost:backup/types@0.2.0": crate::bindings::tthost::backup::types },
        generate_all,
        pub_export_macro: true,
    });
}

/// The exports of sources and sinks: `transfer`, and `source` or `sink`.
pub mod trees {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package tthost:plugin;

            world trees {
                export tthost:backup/transfer@0.2.0;
                export tthost:backup/source@0.2.0;
                export tthost:backup/survey@0.2.0;
                export tthost:backup/drill@0.2.0;
                export tthost:backup/sink@0.2.0;
            }
        ",
        world: "tthost:plugin/trees",
        with: { "tthost:backup/types@0.2.0": crate::bindings::tthost::backup::types },
        generate_all,
        pub_export_macro: true,
    });
}

/// The interface `commands`, for plugins that run programs.
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

/// The interface `trees`, for plugins that read files.
pub mod files {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package tthost:plugin;

            world files {
                import tthost:backup/trees@0.2.0;
            }
        ",
        world: "tthost:plugin/files",
        with: { "tthost:backup/types@0.2.0": crate::bindings::tthost::backup::types },
        generate_all,
    });
}

/// Exports interfaces of the contract from this component, with a type that implements all of them.
#[doc(hidden)]
#[macro_export]
macro_rules! export_interfaces {
    ($plugin:ident: $($interface:ident)+) => {
        $($crate::export_interfaces!(@$interface $plugin);)+
        $crate::exports!($($interface)+);
    };
    (@plugin $plugin:ident) => {
        $crate::bindings::exports::tthost::backup::plugin::__export_tthost_backup_plugin_0_2_0_cabi!(
            $plugin with_types_in $crate::bindings::exports::tthost::backup::plugin
        );
    };
    (@store $plugin:ident) => {
        $crate::bindings::store::exports::tthost::backup::store::__export_tthost_backup_store_0_2_0_cabi!(
            $plugin with_types_in $crate::bindings::store::exports::tthost::backup::store
        );
    };
    (@objects $plugin:ident) => {
        $crate::bindings::store::exports::tthost::backup::objects::__export_tthost_backup_objects_0_2_0_cabi!(
            $plugin with_types_in $crate::bindings::store::exports::tthost::backup::objects
        );
    };
    (@transfer $plugin:ident) => {
        $crate::bindings::trees::exports::tthost::backup::transfer::__export_tthost_backup_transfer_0_2_0_cabi!(
            $plugin with_types_in $crate::bindings::trees::exports::tthost::backup::transfer
        );
    };
    (@source $plugin:ident) => {
        $crate::bindings::trees::exports::tthost::backup::source::__export_tthost_backup_source_0_2_0_cabi!(
            $plugin with_types_in $crate::bindings::trees::exports::tthost::backup::source
        );
    };
    (@survey $plugin:ident) => {
        $crate::bindings::trees::exports::tthost::backup::survey::__export_tthost_backup_survey_0_2_0_cabi!(
            $plugin with_types_in $crate::bindings::trees::exports::tthost::backup::survey
        );
    };
    (@drill $plugin:ident) => {
        $crate::bindings::trees::exports::tthost::backup::drill::__export_tthost_backup_drill_0_2_0_cabi!(
            $plugin with_types_in $crate::bindings::trees::exports::tthost::backup::drill
        );
    };
    (@sink $plugin:ident) => {
        $crate::bindings::trees::exports::tthost::backup::sink::__export_tthost_backup_sink_0_2_0_cabi!(
            $plugin with_types_in $crate::bindings::trees::exports::tthost::backup::sink
        );
    };
}
