//! Stores that are broken or attack: each ends in an error that names the store, and no snapshot is made of what it lost.

use std::fs;

use anyhow::{Result, ensure};
use tthost_tests::cheap_key::cheapen;
use tthost_tests::offsite::{OffsiteFixture, PASSWORD};
use tthost_tests::plugin::component;

/// Puts the sink `remote` with such a store into the configuration.
fn configure(fixture: &OffsiteFixture, fault: &str, names: &str) -> Result<()> {
    let text = format!(
        "[sinks.remote]\nplugin = \"restic-sink\"\n\
         grants.secrets.password.command = ['printf', '%s', '{PASSWORD}']\n\
         [sinks.remote.store]\nplugin = {{ path = '{}' }}\n\
         config = {{ fault = \"{fault}\", names = \"{names}\" }}\n\
         grants.directories.objects = {{ path = '{}', access = \"read-write\" }}\n\
         limits = {{ stall-timeout = \"2s\", cpu-slice = \"1s\" }}\n",
        component("hostile-store")?.display(),
        fixture.aside("objects").display(),
    );
    Ok(fs::write(fixture.tthost.home().join("tthost.toml"), text)?)
}

/// A repository in a store that is fine until now, with one snapshot.
fn fixture() -> Result<OffsiteFixture> {
    let fixture = OffsiteFixture::new(&[])?;
    configure(&fixture, "", "")?;
    fixture.tthost.ok(&["init", "--sink", "remote"])?;
    cheapen(&fixture.aside("objects"), PASSWORD)?;
    fixture.back_up("remote")?;
    fixture.fill("more", 7, 1 << 20)?;
    Ok(fixture)
}

#[test]
fn a_store_that_hangs_or_lies_while_it_stores_is_named_and_no_snapshot_is_made() -> Result<()> {
    let fixture = fixture()?;
    for (fault, names, words) in [
        ("hangs in open", "", "it made no progress for 2s"),
        ("panics in open", "", "as it was told"),
        ("hangs in put", "data", "it made no progress for 2s"),
        // On a busy machine, whoever looks for progress may be the first to see it.
        (
            "computes in put",
            "data",
            "computed|made no progress for 2s",
        ),
        ("takes a part", "data", "did not take all of it"),
        ("takes nothing", "snapshots", "did not take all of it"),
        ("lists twice", "snapshots", "twice"),
        ("lists others", "index", "which nobody asked for"),
        ("lists the same without end", "snapshots", "twice"),
        ("lists the same again", "index", "where its listing goes on"),
        (
            "lists nothing without end",
            "index",
            "where its listing goes on",
        ),
    ] {
        configure(&fixture, fault, names)?;
        let run = fixture.run("remote")?;
        ensure!(run.status.code() == Some(1), "{fault}: {}", run.describe());
        for word in ["store of sink remote", words] {
            ensure!(
                word.split('|').any(|word| run.stderr.contains(word)),
                "{fault}: {word}: {}",
                run.describe()
            );
        }
        configure(&fixture, "", "")?;
        let listed = fixture
            .tthost
            .ok(&["snapshots", "--sink", "remote", "--json"])?
            .json()?;
        ensure!(
            listed["snapshots"].as_array().map(Vec::len) == Some(1),
            "{fault}: {listed:#}"
        );
    }
    Ok(())
}

#[test]
fn a_store_that_forgets_a_snapshot_has_failed() -> Result<()> {
    let fixture = fixture()?;
    configure(&fixture, "forgets", "snapshots")?;
    fixture
        .run("remote")?
        .expect_failure(1, &["sink remote", "was stored and is not there"])?;
    Ok(())
}

#[test]
fn a_store_that_gives_wrong_bytes_never_makes_a_wrong_file() -> Result<()> {
    let fixture = fixture()?;
    let target = fixture.aside("restored");
    let to = target.to_string_lossy();
    for fault in [
        "gives less",
        "gives more",
        "gives other bytes",
        "hangs in get",
    ] {
        configure(&fixture, fault, "data")?;
        let restore = ["restore", "latest", "--sink", "remote", "--to", &to];
        let outcome = fixture.tthost.run(&restore)?;
        ensure!(
            outcome.status.code() != Some(0),
            "{fault}: {}",
            outcome.describe()
        );
        let restored = target.join(fixture.tree().strip_prefix("/")?);
        for name in ["readme", "first"] {
            if let Ok(bytes) = fs::read(restored.join(name)) {
                ensure!(
                    bytes == fs::read(fixture.tree().join(name))?,
                    "{fault}: {name} is wrong"
                );
            }
        }
        let _ = fs::remove_dir_all(&target);
    }
    Ok(())
}

#[test]
fn what_is_no_object_is_left_out_and_a_hanging_close_ends() -> Result<()> {
    let fixture = fixture()?;
    configure(&fixture, "lists no names", "")?;
    let listed = fixture
        .tthost
        .ok(&["snapshots", "--sink", "remote", "--json"])?
        .json()?;
    ensure!(
        listed["snapshots"].as_array().map(Vec::len) == Some(1),
        "{listed:#}"
    );
    configure(&fixture, "hangs in close", "")?;
    let outcome = fixture.tthost.ok(&["snapshots", "--sink", "remote"])?;
    ensure!(
        outcome.stderr.contains("store of sink remote"),
        "{}",
        outcome.describe()
    );
    Ok(())
}
