//! Plugins that are made for tests.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::checkout;
use crate::command::{self, Outcome};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "plugin";

/// All of them.
const PLUGINS: [&str; 7] = [
    "broken-sink",
    "escaping-source",
    "fetching-source",
    "hostile-plugin",
    "reference-sink",
    "reference-source",
    "scripted-source",
];

/// The component of the test plugin of this name. The first call of a process builds all of them.
pub fn component(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    let directory = built.as_ref().map_err(|reason| anyhow!("{reason}"))?;
    Ok(directory.join(name.replace('-', "_") + ".wasm"))
}

/// Builds the test plugins, and answers the directory of their components. Their dependencies are
/// kept where the host's build script keeps those of the bundled plugins, so that they are compiled once.
pub fn build() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut metadata = Command::new(&cargo);
    metadata
        .current_dir(&workspace)
        .args(["metadata", "--no-deps", "--format-version=1"]);
    let metadata = command::run(&mut metadata)?.success()?.json()?;
    let directory = |key: &str| -> Result<PathBuf> {
        let directory = metadata.get(key).and_then(Value::as_str);
        Ok(directory
            .with_context(|| format!("cargo names no {key}"))?
            .into())
    };
    let target = directory("target_directory")?.join("plugins");
    let kept = directory("build_directory")?.join("plugins");
    let components = kept.join(TARGET).join(PROFILE).join("deps");
    checkout::claim(&components, &PLUGINS, &workspace)?;
    let mut build = Command::new(cargo);
    build
        .current_dir(&workspace)
        .args(["build", "--locked", "--target", TARGET])
        .args(["--profile", PROFILE, "--target-dir"])
        .arg(&target)
        .env("CARGO_BUILD_BUILD_DIR", kept)
        // Flags for the host are none for the plugins.
        .env_remove("RUSTFLAGS");
    for name in PLUGINS {
        build.args(["--package", name]);
    }
    command::run(&mut build).and_then(Outcome::success)?;
    Ok(target.join(TARGET).join(PROFILE))
}
