//! Files that are written aside, synced and renamed, so that a name always has the whole
//! contents.
//!
//! They are written through WASI 0.2 and not through the streams of 0.3: a file then takes one
//! call, and packs are rare enough that nothing has to go on beside it.

use restic_repo::{Error, Result};
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

use crate::directory::GRANT;

/// Stores a file under its path, by way of the path `aside`. When this returns, it is on
/// stable storage; when it fails, nothing is left of it.
pub(crate) fn write(path: &str, aside: &str, bytes: &[u8]) -> Result<()> {
    let directories = get_directories();
    let found = directories.iter().find(|(_, name)| name == GRANT);
    let Some((root, _)) = found else {
        return Err(Error::Config(
            "no directory was granted: set grants.directories.repository".into(),
        ));
    };
    let directory = path
        .rsplit_once('/')
        .map_or(".", |(directory, _)| directory);
    let written = write_aside(root, directory, aside, bytes)
        .and_then(|()| root.rename_at(aside, root, path))
        // Only with its directory is the new name on stable storage.
        .and_then(|()| open(root, directory, OpenFlags::DIRECTORY, DescriptorFlags::READ)?.sync());
    if written.is_err() {
        // The write's own error is the one to tell.
        let _ = root.unlink_file_at(aside);
    }
    written.map_err(|cause| {
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

fn write_aside(
    root: &Descriptor,
    directory: &str,
    path: &str,
    bytes: &[u8],
) -> Result<(), ErrorCode> {
    let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let file = match open(root, path, flags, DescriptorFlags::WRITE) {
        // Other programs leave directories out until they are needed.
        Err(ErrorCode::NoEntry) => {
            root.create_directory_at(directory)?;
            open(root, path, flags, DescriptorFlags::WRITE)?
        }
        other => other?,
    };
    let mut written = 0;
    while written < bytes.len() {
        let count = file.write(&bytes[written..], written as u64)?;
        written += usize::try_from(count).map_err(|_| ErrorCode::Io)?;
    }
    file.sync()
}

fn open(
    root: &Descriptor,
    path: &str,
    how: OpenFlags,
    what: DescriptorFlags,
) -> Result<Descriptor, ErrorCode> {
    root.open_at(PathFlags::empty(), path, how, what)
}
