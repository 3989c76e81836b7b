//! Restores a snapshot to its source, a directory or a stream.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, Span, instrument};
use tthost_patterns::Patterns;
use vec1::{Vec1, vec1};

use super::replaced::survey;
use super::snapshot::{depth, pick, within};
use super::verdict::Verdict;
use super::{Context, OfSource, Snapshot, SnapshotRef, access, open};
use crate::contract::{self, Completeness, Place};
use crate::error::{Error, Kind, Result};
use crate::grant::{self, Access, TreePath};
use crate::json;
use crate::plugin::{self, Restoration, Spec};
use crate::transfer::{DryRunWriter, Filter, SingleWriter, Subfolder, Writer, transfer};
use crate::tree::{DryRun, OperatorPath, RestoreOptions, TargetDir, TreeWriter, unrestored};
use crate::volume::{self, Quiesce};

/// A snapshot, the part of it to restore, and the destination.
pub struct Plan {
    /// The sink that has the snapshot.
    pub sink: Spec,
    /// The snapshot.
    pub snapshot: SnapshotRef,
    /// The folder of the snapshot that becomes the top.
    pub folder: Option<Vec<u8>>,
    /// The selected part.
    pub selection: Selection,
    /// The destination.
    pub target: Target,
    /// Whether to write anything.
    pub mode: Mode,
    /// Refuse to remove anything if the snapshot is of another source than this.
    pub of_source: Option<OfSource>,
    /// Also remove files in system directories.
    pub in_system: bool,
}

/// The part of a snapshot to restore.
pub enum Selection {
    /// All of it.
    Whole {
        /// Remove files in the target that are not in the snapshot.
        delete: bool,
    },
    /// Entries that match all of these.
    Part {
        /// Only entries at or below one of these paths.
        paths: Option<Vec1<Vec<u8>>>,
        /// Only entries that these patterns select.
        patterns: Option<Box<Patterns>>,
    },
}

/// Whether a restore writes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Report what would change ([`crate::event::Events::planned`]), and change nothing.
    DryRun,
    /// Write.
    Write {
        /// Read the written data back and compare it.
        verify: bool,
    },
}

/// The destination of a restored tree.
pub enum Target {
    /// Through a source.
    Source {
        /// The source.
        spec: Box<Spec>,
        /// The destination in the source.
        destination: Destination,
        /// Change existing data directly, even if the source could exchange it.
        in_place: bool,
        /// Restore with the rights of this role of the source.
        role: Option<String>,
        /// The time of the command, for new names that the source creates.
        label: String,
    },
    /// Into a directory. It is created if it does not exist.
    Directory(PathBuf),
    /// The contents of the only selected file.
    Stream(Box<dyn Write + Send>),
}

/// The destination in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The original place.
    Original,
    /// Another place, by the source's name for it, for example a database.
    Named(String),
    /// Other trees, which the operator named and which the source is granted instead of its own.
    Granted(String),
}

/// The result of a restore.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The snapshot that was read.
    pub snapshot: Snapshot,
    /// Files that were restored, or would have been.
    #[serde(rename = "files_restored")]
    pub files: u64,
    /// Their bytes; 0 in a dry run, which reads none.
    #[serde(rename = "bytes_restored")]
    pub bytes: u64,
    /// New entries, if the target knows.
    pub created: u64,
    /// Entries that were replaced or changed, if the target knows.
    pub replaced: u64,
    /// Removed entries.
    #[serde(rename = "files_deleted")]
    pub removed: u64,
    /// Files and directories that could not be written. The log names them.
    #[serde(rename = "files_failed")]
    pub failed: u64,
    /// The places that were changed, or would be, with their state before. Empty if the target does not report them.
    pub places: Vec<Place>,
    /// Whether the whole selection was restored.
    pub complete: bool,
    /// The duration in seconds.
    #[serde(rename = "total_duration", serialize_with = "json::seconds")]
    #[schemars(with = "f64")]
    pub duration: Duration,
}

impl super::Report for Report {
    fn verdict(&self) -> Verdict {
        if self.complete {
            Verdict::Done
        } else {
            Verdict::Incomplete
        }
    }
}

