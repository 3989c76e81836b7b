//! Incomplete files. They have a temporary name that no object has, and get their final name when they are complete. Their temporary
//! names are noted meanwhile, so that interrupted writes leave nothing behind.

use wasip3::random::random::get_random_u64;

use crate::Result;
use crate::leftovers::{clear, left, note};

/// The prefix of their names.
const PREFIX: &str = ".partial-";

/// Stores something under a temporary name, which `store` gets, and then renames it. If that fails, removes the temporary file.
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

/// Removes leftovers of interrupted instances. The next instance tries again if that fails.
pub async fn remove_leftovers(remove: impl AsyncFn(&str) -> Result<()>) -> Result<()> {
    for name in left().await {
        if remove(&name).await.is_ok() {
            clear(name).await?;
        }
    }
    Ok(())
}
