//! What is backed up, made once from a seed and kept outside the tree.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tthost_tests::rustic;

use super::{Options, text, tree};
use crate::shell;

/// Files of the tree of small ones, and the bytes of each.
const SMALL_FILES: u64 = 100_000;
const SMALL_BYTES: usize = 4 << 10;

/// The name of the subject that goes into a bucket.
pub(crate) const OFFSITE: &str = "s3";

/// Something to back up.
pub(crate) struct Subject {
    /// For people: `1024 MB of SQL-like text`.
    pub(crate) description: String,
    pub(crate) form: Form,
    /// The file or the directory.
    pub(crate) path: PathBuf,
    /// Whether it goes into a bucket, and not into a directory.
    pub(crate) offsite: bool,
}

/// How a program gets it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Through a pipe, as a dump comes; it is read back to `/dev/null`.
    Pipe,
    /// As a directory; it is restored into memory, so that no disk's mood counts.
    Tree,
}

impl Subject {
    /// The subject of this name, made if it is not there yet.
    pub(crate) fn named(name: &str, options: &Options) -> Result<Self> {
        let bytes = |megabytes: u64| options.megabytes.unwrap_or(megabytes) << 20;
        match name {
            "text" => {
                let bytes = bytes(1024);
                Self::make(
                    format!("{} MB of SQL-like text", bytes >> 20),
                    Form::Pipe,
                    &format!("sql-{}-mb-v{}.txt", bytes >> 20, text::VERSION),
                    |path| text::write(path, bytes),
                )
            }
            "small" => Self::make(
                format!("{SMALL_FILES} files of {} KiB", SMALL_BYTES >> 10),
                Form::Tree,
                &format!("small-v{}", tree::VERSION),
                |path| tree::write_small(path, SMALL_FILES, SMALL_BYTES),
            ),
            "mixed" => {
                let bytes = bytes(2048);
                Self::make(
                    format!("{} MB in files of all sizes", bytes >> 20),
                    Form::Tree,
                    &format!("mixed-{}-mb-v{}", bytes >> 20, tree::VERSION),
                    |path| tree::write_mixed(path, bytes),
                )
            }
            OFFSITE => {
                let text = Self::named("text", options)?;
                Ok(Self {
                    description: format!("{} into S3", text.description),
                    offsite: true,
                    ..text
                })
            }
            _ => {
                bail!("there is no bench \"{name}\": there are text, small, mixed and {OFFSITE}")
            }
        }
    }

    fn make(
        description: String,
        form: Form,
        name: &str,
        write: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let cache = rustic::tools_directory()?.with_file_name("bench");
        let path = cache.join(name);
        if !path.exists() {
            let what = format!("Write {description} to {}", path.display());
            shell::step(&what, || {
                fs::create_dir_all(&cache)?;
                let unfinished = cache.join(format!("{name}.unfinished"));
                if unfinished.is_dir() {
                    fs::remove_dir_all(&unfinished)?;
                }
                write(&unfinished)?;
                fs::rename(&unfinished, &path).context("cannot give it its name")
            })?;
        }
        Ok(Self {
            description,
            form,
            path,
            offsite: false,
        })
    }

    /// What is measured: it goes into an empty repository, the same goes there again, and it
    /// comes back.
    pub(crate) fn works(&self) -> [&'static str; 3] {
        match self.form {
            Form::Pipe => [
                "backup from a pipe",
                "the same again",
                "restore to /dev/null",
            ],
            Form::Tree => ["backup", "the same again", "restore"],
        }
    }
}
