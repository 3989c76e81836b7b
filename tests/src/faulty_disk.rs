//! A disk that fails: what one program asks of the file system below a directory fails, or takes its time, as a test says.
//!
//! The kernel asks a supervisor about each call (`seccomp_unotify(2)`), so it does not matter how the program makes it. A library
//! that is loaded before libc would not see the calls of those that go around libc, as rustix does.
#![allow(
    unsafe_code,
    reason = "no crate has these calls of the kernel without a library in C"
)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use libc::{c_int, c_long, c_ulong, seccomp_notif, seccomp_notif_resp, sock_filter, sock_fprog};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open,
};

use crate::command::{self, Outcome};

/// The number that the supervised process has its end under until the supervisor has taken it.
const LISTENER: c_int = 900;

/// How long the supervisor waits for a call at a time.
const POLL_INTERVAL: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Longer than any program takes. One that hangs is killed.
const DEADLINE: Duration = Duration::from_mins(5);

/// The longest path that is read from a program.
const MAX_LENGTH: usize = 4096;

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The contents of a file or a directory are read.
    Read,
    /// A file is written to, or gets room.
    Write,
    /// What was written is to reach the disk.
    Sync,
    /// A name is made, or leads elsewhere.
    Make,
    /// A name is removed.
    Remove,
    /// What is there is opened or looked at.
    Look,
}

/// A call about something below the directory.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it is about.
    pub kind: Kind,
    /// The file.
    pub path: PathBuf,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It is made.
    Pass,
    /// It is not made, and fails with this number.
    Fail(i32),
    /// It is made after this time.
    Wait(Duration),
}

/// Where a call says what it is about.
#[derive(Clone, Copy)]
enum Subject {
    /// A descriptor, in this argument.
    Descriptor(usize),
    /// A path in this argument, from the working directory.
    Path(usize),
    /// A descriptor and a path from there.
    PathAt(usize, usize),
}

use Subject::{Descriptor, Path as PathIn, PathAt};

