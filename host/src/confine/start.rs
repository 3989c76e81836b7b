//! Starts a confined program, and keeps its lifeline.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use rustix::cmsg_space;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::kernel::kernel;
use super::plan::{End, Failure, LAUNCHER, Layer, Outgrown, Plan, Resources, STARTED};
use super::view;
use crate::grant;

/// A program that runs, or has ended. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    stdin: Option<pipe::Sender>,
    lifeline: tokio::net::UnixStream,
    cut: Lifeline,
    /// How the program ended, if it has.
    end: Option<End>,
    /// What its processes may have together.
    resources: Resources,
}

/// Ends a program, with all that it has started.
#[derive(Clone)]
pub(crate) struct Lifeline(Arc<UnixStream>);

/// Why a program was not started.
pub(crate) enum Refusal {
    /// This kernel does not enforce what the grant wants to be enforced.
    NotEnforced(Vec<String>),
    /// It cannot be confined: this went wrong.
    NotConfined(String, io::Error),
    /// It cannot be run.
    Program(io::Error),
}

impl Refusal {
    fn of(what: &str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::NotConfined(what.to_owned(), cause)
    }
}

/// Starts the program with the operator's arguments and then these.
pub(crate) async fn start(
    command: &grant::Command,
    arguments: &[String],
    with_stdin: bool,
) -> Result<Running, Refusal> {
    let confinement = &command.confinement;
    let kernel = kernel().await;
    let gaps = kernel.gaps(confinement);
    if confinement.required && !gaps.is_empty() {
        return Err(Refusal::NotEnforced(gaps));
    }
    let plan = Plan {
        network: confinement.network,
        view: view::of(command),
        hidden: if confinement.docker {
            Vec::new()
        } else {
            confinement.engines.clone()
        },
        resources: confinement.resources.into(),
        self_test: false,
        ..kernel.plan()
    };
    let (input, stdin) = input(with_stdin).map_err(Refusal::of("making its standard input"))?;
    let mut launcher = Command::new("/proc/self/exe");
    let environment = command.env.iter();
    launcher
        .env_clear()
        .envs(environment.map(|(name, value)| (name, OsStr::from_bytes(value.expose()))))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let words = [&command.program]
        .into_iter()
        .chain(&command.arguments)
        .chain(arguments);
    let mut running = launch(plan, launcher, &input, words).await?;
    running.stdin = stdin;
    Ok(running)
}

/// The input of a program, and its other end.
fn input(is_piped: bool) -> io::Result<(OwnedFd, Option<pipe::Sender>)> {
    if is_piped {
        let (its, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok((its, Some(pipe::Sender::from_owned_fd(ours)?)))
    } else {
        Ok((File::open("/dev/null")?.into(), None))
    }
}

/// Goes through all that confines a program, without running one.
pub(super) async fn self_test(plan: Plan) -> Result<(), Failure> {
    let mut launcher = Command::new("/proc/self/exe");
    launcher
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let lost = |cause| Failure::of(Layer::Program, "starting the launcher")(cause);
    let nothing: [&String; 0] = [];
    let (input, _) = input(false).map_err(lost)?;
    let spawned = spawn(launcher, &input, nothing.into_iter());
    let (mut child, mut lifeline, _) = spawned.map_err(lost)?;
    instruct(&mut lifeline, &plan).await.map_err(lost)?;
    let answer = listen(&mut lifeline).await.map_err(lost)?;
    // It is over when it has answered.
    let _ = child.wait().await;
    answer
}

async fn launch<'a>(
    plan: Plan,
    launcher: Command,
    input: &OwnedFd,
    words: impl Iterator<Item = &'a String>,
) -> Result<Running, Refusal> {
    let lost = Refusal::of("starting the launcher");
    let (child, mut lifeline, cut) = spawn(launcher, input, words).map_err(lost)?;
    let lost = Refusal::of("instructing the launcher");
    instruct(&mut lifeline, &plan).await.map_err(lost)?;
    match listen(&mut lifeline).await {
        Ok(Ok(())) => Ok(Running {
            child,
            stdin: None,
            lifeline,
            cut,
            end: None,
            resources: plan.resources,
        }),
        Ok(Err(failure)) => Err(match failure.layer {
            Layer::Program => Refusal::Program(failure.cause()),
            _ => Refusal::NotConfined(failure.what.clone(), failure.cause()),
        }),
        Err(cause) => Err(Refusal::of("hearing of the launcher")(cause)),
    }
}

