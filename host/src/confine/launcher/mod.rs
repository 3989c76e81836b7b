//! The launcher: a process that confines itself and becomes a program, and a second one that watches over it.
//!
//! With namespaces, the first process of the new pid namespace is between the two: when it ends, the kernel kills everything in
//! the namespace. Without namespaces, the watcher is the subreaper of orphans, and kills them itself.

mod filter;
mod mounts;
mod namespaces;
mod resources;
mod restrictions;
mod watch;

use std::ffi::OsString;
use std::io::{IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::unistd::{ForkResult, Pid, dup2_stdin, fork};
use rustix::cmsg_space;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Resource, Rlimit, setrlimit, setsid};

use super::plan::{End, Failure, LAUNCHER, Layer, Namespaces, Plan, STARTED};

/// Does the launcher's work, if that is what this process is for. It has to be asked before anything else is done.
pub fn launcher() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    if words.next()? != LAUNCHER {
        return None;
    }
    let Ok(mut lifeline) = take_lifeline() else {
        return Some(ExitCode::FAILURE);
    };
    // Without a plan, the parent is gone.
    let Ok(plan) = read_plan(&mut lifeline) else {
        return Some(ExitCode::FAILURE);
    };
    let end = launch(&plan, &mut lifeline, &words.collect::<Vec<_>>());
    let answer = match end {
        Ok(end) => end.to_bytes().to_vec(),
        Err(failure) => serde_json::to_vec(&failure).unwrap_or_default(),
    };
    // The parent may be gone.
    let _ = lifeline.write_all(&answer);
    Some(ExitCode::SUCCESS)
}

/// Puts the standard input that came through the lifeline in the place of the lifeline.
fn take_lifeline() -> std::io::Result<UnixStream> {
    let lifeline = fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
    let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut room);
    let (mut byte, flags) = ([0], RecvFlags::CMSG_CLOEXEC);
    recvmsg(
        &lifeline,
        &mut [IoSliceMut::new(&mut byte)],
        &mut ancillary,
        flags,
    )?;
    let mut handed_over = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let input = handed_over
        .next()
        .and_then(|mut descriptors| descriptors.next());
    dup2_stdin(input.ok_or(std::io::ErrorKind::NotFound)?)?;
    Ok(UnixStream::from(lifeline))
}

fn read_plan(lifeline: &mut UnixStream) -> std::io::Result<Plan> {
    let mut length = [0; 8];
    lifeline.read_exact(&mut length)?;
    let mut plan = Vec::new();
    lifeline
        .take(u64::from_be_bytes(length))
        .read_to_end(&mut plan)?;
    Ok(serde_json::from_slice(&plan)?)
}

/// Starts the program, and waits for its end.
fn launch(plan: &Plan, lifeline: &mut UnixStream, words: &[OsString]) -> Result<End, Failure> {
    let failed = |what: &'static str| Failure::of(Layer::Program, what);
    inherit_nothing().map_err(failed("closing what it would inherit"))?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // A core dump holds secrets, and an unconfined process writes it.
    setrlimit(Resource::Core, none)
        .map_err(|errno| failed("forbidding core dumps")(errno.into()))?;
    resources::prefer_for_oom_kill();
    namespaces::enter(plan)?;
    let (report, reporter) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed("making a pipe")(errno.into()))?;
    let (told, teller) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed("making a pipe")(errno.into()))?;
    let own_processes = plan.namespaces != Namespaces::None;
    if !own_processes {
        watch::adopt_orphans().map_err(failed("adopting orphans"))?;
    }
    let Some(child) = branch().map_err(failed("forking"))? else {
        // Without a terminal, and out of reach for this one's group. A new process leads no group, so it works.
        let _ = setsid();
        if own_processes {
            first_process(plan, words, reporter, &teller)
        }
        match watch::follow_parent_into_death(&teller) {
            Ok(()) => become_program(plan, words, reporter),
            Err(cause) => refuse(
                reporter,
                &failed("following the launcher into death")(cause),
            ),
        }
    };
    drop((reporter, teller));
    let mut failure = Vec::new();
    std::fs::File::from(report)
        .read_to_end(&mut failure)
        .map_err(failed("reading the launcher's report"))?;
    if let Ok(failure) = serde_json::from_slice(&failure) {
        return Err(failure);
    }
    watch::detach().map_err(failed("letting go of the program's streams"))?;
    lifeline
        .write_all(&[STARTED])
        .map_err(failed("reporting"))?;
    let told = own_processes.then_some(told);
    // Elsewhere, processes are seen that have nothing to do with it.
    let look = || {
        own_processes
            .then(|| resources::outgrown(&plan.resources))
            .flatten()
    };
    let end = watch::until_the_end(child, lifeline, told, look);
    // One that cannot be waited for ends with this process.
    Ok(end.unwrap_or(End {
        status: libc::SIGKILL,
        outgrown: None,
    }))
}

