//! Reads files that the operator names, with a limit on their size and on the time that a pipe may take.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::own_file;

/// How long a program has that writes into a pipe, like that of a shell's `<(...)`.
const PIPE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that are read of a pipe at a time.
const PIECE: usize = 64 << 10;

/// The most bytes of a text that somebody writes by hand, or of certificates.
pub(crate) const MAX_TEXT_SIZE: u64 = 16 << 20;

/// The contents of a file, or what comes out of a pipe until that is closed. The error says what is wrong with what is there
/// instead: more than `most` bytes, a directory, a device, a pipe that stays silent.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    read_within(PIPE_TIMEOUT, path, most)
}

/// The same for a text.
pub(crate) fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut bytes = read(path, MAX_TEXT_SIZE)?;
    let text = String::from_utf8(std::mem::take(&mut *bytes));
    text.map(Zeroizing::new)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

fn read_within(timeout: Duration, path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let kind = file.metadata()?.file_type();
    let mut bytes = Zeroizing::new(Vec::new());
    if kind.is_file() {
        (&mut file).take(most + 1).read_to_end(&mut bytes)?;
    } else if kind.is_fifo() {
        read_pipe(&mut file, timeout, most, &mut bytes)?;
    } else {
        return Err(own_file::no_file(kind));
    }
    if bytes.len() as u64 > most {
        let text = format!("it is larger than {} MiB", most >> 20);
        return Err(io::Error::new(ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

fn read_pipe(
    file: &mut File,
    timeout: Duration,
    most: u64,
    bytes: &mut Zeroizing<Vec<u8>>,
) -> io::Result<()> {
    let silent = || {
        io::Error::new(
            ErrorKind::TimedOut,
            "it is a pipe into which nothing is written",
        )
    };
    let deadline = Instant::now() + timeout;
    let mut piece = Zeroizing::new(vec![0; PIECE]);
    while bytes.len() as u64 <= most {
        match file.read(&mut piece) {
            // Without anybody who writes, there is nothing to wait for.
            Ok(0) if bytes.is_empty() => return Err(silent()),
            Ok(0) => return Ok(()),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => {
                let left = deadline.saturating_duration_since(Instant::now());
                let left = Timespec::try_from(left).map_err(io::Error::other)?;
                let mut polled = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)];
                if poll(&mut polled, Some(&left))? == 0 {
                    return Err(silent());
                }
            }
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_file_is_read_and_what_never_ends_is_told() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("file");
        fs::write(&path, "contents").expect("there is room");
        assert_eq!(**read(&path, 8).expect("it is a file"), *b"contents");
        let fifo = directory.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("pipes can be made");
        for (path, most, why) in [
            (path.as_path(), 7, "larger than"),
            (&fifo, 8, "nothing is written"),
            (Path::new("/dev/zero"), 8, "no file"),
            (directory.path(), 8, "a directory"),
        ] {
            let error = read(path, most).expect_err(why);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn what_a_program_writes_into_a_pipe_is_waited_for_and_not_for_ever() {
        let directory = tempfile::tempdir().expect("there is room");
        let fifo = directory.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("pipes can be made");
        // Opened for both, so that neither side waits for the other.
        let mut both = File::options()
            .read(true)
            .write(true)
            .open(&fifo)
            .expect("it is there");
        let error = read_within(Duration::from_millis(100), &fifo, 100).expect_err("it is silent");
        assert!(error.to_string().contains("nothing is written"), "{error}");
        let writer = thread::spawn(move || {
            use std::io::Write as _;
            thread::sleep(Duration::from_millis(50));
            both.write_all(b"from a ").expect("there is room");
            thread::sleep(Duration::from_millis(50));
            both.write_all(b"program").expect("there is room");
            thread::sleep(Duration::from_millis(50));
            drop(both);
        });
        let found = read_within(Duration::from_secs(5), &fifo, 100).expect("it is written");
        writer.join().expect("it writes");
        assert_eq!(**found, *b"from a program");
    }
}
