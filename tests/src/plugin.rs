//! Plugins that are made for tests.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// Builds the test plugin of this name and answers where its component is.
pub fn build(name: &str) -> Result<PathBuf> {
    const TARGET: &str = "wasm32-wasip2";
    const PROFILE: &str = "plugin";
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    // Where the bundled plugins are built too, so that their dependencies are not built again.
    let target = workspace.join("target/plugins");
    let cargo = env::var_os("CARGO").context("cargo runs the tests")?;
    let mut build = Command::new(cargo);
    build
        .current_dir(&workspace)
        .args(["build", "--locked", "--target", TARGET])
        .args(["--profile", PROFILE, "--package", name, "--target-dir"])
        .arg(&target)
        .env_remove("RUSTFLAGS");
    command::run(&mut build)?.success()?;
    let file = name.replace('-', "_") + ".wasm";
    Ok(target.canonicalize()?.join(TARGET).join(PROFILE).join(file))
}
