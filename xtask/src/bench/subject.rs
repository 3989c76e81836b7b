//! What is backed up, made once from a seed and kept outside the tree.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tthost_tests::postgres::Postgres;
use tthost_tests::{rustic, shop};

use super::{Options, blobs, growth, text, tree};
use crate::shell;

/// Files of the tree of small ones, and the bytes of each.
const SMALL_FILES: u64 = 100_000;
const SMALL_BYTES: usize = 4 << 10;

/// The same of the tree of very many.
const MANY_FILES: u64 = 1_000_000;
const MANY_BYTES: usize = 1 << 10;

/// The name of the database that is dumped.
const DATABASE: &str = "shop";

/// The names of all subjects, and whether they are measured when none is named.
pub(crate) const NAMES: [(&str, bool); 10] = [
    ("text", true),
    ("small", true),
    ("mixed", true),
    ("s3", false),
    ("custom", false),
    ("directory", false),
    ("many", false),
    ("huge", false),
    ("sinks", false),
    ("blobs", false),
];

/// Something to back up.
pub(crate) struct Subject {
    /// For people: `1024 MB of SQL-like text`.
    pub(crate) description: String,
    pub(crate) data: Data,
    /// About how many bytes it has.
    pub(crate) bytes: u64,
    /// Whether it goes into a bucket, and not into a directory.
    pub(crate) offsite: bool,
    /// Into how many repositories it goes.
    pub(crate) repositories: usize,
}

/// How a program gets it.
pub(crate) enum Data {
    /// Through a pipe that this command fills; it is read back to `/dev/null`.
    Pipe(Vec<String>),
    /// As a directory; it is restored into memory, so that no disk's mood counts.
    Tree(PathBuf),
    /// As a dump of a database in a format of `pg_dump`.
    Database(Format, Postgres),
    /// As a small directory that goes into a copy of a repository with very many blobs.
    Beside { tree: PathBuf, repository: PathBuf },
}

/// The formats that need `pg_restore`, neither of them compressed by `pg_dump`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Through a pipe.
    Custom,
    /// Whoever cannot do better dumps into a directory and backs that up; tthost has the
    /// same files in a tar from a pipe.
    Directory,
}

impl Format {
    /// As the source of tthost calls it.
    pub(crate) fn of_the_source(self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::Directory => "tar",
        }
    }

    /// As `pg_dump` calls it.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Custom => "--format=custom",
            Self::Directory => "--format=directory",
        }
    }
}

impl Subject {
    /// The subject of this name, made if it is not there yet.
    pub(crate) fn named(name: &str, options: &Options) -> Result<Self> {
        let bytes = |megabytes: u64| options.megabytes.unwrap_or(megabytes) << 20;
        match name {
            "text" => text_from_a_pipe(bytes(1024)),
            "s3" => Ok(Self {
                offsite: true,
                ..text_from_a_pipe(bytes(1024))?.also("into S3")
            }),
            "huge" => Self::repeated_text(bytes(20 << 10)),
            "small" => Self::files(SMALL_FILES, SMALL_BYTES),
            "many" => Self::files(MANY_FILES, MANY_BYTES),
            "mixed" => mixed_files(bytes(2048)),
            "sinks" => Ok(Self {
                repositories: 3,
                ..mixed_files(bytes(2048))?.also("into 3 repositories")
            }),
            "custom" => database(Format::Custom, bytes(256)),
            "directory" => database(Format::Directory, bytes(256)),
            "blobs" => many_blobs(bytes(640) / blobs::BYTES as u64),
            _ => {
                let names = NAMES.map(|(name, _)| name).join(", ");
                bail!(
                    "there is no bench \"{name}\": there are {names} and {}",
                    growth::NAME
                )
            }
        }
    }

    /// Text whose parts repeat: the repository stays small while the stream does not.
    pub(crate) fn repeated_text(bytes: u64) -> Result<Self> {
        const BODY: u64 = 1 << 30;
        let times = bytes.div_ceil(BODY).max(1);
        let (title, completion) = text::frame();
        let body = text_file(BODY.min(bytes))?;
        let script = format!(
            "printf %s '{title}'; i=0; while [ $i -lt {times} ]; do tail -c +{first} \"$0\" | \
             head -c -{last}; i=$((i + 1)); done; printf %s '{completion}'",
            first = title.len() + 1,
            last = completion.len(),
        );
        let command = ["sh", "-c", &script, utf8(&body)?].map(str::to_owned);
        let description = format!("{} MB of text that repeats", bytes >> 20);
        Ok(Self::new(description, Data::Pipe(command.into()), bytes))
    }

