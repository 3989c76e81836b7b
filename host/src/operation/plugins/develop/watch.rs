//! Waits until a file of a project changes.
//!
//! It polls. A project has few files, and polling works on every file system: in containers, over networks, and with editors that
//! replace a file by a new one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use std::os::unix::ffi::OsStrExt as _;

use tokio::time::sleep;
use tthost_patterns::Patterns;

use super::build::COMPONENT;
use crate::error::{Error, Kind, Result};
use crate::operation::Context;
use crate::own_file;

/// How often the files are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// More files than a project of a plugin has.
const MAX: usize = 20_000;

/// The outputs of a build.
const MADE: [&str; 7] = [
    "/target/",
    "/Cargo.lock",
    COMPONENT,
    ".git",
    ".venv/",
    "__pycache__/",
    "node_modules/",
];

/// When a file was changed, and how long it is.
type FileStates = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// The files of a project, as they were.
pub struct Watch {
    directory: PathBuf,
    ignored: Patterns,
    seen: FileStates,
}

impl Watch {
    /// Remembers the files of a directory, without what building writes and what git ignores.
    pub fn begin(directory: &Path) -> Result<Self> {
        let given = own_file::read_text(&directory.join(".gitignore")).unwrap_or_default();
        let made = MADE.into_iter().chain(given.lines()).map(str::to_owned);
        // Git passes over lines that it does not understand, too.
        let is_pattern = |line: &String| Patterns::new(std::slice::from_ref(line), &[]).is_ok();
        let ignored: Vec<_> = made.filter(is_pattern).collect();
        let ignored = Patterns::new(&ignored, &[])
            .map_err(|cause| Error::new(Kind::Other, cause.to_string()))?;
        let mut watch = Self {
            directory: directory.to_owned(),
            ignored,
            seen: FileStates::new(),
        };
        watch.seen = watch.scan()?;
        Ok(watch)
    }

    /// Waits until a file is another than it was, and until all of them stay as they are for a moment: whoever saves several saves
    /// them one after the other.
    pub async fn changed(&mut self, context: &Context) -> Result<()> {
        context.unless_cancelled(self.wait()).await
    }

    async fn wait(&mut self) -> Result<()> {
        let mut is_changed = false;
        loop {
            sleep(POLL_INTERVAL).await;
            let now = self.scan()?;
            let is_still = now == self.seen;
            if is_changed && is_still {
                return Ok(());
            }
            is_changed |= !is_still;
            self.seen = now;
        }
    }

    fn scan(&self) -> Result<FileStates> {
        let mut states = FileStates::new();
        let mut directories = vec![PathBuf::new()];
        while let Some(below) = directories.pop() {
            // What goes away meanwhile is seen the next time.
            let Ok(entries) = fs::read_dir(self.directory.join(&below)) else {
                continue;
            };
            for entry in entries.flatten() {
                let path = below.join(entry.file_name());
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                if self
                    .ignored
                    .exclude(path.as_os_str().as_bytes(), metadata.is_dir())
                {
                    continue;
                }
                if metadata.is_dir() {
                    directories.push(path);
                    continue;
                }
                states.insert(path, (metadata.modified().ok(), metadata.len()));
                if states.len() > MAX {
                    let text = format!("{} has more than {MAX} files", self.directory.display());
                    return Err(Error::new(Kind::Usage, text)
                        .help("name the directory of the plugin, or have .gitignore name what is not of it"));
                }
            }
        }
        Ok(states)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_of_a_file_is_seen_and_what_building_writes_is_none() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = |name: &str| directory.path().join(name);
        let write = |name: &str, text: &str| fs::write(path(name), text).expect("there is room");
        fs::create_dir_all(path("src")).expect("there is room");
        fs::create_dir_all(path("target/deep")).expect("there is room");
        write("src/lib.rs", "one");
        write(".gitignore", "*.log\n[\n");
        let mut watch = Watch::begin(directory.path()).expect("it can be read");
        for made in ["target/deep/a", "Cargo.lock", "plugin.wasm", "src/a.log"] {
            write(made, "made");
        }
        let limit = POLL_INTERVAL * 5;
        let waited = tokio::time::timeout(limit, watch.wait()).await;
        waited.expect_err("nothing of it was changed");
        write("src/lib.rs", "another");
        let waited = tokio::time::timeout(limit * 4, watch.wait()).await;
        waited.expect("it is seen").expect("it can be read");
        write("src/new.rs", "new");
        let waited = tokio::time::timeout(limit * 4, watch.wait()).await;
        waited.expect("it is seen").expect("it can be read");
    }
}