/// The calls that are asked about.
const CALLS: &[(c_long, Kind, Subject)] = &[
    (libc::SYS_read, Kind::Read, Descriptor(0)),
    (libc::SYS_pread64, Kind::Read, Descriptor(0)),
    (libc::SYS_readv, Kind::Read, Descriptor(0)),
    (libc::SYS_preadv, Kind::Read, Descriptor(0)),
    (libc::SYS_preadv2, Kind::Read, Descriptor(0)),
    (libc::SYS_getdents64, Kind::Read, Descriptor(0)),
    (libc::SYS_write, Kind::Write, Descriptor(0)),
    (libc::SYS_pwrite64, Kind::Write, Descriptor(0)),
    (libc::SYS_writev, Kind::Write, Descriptor(0)),
    (libc::SYS_pwritev, Kind::Write, Descriptor(0)),
    (libc::SYS_pwritev2, Kind::Write, Descriptor(0)),
    (libc::SYS_ftruncate, Kind::Write, Descriptor(0)),
    (libc::SYS_fallocate, Kind::Write, Descriptor(0)),
    (libc::SYS_fsync, Kind::Sync, Descriptor(0)),
    (libc::SYS_fdatasync, Kind::Sync, Descriptor(0)),
    (libc::SYS_mkdirat, Kind::Make, PathAt(0, 1)),
    (libc::SYS_linkat, Kind::Make, PathAt(2, 3)),
    (libc::SYS_symlinkat, Kind::Make, PathAt(1, 2)),
    (libc::SYS_renameat, Kind::Make, PathAt(2, 3)),
    (libc::SYS_renameat2, Kind::Make, PathAt(2, 3)),
    (libc::SYS_unlinkat, Kind::Remove, PathAt(0, 1)),
    (libc::SYS_openat, Kind::Look, PathAt(0, 1)),
    (libc::SYS_openat2, Kind::Look, PathAt(0, 1)),
    (libc::SYS_statx, Kind::Look, PathAt(0, 1)),
    (libc::SYS_newfstatat, Kind::Look, PathAt(0, 1)),
    // The older forms, which newer architectures lack.
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, Kind::Look, PathIn(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, Kind::Make, PathIn(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, Kind::Make, PathIn(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, Kind::Remove, PathIn(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, Kind::Remove, PathIn(0)),
];

/// Runs a program to its end, whose calls about what is below this directory have such fates. Its children are asked about
/// too.
pub fn run(
    command: &mut Command,
    below: &Path,
    fate: impl FnMut(&Call) -> Fate + Send,
) -> Result<Outcome> {
    let line = command::command_line(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let filter = filter()?;
    // SAFETY: `ask_about_calls` only makes system calls and allocates nothing, so it may run between fork and exec.
    unsafe { command.pre_exec(move || ask_about_calls(&filter)) };
    let mut supervised = command
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let pid = Pid::from_child(&supervised);
    let supervisor = Supervisor {
        listener: take_listener(pid)?,
        below: below.to_owned(),
    };
    let (output, answered) = thread::scope(|scope| {
        let answering = scope.spawn(move || {
            let answered = supervisor.answer(fate);
            if answered.is_err() {
                // It would wait for an answer for ever.
                let _ = kill_process(pid, Signal::KILL);
            }
            answered
        });
        let stdout = supervised.stdout.take();
        let stderr = supervised.stderr.take();
        let stderr = scope.spawn(move || read_all(stderr));
        let stdout = read_all(stdout);
        let status = supervised.wait();
        let output = status.map(|status| (status, stdout, stderr.join().unwrap_or_default()));
        (output, answering.join())
    });
    answered.map_err(|_| anyhow!("the supervisor panicked"))??;
    let (status, stdout, stderr) = output?;
    Ok(Outcome {
        command: line,
        status,
        stdout,
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    })
}

fn read_all(from: Option<impl io::Read>) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(mut from) = from {
        // What a program that was ended could not say is missing.
        let _ = from.read_to_end(&mut all);
    }
    all
}

/// A program for the kernel (`seccomp(2)`): these calls are asked about, and all others are made.
fn filter() -> Result<Vec<sock_filter>> {
    let statement = |code: u32, k: u32| -> Result<sock_filter> {
        Ok(sock_filter {
            code: u16::try_from(code)?,
            jt: 0,
            jf: 0,
            k,
        })
    };
    // The call's number is the first thing in what the kernel shows.
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)?];
    for (place, (number, ..)) in CALLS.iter().enumerate() {
        let mut jump = statement(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            u32::try_from(*number)?,
        )?;
        // Over the other comparisons and the statement that lets a call pass.
        jump.jt = u8::try_from(CALLS.len() - place)?;
        program.push(jump);
    }
    let end = libc::BPF_RET | libc::BPF_K;
    program.push(statement(end, libc::SECCOMP_RET_ALLOW)?);
    program.push(statement(end, libc::SECCOMP_RET_USER_NOTIF)?);
    Ok(program)
}

/// Has the kernel ask about the calls of this process and of all that it starts.
fn ask_about_calls(filter: &[sock_filter]) -> io::Result<()> {
    let program = sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| ErrorKind::InvalidInput)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the program and its length belong together, the kernel copies them, and the other arguments are numbers.
    let listener = unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::syscall(
            libc::SYS_seccomp,
            c_ulong::from(libc::SECCOMP_SET_MODE_FILTER),
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    let listener = c_int::try_from(listener).map_err(|_| ErrorKind::Other)?;
    // SAFETY: both are numbers. The copy stays open over exec, so that the supervisor finds it.
    if listener < 0 || unsafe { libc::dup2(listener, LISTENER) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The end at which the kernel asks, out of a process that has just begun.
fn take_listener(pid: Pid) -> Result<OwnedFd> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    pidfd_getfd(&process, LISTENER, PidfdGetfdFlags::empty())
        .context("the program cannot be supervised")
}

/// Answers for the kernel.
struct Supervisor {
    listener: OwnedFd,
    below: PathBuf,
}

impl Supervisor {
    /// Answers until the program and all that it started are over.
    fn answer(&self, mut fate: impl FnMut(&Call) -> Fate) -> Result<()> {
        let start = Instant::now();
        loop {
            ensure!(
                start.elapsed() < DEADLINE,
                "the program has not ended after {DEADLINE:?}"
            );
            let mut polled = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut polled, Some(&POLL_INTERVAL)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                ready => ready?,
            };
            if !polled[0].revents().contains(PollFlags::IN) {
                // Nobody is left to ask about.
                return Ok(());
            }
            let Some(asked) = self.receive()? else {
                continue;
            };
            let fate = match self.call(&asked) {
                Some(call) => fate(&call),
                None => Fate::Pass,
            };
            if let Fate::Wait(time) = fate {
                thread::sleep(time);
            }
            self.send(&asked, fate)?;
        }
    }

    /// The next question; none when who asked is gone.
    fn receive(&self) -> Result<Option<seccomp_notif>> {
        // SAFETY: it consists of numbers, and the kernel wants it to be zero.
        let mut asked: seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one such value to where this one is.
        let received = unsafe {
            libc::ioctl(
                self.listener.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_RECV,
                &raw mut asked,
            )
        };
        if received == 0 {
            return Ok(Some(asked));
        }
        let cause = io::Error::last_os_error();
        match cause.raw_os_error() {
            Some(libc::ENOENT | libc::EINTR) => Ok(None),
            _ => Err(cause).context("the kernel's question cannot be had"),
        }
    }

    fn send(&self, asked: &seccomp_notif, fate: Fate) -> Result<()> {
        let mut answer = seccomp_notif_resp {
            id: asked.id,
            val: 0,
            error: 0,
            flags: 0,
        };
        match fate {
            Fate::Fail(number) => answer.error = -number,
            Fate::Pass | Fate::Wait(_) => {
                answer.flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE)?;
            }
        }
        // SAFETY: the kernel reads one such value from where this one is.
        let sent = unsafe {
            libc::ioctl(
                self.listener.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SEND,
                &raw mut answer,
            )
        };
        let cause = io::Error::last_os_error();
        if sent != 0 && cause.raw_os_error() != Some(libc::ENOENT) {
            return Err(cause).context("the kernel cannot be answered");
        }
        Ok(())
    }

    /// What is asked about, if it is below the directory.
    fn call(&self, asked: &seccomp_notif) -> Option<Call> {
        let number = c_long::from(asked.data.nr);
        let (_, kind, subject) = CALLS.iter().find(|(call, ..)| *call == number)?;
        let argument = |place: usize| asked.data.args[place];
        let path = match subject {
            Descriptor(place) => descriptor(asked.pid, argument(*place))?,
            PathIn(place) => resolve(asked.pid, None, argument(*place))?,
            PathAt(directory, place) => {
                resolve(asked.pid, Some(argument(*directory)), argument(*place))?
            }
        };
        let kind = match kind {
            Kind::Look if makes(asked) => Kind::Make,
            kind => *kind,
        };
        path.starts_with(&self.below).then_some(Call { kind, path })
    }
}

