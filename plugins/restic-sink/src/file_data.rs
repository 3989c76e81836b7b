//! The data of files, written through WASI 0.2 and not through the streams of 0.3: it takes one
//! call for a megabyte, which only copies it into the system's cache, so that nothing has to go
//! on beside it.

use restic_repo::{Error, Result};
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

use crate::directory::GRANT;

/// Bytes that are written at a time, which the host holds meanwhile.
const PIECE: usize = 1 << 20;

/// Writes a new file. It is not on stable storage when this returns.
pub(crate) fn write(path: &str, bytes: &[u8]) -> Result<()> {
    let directories = get_directories();
    let found = directories.iter().find(|(_, name)| name == GRANT);
    let Some((root, _)) = found else {
        return Err(Error::Config(
            "no directory was granted: set grants.directories.repository".into(),
        ));
    };
    write_below(root, path, bytes).map_err(|cause| {
        let text = |cause: &str| format!("{path} cannot be written: {cause}");
        match cause {
            ErrorCode::InsufficientSpace => Error::Other(text("no space left on the device")),
            ErrorCode::Quota => Error::Other(text("the quota is used up")),
            ErrorCode::Access | ErrorCode::NotPermitted => Error::Denied(text("permission denied")),
            ErrorCode::ReadOnly => Error::Denied(text("the file system or the grant is read-only")),
            other => Error::Other(text(other.name())),
        }
    })
}

fn write_below(root: &Descriptor, path: &str, bytes: &[u8]) -> Result<(), ErrorCode> {
    let create = || {
        root.open_at(
            PathFlags::empty(),
            path,
            OpenFlags::CREATE | OpenFlags::TRUNCATE,
            DescriptorFlags::WRITE,
        )
    };
    let file = match (create(), path.rsplit_once('/')) {
        // Other programs leave directories out until they are needed.
        (Err(ErrorCode::NoEntry), Some((directory, _))) => {
            root.create_directory_at(directory)?;
            create()?
        }
        (opened, _) => opened?,
    };
    let mut written = 0;
    while written < bytes.len() {
        let piece = &bytes[written..bytes.len().min(written + PIECE)];
        let count = file.write(piece, written as u64)?;
        written += usize::try_from(count).map_err(|_| ErrorCode::Io)?;
    }
    Ok(())
}
