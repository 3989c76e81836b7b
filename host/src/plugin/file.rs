//! Reads a component from a regular file.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::compile::MAX_SIZE;
use crate::error::{Error, Kind, Result};
use crate::operator_file;

/// Reads a component. What never ends, and what never begins, like a pipe, is refused.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |cause: io::Error| {
        Error::of_system(
            format!("the plugin {} cannot be read", path.display()),
            cause,
        )
    };
    let read = operator_file::read(path, MAX_SIZE).map_err(|cause| match cause.kind() {
        ErrorKind::InvalidInput | ErrorKind::FileTooLarge | ErrorKind::TimedOut => {
            let text = format!("{} is not a plugin: {cause}", path.display());
            Error::new(Kind::Plugin, text).help(HELP)
        }
        _ => failed(cause),
    });
    read.map(|mut bytes| std::mem::take(&mut *bytes))
}

/// The advice for a file that is not a plugin.
pub(super) const HELP: &str =
    "a plugin is a WebAssembly component, for example one built for the target wasm32-wasip2";

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn only_files_of_a_size_that_components_have_are_read() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("plugin.wasm");
        fs::write(&path, "bytes").expect("there is room");
        assert_eq!(read(&path).expect("it is a file"), b"bytes");
        let large = File::options().write(true).open(&path);
        let large = large.and_then(|file| file.set_len(MAX_SIZE + 1));
        large.expect("it is sparse");
        let error = read(&path).expect_err("it is too large");
        assert!(error.message().contains("larger than 64 MiB"), "{error}");
        let fifo = directory.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .expect("pipes can be made");
        for path in [&fifo, Path::new("/dev/zero"), directory.path()] {
            let error = read(path).expect_err("it is not a file");
            assert!(error.message().contains("is not a plugin"), "{error}");
        }
    }
}
