//! Files of a repository that no program would write, sealed with its own key.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tthost_seal::{Key, compress};

use crate::cheap_key::master;

/// A repository in a directory, and its key.
pub struct Forge {
    repository: PathBuf,
    key: Key,
}

impl Forge {
    /// Opens the key of a repository.
    pub fn of(repository: &Path, password: &str) -> Result<Self> {
        let mut keys = fs::read_dir(repository.join("keys"))?;
        let file = fs::read(keys.next().context("there is no key")??.path())?;
        let master: Value = serde_json::from_slice(&master(&file, password)?)?;
        let part = |pointer: &str| -> Result<Vec<u8>> {
            let text = master.pointer(pointer).and_then(Value::as_str);
            Ok(BASE64.decode(text.context("the key lacks a part")?)?)
        };
        let material = [part("/encrypt")?, part("/mac/k")?, part("/mac/r")?].concat();
        let material: &[u8; 64] = material.as_slice().try_into()?;
        Ok(Self {
            repository: repository.to_owned(),
            key: Key::from_material(material),
        })
    }

    /// Stores a compressed file of this text in one of the repository's directories, and answers its name.
    pub fn file(&self, directory: &str, text: &[u8]) -> Result<String> {
        let compressed = compress(text, 3).ok_or_else(|| anyhow!("it does not compress"))?;
        let sealed = self.key.seal(&[&[2], &compressed[..]].concat());
        let name = hex::encode(Sha256::digest(&sealed));
        fs::write(self.repository.join(directory).join(&name), sealed)?;
        Ok(name)
    }
}
