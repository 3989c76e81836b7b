//! `commands`: the granted programs.
//!
//! It defends against a plugin that tries to run another program than the granted one (the operator sets the program and its
//! first arguments), to read the host's environment (the program gets only granted variables), to make a program read or write
//! elsewhere, or to leave processes behind (see [`crate::confine`]).

mod process;
mod spawn;
mod stdio;

use wasmtime::component::{Access, Accessor, FutureReader, HasSelf, Resource, StreamReader};

use crate::grant::{Purpose, Restoration};
use crate::plugin::Role;
use crate::plugin::bindings::common::tthost::backup::commands;
use crate::plugin::bindings::types;
use crate::plugin::host_stream::HostStream;
use crate::plugin::state::{MAX_PROGRAMS, State};
use crate::text::printable;

pub use process::Process;

type Output = (StreamReader<u8>, FutureReader<Result<(), types::Error>>);

impl commands::Host for State {}

impl commands::HostWithStore<State> for HasSelf<State> {
    async fn spawn(
        accessor: &Accessor<State, Self>,
        name: String,
        arguments: Vec<String>,
        stdin: Option<StreamReader<u8>>,
    ) -> wasmtime::Result<Result<Resource<Process>, types::Error>> {
        let (grants, subject, turn, is_store, held) = accessor.with(|mut access| {
            let state = access.get();
            let turn = state.programs.clone().try_acquire_owned();
            let is_store = state.role == Some(Role::Store);
            let held = state.memory.hold(weight(&arguments));
            let (grants, subject) = (state.grants.clone(), state.subject.clone());
            (grants, subject, turn, is_store, held)
        });
        // A store may have to talk with its program to read. What it is not to store or to remove, it is not told.
        let changes_nothing = !is_store
            && matches!(
                grants.purpose,
                Purpose::Inspect | Purpose::Restore(Restoration::DryRun { .. })
            );
        let started = match (grants.commands.get(&name), turn, held) {
            (Some(_), ..) if changes_nothing && stdin.is_some() => Err(types::Error::Denied(
                "a command gets no input where nothing may be changed, as in a dry run".into(),
            )),
            (Some(_), Err(_), _) => Err(types::Error::Denied(format!(
                "no more than {MAX_PROGRAMS} programs of a plugin run at a time"
            ))),
            (Some(_), Ok(_), Err(error)) => Err(error),
            (Some(command), Ok(turn), Ok(_held)) => {
                let started = spawn::spawn(&name, command, &arguments, stdin.is_some()).await;
                started.map(|started| (started, turn))
            }
            (None, ..) => Err(types::Error::Denied(format!(
                "the command {0} is not granted: add grants.commands.{0} to its configuration",
                printable(&name)
            ))),
        };
        accessor.with(|mut access| {
            let (mut program, turn) = match started {
                Ok(started) => started,
                Err(error) => {
                    if let Some(mut stdin) = stdin {
                        stdin.close(&mut access)?;
                    }
                    return Ok(Err(error));
                }
            };
            if let (Some(stream), Some(pipe)) = (stdin, program.take_stdin()) {
                let activity = access.get().activity.clone();
                stream.pipe(&mut access, stdio::Input::new(pipe, activity))?;
            }
            let stop = access.get().stop_programs.clone();
            let process = Process::new(&name, program, turn, &subject, &stop);
            Ok(Ok(access.get().table.push(process)?))
        })
    }
}

/// What arguments take in memory while a program is started with them: here, and where they are handed over.
fn weight(arguments: &[String]) -> usize {
    let each = arguments
        .iter()
        .map(|argument| size_of::<String>() + argument.len());
    2 * each.sum::<usize>()
}

impl commands::HostProcess for State {
    fn kill(&mut self, process: Resource<Process>) -> wasmtime::Result<()> {
        self.table.get(&process)?.kill();
        Ok(())
    }

    fn drop(&mut self, process: Resource<Process>) -> wasmtime::Result<()> {
        self.table.delete(process)?;
        Ok(())
    }
}

impl commands::HostProcessWithStore<State> for HasSelf<State> {
    fn stdout(
        mut host: Access<'_, State, Self>,
        process: Resource<Process>,
    ) -> wasmtime::Result<Option<Output>> {
        let Some(pipe) = host.get().table.get_mut(&process)?.take_stdout() else {
            return Ok(None);
        };
        let activity = host.get().activity.clone();
        let (output, verdict) = stdio::output(pipe);
        let stream = StreamReader::new(&mut host, HostStream::new(output, activity))?;
        let verdict = FutureReader::new(&mut host, verdict)?;
        Ok(Some((stream, verdict)))
    }

    async fn wait(
        accessor: &Accessor<State, Self>,
        process: Resource<Process>,
    ) -> wasmtime::Result<Result<commands::Exit, types::Error>> {
        let ended =
            accessor.with(|mut access| access.get().table.get(&process).map(Process::ended))?;
        Ok(ended.await)
    }
}