/// Restores a snapshot or a part of it.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "restore"))]
pub async fn restore(context: &Context, mut plan: Plan) -> Result<Report> {
    let started = Instant::now();
    let dry_run = plan.mode == Mode::DryRun;
    if !dry_run {
        plan.expect_survival(context)?;
    }
    let repository = open(context, &plan.sink, access(dry_run)).await?;
    let mut quiesce = Quiesce::new(&context.journal);
    let mut subject = String::new();
    let mut source = Span::none();
    let mut prepared = Ok(());
    let mut cleaned_up = None;
    if let Target::Source { spec, .. } = &mut plan.target {
        subject = spec.subject();
        source = spec.span();
        let preparing = volume::prepare(context, spec, Access::ReadWrite, dry_run, &mut quiesce);
        prepared = preparing.instrument(source.clone()).await;
        if prepared.is_ok() && !dry_run {
            prepared = make_directories(spec);
            cleaned_up = Some(spec.clone());
        }
    }
    let restored = async {
        prepared?;
        let snapshot = pick(&repository, &plan.snapshot).await?;
        plan.check(&snapshot)?;
        let places = survey(context, &plan, &snapshot).await?.unwrap_or_default();
        // What is removed because the snapshot lacks it had better not be what cannot be read of it. A dump without a
        // part of it is none.
        let skip_damaged = plan.target.takes_files()
            && !matches!(plan.selection, Selection::Whole { delete: true });
        let (paths, patterns, delete) = match plan.selection {
            Selection::Whole { delete } => (None, None, delete),
            Selection::Part { paths, patterns } => (paths, patterns, false),
        };
        let folder = plan.folder.as_deref();
        let selected = contract::Selection {
            snapshot: snapshot.id.clone(),
            paths: match (folder, paths) {
                (Some(folder), None) => Some(vec1![folder.to_owned()]),
                (folder, paths) => paths.map(|paths| paths.mapped(|path| within(folder, &path))),
            },
            levels: None,
            skip_damaged,
        };
        let reader = repository.read(selected).await?;
        let selective = patterns.is_some();
        let writer = writer(context, plan.target, plan.mode, delete, &snapshot);
        let mut writer = writer.instrument(source.clone()).await?;
        if let Some(patterns) = patterns {
            writer = Box::new(Filter::new(*patterns, writer));
        }
        if let Some(folder) = folder {
            writer = Box::new(Subfolder::new(depth(folder), writer));
        }
        let mut moved = transfer(Box::new(reader), vec![writer.into()], &*context.events).await?;
        let receipt = moved.outcomes.remove(0).receipt().await?;
        let touched =
            receipt.files_total + receipt.files_new + receipt.files_changed + receipt.failed;
        if selective && touched == 0 {
            let text = format!(
                "nothing in the snapshot {} matches the patterns",
                snapshot.id.short()
            );
            return Err(Error::new(Kind::NotFound, text)
                .help("`tthost ls SNAPSHOT --recursive` lists what is in it"));
        }
        Ok(Report {
            snapshot,
            // With patterns, more files come than pass them.
            files: if selective {
                receipt.files_total
            } else {
                moved.files
            },
            bytes: moved.bytes,
            created: receipt.files_new,
            replaced: receipt.files_changed,
            removed: receipt.removed,
            failed: receipt.failed,
            places,
            complete: moved.completeness == Completeness::Complete && receipt.failed == 0,
            duration: started.elapsed(),
        })
    };
    let restored = Box::pin(repository.use_and_close(context, restored)).await;
    if let (Err(_), Some(spec)) = (&restored, cleaned_up) {
        plugin::clean_up(context, &spec)
            .instrument(source.clone())
            .await;
    }
    let aftermath = quiesce.release(&subject).instrument(source).await;
    match aftermath.into_iter().next() {
        Some(error) if restored.is_ok() => Err(error),
        _ => restored,
    }
}

impl Target {
    /// Whether each restored file is useful without the others.
    fn takes_files(&self) -> bool {
        match self {
            Self::Source { spec, .. } => spec.has_trees(),
            Self::Directory(_) => true,
            Self::Stream(_) => false,
        }
    }
}

impl Plan {
    /// Refuses to remove the repository and the files that this program needs.
    fn expect_survival(&self, context: &Context) -> Result<()> {
        let Selection::Whole { delete: true } = self.selection else {
            return Ok(());
        };
        let places: Vec<&Path> = match &self.target {
            Target::Directory(path) => vec![path],
            Target::Source { spec, .. } => {
                let trees = spec.grants.trees.values().flat_map(|tree| &tree.paths);
                trees.map(|place| place.path.as_path()).collect()
            }
            Target::Stream(_) => Vec::new(),
        };
        for place in places {
            let Ok(place) = place.canonicalize() else {
                continue;
            };
            if !self.in_system && self.is_system(&place) {
                let text = format!(
                    "--delete would remove everything from {} that the snapshot does not have, which a system needs to run",
                    place.display()
                );
                return Err(Error::new(Kind::Denied, text).help(
                    "restore without --delete, or into a directory that holds nothing else; --delete-from-system does it all the same",
                ));
            }
            let kept = self.sink.grants.directories.values();
            let kept = kept.map(|directory| directory.path.as_path());
            let held = kept
                .chain([context.journal.directory()])
                .filter_map(|kept| kept.canonicalize().ok())
                // What is mounted below the place stays.
                .find(|kept| kept.starts_with(&place) && device(kept) == device(&place));
            if let Some(held) = held {
                let (place, held) = (place.display(), held.display());
                let text = format!(
                    "--delete would remove {held}, which is in {place} and not in the snapshot"
                );
                return Err(Error::new(Kind::Denied, text).help(
                    "restore without --delete, or into a directory that holds nothing else",
                ));
            }
        }
        Ok(())
    }

