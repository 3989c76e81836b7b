//! Confines a granted program: it sees only what it needs, changes nothing, and leaves no processes behind.
//!
//! tthost does not start a program directly. It starts itself again as a *launcher*, which does not know the configuration and
//! has only the program's environment. The launcher has one thread, so it can do what a multi-threaded process cannot do
//! between fork and exec: it creates namespaces, builds the view of the file system, restricts itself and becomes the program. A
//! socket, the *lifeline*, connects it with this process. When the lifeline closes, the program and its children are killed.

mod kernel;
mod launcher;
mod plan;
mod start;
mod view;

pub use kernel::{Kernel, kernel};
pub use launcher::launcher;
pub(crate) use start::{Lifeline, Refusal, Running, start};
