//! The contract in Rust, generated from `wit/`.
//!
//! Sources and sinks export the same `transfer`, so that the code that moves trees exists once: an instance of either world can
//! be used as `any-plugin`, the world of all plugins, and as a `mover`.

/// What every plugin exports, and all that the host offers.
pub mod common {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package tthost:host;

            world any-plugin {
                import tthost:backup/log@0.2.0;
                import tthost:backup/progress@0.2.0;
                import tthost:backup/leftovers@0.2.0;
                import tthost:backup/secrets@0.2.0;
                import tthost:backup/commands@0.2.0;
                import tthost:backup/trees@0.2.0;
                import tthost:backup/seal@0.2.0;
                import tthost:backup/objects@0.2.0;

                export tthost:backup/plugin@0.2.0;
            }
        ",
        world: "tthost:host/any-plugin",
        exports: { default: async | store },
        imports: {
            // A test of a plugin records each call by its span. The span never contains the arguments.
            "tthost:backup/commands.[method]process.stdout": store | trappable | tracing,
            "tthost:backup/seal.[static]cutter.begin": store | trappable | tracing,
            "tthost:backup/seal.[static]opening.begin": store | trappable | tracing,
            default: trappable | tracing,
        },
        with: {
            "tthost:backup/commands.process": crate::plugin::imports::commands::Process,
            "tthost:backup/trees.directory": crate::plugin::imports::trees::Directory,
            "tthost:backup/trees.restoration": crate::plugin::imports::trees::Restoration,
            "tthost:backup/seal.cutter": crate::plugin::imports::cutter::Cutter,
            "tthost:backup/seal.digester": tthost_seal::Digester,
            "tthost:backup/seal.key": crate::plugin::imports::seal::Key,
            "tthost:backup/seal.opening": crate::plugin::imports::opening::Opening,
            "tthost:backup/seal.staged": crate::plugin::imports::seal::Staged,
        },
    });
}

/// A plugin that trees come out of and go into.
pub mod mover {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package tthost:host;

            world mover {
                export tthost:backup/transfer@0.2.0;
            }
        ",
        world: "tthost:host/mover",
        exports: { default: async | store },
        with: { "tthost:backup/types": super::common::tthost::backup::types },
    });
}

/// A plugin that is backed up.
pub mod source {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "tthost:backup/source-plugin",
        exports: { default: async | store },
        with: {
            "tthost:backup/types": super::common::tthost::backup::types,
            "tthost:backup/log": super::common::tthost::backup::log,
            "tthost:backup/progress": super::common::tthost::backup::progress,
            "tthost:backup/leftovers": super::common::tthost::backup::leftovers,
            "tthost:backup/secrets": super::common::tthost::backup::secrets,
            "tthost:backup/commands": super::common::tthost::backup::commands,
            "tthost:backup/trees": super::common::tthost::backup::trees,
        },
    });
}

/// A plugin that stores snapshots.
pub mod sink {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "tthost:backup/sink-plugin",
        exports: { default: async | store },
        with: {
            "tthost:backup/types": super::common::tthost::backup::types,
            "tthost:backup/log": super::common::tthost::backup::log,
            "tthost:backup/progress": super::common::tthost::backup::progress,
            "tthost:backup/leftovers": super::common::tthost::backup::leftovers,
            "tthost:backup/secrets": super::common::tthost::backup::secrets,
            "tthost:backup/commands": super::common::tthost::backup::commands,
            "tthost:backup/seal": super::common::tthost::backup::seal,
            "tthost:backup/objects": super::common::tthost::backup::objects,
        },
    });
}

/// A plugin that stores objects for a sink.
pub mod store {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "tthost:backup/object-store",
        exports: { default: async | store },
        with: {
            "tthost:backup/types": super::common::tthost::backup::types,
            "tthost:backup/log": super::common::tthost::backup::log,
            "tthost:backup/progress": super::common::tthost::backup::progress,
            "tthost:backup/leftovers": super::common::tthost::backup::leftovers,
            "tthost:backup/secrets": super::common::tthost::backup::secrets,
            "tthost:backup/commands": super::common::tthost::backup::commands,
        },
    });
}

/// The optional interfaces of a sink.
pub mod maintenance {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package tthost:host;

            world maintained {
                export tthost:backup/maintenance@0.2.0;
            }
        ",
        world: "tthost:host/maintained",
        exports: { default: async | store },
        with: { "tthost:backup/types": super::common::tthost::backup::types },
    });
}

/// The optional interfaces of a source.
pub mod survey {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package tthost:host;

            world surveyed {
                export tthost:backup/survey@0.2.0;
            }
        ",
        world: "tthost:host/surveyed",
        exports: { default: async | store },
        with: { "tthost:backup/types": super::common::tthost::backup::types },
    });
}

/// The optional interface of a source for trial restores.
pub mod drill {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package tthost:host;

            world drilled {
                export tthost:backup/transfer@0.2.0;
                export tthost:backup/drill@0.2.0;
            }
        ",
        world: "tthost:host/drilled",
        exports: { default: async | store },
        with: { "tthost:backup/types": super::common::tthost::backup::types },
    });
}

pub(crate) use common::tthost::backup::types;
