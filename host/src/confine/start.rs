//! Starting a confined program, and its lifeline.

use std::ffi::OsStr;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use rustix::io::{FdFlags, fcntl_setfd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::kernel::kernel;
use super::plan::{Failure, LAUNCHER, Layer, Plan, STARTED};
use super::view;
use crate::grant;

/// A program that runs, or has ended. Whoever drops it ends it.
pub(crate) struct Running {
    child: Child,
    lifeline: tokio::net::UnixStream,
    cut: Lifeline,
    /// How the program ended, if it has.
    status: Option<ExitStatus>,
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
        rehearse: false,
        ..kernel.plan()
    };
    let mut launcher = Command::new("/proc/self/exe");
    let environment = command.env.iter();
    launcher
        .env_clear()
        .envs(environment.map(|(name, value)| (name, OsStr::from_bytes(value.expose()))))
        .stdin(if with_stdin {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let words = [&command.program]
        .into_iter()
        .chain(&command.arguments)
        .chain(arguments);
    launch(plan, launcher, words).await
}

/// Goes through all that confines a program, without running one.
pub(super) async fn rehearse(plan: Plan) -> Result<(), Failure> {
    let mut launcher = Command::new("/proc/self/exe");
    launcher
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let lost = |cause| Failure::of(Layer::Program, "starting the launcher")(cause);
    let nothing: [&String; 0] = [];
    let (mut child, mut lifeline, _) = spawn(launcher, nothing.into_iter()).map_err(lost)?;
    instruct(&mut lifeline, &plan).await.map_err(lost)?;
    let answer = listen(&mut lifeline).await.map_err(lost)?;
    // It is over when it has answered.
    let _ = child.wait().await;
    answer
}

async fn launch<'a>(
    plan: Plan,
    launcher: Command,
    words: impl Iterator<Item = &'a String>,
) -> Result<Running, Refusal> {
    let lost = Refusal::of("starting the launcher");
    let (child, mut lifeline, cut) = spawn(launcher, words).map_err(lost)?;
    let lost = Refusal::of("instructing the launcher");
    instruct(&mut lifeline, &plan).await.map_err(lost)?;
    match listen(&mut lifeline).await {
        Ok(Ok(())) => Ok(Running {
            child,
            lifeline,
            cut,
            status: None,
        }),
        Ok(Err(failure)) => Err(match failure.layer {
            Layer::Program => Refusal::Program(failure.cause()),
            _ => Refusal::NotConfined(failure.what.clone(), failure.cause()),
        }),
        Err(cause) => Err(Refusal::of("hearing of the launcher")(cause)),
    }
}

fn spawn<'a>(
    mut launcher: Command,
    words: impl Iterator<Item = &'a String>,
) -> io::Result<(Child, tokio::net::UnixStream, Lifeline)> {
    let (ours, its) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let cut = Lifeline(Arc::new(ours.try_clone()?));
    let lifeline = tokio::net::UnixStream::from_std(ours)?;
    launcher
        .arg0(LAUNCHER)
        .arg(its.as_raw_fd().to_string())
        .args(words)
        .process_group(0);
    let its = pass_on(&mut launcher, its);
    let child = launcher.spawn()?;
    drop(its);
    Ok((child, lifeline, cut))
}

/// Lets the child have the socket, under its number.
#[expect(
    unsafe_code,
    reason = "no other child that is started meanwhile may have it"
)]
fn pass_on(launcher: &mut Command, socket: UnixStream) -> Arc<UnixStream> {
    let socket = Arc::new(socket);
    let passed = socket.clone();
    // SAFETY: between fork and exec the closure does one system call, fcntl, and nothing that allocates or locks.
    unsafe {
        launcher.pre_exec(move || Ok(fcntl_setfd(passed.as_fd(), FdFlags::empty())?));
    }
    socket
}

/// Tells the launcher its plan. An argument would be seen by everybody, and a path may come from a variable that
/// holds a secret.
async fn instruct(lifeline: &mut tokio::net::UnixStream, plan: &Plan) -> io::Result<()> {
    let plan = serde_json::to_vec(plan)?;
    lifeline.write_u64(plan.len() as u64).await?;
    lifeline.write_all(&plan).await
}

/// What the launcher says when it has done its work.
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
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(crate) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// What ends it.
    pub(crate) fn lifeline(&self) -> Lifeline {
        self.cut.clone()
    }

    /// Waits until it has ended, and all that it has started. It can be asked again when nobody waited for the answer.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let mut status = [0; 4];
        if self.status.is_none() && self.lifeline.read_exact(&mut status).await.is_ok() {
            self.status = Some(ExitStatus::from_raw(i32::from_ne_bytes(status)));
        }
        let launcher = self.child.wait().await?;
        Ok(self.status.unwrap_or(launcher))
    }
}

impl Lifeline {
    /// Ends the program, if it has not ended.
    pub(crate) fn cut(&self) {
        // Nobody is at the other end when it has ended.
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cut.cut();
    }
}