/// Whether an opening makes a file.
fn makes(asked: &seccomp_notif) -> bool {
    let number = c_long::from(asked.data.nr);
    let flags = match number {
        libc::SYS_openat => asked.data.args[2],
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => asked.data.args[1],
        libc::SYS_openat2 => {
            let mut flags = [0; size_of::<u64>()];
            let memory = File::open(format!("/proc/{}/mem", asked.pid));
            let read =
                memory.and_then(|memory| memory.read_exact_at(&mut flags, asked.data.args[2]));
            if read.is_err() {
                return false;
            }
            u64::from_ne_bytes(flags)
        }
        _ => return false,
    };
    flags & u64::from(libc::O_CREAT.unsigned_abs()) != 0
}

/// What a descriptor of a process leads to.
fn descriptor(process: u32, number: u64) -> Option<PathBuf> {
    // A descriptor has 32 bits; what stands in the others means nothing.
    let number = i32::from_le_bytes(number.to_le_bytes()[..4].try_into().ok()?);
    let link = match number {
        libc::AT_FDCWD => format!("/proc/{process}/cwd"),
        number => format!("/proc/{process}/fd/{number}"),
    };
    fs::read_link(link).ok()
}

/// The path that a process names, from a directory or its own.
fn resolve(process: u32, directory: Option<u64>, address: u64) -> Option<PathBuf> {
    let memory = File::open(format!("/proc/{process}/mem")).ok()?;
    let mut text = vec![0; MAX_LENGTH];
    // Less is there where the memory ends before that.
    let page = 4096 - usize::try_from(address % 4096).ok()?;
    let read = memory
        .read_at(&mut text, address)
        .or_else(|_| memory.read_at(&mut text[..page], address))
        .ok()?;
    text.truncate(read);
    text.truncate(text.iter().position(|byte| *byte == 0)?);
    let path = PathBuf::from(OsString::from_vec(text));
    if path.is_absolute() {
        return Some(path);
    }
    let directory =
        directory.unwrap_or(u64::from_ne_bytes(i64::from(libc::AT_FDCWD).to_ne_bytes()));
    Some(descriptor(process, directory)?.join(path))
}
