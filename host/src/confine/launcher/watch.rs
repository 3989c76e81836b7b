//! Watches the program until it ends, or until tthost drops it.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    self, PidfdFlags, pidfd_open, set_child_subreaper, set_parent_process_death_signal,
};

use crate::confine::plan::{End, Outgrown};

/// Ends this process when the one that started it does.
pub(super) fn follow_parent_into_death(to_parent: &OwnedFd) -> io::Result<()> {
    set_parent_process_death_signal(Some(process::Signal::KILL))?;
    // It may have died before that. Only this process reads the pipe.
    let mut pipe = [PollFd::new(to_parent, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if poll(&mut pipe, Some(&now))? > 0 {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

/// Gets the processes that have lost their parent below this one.
pub(super) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(process::getpid()))?)
}

/// Lets go of the standard streams, which are the program's: they end when it ends them.
pub(super) fn detach() -> io::Result<()> {
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

/// How often it is looked whether somebody has outgrown what they may have.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Waits for the end of a child, and ends it when the lifeline does, or when it has outgrown what it may have. Then nothing is left
/// of what it has started.
pub(super) fn until_the_end(
    child: Pid,
    lifeline: &UnixStream,
    told: Option<OwnedFd>,
    look: impl Fn() -> Option<Outgrown>,
) -> io::Result<End> {
    let number = process::Pid::from_raw(child.as_raw()).ok_or(io::ErrorKind::NotFound)?;
    let handle = pidfd_open(number, PidfdFlags::empty())?;
    let mut events = [
        PollFd::new(lifeline, PollFlags::IN | PollFlags::RDHUP),
        PollFd::new(&handle, PollFlags::IN),
    ];
    let mut outgrown = None;
    while outgrown.is_none() {
        match poll(&mut events, Some(&LOOK)) {
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(0) => outgrown = look(),
            Ok(_) => break,
        }
    }
    if events[1].revents().is_empty() {
        kill(child, Signal::SIGKILL)?;
    }
    let status = end_of(child)?;
    let Some(told) = told else {
        end_all_below()?;
        return Ok(End { status, outgrown });
    };
    // The first process of a namespace tells how the program ended, unless it was killed; its own end says nothing.
    let mut words = [0; 4];
    let status = match std::fs::File::from(told).read_exact(&mut words) {
        Ok(()) => i32::from_ne_bytes(words),
        Err(_) => status,
    };
    Ok(End { status, outgrown })
}

/// Waits for the end of a child, and meanwhile for that of orphans.
pub(super) fn reap_until(program: Pid) -> io::Result<i32> {
    loop {
        // Only looks, so that the status can be had as the system encodes it.
        let any = waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
        let Some(ended) = any.pid() else { continue };
        if ended == program {
            return end_of(program);
        }
        waitpid(ended, None)?;
    }
}

fn end_of(child: Pid) -> io::Result<i32> {
    loop {
        match waitpid(child, None)? {
            WaitStatus::Exited(_, code) => return Ok(exit(code)),
            WaitStatus::Signaled(_, signal, _) => return Ok(signal as i32),
            _ => {}
        }
    }
}

/// As the system encodes it.
fn exit(code: i32) -> i32 {
    std::process::ExitStatus::from_raw(code << 8).into_raw()
}

/// Ends what has been handed to this process, and what is handed to it meanwhile.
fn end_all_below() -> io::Result<()> {
    loop {
        let children = std::fs::read_to_string("/proc/thread-self/children")?;
        let mut any = false;
        for child in children.split_ascii_whitespace() {
            let child = Pid::from_raw(child.parse().map_err(io::Error::other)?);
            any = true;
            kill(child, Signal::SIGKILL)?;
            waitpid(child, None)?;
        }
        if !any {
            return Ok(());
        }
    }
}
