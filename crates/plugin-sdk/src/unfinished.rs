//! Things that are not whole yet. They are stored beside their place, under a name that no object has, and take their place when
//! all has come. Their names are written down meanwhile, so that what was cut off does not stay.

use wasip3::random::random::get_random_u64;

use crate::Result;
use crate::leftovers::{clear, left, note};

/// How their names begin.
const PREFIX: &str = ".partial-";

/// Stores something under the name that `store` is given, and has it take its place. What is left of it when that fails is removed.
pub async fn store(
    store: impl AsyncFnOnce(&str) -> Result<()>,
    remove: impl AsyncFnOnce(&str) -> Result<()>,
) -> Result<()> {
    let name = format!("{PREFIX}{:016x}", get_random_u64());
    note(name.clone()).await?;
    let stored = store(&name).await;
    if stored.is_err() && remove(&name).await.is_err() {
        // Its name stands, and the next instance tries again.
        return stored;
    }
    clear(name).await?;
    stored
}

/// Removes what instances left that were cut off. What cannot be removed is for the next one.
pub async fn remove_left(remove: impl AsyncFn(&str) -> Result<()>) -> Result<()> {
    for name in left().await {
        if remove(&name).await.is_ok() {
            clear(name).await?;
        }
    }
    Ok(())
}
