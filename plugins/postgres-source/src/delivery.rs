//! Checks a dump on its way from a program to the host.

use dump_check::{Archive, Check, Form, Script, Unchecked};
use tthost_plugin::tree::Output;
use wit_bindgen::{StreamReader, StreamResult};

use crate::config::{Config, Format};
use crate::layout::Dump;

/// Bytes in one write.
const CHUNK: usize = 256 << 10;

/// Passes on the output of a program. The error continues a sentence that begins with "the dump".
pub(crate) async fn deliver(
    mut check: Box<dyn Check>,
    mut written: StreamReader<u8>,
    output: &mut Output,
) -> Result<(), String> {
    loop {
        let (result, bytes) = written.read(Vec::with_capacity(CHUNK)).await;
        check.follow(&bytes);
        if output.write(bytes).await.is_err() {
            return Err("was given up before its end".into());
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return check.finish();
        }
    }
}

/// The expected form of a dump.
pub(crate) fn check(dump: &Dump, config: &Config) -> Box<dyn Check> {
    match dump {
        _ if config.unchecked => Box::new(Unchecked),
        Dump::Globals => Box::new(Script::of_cluster()),
        Dump::Database(_, Format::Plain) => Box::new(Script::of_database()),
        Dump::Database(_, Format::Custom) => Box::new(Archive::new(Form::Custom)),
        Dump::Database(_, Format::Tar) => Box::new(Archive::new(Form::Tar)),
    }
}
