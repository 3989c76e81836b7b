//! Passwords that cost next to nothing, for the repositories of tests.
//!
//! restic derives a key from a password so slowly that nobody can try many. Each command of a test pays for that, with tthost
//! as with restic and rustic, and all of them together pay more for it than for anything else.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tthost_seal::{Key, scrypt};

use crate::s3::Bucket;

/// What a derivation costs from now on: `N`, `r` and `p` of scrypt.
const COST: (u64, u32, u32) = (16, 8, 1);

/// Seals the key of a repository in a directory anew, for the same password.
pub fn cheapen(repository: &Path, password: &str) -> Result<()> {
    for file in fs::read_dir(repository.join("keys"))? {
        let path = file?.path();
        let (name, key) = sealed_anew(&fs::read(&path)?, password)?;
        fs::remove_file(&path)?;
        fs::write(path.with_file_name(name), key)?;
    }
    Ok(())
}

/// The same for a repository below this prefix of a bucket.
pub fn cheapen_in(bucket: &Bucket, prefix: &str, password: &str) -> Result<()> {
    let keys = format!("{prefix}/keys/");
    for (old, _) in bucket.list(&keys)? {
        let (status, file) = bucket.get(&old)?;
        ensure!(status == 200, "{old}: {status}");
        let (name, key) = sealed_anew(&file, password)?;
        let new = format!("{keys}{name}");
        ensure!(bucket.put(&new, &key)? == 200, "{new} cannot be stored");
        bucket.delete(&old)?;
    }
    Ok(())
}

/// The name and the bytes of a key file that takes the place of this one.
fn sealed_anew(file: &[u8], password: &str) -> Result<(String, Vec<u8>)> {
    let mut key: Value = serde_json::from_slice(file)?;
    let sealed = derive(password, &decode(&key, "salt")?, COST)?.seal(&master(file, password)?);
    key["data"] = json!(BASE64.encode(sealed));
    (key["N"], key["r"], key["p"]) = (json!(COST.0), json!(COST.1), json!(COST.2));
    let bytes = serde_json::to_vec(&key)?;
    Ok((hex::encode(Sha256::digest(&bytes)), bytes))
}

/// What a key file holds, as JSON.
pub(crate) fn master(file: &[u8], password: &str) -> Result<Vec<u8>> {
    let key: Value = serde_json::from_slice(file)?;
    let cost = (
        key["N"].as_u64().context("there is no N")?,
        u32::try_from(key["r"].as_u64().context("there is no r")?)?,
        u32::try_from(key["p"].as_u64().context("there is no p")?)?,
    );
    let (salt, mut sealed) = (decode(&key, "salt")?, decode(&key, "data")?);
    let master = derive(password, &salt, cost)?
        .open(&mut sealed)
        .map_err(|error| anyhow!("the key does not open: {error}"))?;
    Ok(master.to_vec())
}

fn decode(key: &Value, field: &str) -> Result<Vec<u8>> {
    let text = key[field].as_str().context("a field is missing")?;
    Ok(BASE64.decode(text)?)
}

fn derive(password: &str, salt: &[u8], (n, r, p): (u64, u32, u32)) -> Result<Key> {
    let material = scrypt(password.as_bytes(), salt, n, r, p, 64)?;
    let material: &[u8; 64] = material.as_slice().try_into()?;
    Ok(Key::from_material(material))
}
