//! Counts bytes against a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Kind, Result};

/// Counts the bytes that a plugin gives, against its limit.
#[derive(Debug)]
pub(crate) struct Meter {
    bytes: AtomicU64,
    limit: Option<u64>,
}

impl Meter {
    /// A meter at zero.
    pub(crate) fn new(limit: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicU64::new(0),
            limit,
        })
    }

    /// Adds bytes; the error is that of a plugin that gives too many.
    pub(crate) fn add(&self, bytes: u64) -> Result<()> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.check()
    }

    /// The bytes that may go through, where there is a limit.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// What went through so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The error of a plugin that gave too many.
    pub(crate) fn check(&self) -> Result<()> {
        match self.limit {
            Some(limit) if self.bytes() > limit => Err(Error::new(
                Kind::Plugin,
                format!("it gave more than its limit of {limit} bytes"),
            )
            .help("raise limits.output if the plugin has to give more")),
            _ => Ok(()),
        }
    }
}
