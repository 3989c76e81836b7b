//! The settings of a plugin, their schema, and the grants that it needs, in one declaration.

use crate::Result;
use crate::bindings::exports::tthost::backup::plugin::{Description, ResourceKind};

pub use crate::bindings::exports::tthost::backup::plugin::Need;

/// The name, version and purpose of a plugin.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Its name, for example `webdav-store`.
    pub name: &'static str,
    /// Its own version.
    pub version: &'static str,
    /// One sentence on its purpose.
    pub summary: &'static str,
}

/// The `config` table of a plugin, and the grants that it needs. [`configuration!`](crate::configuration!) declares one.
pub trait Configuration: Sized + 'static {
    /// The grants that the plugin needs.
    fn needs() -> Vec<Need>;

    /// The JSON Schema of the table.
    fn schema() -> String;

    /// Parses the table that the host passes. The error says what is wrong.
    fn read(config: &str) -> Result<Self>;
}

/// Declares the settings and the needs of a plugin. The settings are a struct that serde reads and whose JSON Schema the operator
/// sees. Keys are in kebab-case. Needs are `directory`, `writable_directory`, `tree`, `command`, `secret`
/// and `network`, each with its name in quotes and one sentence with the reason. `optional` marks a need that the plugin works without.
///
/// ```
/// tthost_plugin::configuration! {
///     /// Where the objects are.
///     struct Config {
///         /// The URL of the collection.
///         url: String,
///         /// Who logs in.
///         user: Option<String>,
///     }
///     needs {
///         network "the server of config.url": "It stores the objects.",
///         optional secret "password": "It logs in to the server.",
///     }
/// }
/// # use tthost_plugin::Configuration as _;
/// assert!(Config::needs()[1].optional);
/// ```
#[macro_export]
macro_rules! configuration {
    (
        $(#[$about:meta])*
        $visible:vis struct $name:ident { $($fields:tt)* }
        needs { $($needs:tt)* }
    ) => {
        $(#[$about])*
        #[derive($crate::serde::Deserialize, $crate::schemars::JsonSchema)]
        #[serde(crate = "tthost_plugin::serde", deny_unknown_fields, rename_all = "kebab-case")]
        #[schemars(crate = "tthost_plugin::schemars")]
        $visible struct $name { $($fields)* }

        impl $crate::Configuration for $name {
            fn needs() -> ::std::vec::Vec<$crate::Need> {
                #[allow(unused_mut, reason = "a plugin may need nothing")]
                let mut needs = ::std::vec::Vec::new();
                $crate::configuration!(@needs needs $($needs)*);
                needs
            }

            fn schema() -> ::std::string::String {
                $crate::derived::schema::<Self>()
            }

            fn read(config: &str) -> $crate::Result<Self> {
                $crate::derived::read(config)
            }
        }
    };
    (@needs $list:ident) => {};
    (@needs $list:ident optional $kind:ident $name:literal : $why:literal $(, $($rest:tt)*)?) => {
        $list.push($crate::needs::$kind($name, $why, true));
        $crate::configuration!(@needs $list $($($rest)*)?);
    };
    (@needs $list:ident $kind:ident $name:literal : $why:literal $(, $($rest:tt)*)?) => {
        $list.push($crate::needs::$kind($name, $why, false));
        $crate::configuration!(@needs $list $($($rest)*)?);
    };
}

/// The kinds of needs in [`configuration!`](crate::configuration!).
pub mod needs {
    use super::{Need, ResourceKind};
    use crate::store::Access;

    macro_rules! kinds {
        ($($(#[$about:meta])* $kind:ident => $resource:expr;)*) => {$(
            $(#[$about])*
            pub fn $kind(name: &str, reason: &str, optional: bool) -> Need {
                Need {
                    resource: $resource,
                    name: name.into(),
                    optional,
                    reason: reason.into(),
                }
            }
        )*};
    }

    kinds! {
        /// A directory to read, at `/NAME`.
        directory => ResourceKind::Directory(Access::ReadOnly);
        /// A directory to write.
        writable_directory => ResourceKind::Directory(Access::ReadWrite);
        /// A tree of files.
        tree => ResourceKind::Tree;
        /// A program.
        command => ResourceKind::Command;
        /// A secret.
        secret => ResourceKind::Secret;
        /// A server.
        network => ResourceKind::Network;
    }
}

/// Implements [`Configuration`] with serde and schemars.
#[doc(hidden)]
pub mod derived {
    use schemars::JsonSchema;
    use serde::de::DeserializeOwned;

    use crate::{Error, Result};

    pub fn schema<C: JsonSchema>() -> String {
        let schema = schemars::schema_for!(C);
        serde_json::to_string(&schema).expect("a schema is JSON")
    }

    pub fn read<C: DeserializeOwned>(config: &str) -> Result<C> {
        serde_json::from_str(config).map_err(|cause| Error::Config(format!("config: {cause}")))
    }
}

/// The description of a plugin with these settings.
pub(crate) fn describe<C: Configuration>(about: &About) -> Description {
    Description {
        name: about.name.into(),
        version: about.version.into(),
        summary: about.summary.into(),
        config_schema: C::schema(),
        needs: C::needs(),
    }
}
