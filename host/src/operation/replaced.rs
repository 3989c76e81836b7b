//! Reports what a restore would replace, so that the operator can be asked first.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{Instrument as _, instrument};

use super::restore::{Destination, Mode, Plan, Selection, Target, restoration, restore};
use super::snapshot::pick;
use super::{Context, Snapshot, SnapshotRef, open};
use crate::contract::Place;
use crate::error::{Error, Kind, Result};
use crate::event::NoEvents;
use crate::grant::{self, Access};
use crate::plugin;
use crate::tree::OperatorPath;

/// The data that a restore would replace or remove.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The snapshot that is restored.
    pub snapshot: Snapshot,
    /// The data that is replaced.
    pub replaced: Replaced,
    /// The number of files and directories to remove because they are not in the snapshot; none without `--delete`.
    pub removed: Option<u64>,
}

/// The data that a restore replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// Files in a directory that is not empty.
    Files(PathBuf),
    /// The data of a source.
    Source {
        /// The source's name.
        name: String,
        /// The destination in the source.
        destination: Destination,
        /// The affected places; none if the source cannot report them.
        places: Option<Vec<Place>>,
    },
}

impl Plan {
    /// What would be lost, and the snapshot that would take its place. From here on it is the one that is restored, whatever
    /// is stored meanwhile. Reads no contents.
    #[instrument(name = "run", level = "error", skip_all, fields(operation = "restore"))]
    pub async fn replaces(&mut self, context: &Context) -> Result<Option<Loss>> {
        if self.mode == Mode::DryRun || !self.may_replace()? {
            return Ok(None);
        }
        let repository = open(context, &self.sink, Access::ReadWrite).await?;
        let found = async {
            let snapshot = pick(&repository, &self.snapshot).await?;
            self.check(&snapshot)?;
            let replaced = match &self.target {
                Target::Source {
                    spec, destination, ..
                } => Replaced::Source {
                    name: spec.name.clone(),
                    destination: destination.clone(),
                    places: survey(context, self, &snapshot).await?,
                },
                Target::Directory(path) => Replaced::Files(path.clone()),
                Target::Stream(_) => return Ok(None),
            };
            Ok(Some((snapshot, replaced)))
        };
        let found = repository.use_and_close(context, found).await?;
        let Some((snapshot, replaced)) = found else {
            return Ok(None);
        };
        self.snapshot = SnapshotRef::Id(snapshot.id.to_string());
        Ok(Some(Loss {
            snapshot,
            replaced,
            removed: self.removes(context).await?,
        }))
    }

    /// The number of entries that would be removed because they are not in the snapshot.
    async fn removes(&self, context: &Context) -> Result<Option<u64>> {
        let target = match &self.target {
            Target::Source {
                spec,
                destination,
                in_place,
                role,
                label,
            } if spec.has_trees() => Target::Source {
                spec: spec.clone(),
                destination: destination.clone(),
                in_place: *in_place,
                role: role.clone(),
                label: label.clone(),
            },
            Target::Directory(path) => Target::Directory(path.clone()),
            Target::Source { .. } | Target::Stream(_) => return Ok(None),
        };
        let Selection::Whole { delete: true } = self.selection else {
            return Ok(None);
        };
        let dry_run = Plan {
            sink: self.sink.clone(),
            snapshot: self.snapshot.clone(),
            folder: self.folder.clone(),
            selection: Selection::Whole { delete: true },
            target,
            mode: Mode::DryRun,
            of_source: self.of_source.clone(),
            in_system: self.in_system,
        };
        let context = Context {
            events: Arc::new(NoEvents),
            ..context.clone()
        };
        Ok(Some(Box::pin(restore(&context, dry_run)).await?.removed))
    }

    fn may_replace(&self) -> Result<bool> {
        match &self.target {
            Target::Source { .. } => Ok(true),
            Target::Directory(path) => Ok(!is_empty(path)?),
            Target::Stream(_) => Ok(false),
        }
    }
}

