//! Feeds a dump to a program, or only inspects it.
//!
//! The end of a program's input does not mean success: it also comes when the host or the machine fails, or when a
//! client like `docker exec` is killed. So until the verdict on the contents is `ok`, the plugin withholds what the
//! program needs to succeed: the `COMMIT` from `psql`, and the last byte that it needs from `pg_restore`. The server
//! then rolls back.

use dump_check::{Archive, Check};
use psql_script::Script;
use tthost_plugin::Error;
use tthost_plugin::command::{self, Process};
use wit_bindgen::StreamWriter;

use crate::arguments::{self, Connection};
use crate::config::{Config, Format};
use crate::delivery;
use crate::layout::Dump;
use crate::program::{judge, refusals, succeed};
use crate::restriction::Restriction;
use crate::transaction::Transaction;
use crate::vetting::Vetting;

/// Bytes in one write.
const CHUNK: usize = 1 << 20;

/// The number of zero bytes at the end of a tar.
const TAR_END: usize = 1024;

/// The program for a dump, and its arguments. `psql` gets this restriction. Roles and tablespaces go into no database.
pub(crate) fn program(
    dump: &Dump,
    config: &Config,
    connection: &Connection,
    restriction: Option<&str>,
) -> (&'static str, Vec<String>) {
    match dump {
        Dump::Globals => ("psql", arguments::restore_globals(connection, restriction)),
        Dump::Database(_, Format::Plain) => {
            ("psql", arguments::restore_sql(connection, restriction))
        }
        Dump::Database(_, Format::Custom | Format::Tar) => {
            ("pg_restore", arguments::restore_archive(config, connection))
        }
    }
}

/// Receives a dump, checks it and passes it on to the program.
pub(crate) struct Feed {
    program: Option<Program>,
    form: Form,
    /// Received bytes that must not be passed on yet.
    held: Vec<u8>,
    /// How many bytes of the last buffer were withheld before.
    kept: usize,
    /// Bytes passed on.
    bytes: u64,
}

/// A dump that a program accepted.
pub(crate) struct FeedReport {
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// Failed statements that did not end the program, as far as the end of its messages shows. An object that exists
    /// already is not a failure.
    pub(crate) refused: u64,
}

/// A running program, and its input.
struct Program {
    name: &'static str,
    process: Process,
    input: StreamWriter<u8>,
}

enum Form {
    /// SQL in one transaction.
    Sql(Transaction, Box<Script>, DumpEndCheck),
    /// SQL that takes effect at once.
    Script(Box<Script>),
    /// SQL that is only inspected.
    Inspected(Box<Script>, Box<dyn Check>),
    /// An archive, and whether it must be complete.
    Archive(Box<Archive>, bool),
    /// The end.
    Ended,
}

impl Feed {
    /// Starts the program for a dump.
    pub(crate) async fn start(
        dump: &Dump,
        config: &Config,
        connection: &Connection<'_>,
    ) -> Result<Self, Error> {
        let restriction = match dump {
            Dump::Globals | Dump::Database(_, Format::Plain) => Restriction::of_psql().await?,
            Dump::Database(_, Format::Custom | Format::Tar) => Restriction::None,
        };
        let token = restriction.token();
        let (program, arguments) = program(dump, config, connection, token.as_deref());
        let (input, stream) = command::input();
        let process = command::spawn(program.into(), arguments, Some(stream)).await?;
        Ok(Self {
            program: Some(Program {
                name: program,
                process,
                input,
            }),
            form: match dump {
                Dump::Globals => Form::Script(restriction.follow(Script::by_statements())),
                Dump::Database(_, Format::Plain) => {
                    let script = restriction.follow(Script::in_transaction());
                    Form::Sql(Transaction::default(), script, DumpEndCheck::new(config))
                }
                Dump::Database(_, Format::Custom | Format::Tar) => {
                    let archive = Archive::examined(Box::<Vetting>::default());
                    Form::Archive(Box::new(archive), !config.unchecked)
                }
            },
            held: Vec::new(),
            kept: 0,
            bytes: 0,
        })
    }

    /// Inspects roles and tablespaces as if for `psql`.
    pub(crate) fn inspect_globals(config: &Config) -> Self {
        let script = Box::new(Script::by_statements());
        Self {
            program: None,
            form: Form::Inspected(script, delivery::check(&Dump::Globals, config)),
            held: Vec::new(),
            kept: 0,
            bytes: 0,
        }
    }

