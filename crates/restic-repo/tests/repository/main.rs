//! The repository format against the real restic, and against what can go wrong.

mod access;
mod faults;
mod interop;
mod prune;
mod support;