/// Asks the source that a snapshot goes to what that is going to change; none where it cannot tell, or where the snapshot
/// goes somewhere else.
pub(super) async fn survey(
    context: &Context,
    plan: &Plan,
    snapshot: &Snapshot,
) -> Result<Option<Vec<Place>>> {
    let Target::Source {
        spec,
        destination,
        in_place,
        role,
        label,
    } = &plan.target
    else {
        return Ok(None);
    };
    let delete = matches!(plan.selection, Selection::Whole { delete: true });
    let how = grant::Restoration::DryRun { delete };
    let restoration = restoration(
        destination,
        *in_place,
        role.as_deref(),
        label,
        snapshot,
        how,
    );
    let paths = selected(&snapshot.paths, &plan.selection);
    let surveyed = plugin::survey(context, spec, restoration, paths);
    surveyed.instrument(spec.span()).await
}

/// The paths of a snapshot that are at least partly restored.
fn selected(paths: &[String], selection: &Selection) -> Vec<String> {
    let Selection::Part {
        paths: only,
        patterns,
    } = selection
    else {
        return paths.to_vec();
    };
    let is_meant = |path: &[u8]| {
        only.as_ref().is_none_or(|only| {
            let mut only = only.iter();
            only.any(|only| is_below(path, only) || is_below(only, path))
        })
    };
    let is_taken = |path: &[u8]| {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        patterns
            .as_ref()
            .is_none_or(|patterns| patterns.include(path, false) && !patterns.exclude(path, false))
    };
    let chosen = paths
        .iter()
        .filter(|path| is_meant(path.as_bytes()) && is_taken(path.as_bytes()));
    chosen.cloned().collect()
}

/// Whether a path equals another one or is below it.
fn is_below(path: &[u8], top: &[u8]) -> bool {
    let top = top.strip_suffix(b"/").unwrap_or(top);
    let rest = path.strip_prefix(top);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn is_empty(path: &Path) -> Result<bool> {
    match OperatorPath::new(path)
        .open()
        .and_then(|place| place.entries())
    {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(true),
        Err(cause) => {
            let text = format!("{} is not a directory to restore into", path.display());
            Err(Error::new(Kind::Config, text).caused_by(cause))
        }
    }
}

#[cfg(test)]
mod tests {
    use tthost_patterns::Patterns;
    use vec1::Vec1;

    use super::*;

    #[test]
    fn only_paths_of_which_something_is_restored_are_asked_about() {
        let dumps = ["/blog.sql", "/shop.sql"].map(str::to_owned);
        let part = |only: &[&str], include: &[&str]| {
            let only = only.iter().map(|path| path.as_bytes().to_vec()).collect();
            let include: Vec<_> = include.iter().map(|&pattern| pattern.to_owned()).collect();
            let patterns = Patterns::new(&[], &include).expect("they are patterns");
            let part = Selection::Part {
                paths: Vec1::try_from_vec(only).ok(),
                patterns: (!include.is_empty()).then(|| Box::new(patterns)),
            };
            selected(&dumps, &part)
        };
        assert_eq!(selected(&dumps, &Selection::Whole { delete: false }), dumps);
        assert_eq!(part(&["/"], &[]), dumps);
        assert_eq!(part(&["/shop.sql"], &[]), ["/shop.sql"]);
        assert_eq!(part(&["/shop.sql/"], &[]), ["/shop.sql"]);
        assert!(part(&["/shop"], &[]).is_empty());
        assert_eq!(part(&[], &["shop.*"]), ["/shop.sql"]);
        let (volume, below) = (["/srv/www".to_owned()], b"/srv/www/a".to_vec());
        let part = Selection::Part {
            paths: Some(Vec1::new(below)),
            patterns: None,
        };
        assert_eq!(selected(&volume, &part), volume);
    }
}
