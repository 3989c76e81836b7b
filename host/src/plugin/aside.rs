//! Work of which a plugin decides what it costs, in a process of its own: only there can its time and its memory be limited. The
//! process is this program, started again with a word of its own. It opens nothing, and is given nothing but its input.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use crate::error::{Error, Kind, Result};
use crate::text::printable;

/// Bytes that are read of what such a process says.
const LONGEST: u64 = 64 << 10;

/// How long it may take on a machine that has other things to do. What it computes is limited by itself, and it waits for
/// nobody.
const PATIENCE: Duration = Duration::from_mins(10);

/// What such a process may take.
pub(super) struct Limits {
    /// In bytes.
    pub(super) memory: u64,
    /// Of all threads together, in seconds.
    pub(super) cpu: u64,
}

/// This program, to be started again to do what the name says.
pub(super) fn program(name: &str) -> Command {
    let mut program = Command::new("/proc/self/exe");
    program.arg(name).env_clear();
    program
}

/// Lets the program do its work with this input, and answers what it wrote. Messages call the work what `what` says, as in
/// "compiling it". The program applies the limits to itself.
pub(super) async fn run(
    mut program: Command,
    what: &str,
    input: &[u8],
    limits: &Limits,
) -> Result<Vec<u8>> {
    let lost = |cause: io::Error| Error::of_system(format!("{what} failed"), cause);
    let mut child = program
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(lost)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feeding = async {
        if let Some(mut stdin) = stdin {
            // What it does not take any more, it knows enough of.
            let _ = stdin.write_all(input).await;
        }
    };
    let working = async {
        let (answering, listening) = (all_of(stdout), all_of(stderr));
        let ((), answer, said, status) = tokio::join!(feeding, answering, listening, child.wait());
        (answer, said, status)
    };
    let Ok((answer, said, status)) = timeout(PATIENCE, working).await else {
        let minutes = PATIENCE.as_secs() / 60;
        let text = format!(
            "{what} has not ended after {minutes} minutes: this machine has too much to do"
        );
        return Err(Error::new(Kind::Unavailable, text));
    };
    let status = status.map_err(lost)?;
    if status.success() {
        Ok(answer)
    } else if status.signal().is_some() {
        let Limits { memory, cpu } = limits;
        let memory = memory >> 20;
        let text = format!("{what} takes more than {memory} MiB of memory or {cpu} s of computing");
        Err(Error::new(Kind::Plugin, text))
    } else {
        let said = printable(String::from_utf8_lossy(&said).trim());
        Err(Error::new(Kind::Plugin, said))
    }
}

/// What comes of a pipe. Without its words, the exit status has to do.
async fn all_of(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.take(LONGEST).read_to_end(&mut all).await;
    }
    all
}

impl Limits {
    /// Limits this process.
    pub(super) fn apply(&self) -> io::Result<()> {
        lower(Resource::Data, self.memory)?;
        lower(Resource::Cpu, self.cpu)?;
        lower(Resource::Core, 0)
    }
}

fn lower(resource: Resource, most: u64) -> io::Result<()> {
    let maximum = getrlimit(resource).maximum;
    let most = maximum.map_or(most, |maximum| maximum.min(most));
    let limits = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    Ok(setrlimit(resource, limits)?)
}
