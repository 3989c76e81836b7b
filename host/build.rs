//! Builds the bundled plugins for WebAssembly and says where they are.

#[path = "../tests/src/checkout.rs"]
mod checkout;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "plugin";

/// The bundled plugins, and the variables that name their files to the compiler.
const PLUGINS: [(&str, &str); 4] = [
    ("postgres-source", "TTHOST_POSTGRES_SOURCE"),
    ("restic-sink", "TTHOST_RESTIC_SINK"),
    ("s3-sink", "TTHOST_S3_SINK"),
    ("volume-source", "TTHOST_VOLUME_SOURCE"),
];

fn main() {
    let workspace =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    println!(
        "cargo::rustc-env=TTHOST_CONTRACT={}",
        contract_version(&workspace)
    );
    for watched in ["plugins", "crates", "wit", "Cargo.toml"] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(watched).display()
        );
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let built = build(&workspace, &out);
    for (name, variable) in PLUGINS {
        println!(
            "cargo::rustc-env={variable}={}",
            built.join(name.replace('-', "_") + ".wasm").display()
        );
    }
}

/// The version of the contract, which its package says.
fn contract_version(workspace: &Path) -> String {
    let world = fs::read_to_string(workspace.join("wit/world.wit")).expect("the contract is there");
    let package = world.lines().find_map(|line| {
        line.strip_prefix("package tthost:backup@")?
            .strip_suffix(';')
    });
    package.expect("the contract has a version").to_owned()
}

/// Where the plugins' dependencies are kept: a directory of their own, since the one of the running
/// build is locked; the same for all profiles of the host and for all checkouts.
fn build_directory(out: &Path) -> PathBuf {
    // <build directory>/<profile>/build/<package>/out
    let directory = out
        .ancestors()
        .nth(4)
        .expect("cargo's directories are that deep");
    directory.join("plugins")
}

/// Builds the plugins, and puts the components below `out`, which belongs to this checkout alone.
fn build(workspace: &Path, out: &Path) -> PathBuf {
    let built = build_directory(out);
    let components = built.join(TARGET).join(PROFILE).join("deps");
    checkout::claim(&components, &PLUGINS.map(|(name, _)| name), workspace)
        .expect("the directory of the components is cargo's");
    let cargo = env::var_os("CARGO").expect("cargo sets it");
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace)
        .args([
            "build",
            "--locked",
            "--target",
            TARGET,
            "--profile",
            PROFILE,
            "--target-dir",
        ])
        .arg(out)
        .env("CARGO_BUILD_BUILD_DIR", built)
        // Flags for the host are none for the plugins. These have the vectors of WebAssembly, with which a dump is searched
        // several times as fast.
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+simd128")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CLIPPY_ARGS");
    for (name, _) in PLUGINS {
        command.args(["--package", name]);
    }
    let status = command.status().expect("cargo can be run");
    assert!(
        status.success(),
        "the bundled plugins do not build; if the target {TARGET} is missing, `rustup target add {TARGET}` adds it"
    );
    out.join(TARGET).join(PROFILE)
}
