//! `tthost plugin new`: projects that build at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tthost_tests::command;
use tthost_tests::plugin::{build_project, example, sdk};
use tthost_tests::tthost::Tthost;

use crate::conformance::expect_passed;

/// Makes a project, builds it, and answers its component.
fn made(tthost: &Tthost, name: &str, kind: &str) -> Result<PathBuf> {
    // What is built comes before the examples, which have the same dependencies.
    example("program-source")?;
    let sdk = sdk();
    let sdk = sdk.to_str().context("it is text")?;
    let new = ["plugin", "new", name, "--kind", kind, "--sdk", sdk];
    let made = tthost.ok(&[&new[..], &["--json"]].concat())?.json()?;
    let directory = tthost.home().join(name);
    let digest = made["contract_sha256"].as_str().context("it has one")?;
    let readme = fs::read_to_string(directory.join("README.md"))?;
    ensure!(readme.contains(digest), "{readme}");
    ensure!(
        readme.lines().count() <= 45,
        "more than a screen:\n{readme}"
    );
    tthost.fails(&new, 1, &["is there already"])?;
    build_project(&directory, name)
}

/// The part of a project's `README.md` that is a configuration, as that of the program.
fn configure(tthost: &Tthost, name: &str, component: &Path) -> Result<()> {
    let readme = fs::read_to_string(tthost.home().join(name).join("README.md"))?;
    let (_, rest) = readme.split_once("```toml\n").context("it has one")?;
    let (configuration, _) = rest.split_once("```").context("it ends")?;
    let built = format!(
        "target/wasm32-wasip2/release/{}.wasm",
        name.replace('-', "_")
    );
    ensure!(configuration.contains(&built), "{configuration}");
    let component = component.to_str().context("it is text")?;
    let configuration = configuration.replace(&built, component);
    Ok(fs::write(tthost.home().join("tthost.toml"), configuration)?)
}

#[test]
fn a_new_source_builds_and_keeps_the_contract() -> Result<()> {
    let tthost = Tthost::new()?;
    let component = made(&tthost, "made-source", "source")?;
    configure(&tthost, "made-source", &component)?;
    tthost.ok(&["plugin", "test", "mine", "--source", "mine"])?;
    Ok(())
}

#[test]
fn a_new_sink_builds_and_keeps_the_contract() -> Result<()> {
    let tthost = Tthost::new()?;
    let component = made(&tthost, "made-sink", "sink")?;
    configure(&tthost, "made-sink", &component)?;
    let quick = [
        "describe-is-quick",
        "unknown-setting-is-refused",
        "create-makes-a-store",
        "commit-names-a-new-snapshot",
        "symbolic-links-come-back",
    ];
    let checks = quick.iter().flat_map(|name| ["--check", name]);
    let test: Vec<_> = ["plugin", "test", "mine"]
        .into_iter()
        .chain(checks)
        .collect();
    tthost.ok(&test)?;
    Ok(())
}

/// Fails unless a project in Python is what its page says: modules that Python understands, and our contract.
fn expect_sound(tthost: &Tthost, kind: &str) -> Result<()> {
    let name = format!("made-{kind}");
    let new = ["plugin", "new", &name, "--kind", kind, "--lang", "python"];
    let made = tthost.ok(&[&new[..], &["--json"]].concat())?.json()?;
    let directory = tthost.home().join(&name);
    let readme = fs::read_to_string(directory.join("README.md"))?;
    let digest = made["contract_sha256"].as_str().context("it has one")?;
    ensure!(readme.contains(digest), "{readme}");
    ensure!(
        readme.lines().count() <= 45,
        "more than a screen:\n{readme}"
    );
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    for file in fs::read_dir(wit)? {
        let file = file?.path();
        let theirs = directory
            .join("wit")
            .join(file.file_name().context("it has a name")?);
        ensure!(
            fs::read(&theirs)? == fs::read(&file)?,
            "{}",
            theirs.display()
        );
    }
    let app = fs::read_to_string(directory.join("app.py"))?;
    ensure!(app.contains(&format!("name=\"{name}\"")), "{app}");
    let check = "python3 -m py_compile *.py && sh -n build.sh && grep -q == requirements.txt";
    let mut shell = Command::new("sh");
    command::run(shell.args(["-c", check]).current_dir(&directory))?.success()?;
    Ok(())
}

#[test]
fn a_new_project_in_python_has_sound_modules_and_our_contract() -> Result<()> {
    let tthost = Tthost::new()?;
    for kind in ["source", "sink", "store"] {
        expect_sound(&tthost, kind)?;
    }
    let new = ["plugin", "new", "other", "--kind", "sink"];
    tthost.fails(&new, 2, &["--sdk"])?;
    let useless = ["--lang", "python", "--sdk", "."];
    tthost.fails(&[&new[..], &useless].concat(), 2, &["no effect"])?;
    Ok(())
}

#[test]
fn a_new_store_builds_keeps_the_contract_and_holds_a_repository() -> Result<()> {
    let tthost = Tthost::new()?;
    let component = made(&tthost, "made-store", "store")?;
    let file = component.to_str().context("it is text")?;
    // It has no secret to tell.
    expect_passed(&tthost, &[file], &["a-store-tells-no-secret"])?;
    configure(&tthost, "made-store", &component)?;
    fs::create_dir(tthost.home().join("objects"))?;
    let source = format!("dir:{}", tthost.home().join("made-store/src").display());
    tthost.ok(&["init", "--sink", "mine"])?;
    tthost.ok(&["run", "--source", &source, "--sink", "mine"])?;
    tthost.ok(&["check", "--sink", "mine", "--read-data"])?;
    let to = tthost.home().join("restored");
    let to = to.to_str().context("it is text")?;
    tthost.ok(&["restore", "latest", "--sink", "mine", "--to", to])?;
    let file = tthost.home().join("made-store/src/lib.rs");
    let restored = Path::new(to).join(file.strip_prefix("/")?);
    ensure!(fs::read(restored)? == fs::read(file)?);
    Ok(())
}
