//! Programs that the operator granted, and the verdicts on their input and output.

use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::bindings::programs::wit_stream;
use crate::body::Body;
use crate::{Error, Result};

pub use crate::bindings::programs::tthost::backup::commands::{Exit, Process, spawn};

/// The number of bytes that are read at a time.
const PIECE: usize = 256 << 10;

/// The failure of a program.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The end of its standard error.
    pub said: String,
}

/// Starts a program without input, and returns its output. The verdict is `ok` only if the program exits with 0.
pub async fn run_from(name: &str, arguments: &[&str]) -> Result<Body> {
    let process = start(name, arguments, None).await?;
    let (stream, whole) = output(&process)?;
    let name = name.to_owned();
    Ok(Body::judged(stream, async move {
        let read = whole.await;
        succeeded(&process.wait().await?).map_err(|failure| failure.of(&name))?;
        read
    }))
}

/// Writes a body to a program, and waits for its end. If the verdict on the body is an error, the program is killed instead of
/// getting the end of its input, so that it does not treat a part as complete. Its output is ignored.
pub async fn run_to(name: &str, arguments: &[&str], mut body: Body) -> Result<()> {
    let (mut input, stdin) = wit_stream::new();
    let process = start(name, arguments, Some(stdin)).await?;
    while let Some(piece) = body.next().await {
        // How a program ended that reads no more, its exit code tells.
        if !input.write_all(piece).await.is_empty() {
            break;
        }
    }
    if let Err(error) = body.finish().await {
        process.kill();
        return Err(error);
    }
    drop(input);
    let exit = process.wait().await?;
    succeeded(&exit).map_err(|failure| failure.of(name))
}

/// Runs a program without input, and returns its complete output or its failure. It may write at most `most` bytes.
pub async fn run(
    name: &str,
    arguments: &[&str],
    most: usize,
) -> Result<std::result::Result<Vec<u8>, Failure>> {
    let process = start(name, arguments, None).await?;
    let (stream, whole) = output(&process)?;
    let mut body = Body::judged(stream, whole.into_future());
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend(piece);
        if bytes.len() > most {
            process.kill();
            return Err(Error::Other(format!("{name} wrote more than {most} bytes")));
        }
    }
    body.finish().await?;
    let exit = process.wait().await?;
    Ok(succeeded(&exit).map(|()| bytes))
}

/// A stream for the input of a program.
pub fn input() -> (StreamWriter<u8>, StreamReader<u8>) {
    wit_stream::new()
}

type Output = (StreamReader<u8>, FutureReader<Result<()>>);

fn output(process: &Process) -> Result<Output> {
    let taken = || Error::Other("the output was taken twice".into());
    process.stdout().ok_or_else(taken)
}

async fn start(name: &str, arguments: &[&str], stdin: Option<StreamReader<u8>>) -> Result<Process> {
    let arguments = arguments.iter().map(ToString::to_string).collect();
    spawn(name.into(), arguments, stdin).await
}

fn succeeded(exit: &Exit) -> std::result::Result<(), Failure> {
    match exit.code {
        Some(0) => Ok(()),
        code => Err(Failure {
            code,
            said: exit.stderr_tail.trim().to_owned(),
        }),
    }
}

impl Failure {
    /// The error of a call that needs the program's success.
    pub fn of(&self, name: &str) -> Error {
        let how = match self.code {
            Some(code) => format!("exited with {code}"),
            None => "was killed".to_owned(),
        };
        Error::Other(format!("{name} {how}: {}", self.said))
    }
}

/// A program with input and output in both directions. Dropping this kills it.
pub struct Dialogue {
    process: Process,
    input: StreamWriter<u8>,
}

/// The output of a program in a dialogue.
pub struct Answers(StreamReader<u8>);

impl Dialogue {
    /// Starts a program.
    pub async fn begin(name: &str, arguments: &[&str]) -> Result<(Self, Answers)> {
        let (input, stdin) = wit_stream::new();
        let process = start(name, arguments, Some(stdin)).await?;
        let (output, _) = output(&process)?;
        Ok((Self { process, input }, Answers(output)))
    }

    /// Writes to the program. An error means that it no longer reads.
    pub async fn say(&mut self, bytes: Vec<u8>) -> Result<()> {
        if self.input.write_all(bytes).await.is_empty() {
            return Ok(());
        }
        Err(self.ended().await)
    }

    /// The error of a program that ended unexpectedly.
    pub async fn ended(&self) -> Error {
        match self.process.wait().await {
            Ok(exit) => match succeeded(&exit) {
                Ok(()) => Error::Unavailable("the program ended the dialogue".into()),
                Err(failure) => Error::Unavailable(failure.of("the program").to_string()),
            },
            Err(error) => error,
        }
    }
}

impl Answers {
    /// The next bytes; `None` at the end of the output.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        let (result, bytes) = self.0.read(Vec::with_capacity(PIECE)).await;
        Some(bytes).filter(|bytes| !bytes.is_empty() || matches!(result, StreamResult::Complete(_)))
    }
}
