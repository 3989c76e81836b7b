//! Accounts for the memory of a plugin, including what the host holds for it, against one limit.
//!
//! The host reserves before it allocates. The data of a call is in the host before the host can inspect it, so memory for it
//! is reserved from the start: see [`Memory::crossing`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use wasmtime::ResourceLimiter;

use super::bindings::types;

/// The memory limit of a plugin and its use. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Account>);

#[derive(Debug)]
struct Account {
    /// In bytes.
    limit: u64,
    taken: AtomicU64,
}

/// Bytes that the host holds for a plugin, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Memory,
    bytes: u64,
}

/// Bytes that are charged as long as they are there.
struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Memory {
    /// An account with this limit in bytes, of which the room for one call is taken.
    pub(super) fn new(limit: u64) -> Self {
        let account = Account {
            limit,
            taken: AtomicU64::new(0),
        };
        let taken = account.crossing();
        account.taken.store(taken, Ordering::Relaxed);
        Self(Arc::new(account))
    }

    /// Bytes that one call may carry into the host, in arguments or in a result. They come one call after the other,
    /// and what the host keeps of them is charged anew.
    pub(super) fn crossing(&self) -> usize {
        usize::try_from(self.0.crossing()).unwrap_or(usize::MAX)
    }

    /// Charges bytes that the host has taken over, until the last of them is gone.
    pub(super) fn charge(&self, bytes: Bytes) -> Result<Bytes, types::Error> {
        let share = self.hold(bytes.len() + size_of::<Held>())?;
        Ok(Bytes::from_owner(Held {
            bytes,
            _share: share,
        }))
    }

    /// Makes room for bytes that the host holds. The error is for the plugin.
    pub(super) fn hold(&self, bytes: usize) -> Result<Share, types::Error> {
        let mut share = Share {
            memory: self.clone(),
            bytes: 0,
        };
        share.grow(bytes)?;
        Ok(share)
    }

    fn take(&self, bytes: u64) -> bool {
        let more = |taken: u64| {
            taken
                .checked_add(bytes)
                .filter(|total| *total <= self.0.limit)
        };
        let taken = &self.0.taken;
        taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }
}

impl Account {
    fn crossing(&self) -> u64 {
        /// Of the limit.
        const PART: u64 = 8;
        const MAX: u64 = 128 << 20;
        (self.limit / PART).min(MAX)
    }
}

impl Share {
    /// Makes room for more.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), types::Error> {
        let bytes = bytes as u64;
        if !self.memory.take(bytes) {
            let limit = self.memory.0.limit >> 20;
            return Err(types::Error::Other(format!(
                "the plugin has no room left in its {limit} MiB of memory for this: raise limits.memory"
            )));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Makes so many of its bytes a share of their own, or all that it has.
    pub(super) fn split(&mut self, bytes: usize) -> Self {
        let bytes = self.bytes.min(bytes as u64);
        self.bytes -= bytes;
        Self {
            memory: self.memory.clone(),
            bytes,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.0.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if !self.take((desired - current) as u64) {
            wasmtime::bail!(
                "it needs more memory than its limit of {} MiB",
                self.0.limit >> 20
            );
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        /// Bytes of an entry.
        const ENTRY: u64 = 16;
        let more = (desired - current) as u64;
        if !self.take(more.saturating_mul(ENTRY)) {
            wasmtime::bail!(
                "its tables need more memory than its limit of {} MiB",
                self.0.limit >> 20
            );
        }
        Ok(true)
    }

    // Each of these uses resources of the host that the memory limit does not count: address space and bookkeeping of the engine.

    fn instances(&self) -> usize {
        256
    }

    fn tables(&self) -> usize {
        256
    }

    fn memories(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_and_the_host_share_one_limit() {
        let mut memory = Memory::new(100);
        let free = 100 - memory.crossing();
        let mut share = memory.hold(40).expect("there is room");
        assert!(memory.memory_growing(0, free - 40, None).is_ok());
        assert!(share.grow(1).is_err());
        drop(share);
        assert!(memory.hold(41).is_err());
        assert!(memory.table_growing(0, 1, None).is_ok());
        assert!(memory.table_growing(1, 3, None).is_err());
    }

    #[test]
    fn bytes_are_charged_until_the_last_of_them_is_gone() {
        let memory = Memory::new(100);
        let free = 100 - memory.crossing();
        let bytes = vec![0; free - size_of::<Held>()];
        let bytes = memory.charge(bytes.into()).expect("there is room");
        let part = bytes.slice(1..2);
        drop(bytes);
        assert!(memory.hold(1).is_err());
        drop(part);
        assert!(memory.hold(free).is_ok());
        memory
            .charge(vec![0; free].into())
            .expect_err("it takes room to keep them");
    }
}
