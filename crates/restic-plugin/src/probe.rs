//! The object that a probe stores beside a repository to test its rights.

use crate::bindings::tthost::backup::leftovers;
use crate::platform::{clear, random};

/// Its name if it cannot be removed: all probes share one object. No program reads it.
pub const SHARED: &str = "tthost-probe";

/// Its contents, for people who find it.
pub const CONTENTS: &[u8] =
    b"tthost writes this to find out what its credentials allow. It can be removed.\n";

/// A unique name. Concurrent probes of one object would take each other's changes for refusals.
pub fn own_name() -> String {
    let mut number = [0; 8];
    random(&mut number);
    format!("{SHARED}-{:016x}", u64::from_le_bytes(number))
}

/// Removes the objects of probes of dead processes.
pub async fn remove_leftovers(remove: impl AsyncFn(&str) -> restic_repo::Result<()>) {
    for name in leftovers::left().await {
        if name.starts_with(SHARED) && remove(&name).await.is_ok() {
            clear(&name).await;
        }
    }
}
