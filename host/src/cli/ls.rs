//! `tthost ls`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use clap::Args;

use super::Session;
use super::args::Select;
use super::format::time;
use super::output::Answer;
use super::table::table;
use crate::error::Result;
use crate::operation::ls::{FileType, Listed, Plan};
use crate::operation::{self, SnapshotFolder};

#[derive(Debug, Args)]
pub(super) struct Ls {
    /// An id, its first digits, or `latest`; `ID:FOLDER` takes a folder for the top
    snapshot: SnapshotFolder,
    /// A directory or file of the snapshot [default: its top]
    path: Option<OsString>,
    #[command(flatten)]
    select: Select,
    /// Also show permissions, owners, sizes and times
    #[arg(long, short)]
    long: bool,
    /// Also list what is in the directories below
    #[arg(long)]
    recursive: bool,
}

/// Lists what a snapshot holds.
pub(super) async fn ls(session: &Session<'_>, arguments: Ls) -> Result<Answer> {
    let long = arguments.long;
    let filter = arguments.select.filter.into();
    let plan = Plan {
        sink: session.config.sink(&arguments.select.sink.into())?,
        snapshot: session
            .config
            .snapshot(&arguments.snapshot.snapshot, filter, None)?,
        folder: arguments.snapshot.folder,
        path: arguments.path.map(OsString::into_vec),
        recursive: arguments.recursive,
    };
    let report = operation::ls(&session.context, plan).await?;
    session
        .output
        .answer(&report, || show(&report.entries, long))
}

fn show(entries: &[Listed], long: bool) -> String {
    if !long {
        let paths: Vec<_> = entries.iter().map(|entry| entry.path.as_str()).collect();
        return paths.join("\n");
    }
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            let target = entry.target.as_ref();
            vec![
                mode(entry),
                format!("{}:{}", entry.uid, entry.gid),
                entry.size.map(|size| size.to_string()).unwrap_or_default(),
                entry.modified.map(time).unwrap_or_default(),
                target.map_or_else(
                    || entry.path.clone(),
                    |target| format!("{} -> {target}", entry.path),
                ),
            ]
        })
        .collect();
    table(&rows)
}

/// The type and the permissions as `ls -l` shows them.
fn mode(entry: &Listed) -> String {
    let kind = match entry.file_type {
        FileType::File => '-',
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::CharacterDevice => 'c',
        FileType::BlockDevice => 'b',
    };
    let mut text = String::from(kind);
    // The special bit of each class, and its letter.
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (entry.mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_look_as_everywhere() {
        let entry = |file_type, mode| Listed {
            path: String::new(),
            file_type,
            size: None,
            target: None,
            mode,
            uid: 0,
            gid: 0,
            modified: None,
            subtree: None,
        };
        for (file_type, bits, text) in [
            (FileType::File, 0o644, "-rw-r--r--"),
            (FileType::Directory, 0o1777, "drwxrwxrwt"),
            (FileType::File, 0o4755, "-rwsr-xr-x"),
            (FileType::Symlink, 0o2640, "lrw-r-S---"),
        ] {
            assert_eq!(mode(&entry(file_type, bits)), text);
        }
    }
}
