//! Tries which operations work on the files.

use restic_plugin::bindings::exports::tthost::backup::sink::{Answer, Rights};
use restic_plugin::platform::{clear, note, now};
use restic_plugin::probe::{CONTENTS, SHARED, own_name};
use restic_repo::{Backend as _, Error, FileKind, Result};

use crate::files::Files;

/// What can be done. What has no answer is an error: only a refusal means that something may not be done.
pub(crate) async fn probe(files: &Files) -> Result<Rights> {
    let name = own_name();
    note(&name).await;
    let is_removable = removes(files, &name).await? != Answer::No;
    let stored = if is_removable { &name } else { SHARED };
    let probed = try_all(files, stored).await;
    // What is left of it after an error, the next process removes.
    if probed.is_ok() {
        clear(&name).await;
    }
    probed
}

async fn try_all(files: &Files, name: &str) -> Result<Rights> {
    let put = files.write_file(name, CONTENTS.to_vec()).await;
    let notes = put.as_ref().err().map(ToString::to_string);
    let put = answer(put)?;
    let mut rights = Rights {
        put,
        get: Answer::Unknown,
        list: Answer::Unknown,
        delete: put,
        overwrite: put,
        put_if_absent: Answer::No,
        versioned: Answer::No,
        object_lock: Answer::No,
        found: now().into(),
        notes: notes.into_iter().collect(),
    };
    if put == Answer::Yes {
        rights.get = match files.read_file(name).await {
            Ok(Some(read)) if read == CONTENTS => Answer::Yes,
            Ok(_) => {
                return Err(Error::Unavailable(format!(
                    "{name} is not what was stored a moment before: do not rely on this place"
                )));
            }
            Err(error) => refused(files, error)?,
        };
        rights.overwrite = answer(files.write_file(name, CONTENTS.to_vec()).await)?;
        rights.delete = removes(files, name).await?;
    }
    rights.list = match files.list(FileKind::Snapshot).await {
        Ok(_) => Answer::Yes,
        Err(error) => refused(files, error)?,
    };
    Ok(rights)
}

async fn removes(files: &Files, name: &str) -> Result<Answer> {
    answer(files.remove_file(name).await)
}

/// What it means that something cannot be read. A store has credentials that may be for storing alone; a directory has permissions,
/// and one that cannot be read is a fault.
fn refused(files: &Files, error: Error) -> Result<Answer> {
    match files {
        Files::Directory(_) => Err(error),
        Files::Store(_) => answer::<()>(Err(error)),
    }
}

fn answer<T>(tried: Result<T>) -> Result<Answer> {
    match tried {
        Ok(_) => Ok(Answer::Yes),
        Err(Error::Denied(_) | Error::ReadOnly(_)) => Ok(Answer::No),
        // A store for repositories alone has no place for another file, and a full one has none for the time being.
        Err(Error::Unsupported(_) | Error::NoSpace(_)) => Ok(Answer::Unknown),
        Err(error) => Err(error),
    }
}