/// Starts the launcher. Its standard input is the lifeline, through which the program's comes: all that it is given is what any
/// process can be given. So the system need not copy this process, which takes long where there is much memory and others write
/// to it.
fn spawn<'a>(
    mut launcher: Command,
    input: &OwnedFd,
    words: impl Iterator<Item = &'a String>,
) -> io::Result<(Child, tokio::net::UnixStream, Lifeline)> {
    let (ours, its) = UnixStream::pair()?;
    send_descriptor(&ours, input)?;
    ours.set_nonblocking(true)?;
    let cut = Lifeline(Arc::new(ours.try_clone()?));
    let lifeline = tokio::net::UnixStream::from_std(ours)?;
    let child = launcher
        .arg0(LAUNCHER)
        .args(words)
        .stdin(OwnedFd::from(its))
        .process_group(0)
        .spawn()?;
    Ok((child, lifeline, cut))
}

/// Sends this descriptor to the other end of a socket.
fn send_descriptor(socket: &UnixStream, descriptor: &OwnedFd) -> io::Result<()> {
    let descriptors = [descriptor.as_fd()];
    let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut room);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    sendmsg(
        socket,
        &[IoSlice::new(&[0])],
        &mut ancillary,
        SendFlags::empty(),
    )?;
    Ok(())
}

/// Tells the launcher its plan. An argument would be seen by everybody, and a path may come from a variable that
/// holds a secret.
async fn instruct(lifeline: &mut tokio::net::UnixStream, plan: &Plan) -> io::Result<()> {
    let plan = serde_json::to_vec(plan)?;
    lifeline.write_u64(plan.len() as u64).await?;
    lifeline.write_all(&plan).await
}

/// The message of the launcher when the program is ready.
async fn listen(lifeline: &mut tokio::net::UnixStream) -> io::Result<Result<(), Failure>> {
    let first = lifeline.read_u8().await?;
    if first == STARTED {
        return Ok(Ok(()));
    }
    let mut text = vec![first];
    lifeline.read_to_end(&mut text).await?;
    Ok(Err(serde_json::from_slice(&text)?))
}

impl Running {
    pub(crate) fn take_stdin(&mut self) -> Option<pipe::Sender> {
        self.stdin.take()
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(crate) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// The handle that kills it.
    pub(crate) fn lifeline(&self) -> Lifeline {
        self.cut.clone()
    }

    /// Waits until it has ended, and all that it has started. It can be asked again when nobody waited for the answer.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let mut end = [0; End::LENGTH];
        if self.end.is_none() && self.lifeline.read_exact(&mut end).await.is_ok() {
            self.end = Some(End::from_bytes(end));
        }
        let launcher = self.child.wait().await?;
        let status = self.end.map(|end| ExitStatus::from_raw(end.status));
        Ok(status.unwrap_or(launcher))
    }

    /// Why its processes were ended, as in "the processes of it …", and the key of its grant that allows more; none where they ended
    /// by themselves.
    pub(crate) fn outgrown(&self) -> Option<(String, &'static str)> {
        let Resources {
            memory, processes, ..
        } = self.resources;
        Some(match self.end?.outgrown? {
            Outgrown::Memory => {
                let memory = memory >> 20;
                let text = format!("took more than {memory} MiB of memory together");
                (text, "memory")
            }
            Outgrown::Processes => (format!("were far more than {processes}"), "processes"),
        })
    }
}

impl Lifeline {
    /// Ends the program, if it has not ended.
    pub(crate) fn cut(&self) {
        // The other end is closed when it has ended.
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cut.cut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages that the system had to see to for this thread.
    fn faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("it is there");
        let (_, fields) = stat.rsplit_once(')').expect("it has a name");
        let minor = fields.split_whitespace().nth(7).expect("it is counted");
        minor.parse().expect("it is a number")
    }

    #[tokio::test]
    async fn starting_a_program_copies_nothing_of_this_process() {
        const PAGE: usize = 4096;
        let mut memory = vec![1_u8; 64 << 20];
        let mut launcher = Command::new("/proc/self/exe");
        launcher.stdout(Stdio::null()).stderr(Stdio::null());
        let (input, _) = input(false).expect("it is there");
        // This is not a launcher, and lists the tests.
        let words = ["--list".to_owned()];
        let spawned = spawn(launcher, &input, words.iter());
        let (mut child, ..) = spawned.expect("it starts");
        let before = faults();
        for page in memory.chunks_mut(PAGE) {
            page[0] += 1;
        }
        let faults = faults() - before;
        std::hint::black_box(memory);
        // A page is 2 MiB at most.
        assert!(faults < 16, "{faults} pages were shared with it");
        child.wait().await.expect("it ends");
    }
}
