//! Keys: they derive the repository's key from a password. Source: restic's `keys` files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::error::corrupt;
use crate::isolating::Isolating;
use crate::tree::{time, to_vec};
use crate::{Caller, Error, Expectation, FileKind, Id, Instant, Platform, Result};

/// The cost of new keys. restic asks for at least this much, and takes what half a second
/// of the machine allows.
const COST: Cost = Cost {
    n: 1 << 15,
    r: 8,
    p: 3,
};

/// More keys than this are not tried: each costs a part of a second.
const MAX_KEYS: usize = 20;

/// A key file, larger ones are none, in bytes.
const MAX_SIZE: u64 = 16 << 10;

struct Cost {
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct File {
    /// rustic leaves it out.
    #[serde(with = "time", default)]
    created: Instant,
    #[serde(default)]
    username: String,
    #[serde(default)]
    hostname: String,
    kdf: String,
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
    salt: String,
    data: String,
}

/// The repository's key, as a key file holds it, sealed with the password's.
#[derive(Serialize, Deserialize)]
struct Master {
    mac: Mac,
    encrypt: String,
}

#[derive(Serialize, Deserialize)]
struct Mac {
    k: String,
    r: String,
}

impl Drop for Master {
    fn drop(&mut self) {
        self.mac.k.zeroize();
        self.mac.r.zeroize();
        self.encrypt.zeroize();
    }
}

/// A key for a new repository, which is not stored yet.
pub(crate) struct NewKey<K> {
    /// The key itself.
    pub(crate) key: K,
    /// Its file.
    bytes: Vec<u8>,
}

impl<K> NewKey<K> {
    /// Stores it.
    pub(crate) async fn store<P: Platform>(&self, platform: &Isolating<P>) -> Result<()> {
        let id = platform.digest(&[&self.bytes])?;
        platform.store(FileKind::Key, id, self.bytes.clone()).await
    }

