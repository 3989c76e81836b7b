//! What can be done in a directory, found out by doing it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use wasip3::random::random::get_random_u64;

use super::{Answer, Rights};
use crate::Instant;

/// Finds out what can be done in a granted directory, like `/store`. Nothing stays of it.
pub fn probe_directory(directory: impl AsRef<Path>) -> Rights {
    let directory = directory.as_ref();
    let path = directory.join(format!(".probe-{:016x}", get_random_u64()));
    let write = |options: &mut OpenOptions, text: &[u8]| {
        let file = options.write(true).open(&path);
        file.and_then(|mut file: File| file.write_all(text)).is_ok()
    };
    let put = write(OpenOptions::new().create_new(true), b"one");
    let list = fs::read_dir(directory).is_ok_and(|mut entries| {
        !put || entries.any(|entry| entry.is_ok_and(|entry| entry.path() == path))
    });
    let after = |could: bool| answer(put.then_some(could));
    let get = fs::read(&path).is_ok_and(|read| read == b"one");
    let overwrite = write(OpenOptions::new().truncate(true), b"two");
    let exclusive = !write(OpenOptions::new().create_new(true), b"three");
    let delete = fs::remove_file(&path).is_ok();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Rights {
        put: answer(Some(put)),
        get: after(get),
        list: answer(Some(list)),
        delete: after(delete),
        overwrite: after(overwrite),
        put_if_absent: after(exclusive),
        versioned: Answer::No,
        object_lock: Answer::No,
        found: Instant {
            seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: now.subsec_nanos(),
        },
        notes: Vec::new(),
    }
}

fn answer(could: Option<bool>) -> Answer {
    match could {
        Some(true) => Answer::Yes,
        Some(false) => Answer::No,
        None => Answer::Unknown,
    }
}
