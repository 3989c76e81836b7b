//! The sources and sinks of `examples/`, as an operator uses them, and as the conformance suite sees them.

mod plain_files;
mod project;
mod sqlite_source;
