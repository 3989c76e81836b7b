//! Plugins that are made for tests.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::checkout;
use crate::command::{self, Outcome};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "plugin";

/// All of them, and two bundled ones that tests treat as somebody else's.
const PLUGINS: [&str; 12] = [
    "broken-sink",
    "contract-0-2-0",
    "escaping-source",
    "fetching-source",
    "hostile-plugin",
    "hostile-store",
    "reference-sink",
    "reference-source",
    "reference-store",
    "restic-sink",
    "s3-sink",
    "scripted-source",
];

/// All examples.
const EXAMPLES: [&str; 8] = [
    "directory-store",
    "plain-files-sink",
    "program-source",
    "rclone-store",
    "rest-store",
    "sftp-store",
    "sqlite-source",
    "webdav-store",
];

/// The component of the test plugin of this name. The first call of a process builds all of them.
pub fn component(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    let directory = built.as_ref().map_err(|reason| anyhow!("{reason}"))?;
    Ok(directory.join(name.replace('-', "_") + ".wasm"))
}

/// The component of the example of this name. The first call of a process builds all of them, as their own documentation says.
pub fn example(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build_examples().map_err(|error| format!("{error:#}")));
    let directory = built.as_ref().map_err(|reason| anyhow!("{reason}"))?;
    Ok(directory.join(name.replace('-', "_") + ".wasm"))
}

/// The SDK.
pub fn sdk() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/plugin-sdk")
}

/// Builds the examples, and answers the directory of their components.
pub fn build_examples() -> Result<PathBuf> {
    build_released(&examples(), &EXAMPLES, "--locked")
}

/// Builds a project of this name, with the dependencies of the examples, and answers its component.
pub fn build_project(directory: &Path, name: &str) -> Result<PathBuf> {
    // They are all there, and more. Cargo takes those that it needs.
    fs::copy(examples().join("Cargo.lock"), directory.join("Cargo.lock"))?;
    let built = build_released(directory, &[name], "--offline")?;
    Ok(built.join(name.replace('-', "_") + ".wasm"))
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn build_released(packages: &Path, names: &[&str], how: &str) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let (target, kept) = directories(&cargo)?;
    let (target, kept) = (target.join("examples"), kept.join("examples"));
    let components = kept.join(TARGET).join("release/deps");
    checkout::claim(&components, names, packages)?;
    let mut build = Command::new(cargo);
    build
        .current_dir(packages)
        .args(["build", how, "--release", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_BUILD_BUILD_DIR", kept)
        .env_remove("RUSTFLAGS");
    command::run(&mut build).and_then(Outcome::success)?;
    Ok(target.join(TARGET).join("release"))
}

/// Builds the test plugins, and answers the directory of their components. Their dependencies are
/// kept where the host's build script keeps those of the bundled plugins, so that they are compiled once.
pub fn build() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (target, kept) = directories(&cargo)?;
    let (target, kept) = (target.join("plugins"), kept.join("plugins"));
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

/// The workspace's directories for what is built, and for what is only needed to build it.
fn directories(cargo: &OsStr) -> Result<(PathBuf, PathBuf)> {
    let mut metadata = Command::new(cargo);
    metadata
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["metadata", "--no-deps", "--format-version=1"]);
    let metadata = command::run(&mut metadata)?.success()?.json()?;
    let directory = |key: &str| -> Result<PathBuf> {
        let directory = metadata.get(key).and_then(Value::as_str);
        Ok(directory
            .with_context(|| format!("cargo names no {key}"))?
            .into())
    };
    Ok((
        directory("target_directory")?,
        directory("build_directory")?,
    ))
}
