//! What a probe stores beside a repository, to find out what can be done.

use crate::bindings::tthost::backup::leftovers;
use crate::platform::{clear, random};

/// What it is called where it cannot be removed, so that all probes leave one thing together. No program takes it for its own.
pub const SHARED: &str = "tthost-probe";

/// What it says to who finds it.
pub const CONTENTS: &[u8] =
    b"tthost writes this to find out what its credentials allow. It can be removed.\n";

/// A name that no other probe has. Two that run at the same time would take what the other one does for a refusal.
pub fn own_name() -> String {
    let mut number = [0; 8];
    random(&mut number);
    format!("{SHARED}-{:016x}", u64::from_le_bytes(number))
}

/// Removes what the probes of processes left that are gone.
pub async fn remove_leftovers(remove: impl AsyncFn(&str) -> restic_repo::Result<()>) {
    for name in leftovers::left().await {
        if name.starts_with(SHARED) && remove(&name).await.is_ok() {
            clear(&name).await;
        }
    }
}
