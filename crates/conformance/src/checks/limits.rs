//! Memory, time and secrets.

use super::checks;
use crate::host::Limits;
use crate::lab::{Lab, directory, ensure, fail, files, skip};
use crate::suite::Verdict;
use crate::tree::{Body, Node, Tree, usual};

checks! { Limits:
    "memory-does-not-grow-with-a-file" memory, "world.wit: tthost:backup",
        "a stream of 320 MiB goes through 256 MiB of memory, in and out; with --full, 2 GiB";
    "no-secret-is-said" not_said, "host.wit: log.log",
        "no secret is in a message or on a standard stream, also when something fails";
    "no-secret-is-stored" not_stored, "host.wit: secrets.get",
        "no file of the store holds a secret";
}

async fn memory(lab: &Lab<'_>) -> Verdict {
    const MIB: u64 = 1 << 20;
    let length = if lab.full { 2048 * MIB } else { 320 * MIB };
    let tree = Tree::of(vec![Node::file("large", Body { seed: 1, length })]);
    let mut fixture = lab.store().await?;
    fixture.limit(Limits { memory: 256 * MIB });
    let id = lab.add(&*fixture, 0, &tree).await?;
    lab.expect_tree(&*fixture, &id, &tree).await?;
    Ok(())
}

/// Shorter ones are somewhere by chance.
const SHORTEST: usize = 6;

fn secrets(lab: &Lab<'_>) -> Result<Vec<Vec<u8>>, crate::Stop> {
    let secrets = lab.host.secrets().into_iter();
    let secrets: Vec<_> = secrets.filter(|secret| secret.len() >= SHORTEST).collect();
    if secrets.is_empty() {
        return skip("it was granted no secret");
    }
    Ok(secrets)
}

async fn not_said(lab: &Lab<'_>) -> Verdict {
    let secrets = secrets(lab)?;
    let (fixture, ids) = lab.store_of(&[&usual(1)]).await?;
    let mut errors = String::new();
    // Something fails as well.
    let elsewhere = lab.host.store_fixture().await?;
    if let Err(error) = elsewhere.open(crate::model::Access::ReadWrite).await {
        errors += &error.text;
    }
    if let Err(error) = fixture.create().await {
        errors += &error.text;
    }
    lab.expect_use(&*fixture, &ids).await?;
    let plugin_output = lab.host.plugin_output() + &errors;
    for secret in secrets {
        let is_said = plugin_output
            .as_bytes()
            .windows(secret.len())
            .any(|said| said == secret);
        ensure(!is_said, || "a secret is in what it said".into())?;
    }
    Ok(())
}

async fn not_stored(lab: &Lab<'_>) -> Verdict {
    let secrets = secrets(lab)?;
    let (fixture, _) = lab.store_of(&[&usual(1)]).await?;
    directory(&*fixture)?;
    let Some(files) = files(&*fixture)? else {
        return Ok(());
    };
    for secret in secrets {
        if let Some(file) = files.holds(&secret) {
            return fail(format!("{} holds a secret", file.display()));
        }
    }
    Ok(())
}
