//! Checks that a dump is complete while it streams by.
//!
//! Exit code 0 of a program proves nothing: its output may be empty, truncated by a full disk, or changed by a
//! terminal. Most dumps mark their beginning and their end, and a [`Check`] verifies these marks. It detects
//! accidents, not attacks: somebody who can write the dump can also write its end.

mod archive;
mod input;
mod script;
mod titles;

pub use archive::{Archive, Entry, Examine, Form};
pub use script::Script;

/// Follows the bytes of a dump, and tells at its end whether it is whole.
///
/// A source runs one beside each stream that it hands on, and makes its answer part of the stream's verdict, so that
/// a dump that is not whole leaves no snapshot.
pub trait Check {
    /// The next bytes.
    fn follow(&mut self, bytes: &[u8]);

    /// Finishes the check. The error continues a sentence that begins with "the dump".
    ///
    /// # Errors
    ///
    /// When the dump is not whole.
    fn finish(&mut self) -> Result<(), String>;
}

/// Accepts everything, for programs with unknown formats.
#[derive(Debug, Default)]
pub struct Unchecked;

impl Check for Unchecked {
    fn follow(&mut self, _: &[u8]) {}

    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }
}
