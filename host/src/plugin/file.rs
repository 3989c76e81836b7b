//! The bytes of a component, from a file that is nothing else.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::compile::LARGEST;
use crate::error::{Error, Kind, Result};

/// Reads a component. What never ends, and what never begins, like a pipe, is refused.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |cause: io::Error| {
        let kind = match cause.kind() {
            ErrorKind::NotFound => Kind::NotFound,
            ErrorKind::PermissionDenied => Kind::Denied,
            _ => Kind::Other,
        };
        let text = format!("the plugin {} cannot be read", path.display());
        Error::new(kind, text).caused_by(cause)
    };
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        let text = format!("{} is no file, so it is no plugin", path.display());
        return Err(Error::new(Kind::Plugin, text).help(HELP));
    }
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    if read.map_err(failed)? as u64 > LARGEST {
        let text = format!(
            "{} is larger than {} MiB, so it is no plugin",
            path.display(),
            LARGEST >> 20
        );
        return Err(Error::new(Kind::Plugin, text).help(HELP));
    }
    Ok(bytes)
}

/// What a plugin is.
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
        let large = large.and_then(|file| file.set_len(LARGEST + 1));
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
            let error = read(path).expect_err("it is no file");
            assert!(error.message().contains("is no"), "{error}");
        }
    }
}
