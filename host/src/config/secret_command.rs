//! Programs that print a secret.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::interruption;
use crate::own_file;
use crate::stderr;

/// How long one may take: somebody may have to unlock something, and no backup waits for ever.
const LIMIT: Duration = Duration::from_mins(1);

/// The most that one may print, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// How often it is asked whether a program has ended, or this one is to end.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(5);

/// What a program prints. It may ask on the terminal, where there is one.
pub(super) fn ask(what: &str, argv: &[String]) -> Result<Zeroizing<Vec<u8>>> {
    ask_within(LIMIT, what, argv)
}

fn ask_within(limit: Duration, what: &str, argv: &[String]) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |why: String| {
        Error::new(
            Kind::Config,
            format!("{what} comes from a command, which failed: {why}"),
        )
    };
    let [program, arguments @ ..] = argv else {
        return Err(failed("it is empty".into()));
    };
    let deadline = Instant::now() + limit;
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.map_err(|cause| failed(program.to_owned()).caused_by(cause))?;
    let listener = child
        .stderr
        .take()
        .map(|pipe| stderr::listen_in_thread(pipe, what, program));
    let (tell, told) = mpsc::channel();
    let pipe = child.stdout.take();
    thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::new());
        let read = pipe.map_or(Ok(0), |pipe| {
            pipe.take(MAX_SIZE + 1).read_to_end(&mut bytes)
        });
        // Where nobody waits any more, nobody wants it.
        let _ = tell.send(read.map(|_| bytes));
    });
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) if interruption::caught().is_some() => {
                end(&mut child);
                return Err(Error::new(Kind::Cancelled, "interrupted"));
            }
            Ok(None) if Instant::now() < deadline => thread::sleep(PROGRESS_INTERVAL),
            Ok(None) => {
                end(&mut child);
                let seconds = limit.as_secs_f64();
                return Err(failed(format!("{program} took longer than {seconds} s")));
            }
            Err(cause) => break Err(cause),
        }
    };
    let status = status.map_err(|cause| failed(program.to_owned()).caused_by(cause))?;
    listener.into_iter().for_each(stderr::Thread::wait);
    if !status.success() {
        return Err(failed(format!("{program}: {status}")));
    }
    let too_much = |bytes: &Zeroizing<Vec<u8>>| bytes.len() as u64 > MAX_SIZE;
    let printed = loop {
        match told.recv_timeout(PROGRESS_INTERVAL) {
            Ok(printed) => break printed,
            Err(RecvTimeoutError::Timeout) if interruption::caught().is_some() => {
                return Err(Error::new(Kind::Cancelled, "interrupted"));
            }
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
            Err(_) => return Err(failed(format!("{program} has left its output open"))),
        }
    };
    let printed = printed.map_err(|cause| failed(program.to_owned()).caused_by(cause))?;
    if too_much(&printed) {
        return Err(failed(format!(
            "{program} prints more than {} KiB",
            MAX_SIZE >> 10
        )));
    }
    Ok(printed)
}

/// Kills a program with all that it has started. It has no group of its own, because it may ask on the terminal.
fn end(child: &mut Child) {
    let started = i32::try_from(child.id()).map_or_else(|_| Vec::new(), children);
    // It may have ended by itself at this moment.
    let _ = child.kill();
    let _ = child.wait();
    started.into_iter().for_each(end_process);
}

fn end_process(process: Pid) {
    let started = children(process.as_raw_nonzero().get());
    // So may this one.
    let _ = kill_process(process, Signal::KILL);
    started.into_iter().for_each(end_process);
}

/// What a process has started. Where the kernel does not tell, nothing.
fn children(process: i32) -> Vec<Pid> {
    let path = format!("/proc/{process}/task/{process}/children");
    let listed = own_file::read_text(Path::new(&path)).unwrap_or_default();
    let numbers = listed.split_whitespace();
    numbers
        .filter_map(|number| Pid::from_raw(number.parse().ok()?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask_shell(limit: Duration, script: &str) -> Result<Zeroizing<Vec<u8>>> {
        let argv = ["sh", "-c", script].map(str::to_owned);
        ask_within(limit, "password", &argv)
    }

    #[test]
    fn what_it_prints_is_the_secret() {
        let long = Duration::from_mins(1);
        let secret = ask_shell(long, "echo s3cret").expect("it prints");
        assert_eq!(&secret[..], b"s3cret\n");
        let error = ask_shell(long, "echo s3cret; exit 3").expect_err("it fails");
        assert!(!error.message().contains("s3cret"), "{error}");
        let many = ask_shell(long, "head -c 200000 /dev/zero").expect("it prints");
        assert_eq!(many.len(), 200_000);
    }

    #[test]
    fn it_holds_nobody_up() {
        let limit = Duration::from_millis(300);
        for script in ["exec sleep 60", "sleep 60; true", "sleep 2 & echo s3cret"] {
            let began = Instant::now();
            let error = ask_shell(limit, script).expect_err("it takes too long");
            assert!(began.elapsed() < Duration::from_secs(2), "{script}");
            assert!(!error.message().contains("s3cret"), "{error}");
        }
    }
}