    /// Removes it again.
    pub(crate) async fn remove<P: Platform>(&self, platform: &Isolating<P>) -> Result<()> {
        let id = platform.digest(&[&self.bytes])?;
        platform.remove(FileKind::Key, id).await
    }
}

/// Makes a key for a new repository, to be stored under the password.
pub(crate) async fn create<P: Platform>(
    platform: &Isolating<P>,
    caller: &Caller,
    password: &[u8],
) -> Result<NewKey<P::Key>> {
    let mut material = Zeroizing::new([0; 64]);
    platform.random(&mut *material);
    let mut salt = [0; 64];
    platform.random(&mut salt);
    let user = password_key(platform, password, &salt, &COST).await?;
    let sealed = platform
        .seal(&user, Master::from_material(&material).to_bytes(), None)
        .await?;
    let file = File {
        created: platform.now(),
        username: caller.username.clone(),
        hostname: caller.hostname.clone(),
        kdf: "scrypt".into(),
        n: COST.n,
        r: COST.r,
        p: COST.p,
        salt: BASE64.encode(salt),
        data: BASE64.encode(sealed.bytes),
    };
    Ok(NewKey {
        key: platform.import_key(&material)?,
        bytes: to_vec(&file),
    })
}

/// Finds the key that the password opens and that opens something else, which is answered with it. There may be keys with the same
/// password that open nothing, of repositories that were begun in the same place at the same time.
pub(crate) async fn open<P: Platform, T>(
    platform: &Isolating<P>,
    password: &[u8],
    opens: impl AsyncFn(&P::Key) -> Result<T>,
) -> Result<(P::Key, T)> {
    let mut keys = platform.list(FileKind::Key).await?;
    keys.retain(|key| key.length <= MAX_SIZE);
    if keys.is_empty() {
        return Err(corrupt(
            "the repository has no key: the directory keys is empty. A machine that has used it may have a copy in its state, in a \
             directory keys: put that back",
        ));
    }
    let count = keys.len();
    let mut damaged = None;
    let (mut gone, mut refused) = (None, false);
    for key in keys.into_iter().take(MAX_KEYS) {
        let tried = async {
            let bytes = platform.read(FileKind::Key, key.id).await?;
            let key = try_key(platform, key.id, &bytes, password).await?;
            let opened = opens(&key).await?;
            Ok((key, opened))
        };
        match tried.await {
            Err(Error::Unauthenticated(_)) => refused = true,
            // Somebody who began a repository at the same time has taken it back.
            Err(error @ Error::NotFound(_)) => gone = Some(error),
            // Another one may be the right one.
            Err(error @ (Error::Corrupt(_) | Error::Unsupported(_))) => damaged = Some(error),
            other => return other,
        }
    }
    if let Some(error) = damaged.or(gone.filter(|_| !refused)) {
        return Err(error);
    }
    Err(Error::Unauthenticated(match count {
        1 => "wrong password: it does not open the repository's key".into(),
        ..=MAX_KEYS => format!("wrong password: it opens none of the repository's {count} keys"),
        _ => format!("wrong password: it opens none of the {MAX_KEYS} keys that were tried"),
    }))
}

async fn try_key<P: Platform>(
    platform: &Isolating<P>,
    id: Id,
    bytes: &[u8],
    password: &[u8],
) -> Result<P::Key> {
    let damaged = |what: &str| corrupt(format!("the key {} is damaged: {what}", id.short()));
    let file: File = serde_json::from_slice(bytes).map_err(|cause| damaged(&cause.to_string()))?;
    if file.kdf != "scrypt" {
        return Err(Error::Unsupported(format!(
            "the key {} is derived with {}, not scrypt",
            id.short(),
            file.kdf
        )));
    }
    let salt = BASE64
        .decode(&file.salt)
        .map_err(|_| damaged("its salt is not base64"))?;
    let data = BASE64
        .decode(&file.data)
        .map_err(|_| damaged("its data is not base64"))?;
    let cost = Cost {
        n: file.n,
        r: file.r,
        p: file.p,
    };
    let user = password_key(platform, password, &salt, &cost).await?;
    let expectation = Expectation {
        compressed: false,
        max_length: MAX_SIZE,
        digest: None,
    };
    let master = Zeroizing::new(platform.open(&user, data, expectation).await?);
    let master: Master =
        serde_json::from_slice(&master).map_err(|_| damaged("it does not contain a key"))?;
    platform.import_key(
        &*master
            .material()
            .ok_or_else(|| damaged("it does not contain a key"))?,
    )
}

async fn password_key<P: Platform>(
    platform: &Isolating<P>,
    password: &[u8],
    salt: &[u8],
    cost: &Cost,
) -> Result<P::Key> {
    let derived = Zeroizing::new(
        platform
            .scrypt(password, salt, cost.n, cost.r, cost.p)
            .await?,
    );
    let material = derived
        .as_slice()
        .try_into()
        .map_err(|_| Error::Other("scrypt gave no 64 bytes".into()))?;
    platform.import_key(material)
}

impl Master {
    fn from_material(material: &[u8; 64]) -> Self {
        Self {
            mac: Mac {
                k: BASE64.encode(&material[32..48]),
                r: BASE64.encode(&material[48..]),
            },
            encrypt: BASE64.encode(&material[..32]),
        }
    }

    fn material(&self) -> Option<Zeroizing<[u8; 64]>> {
        let mut material = Zeroizing::new([0; 64]);
        for (text, part) in [
            (&self.encrypt, 0..32),
            (&self.mac.k, 32..48),
            (&self.mac.r, 48..64),
        ] {
            let bytes = Zeroizing::new(BASE64.decode(text).ok()?);
            material[part.clone()].copy_from_slice((bytes.len() == part.len()).then_some(&bytes)?);
        }
        Some(material)
    }

    fn to_bytes(&self) -> Vec<u8> {
        to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_hold_anything() {
        tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "key", &[], |bytes| {
            let _ = serde_json::from_slice::<File>(bytes);
            if let Ok(master) = serde_json::from_slice::<Master>(bytes) {
                master.material();
            }
        });
    }
}
