//! Confining a granted program: it sees what it needs, changes nothing, and leaves nothing behind.
//!
//! A program is not started directly. This program starts itself once more, as a *launcher*
//! that knows nothing of the configuration and has the program's environment alone. It has one thread,
//! so it can do what is not possible between a fork and an exec of this process: it makes namespaces,
//! builds the view of the file system, restricts itself and becomes the program. A socket, the
//! *lifeline*, connects it with this process: its end is the end of the program and of all that it has started.

mod kernel;
mod launcher;
mod plan;
mod start;
mod view;

pub use kernel::{Kernel, kernel};
pub use launcher::launcher;
pub(crate) use start::{Lifeline, Refusal, Running, start};
