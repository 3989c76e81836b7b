//! One compilation of the whole workspace: the lints, the unit tests, the end-to-end tests and the
//! program that they run come out of it.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tthost_tests::command::command_line;

use crate::shell;

/// The package of the end-to-end tests.
const END_TO_END: &str = "tthost-tests";

/// The target of the end-to-end tests in it.
const END_TO_END_TARGET: &str = "e2e";

/// A test binary.
pub(crate) struct TestBinary {
    executable: PathBuf,
    /// The directory of its package, where `cargo test` runs it too.
    package: PathBuf,
    target: String,
}

impl TestBinary {
    /// Runs its tests with these arguments and more variables.
    pub(crate) fn run(
        &self,
        arguments: &[&str],
        program: &Path,
        environment: &[(&str, String)],
    ) -> Result<()> {
        shell::run(
            Command::new(&self.executable)
                .args(arguments)
                .current_dir(&self.package)
                .env("CARGO", shell::cargo())
                .env("CARGO_MANIFEST_DIR", &self.package)
                .env("TTHOST_BIN", program)
                // An error of a test says what happened; the stack adds pages and nothing to that.
                .env("RUST_LIB_BACKTRACE", "0")
                .envs(environment.iter().map(|(name, value)| (name, value))),
        )
    }
}

/// What was compiled.
pub(crate) struct Compiled {
    /// The program.
    pub(crate) program: PathBuf,
    /// The tests inside the crates.
    pub(crate) unit: Vec<TestBinary>,
    /// The tests of the built program.
    pub(crate) end_to_end: TestBinary,
}

/// Compiles everything with clippy in the place of rustc, which fails at the first crate with a warning.
///
/// All crates are selected at once: then each dependency has one set of features and is compiled once.
pub(crate) fn everything() -> Result<Compiled> {
    let mut build = cargo_with_clippy()?;
    build.args(["build", "--locked", "--workspace", "--bins", "--tests"]);
    build.arg("--message-format=json-render-diagnostics");
    let mut program = None;
    let mut unit = Vec::new();
    let mut end_to_end = None;
    for artifact in artifacts(&mut build)? {
        let Some(executable) = artifact.executable else {
            continue;
        };
        let package = artifact.manifest_path.parent().map(Path::to_owned);
        let test = TestBinary {
            executable,
            package: package.context("a manifest has a directory")?,
            target: artifact.target.name,
        };
        match (artifact.profile.test, test.target.as_str()) {
            (true, END_TO_END_TARGET) if test.package.ends_with("tests") => {
                end_to_end = Some(test);
            }
            (true, _) => unit.push(test),
            (false, "tthost") => program = Some(test.executable),
            (false, _) => {}
        }
    }
    Ok(Compiled {
        program: program.context("cargo built no program")?,
        unit,
        end_to_end: end_to_end
            .with_context(|| format!("{END_TO_END} has no test {END_TO_END_TARGET}"))?,
    })
}

/// Lints the plugins without their tests. [`everything`] has their tests alone, since their libraries
/// link only for WebAssembly, and so sees nothing that only tests use.
pub(crate) fn lint_plugins() -> Result<()> {
    let mut check = cargo_with_clippy()?;
    check.args(["check", "--locked", "--lib"]);
    for plugin in plugins()? {
        check.args(["--package", &plugin]);
    }
    shell::run(&mut check)
}

/// The packages whose library is a plugin.
fn plugins() -> Result<Vec<String>> {
    let mut metadata = Command::new(shell::cargo());
    metadata
        .args(["metadata", "--no-deps", "--format-version=1"])
        .current_dir(shell::root());
    let metadata: Metadata = serde_json::from_slice(&metadata.output()?.stdout)?;
    let is_plugin = |package: &Package| {
        let mut types = package
            .targets
            .iter()
            .flat_map(|target| &target.crate_types);
        types.any(|name| name == "cdylib")
    };
    let packages = metadata.packages.into_iter().filter(is_plugin);
    Ok(packages.map(|package| package.name).collect())
}

/// What `cargo clippy` runs, but for any command of cargo.
fn cargo_with_clippy() -> Result<Command> {
    let mut cargo = Command::new(shell::cargo());
    cargo
        .env("RUSTC_WORKSPACE_WRAPPER", clippy_driver()?)
        // Its arguments, each with this after it.
        .env(
            "CLIPPY_ARGS",
            ["-D", "warnings", ""].join("__CLIPPY_HACKERY__"),
        );
    Ok(cargo)
}

/// Clippy, by a path in this checkout: with the same wrapper, cargo would take what another checkout compiled
/// for this one's.
fn clippy_driver() -> Result<PathBuf> {
    let driver = installed_clippy_driver()?;
    let link = shell::root().join("target/clippy-driver");
    if fs::read_link(&link).ok().as_ref() != Some(&driver) {
        fs::create_dir_all(shell::root().join("target"))?;
        match fs::remove_file(&link) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause.into()),
            _ => symlink(&driver, &link)?,
        }
    }
    Ok(link)
}

fn installed_clippy_driver() -> Result<PathBuf> {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .args(["--print", "sysroot"])
        .current_dir(shell::root());
    let output = rustc.output().context("rustc cannot be started")?;
    let driver = Path::new(String::from_utf8(output.stdout)?.trim()).join("bin/clippy-driver");
    ensure!(
        driver.is_file(),
        "{} is not there: `rustup component add clippy` adds it",
        driver.display()
    );
    Ok(driver)
}

/// What `cargo metadata` answers.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

/// One of cargo's messages about what it compiled.
/// (<https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>)
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Runs cargo with its messages for programs on standard output and those for people in sight.
fn artifacts(build: &mut Command) -> Result<Vec<Artifact>> {
    println!("$ {}", command_line(build));
    let output = build
        .current_dir(shell::root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    ensure!(
        output.status.success(),
        "cargo ended with {}",
        output.status
    );
    let mut artifacts = Vec::new();
    for line in output.stdout.split(|byte| *byte == b'\n') {
        // The other kinds of messages lack what an artifact has.
        if let Ok(artifact) = serde_json::from_slice(line) {
            artifacts.push(artifact);
        }
    }
    Ok(artifacts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All Rust files below a directory.
    fn rust_files(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).expect("it is there");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        let below = |path: PathBuf| {
            if path.is_dir() {
                rust_files(&path)
            } else {
                vec![path]
            }
        };
        paths.flat_map(below).collect()
    }

    #[test]
    fn a_crate_that_says_it_has_no_tests_has_none() {
        let mut without = 0;
        for room in ["crates", "plugins", "tests/plugins"] {
            let crates = fs::read_dir(shell::root().join(room)).expect("it is there");
            for package in crates.map(|package| package.expect("it can be read").path()) {
                let manifest = fs::read_to_string(package.join("Cargo.toml"));
                if !manifest.expect("it has one").contains("\ntest = false\n") {
                    continue;
                }
                without += 1;
                for file in rust_files(&package.join("src")) {
                    let text = fs::read_to_string(&file).expect("it is a text");
                    assert!(!text.contains("#[cfg(test)]"), "{}", file.display());
                }
            }
        }
        assert!(without > 0, "then nobody needs this test");
    }
}