    /// So many files of so many bytes.
    pub(crate) fn files(count: u64, bytes: usize) -> Result<Self> {
        let description = format!("{count} files of {} KiB", bytes >> 10);
        let name = format!("small-{count}-of-{bytes}-v{}", tree::VERSION);
        let path = make(&description, &name, |path| {
            tree::write_small(path, count, bytes)
        })?;
        let total = count * bytes as u64;
        Ok(Self::new(description, Data::Tree(path), total))
    }

    pub(crate) fn new(description: String, data: Data, bytes: u64) -> Self {
        Self {
            description,
            data,
            bytes,
            offsite: false,
            repositories: 1,
        }
    }

    fn also(self, what: &str) -> Self {
        Self {
            description: format!("{} {what}", self.description),
            ..self
        }
    }

    /// What is measured: it goes into an empty repository, the same goes there again, and it comes back. A repository of its
    /// own is opened to take it, to list it, and to be pruned.
    pub(crate) fn works(&self) -> [&'static str; 3] {
        match self.data {
            Data::Tree(_) => ["backup", "the same again", "restore"],
            Data::Pipe(_) | Data::Database(..) => {
                ["backup", "the same again", "read back to /dev/null"]
            }
            Data::Beside { .. } => ["a small backup", "list its directory", "prune"],
        }
    }

    /// The name of the database, where it is one.
    pub(crate) fn database() -> &'static str {
        DATABASE
    }
}

fn text_from_a_pipe(bytes: u64) -> Result<Subject> {
    let description = format!("{} MB of SQL-like text", bytes >> 20);
    let path = text_file(bytes)?;
    let command = vec!["cat".to_owned(), utf8(&path)?.to_owned()];
    Ok(Subject::new(description, Data::Pipe(command), bytes))
}

fn text_file(bytes: u64) -> Result<PathBuf> {
    let what = format!("{} MB of SQL-like text", bytes >> 20);
    let name = format!("sql-{}-mb-v{}.txt", bytes >> 20, text::VERSION);
    make(&what, &name, |path| text::write(path, bytes))
}

fn mixed_files(bytes: u64) -> Result<Subject> {
    let description = format!("{} MB in files of all sizes", bytes >> 20);
    let name = format!("mixed-{}-mb-v{}", bytes >> 20, tree::VERSION);
    let path = make(&description, &name, |path| tree::write_mixed(path, bytes))?;
    Ok(Subject::new(description, Data::Tree(path), bytes))
}

/// A server of its own with a database that takes about so many bytes as SQL.
fn database(format: Format, bytes: u64) -> Result<Subject> {
    let megabytes = u32::try_from(bytes >> 20)?;
    let description = format!(
        "a database of {megabytes} MB, dumped with {}",
        format.argument()
    );
    let postgres = shell::step("Fill a database", || {
        let postgres = Postgres::start()?;
        shop::open(&postgres, DATABASE, megabytes)?;
        Ok(postgres)
    })?;
    let data = Data::Database(format, postgres);
    Ok(Subject::new(description, data, bytes))
}

/// A small directory, and a repository with so many blobs.
fn many_blobs(count: u64) -> Result<Subject> {
    const FILES: u64 = 10;
    let what = format!("a repository with {count} blobs");
    let name = format!("blobs-{count}-v{}", blobs::VERSION);
    let repository = make(&what, &name, |path| blobs::write(path, count))?;
    let few = format!("{FILES} small files");
    let tree = make(&few, &format!("few-v{}", tree::VERSION), |path| {
        tree::write_small(path, FILES, SMALL_BYTES)
    })?;
    let bytes = tthost_tests::files::size(&repository)?;
    let data = Data::Beside { tree, repository };
    Ok(Subject::new(format!("{few} and {what}"), data, bytes))
}

fn make(description: &str, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
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
    Ok(path)
}

/// A path as an argument.
pub(crate) fn utf8(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
