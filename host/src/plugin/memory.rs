//! A plugin's memory: its own, and what the host holds for it, against one limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use super::bindings::types;

/// What a plugin may take of memory, and has taken. Clones share it.
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

impl Memory {
    /// An account with nothing taken, and this limit in bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self(Arc::new(Account {
            limit,
            taken: AtomicU64::new(0),
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

impl Share {
    /// Makes room for more.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), types::Error> {
        let bytes = bytes as u64;
        if !self.memory.take(bytes) {
            return Err(types::Error::Other(
                "the host holds too much memory for this plugin: raise limits.memory".into(),
            ));
        }
        self.bytes += bytes;
        Ok(())
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
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        /// Entries; far more than a component needs, far less than hurts.
        const LARGEST_TABLE: usize = 1 << 20;
        Ok(desired <= LARGEST_TABLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_and_the_host_share_one_limit() {
        let mut memory = Memory::new(100);
        let mut share = memory.hold(40).expect("there is room");
        assert!(memory.memory_growing(0, 60, None).is_ok());
        assert!(share.grow(1).is_err());
        drop(share);
        assert!(memory.hold(41).is_err());
        assert!(memory.hold(40).is_ok());
    }
}
