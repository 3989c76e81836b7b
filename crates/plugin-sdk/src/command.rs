//! Programs that the operator granted, with the verdict on what they give and take.

use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::bindings::programs::wit_stream;
use crate::body::Body;
use crate::{Error, Result};

pub use crate::bindings::programs::tthost::backup::commands::{Exit, Process, spawn};

/// Bytes that are taken at a time.
const PIECE: usize = 256 << 10;

/// How a program ended that did not succeed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The end of what it wrote to standard error.
    pub said: String,
}

/// Starts a program without input, and answers what it writes. The verdict is good only if it exits with 0.
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

/// Feeds a program, and waits for its end. It gets the end of its input only if the verdict on the body is good; otherwise it
/// is killed, so that it takes no part for the whole. Its output is not looked at.
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

/// Runs a program without input, and answers all that it wrote, or how it failed. It may write at most `most` bytes.
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

/// A way for a program's input.
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
    /// The error of a call that could not do without.
    pub fn of(&self, name: &str) -> Error {
        let how = match self.code {
            Some(code) => format!("exited with {code}"),
            None => "was killed".to_owned(),
        };
        Error::Other(format!("{name} {how}: {}", self.said))
    }
}

/// A program that is talked with. It is killed when this is dropped.
pub struct Dialogue {
    process: Process,
    input: StreamWriter<u8>,
}

/// What a program says in a dialogue.
pub struct Answers(StreamReader<u8>);

impl Dialogue {
    /// Starts a program.
    pub async fn begin(name: &str, arguments: &[&str]) -> Result<(Self, Answers)> {
        let (input, stdin) = wit_stream::new();
        let process = start(name, arguments, Some(stdin)).await?;
        let (output, _) = output(&process)?;
        Ok((Self { process, input }, Answers(output)))
    }

    /// Tells the program something; the error is that it no longer listens.
    pub async fn say(&mut self, bytes: Vec<u8>) -> Result<()> {
        if self.input.write_all(bytes).await.is_empty() {
            return Ok(());
        }
        Err(self.ended().await)
    }

    /// How the program ended, when it should not have.
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
    /// The next bytes; none when the program says no more.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        let (result, bytes) = self.0.read(Vec::with_capacity(PIECE)).await;
        Some(bytes).filter(|bytes| !bytes.is_empty() || matches!(result, StreamResult::Complete(_)))
    }
}
