//! The settings.

use serde::Deserialize;
use tthost_plugin::{Configuration, Error, Need, Result, needs};

/// The selection of files.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Config {
    /// Left out, in the manner of `.gitignore`.
    pub(crate) exclude: Vec<String>,
    /// Only this is taken, if there is anything here.
    pub(crate) include: Vec<String>,
    /// Skip the contents of directories with a valid `CACHEDIR.TAG`.
    pub(crate) exclude_caches: bool,
    /// Do not go into other file systems that are mounted in a tree.
    pub(crate) one_file_system: bool,
}

impl Configuration for Config {
    fn needs() -> Vec<Need> {
        vec![needs::tree(
            "*",
            "It is what is backed up, or restored.",
            false,
        )]
    }

    fn schema() -> String {
        include_str!("config.schema.json").into()
    }

    fn read(config: &str) -> Result<Self> {
        serde_json::from_str(config).map_err(|cause| Error::Config(cause.to_string()))
    }
}
