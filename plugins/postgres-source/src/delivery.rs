//! The way of a dump from a program to the host, on which it is judged.

use dump_check::{Archive, Check, Form, Script, Unchecked};
use wit_bindgen::{StreamReader, StreamResult, StreamWriter};

use crate::config::{Config, Format};
use crate::layout::Dump;

/// Bytes that are handed on at a time.
const CHUNK: usize = 256 << 10;

/// A dump on its way.
pub(crate) struct Delivery {
    check: Box<dyn Check>,
}

impl Delivery {
    /// Judges the dump by what it has to be.
    pub(crate) fn new(dump: &Dump, config: &Config) -> Self {
        Self {
            check: check(dump, config),
        }
    }

    /// Hands on all of the output. The error says what it lacks, for a sentence like "the dump ...".
    pub(crate) async fn run(
        mut self,
        mut output: StreamReader<u8>,
        input: &mut StreamWriter<u8>,
    ) -> Result<(), String> {
        let mut buffer = Vec::with_capacity(CHUNK);
        loop {
            let (result, bytes) = output.read(buffer).await;
            self.check.follow(&bytes);
            buffer = input.write_all(bytes).await;
            if !buffer.is_empty() {
                return Err("was given up before its end".into());
            }
            if !matches!(result, StreamResult::Complete(_)) {
                return self.check.finish();
            }
            buffer.reserve(CHUNK);
        }
    }
}

/// What a dump has to be.
pub(crate) fn check(dump: &Dump, config: &Config) -> Box<dyn Check> {
    match dump {
        _ if config.unchecked => Box::new(Unchecked),
        Dump::Globals => Box::new(Script::of_cluster()),
        Dump::Database(_, Format::Plain) => Box::new(Script::of_database()),
        Dump::Database(_, Format::Custom) => Box::new(Archive::new(Form::Custom)),
        Dump::Database(_, Format::Tar) => Box::new(Archive::new(Form::Tar)),
    }
}
