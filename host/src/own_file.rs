//! Opens files that belong to tthost. If something else has the name, such as a pipe or a device, it reports an error
//! and does not block.

use std::ffi::OsString;
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a file, with flags of the system's own besides the options.
pub(crate) fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let mut options = options.clone();
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let (kind, opened) = match options.open(path) {
        Ok(file) => (file.metadata()?.file_type(), Ok(file)),
        // A pipe that nobody reads cannot be opened for writing.
        Err(cause) => match fs::metadata(path) {
            Ok(metadata) => (metadata.file_type(), Err(cause)),
            Err(_) => return Err(cause),
        },
    };
    if kind.is_file() {
        opened
    } else {
        Err(no_file(kind))
    }
}

/// All that is in a file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(OpenOptions::new().read(true), path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same for a text.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let not_text = |_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8");
    String::from_utf8(read(path)?).map_err(not_text)
}

/// Puts a file in the place of another one. Whoever reads it meanwhile sees the one or the other, also after a loss of power.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut aside = OsString::from(path);
    aside.push(format!(".{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = open(&options, Path::new(&aside))?;
    let replaced = file
        .write_all(contents)
        .and_then(|()| file.sync_all())
        .and_then(|()| take_name(Path::new(&aside), path));
    if replaced.is_err() {
        // Why it was not replaced says more than that something is left.
        let _ = fs::remove_file(&aside);
    }
    replaced
}

fn take_name(aside: &Path, path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if !there.is_file() => Err(no_file(there.file_type())),
        _ => fs::rename(aside, path),
    }
}

/// Puts the names in a directory on stable storage.
pub(crate) fn sync_names(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// What is wrong with something that is not a file.
pub(crate) fn no_file(kind: FileType) -> io::Error {
    let text = if kind.is_dir() {
        "it is a directory"
    } else if kind.is_fifo() {
        "it is a pipe, and no file"
    } else {
        "it is a device or a socket, and no file"
    };
    io::Error::new(ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn what_is_no_file_is_told_and_waited_for_by_nobody() {
        let directory = tempfile::tempdir().expect("there is room");
        let pipe = directory.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("pipes can be made");
        for (path, why) in [
            (pipe.as_path(), "a pipe"),
            (Path::new("/dev/zero"), "a device"),
            (directory.path(), "a directory"),
        ] {
            let mut writing = OpenOptions::new();
            writing.write(true);
            let errors = [
                read(path).expect_err(why),
                open(&writing, path).expect_err(why),
            ];
            for error in errors {
                assert!(error.to_string().contains(why), "{error}");
            }
        }
        replace(&pipe, b"x").expect_err("somebody else uses it");
        let left = fs::read_dir(directory.path()).expect("it is there");
        assert_eq!(left.count(), 1, "nothing is left besides the pipe");
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("file");
        for contents in ["first", "second"] {
            replace(&path, contents.as_bytes()).expect("there is room");
            assert_eq!(read_text(&path).expect("it is there"), contents);
        }
        let left = fs::read_dir(directory.path()).expect("it is there");
        assert_eq!(left.count(), 1);
    }
}
