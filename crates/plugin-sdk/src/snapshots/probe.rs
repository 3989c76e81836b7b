//! What can be done in a directory, found out by doing it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::time::SystemTime;

use wasip3::random::random::get_random_u64;

use super::{Answer, Rights};
use crate::Instant;

/// Finds out what can be done in a granted directory, like `/store`. Nothing stays of it. Only a refusal means that something
/// may not be done: a fault of the disk is an error.
pub fn probe_directory(directory: impl AsRef<Path>) -> io::Result<Rights> {
    let directory = directory.as_ref();
    let path = directory.join(format!(".probe-{:016x}", get_random_u64()));
    let write = |options: &mut OpenOptions, text: &[u8]| {
        let file = options.write(true).open(&path);
        may(file.and_then(|mut file: File| file.write_all(text)))
    };
    let put = write(OpenOptions::new().create_new(true), b"one");
    let list = may(fs::read_dir(directory).map(drop));
    let get = may(fs::read(&path).map(drop));
    let overwrite = write(OpenOptions::new().truncate(true), b"two");
    let again = write(OpenOptions::new().create_new(true), b"three");
    let delete = may(fs::remove_file(&path));
    let put = put?;
    let after = |could: io::Result<Answer>| match put {
        Answer::Yes => could,
        Answer::No | Answer::Unknown => Ok(Answer::Unknown),
    };
    let put_if_absent = match after(again)? {
        Answer::Yes => Answer::No,
        Answer::No => Answer::Yes,
        Answer::Unknown => Answer::Unknown,
    };
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Rights {
        put,
        get: after(get)?,
        list: list?,
        delete: after(delete)?,
        overwrite: after(overwrite)?,
        put_if_absent,
        versioned: Answer::No,
        object_lock: Answer::No,
        found: Instant {
            seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: now.subsec_nanos(),
        },
        notes: Vec::new(),
    })
}

/// Whether something was done, or refused.
fn may(tried: io::Result<()>) -> io::Result<Answer> {
    match tried {
        Ok(()) => Ok(Answer::Yes),
        Err(cause) => match cause.kind() {
            ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::AlreadyExists => Ok(Answer::No),
            // When there is room, it may be possible.
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Ok(Answer::Unknown),
            _ => Err(cause),
        },
    }
}