/// The first process of the namespace: builds the view, starts the program, and ends with it.
fn first_process(plan: &Plan, words: &[OsString], reporter: OwnedFd, teller: &OwnedFd) -> ! {
    let failed = |what: &'static str| Failure::of(Layer::Namespaces, what);
    let started = watch::follow_parent_into_death(teller)
        .map_err(failed("following the launcher into death"))
        .and_then(|()| mounts::build(plan))
        .and_then(|()| branch().map_err(failed("forking")));
    match started {
        Err(failure) => refuse(reporter, &failure),
        Ok(None) => become_program(plan, words, reporter),
        Ok(Some(program)) => {
            drop(reporter);
            let status = watch::detach().and_then(|()| watch::reap_until(program));
            if let Ok(status) = status {
                // Without it, the launcher takes the program for killed.
                let _ = rustix::io::write(teller, &status.to_ne_bytes());
            }
            std::process::exit(0)
        }
    }
}

/// Restricts this process and makes it the program.
fn become_program(plan: &Plan, words: &[OsString], reporter: OwnedFd) -> ! {
    let failure = match restrict(plan) {
        Err(failure) => failure,
        Ok(()) if plan.self_test => std::process::exit(0),
        Ok(()) => {
            let (program, arguments) = words
                .split_first()
                .expect("a program is named after the plan");
            let cause = Command::new(program).args(arguments).exec();
            Failure::of(Layer::Program, "running it")(cause)
        }
    };
    refuse(reporter, &failure)
}

fn restrict(plan: &Plan) -> Result<(), Failure> {
    resources::limit(plan)?;
    restrictions::drop_capabilities()?;
    restrictions::restrict_files(plan)?;
    if plan.filter {
        filter::apply(plan)?;
    }
    Ok(())
}

fn refuse(reporter: OwnedFd, failure: &Failure) -> ! {
    let text = serde_json::to_vec(failure).unwrap_or_default();
    // If the launcher is gone, so is everybody who would want to know.
    let _ = std::fs::File::from(reporter).write_all(&text);
    std::process::exit(1)
}

/// Splits this process in two. Answers the new one's number in the old one.
#[expect(unsafe_code, reason = "a process that forks has to have one thread")]
fn branch() -> std::io::Result<Option<Pid>> {
    // SAFETY: the launcher has one thread and starts no other, so the new process is a whole copy in which no lock
    // is held by somebody who is not there.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Marks all descriptors but the standard ones, so that the program does not get them: they may come from
/// whoever started tthost.
#[expect(
    unsafe_code,
    reason = "descriptors of others are known by their numbers"
)]
fn inherit_nothing() -> std::io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let number: Option<RawFd> = name.to_str().and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|number| *number > 2) else {
            continue;
        };
        // SAFETY: the system has just listed it as open, this process has one thread, and the borrow ends with the
        // call, which closes nothing.
        fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::CLOEXEC)?;
    }
    Ok(())
}
