//! Builds the bundled plugins for WebAssembly, compresses them, and says where they are.

#[path = "../tests/src/checkout.rs"]
mod checkout;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "plugin";

/// The bundled plugins, and the variables that name their components to the compiler. Beside a component are its digest and its
/// compressed bytes.
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
        let component = built.join(name.replace('-', "_") + ".wasm");
        pack(&component);
        println!("cargo::rustc-env={variable}={}", component.display());
    }
}

/// Puts a component's digest and its compressed bytes beside it. All four would be a tenth of the program otherwise.
fn pack(component: &Path) {
    /// The smallest that takes no more than a second.
    const LEVEL: i32 = 19;
    let bytes = fs::read(component).expect("cargo has built it");
    let compressed = zstd::encode_all(&bytes[..], LEVEL).expect("memory takes anything");
    for (extension, contents) in [
        ("wasm.sha256", &Sha256::digest(&bytes)[..]),
        ("wasm.zst", &compressed),
    ] {
        fs::write(component.with_extension(extension), contents).expect("it is cargo's directory");
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
        // Flags for the host are none for the plugins.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
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