    /// Whether this directory is the root of a system.
    fn is_system(&self, place: &Path) -> bool {
        /// System directories, which are no targets of `--delete` by default. A source may be one of them.
        const PARTS: [&str; 13] = [
            "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin",
            "/sys", "/usr", "/var",
        ];
        let is_part = || {
            let mut parts = PARTS.iter();
            parts.any(|part| {
                Path::new(part)
                    .canonicalize()
                    .is_ok_and(|part| part == place)
            })
        };
        let holds_all = || {
            ["bin", "etc", "usr"]
                .iter()
                .all(|name| place.join(name).is_dir())
        };
        place == Path::new("/")
            || holds_all()
            || (matches!(self.target, Target::Directory(_)) && is_part())
    }

    /// Refuses to remove files of a source because of a snapshot of another source.
    pub(super) fn check(&self, snapshot: &Snapshot) -> Result<()> {
        let of_another = self
            .of_source
            .as_ref()
            .filter(|source| !source.is_source_of(snapshot));
        match (&self.selection, of_another) {
            (Selection::Whole { delete: true }, Some(source)) => {
                let (id, name) = (snapshot.id.short(), &source.name);
                let paths = snapshot.paths.join(", ");
                let text = format!(
                    "the snapshot {id} of {paths} is not of the source {name}, and --delete would remove what {name} has"
                );
                Err(Error::new(Kind::Config, text)
                    .help("restore it without --delete, or to another place with --to or --target"))
            }
            _ => Ok(()),
        }
    }
}

/// The file system of a path.
fn device(path: &Path) -> Option<u64> {
    path.metadata().ok().map(|metadata| metadata.dev())
}

/// Creates missing directories of a source's target.
fn make_directories(spec: &Spec) -> Result<()> {
    let places = spec.grants.trees.values().flat_map(|tree| &tree.paths);
    for TreePath { path, .. } in places {
        OperatorPath::new(path).make().map_err(|cause| {
            let text = format!("{} cannot be created", path.display());
            Error::new(Kind::Denied, text)
                .caused_by(cause)
                .of(spec.subject())
        })?;
    }
    Ok(())
}

/// The restoration as the source gets it.
pub(super) fn restoration(
    destination: &Destination,
    in_place: bool,
    role: Option<&str>,
    label: &str,
    snapshot: &Snapshot,
    how: grant::Restoration,
) -> Restoration {
    Restoration {
        target: match destination {
            Destination::Named(place) => Some(place.clone()),
            Destination::Original | Destination::Granted(_) => None,
        },
        paths: snapshot.paths.clone(),
        in_place,
        role: role.map(str::to_owned),
        label: label.to_owned(),
        how,
    }
}

async fn writer(
    context: &Context,
    target: Target,
    mode: Mode,
    delete: bool,
    snapshot: &Snapshot,
) -> Result<Box<dyn Writer>> {
    let events = context.events.clone();
    let options = match mode {
        Mode::DryRun => None,
        Mode::Write { verify } => Some(RestoreOptions { delete, verify }),
    };
    Ok(match target {
        Target::Source {
            spec,
            destination,
            in_place,
            role,
            label,
        } => {
            let how = options.map_or(
                grant::Restoration::DryRun { delete },
                grant::Restoration::Write,
            );
            let restoration = restoration(
                &destination,
                in_place,
                role.as_deref(),
                &label,
                snapshot,
                how,
            );
            Box::new(plugin::restore(context, &spec, restoration).await?)
        }
        Target::Directory(path) => match options {
            None => {
                let place = OperatorPath::new(&path);
                let root = place.open().and_then(TargetDir::root);
                let directory = match root.map_err(|cause| place.obstacle().unwrap_or(cause)) {
                    Ok(directory) => Some(directory),
                    Err(cause) if cause.kind() == ErrorKind::NotFound => None,
                    Err(cause) => return Err(unrestored(&path, &cause)),
                };
                Box::new(DryRun::new(directory, &path, delete, events))
            }
            Some(options) => {
                let place = OperatorPath::new(&path);
                let root = place
                    .make()
                    .and_then(|()| place.open())
                    .and_then(TargetDir::root);
                let root = root.map_err(|cause| unrestored(&path, &cause))?;
                Box::new(TreeWriter::new(root, &path, options, &context.journal))
            }
        },
        Target::Stream(output) => match options {
            None => Box::new(DryRunWriter),
            Some(_) => Box::new(SingleWriter::new(output)),
        },
    })
}
