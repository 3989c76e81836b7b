//! The repository format against the real restic, and against what can go wrong.

mod access;
mod damage;
mod faults;
mod interop;
mod native;
mod prune;
mod support;
mod unreadable;