    /// A buffer. Append the next bytes of the dump to its contents.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.held);
        self.kept = buffer.len();
        buffer.reserve(CHUNK);
        buffer
    }

    /// Feeds the bytes that were appended to the [`buffer`](Self::buffer).
    pub(crate) async fn feed(&mut self, mut buffer: Vec<u8>) -> Result<(), Error> {
        let accepted = self.form.accept(&mut buffer, self.kept, self.bytes);
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(refusal) => return Err(self.refuse(refusal).await),
        };
        self.bytes += accepted as u64;
        let mut rest = buffer.split_off(accepted);
        if let Form::Archive(archive, _) = &self.form
            && let Some(end) = archive.end_of_need()
        {
            let needed = usize::try_from(end.saturating_sub(self.bytes));
            rest.truncate(needed.unwrap_or(usize::MAX));
        }
        self.held = self.write(buffer).await?;
        self.held.extend(rest);
        Ok(())
    }

    /// Completes the dump: passes on the rest and what makes it permanent, and waits for the end
    /// of the program.
    pub(crate) async fn complete(mut self) -> Result<FeedReport, Error> {
        let mut rest = std::mem::take(&mut self.held);
        self.bytes += rest.len() as u64;
        match std::mem::replace(&mut self.form, Form::Ended) {
            Form::Sql(_, script, mut end_check) => {
                end_check.follow(&rest);
                let ended = end(*script, &mut rest).and_then(|()| end_check.finish());
                if let Err(refusal) = ended {
                    return Err(self.refuse(refusal).await);
                }
                rest.extend(b"\nCOMMIT;\n");
            }
            Form::Script(script) => {
                if let Err(refusal) = end(*script, &mut rest) {
                    return Err(self.refuse(refusal).await);
                }
            }
            Form::Inspected(script, mut check) => {
                end(*script, &mut rest).map_err(Error::Denied)?;
                let judged = check.finish();
                judged.map_err(|lack| Error::Corrupt(format!("the dump {lack}")))?;
            }
            Form::Archive(mut archive, has_to_be_whole) => {
                if let Err(lack) = archive.finish()
                    && has_to_be_whole
                {
                    return Err(self.refuse(cut(&lack)).await);
                }
                self.bytes = archive.followed();
                if archive.end_of_need().is_some() {
                    rest.extend([0; TAR_END]);
                }
            }
            Form::Ended => {}
        }
        self.write(rest).await?;
        let mut refused = 0;
        if let Some(program) = self.program {
            drop(program.input);
            let exit = program.process.wait().await?;
            judge(program.name, &exit)?;
            refused = refusals(&exit.stderr_tail);
        }
        Ok(FeedReport {
            bytes: self.bytes,
            refused,
        })
    }

    /// Abandons an incomplete dump: ends the program before its input ends.
    pub(crate) fn give_up(self) {
        if let Some(program) = self.program {
            program.process.kill();
        }
    }

    /// Refuses a dump: ends the program before it gets the refused bytes, so that the server rolls back.
    async fn refuse(&mut self, refusal: String) -> Error {
        if let Some(program) = &self.program {
            program.process.kill();
            // The refusal is the error to report.
            let _ = program.process.wait().await;
        }
        Error::Denied(refusal)
    }

    /// Empties the buffer and returns it.
    async fn write(&mut self, mut bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
        let Some(program) = &mut self.program else {
            bytes.clear();
            return Ok(bytes);
        };
        if bytes.is_empty() {
            return Ok(bytes);
        }
        let unsent = program.input.write_all(bytes).await;
        if unsent.is_empty() {
            return Ok(unsent);
        }
        // The program stopped reading, so it failed. Its exit status says why.
        succeed(program.name, &program.process).await?;
        Err(Error::Other(format!(
            "{} stopped reading before the end of the dump",
            program.name
        )))
    }
}

impl Form {
    /// How many bytes may be passed on before the verdict of the contents. The error says why none may.
    ///
    /// The first `kept` bytes were inspected before, and `gone` bytes were passed on before them.
    fn accept(&mut self, bytes: &mut [u8], kept: usize, gone: u64) -> Result<usize, String> {
        match self {
            Self::Sql(transaction, script, end_check) => {
                let accepted = transaction.pass(bytes);
                end_check.follow(&bytes[..accepted]);
                script.follow(&mut bytes[..accepted])?;
                Ok(accepted)
            }
            Self::Script(script) => {
                script.follow(bytes)?;
                Ok(bytes.len())
            }
            Self::Inspected(script, check) => {
                check.follow(bytes);
                script.follow(bytes)?;
                Ok(bytes.len())
            }
            Self::Archive(archive, _) => {
                archive.follow(&bytes[kept..]);
                if let Some(objection) = archive.objection() {
                    return Err(format!("the dump {objection}"));
                }
                Ok(usize::try_from(archive.released() - gone).unwrap_or(bytes.len()))
            }
            Self::Ended => Ok(0),
        }
    }
}

/// Checks that a dump that begins like one of `pg_dump` also ends like one. Other dumps pass.
struct DumpEndCheck(Option<Box<dump_check::Script>>);

impl DumpEndCheck {
    fn new(config: &Config) -> Self {
        Self((!config.unchecked).then(|| Box::new(dump_check::Script::of_database())))
    }

    fn follow(&mut self, bytes: &[u8]) {
        if let Some(script) = &mut self.0 {
            script.follow(bytes);
        }
    }

    /// Finishes the check. The error says why nothing is restored.
    fn finish(self) -> Result<(), String> {
        let Some(mut script) = self.0.filter(|script| script.is_titled()) else {
            return Ok(());
        };
        script.finish().map_err(|lack| cut(&lack))
    }
}

/// The error of an incomplete dump.
fn cut(lack: &str) -> String {
    format!("the dump {lack} (unchecked = true in the source's config restores it all the same)")
}

/// The end of a script, as a check that it is complete.
fn end(mut script: Script, rest: &mut [u8]) -> Result<(), String> {
    script.follow(rest)?;
    script.finish()
}
