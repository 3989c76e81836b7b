//! Reads and writes files through WASI 0.2, because the streams of 0.3 move 8 KiB at a
//! time. A call only copies between the plugin and the page cache, so it may block. Syncing
//! waits for the disk, and goes through 0.3.

use restic_repo::{Error, Result};
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags, PathFlags,
};
use wasip3::filesystem::types::ErrorCode as Code;

use crate::fault::{failed, of_data};

/// What becomes of a link, and what to do about it.
const NOT_FOLLOWED: &str =
    ", which is not followed: put the directory itself there, for example with `mount --bind`";

/// Bytes written in one call. The host holds them meanwhile.
const PIECE: usize = 1 << 20;

/// Reads a part of a file: so many bytes from `offset` on, or without a length all that there
/// are. Less than that is corrupt.
pub(crate) fn read(
    root: &Descriptor,
    path: &str,
    offset: u64,
    length: Option<u64>,
) -> Result<Vec<u8>> {
    let failed = |cause| unread(root, path, "read", cause);
    let whole = match length {
        Some(length) => length,
        None => length_of(root, path)?,
    };
    let file = open(root, path, OpenFlags::empty(), DescriptorFlags::READ).map_err(failed)?;
    let whole =
        usize::try_from(whole).map_err(|_| Error::Corrupt(format!("{path} is too large")))?;
    let mut bytes = Vec::with_capacity(whole);
    while bytes.len() < whole {
        let position = bytes.len() as u64;
        let (more, ended) =
            again(|| file.read(whole as u64 - position, offset + position)).map_err(failed)?;
        bytes.extend(more);
        if ended && bytes.len() < whole {
            return Err(Error::Corrupt(format!("{path} is cut off")));
        }
    }
    Ok(bytes)
}

/// The length of a file. Opens only files: opening a pipe would wait for a writer.
fn length_of(root: &Descriptor, path: &str) -> Result<u64> {
    let stat = root.stat_at(PathFlags::empty(), path);
    let stat = stat.map_err(|cause| unread(root, path, "read", cause))?;
    match stat.type_ {
        DescriptorType::RegularFile => Ok(stat.size),
        other => Err(Error::Corrupt(format!(
            "{path} is {}, and no file",
            kind_name(other)
        ))),
    }
}

/// What is in a directory; nothing when it is not there. What was removed meanwhile is left out, and so are names that
/// are not text, which no file of a repository has.
pub(crate) fn list(root: &Descriptor, path: &str) -> Result<Vec<DirectoryEntry>> {
    let failed = |cause| unread(root, path, "listed", cause);
    match root.stat_at(PathFlags::empty(), path) {
        Err(ErrorCode::NoEntry) => return Ok(Vec::new()),
        Err(cause) => return Err(failed(cause)),
        Ok(stat) if stat.type_ == DescriptorType::Directory => {}
        Ok(stat) => {
            let what = kind_name(stat.type_);
            let help = match stat.type_ {
                DescriptorType::SymbolicLink => NOT_FOLLOWED,
                _ => ", and no directory",
            };
            let text = format!("{path} is {what}{help}");
            return Err(Error::Corrupt(text));
        }
    }
    let opened = open(root, path, OpenFlags::DIRECTORY, DescriptorFlags::READ);
    let stream = opened
        .and_then(|directory| directory.read_directory())
        .map_err(failed)?;
    let mut entries = Vec::new();
    loop {
        match again(|| stream.read_directory_entry()) {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => return Ok(entries),
            Err(ErrorCode::NoEntry | ErrorCode::IllegalByteSequence) => {}
            Err(cause) => return Err(failed(cause)),
        }
    }
}

/// Writes a new file, whose bytes are in pieces. It is not on stable storage when this returns.
pub(crate) fn write(root: &Descriptor, path: &str, pieces: &[Vec<u8>]) -> Result<()> {
    write_below(root, path, pieces)
        .map_err(|cause| unchanged(root, path, "written", of_data(cause)))
}

fn write_below(root: &Descriptor, path: &str, pieces: &[Vec<u8>]) -> Result<(), ErrorCode> {
    let create = || {
        open(
            root,
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
    let mut end = 0;
    for mut piece in pieces.iter().flat_map(|bytes| bytes.chunks(PIECE)) {
        while !piece.is_empty() {
            let count = again(|| file.write(piece, end))?;
            end += count;
            let written = usize::try_from(count).ok();
            piece = written
                .and_then(|count| piece.get(count..))
                .ok_or(ErrorCode::Io)?;
        }
    }
    Ok(())
}

fn open(
    root: &Descriptor,
    path: &str,
    how: OpenFlags,
    access: DescriptorFlags,
) -> Result<Descriptor, ErrorCode> {
    root.open_at(PathFlags::empty(), path, how, access)
}

/// The directory granted under this name.
pub(crate) fn granted(name: &str) -> Option<Descriptor> {
    let mut found = get_directories().into_iter();
    found.find(|(_, found)| found == name).map(|(root, _)| root)
}

/// A subdirectory.
pub(crate) fn enter(root: &Descriptor, name: &str) -> Result<Descriptor> {
    let access = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
    open(root, name, OpenFlags::DIRECTORY, access)
        .map_err(|cause| unread(root, name, "opened", cause))
}

fn kind_name(kind: DescriptorType) -> &'static str {
    match kind {
        DescriptorType::RegularFile => "a file",
        DescriptorType::Directory => "a directory",
        DescriptorType::SymbolicLink => "a symbolic link",
        DescriptorType::BlockDevice | DescriptorType::CharacterDevice => "a device",
        // The host reports both as unknown errors.
        DescriptorType::Fifo | DescriptorType::Socket | DescriptorType::Unknown => {
            "a pipe or a socket"
        }
    }
}

/// Repeats a call that a signal interrupts.
fn again<T>(ask: impl Fn() -> Result<T, ErrorCode>) -> Result<T, ErrorCode> {
    loop {
        match ask() {
            Err(ErrorCode::Interrupted) => {}
            asked => return asked,
        }
    }
}

/// The error of a read. The host follows no link out of a granted directory.
fn unread(root: &Descriptor, path: &str, what: &str, cause: ErrorCode) -> Error {
    let is_link = |path: &&str| {
        let stat = root.stat_at(PathFlags::empty(), path);
        stat.is_ok_and(|stat| stat.type_ == DescriptorType::SymbolicLink)
    };
    let mut above = path.match_indices('/').map(|(end, _)| &path[..end]);
    match cause {
        ErrorCode::NotPermitted if let Some(link) = above.find(is_link) => Error::Denied(format!(
            "{path} cannot be {what}: {link} is a symbolic link{NOT_FOLLOWED}"
        )),
        cause => failed(path, what, &of_data(cause)),
    }
}

/// The error of a write. For a read-only grant, the host only reports missing permission.
pub(crate) fn unchanged(root: &Descriptor, path: &str, what: &str, cause: Code) -> Error {
    let may_change = |flags: DescriptorFlags| flags.contains(DescriptorFlags::MUTATE_DIRECTORY);
    match cause {
        Code::NotPermitted if !root.get_flags().is_ok_and(may_change) => {
            failed(path, what, &Code::ReadOnly)
        }
        cause => failed(path, what, &cause),
    }
}
