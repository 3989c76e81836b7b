//! Plans a restore: the snapshot, the selection and the destination.

use std::io::Write;
use std::path::PathBuf;

use tthost_patterns::Patterns;
use vec1::{Vec1, vec1};

use super::{FilterRequest, SinkRequest, label};
use crate::config::{Config, builtin, lower};
use crate::error::{Error, Kind, Result};
use crate::grant::Choice;
use crate::operation::restore::{Destination, Mode, Plan, Selection, Target};
use crate::operation::{Filter, SnapshotFolder, SnapshotRef};
use crate::plugin::{Role, Spec};

/// A request for a restore.
pub struct RestoreRequest {
    /// The sink that has the snapshot.
    pub sink: SinkRequest,
    /// Which snapshot, or which folder of one.
    pub snapshot: SnapshotFolder,
    /// Which snapshots `latest` is the newest of.
    pub filter: FilterRequest,
    /// Only what is at or below one of these paths; empty for everything.
    pub paths: Vec<Vec<u8>>,
    /// Only what matches one of these patterns; empty for everything.
    pub include: Vec<String>,
    /// Not what matches one of these patterns.
    pub exclude: Vec<String>,
    /// Where to.
    pub target: RestoreTarget,
    /// Let a source change what is there where it is, instead of restoring beside it.
    pub in_place: bool,
    /// Have a source restore with the rights of this role.
    pub role: Option<String>,
    /// Remove what is there and not in the snapshot. Only whole snapshots can be restored so.
    pub delete: bool,
    /// Remove it also where a system is.
    pub in_system: bool,
    /// Whether anything is written.
    pub mode: Mode,
}

/// Where a restoration is to go.
pub enum RestoreTarget {
    /// Into a directory.
    Directory(PathBuf),
    /// Back through a source.
    Source {
        /// The source's name.
        name: String,
        /// Another place than the one that was backed up.
        place: Option<String>,
    },
    /// A place without a source that would know it: a directory, if it looks like one.
    Place(String),
    /// The one file that is restored goes here.
    Stream(Box<dyn Write + Send>),
}

impl Config {
    /// Plans a restoration.
    pub fn plan_restore(&self, mut request: RestoreRequest) -> Result<Plan> {
        if let RestoreTarget::Source { name, .. } = &mut request.target {
            *name = builtin::canonical(name);
        }
        let source = match &request.target {
            RestoreTarget::Source { name, .. } => Some(name.as_str()),
            _ => None,
        };
        if source.is_some() && request.snapshot.folder.is_some() {
            let text = "a folder of a snapshot goes into a directory, and not through a source";
            return Err(Error::new(Kind::Config, text)
                .help("give --to DIR, or choose a part of the snapshot with --path"));
        }
        let of_source = match &request.target {
            RestoreTarget::Source { name, place: None } => Some(self.of_source(name)?),
            _ => None,
        };
        let snapshot = self.snapshot(&request.snapshot.snapshot, request.filter, source)?;
        let patterns = patterns(&request.exclude, &request.include)?;
        let selection = match (Vec1::try_from_vec(request.paths).ok(), patterns) {
            (None, None) => Selection::Whole {
                delete: request.delete,
            },
            _ if request.delete => {
                let text = "a part of a snapshot cannot say what else is to be removed";
                return Err(Error::new(Kind::Config, text)
                    .help("restore the whole snapshot, or do not ask for --delete"));
            }
            (paths, patterns) => Selection::Part { paths, patterns },
        };
        Ok(Plan {
            sink: self.sink(&request.sink)?,
            snapshot,
            folder: request.snapshot.folder,
            selection,
            target: match request.target {
                RestoreTarget::Directory(path) => Target::Directory(path),
                RestoreTarget::Place(place) => Target::Directory(directory(&place)?),
                RestoreTarget::Stream(output) => Target::Stream(output),
                RestoreTarget::Source { name, place } => self.source_target(
                    &name,
                    place,
                    (request.in_place, request.role),
                    (request.delete, request.mode == Mode::Write { verify: true }),
                )?,
            },
            mode: request.mode,
            of_source,
            in_system: request.in_system,
        })
    }

    /// The one snapshot that an operator names. `latest` is this host's, unless the filter names others.
    pub fn snapshot(
        &self,
        text: &str,
        request: FilterRequest,
        source: Option<&str>,
    ) -> Result<SnapshotRef> {
        let is_narrowed = !request.is_empty();
        let mut filter = self.filter(request, source)?;
        filter.hosts.get_or_insert_with(|| self.hosts(source));
        let named = SnapshotRef::new(text, filter);
        if is_narrowed && matches!(named, SnapshotRef::Id(_)) {
            let text = format!(
                "--host, --tag and --path choose what `latest` is, and have no effect on {text}, which is an id"
            );
            return Err(Error::new(Kind::Config, text)
                .help("leave them out, or write `latest` in place of the id"));
        }
        Ok(named)
    }

    /// The names that this host's snapshots bear: of a source or of all.
    fn hosts(&self, source: Option<&str>) -> Vec1<String> {
        let mut hosts = vec1![self.hostname()];
        for (name, named) in &self.file.sources {
            if source.is_none_or(|source| source == name) {
                hosts.extend(named.host.clone());
            }
        }
        for job in self.file.jobs.values() {
            if source.is_none_or(|source| job.sources.iter().any(|of| of == source)) {
                hosts.extend(job.host.clone());
            }
        }
        hosts
    }

    /// Which snapshots are meant; where no tag is given, those of the source that they are to go back
    /// to.
    pub fn filter(&self, request: FilterRequest, source: Option<&str>) -> Result<Filter> {
        let mut filter = Filter::from(request);
        if filter.tags.is_empty() {
            let source = source.map(builtin::canonical);
            filter.source = source.map(|name| self.of_source(&name)).transpose()?;
        }
        Ok(filter)
    }

    /// A source as the target.
    fn source_target(
        &self,
        name: &str,
        place: Option<String>,
        (in_place, role): (bool, Option<String>),
        (delete, verify): (bool, bool),
    ) -> Result<Target> {
        let mut spec = self.spec(Role::Source, name)?;
        let has_trees = spec.has_trees();
        let useless = if has_trees {
            [("--in-place", in_place), ("--role", role.is_some())]
        } else {
            [("--delete", delete), ("--verify", verify)]
        };
        if let Some((option, _)) = useless.iter().find(|(_, given)| *given) {
            let what = if has_trees { "files" } else { "no files" };
            let text = format!("{option} has no effect on the source {name}, which has {what}");
            return Err(Error::new(Kind::Config, text).help(format!("leave {option} out")));
        }
        let destination = match place {
            None => Destination::Original,
            Some(place) if has_trees => {
                self.redirect(&mut spec, &place)?;
                Destination::Granted(place)
            }
            Some(place) => Destination::Named(place),
        };
        Ok(Target::Source {
            spec: Box::new(spec),
            destination,
            in_place,
            role,
            label: label(),
        })
    }

    /// Puts the tree that a target like `dir:/path` names in the place of those of a source.
    fn redirect(&self, spec: &mut Spec, target: &str) -> Result<()> {
        let source = builtin::source(target).ok_or_else(|| {
            Error::new(Kind::Config, format!("{target} is not a target for files"))
                .help("write dir:PATH or volume:NAME")
        })?;
        let named = lower::spec(
            Role::Source,
            target,
            &source?,
            &self.base,
            &self.environment,
        )?;
        spec.grants.trees = named.grants.trees;
        // What is done to containers and which commands are run stays as it is for the source.
        let held = spec.grants.volumes.pop_first().map(|(_, volumes)| volumes);
        spec.grants.volumes = named.grants.volumes;
        for volumes in spec.grants.volumes.values_mut() {
            if let Choice::Existing(name) = &volumes.choice {
                volumes.choice = Choice::Ensured(name.clone());
            }
            if let Some(held) = &held {
                volumes.containers = held.containers;
                volumes.before.clone_from(&held.before);
                volumes.after.clone_from(&held.after);
            }
        }
        Ok(())
    }
}

/// The directory that a target without a source means.
fn directory(place: &str) -> Result<PathBuf> {
    let path = place.strip_prefix("dir:").unwrap_or(place);
    if path.contains('/') || path == "." || path == ".." {
        return Ok(path.into());
    }
    let text = format!("{place} is the target of a source, and none is given");
    Err(Error::new(Kind::Config, text).help(format!(
        "for a database or a volume give its source with --source NAME; for a directory write --target ./{place}"
    )))
}

fn patterns(exclude: &[String], include: &[String]) -> Result<Option<Box<Patterns>>> {
    if exclude.is_empty() && include.is_empty() {
        return Ok(None);
    }
    Patterns::new(exclude, include)
        .map(|patterns| Some(Box::new(patterns)))
        .map_err(|cause| Error::new(Kind::Config, format!("--{cause}")))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::snapshot::TagSet;

    fn request(target: RestoreTarget) -> RestoreRequest {
        RestoreRequest {
            sink: SinkRequest::Named("local".into()),
            snapshot: std::ffi::OsString::from("latest").into(),
            filter: FilterRequest::default(),
            paths: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            target,
            in_place: false,
            role: None,
            delete: false,
            in_system: false,
            mode: Mode::Write { verify: false },
        }
    }

    fn through(name: &str, place: Option<&str>) -> RestoreRequest {
        request(RestoreTarget::Source {
            name: name.into(),
            place: place.map(str::to_owned),
        })
    }

    fn filter(request: RestoreRequest) -> Filter {
        let plan = sample().plan_restore(request).expect("it is fine");
        match plan.snapshot {
            SnapshotRef::Latest(filter) => filter,
            SnapshotRef::Id(id) => panic!("{id} is not the latest"),
        }
    }

    fn source(request: RestoreRequest) -> (Spec, Destination) {
        let plan = sample().plan_restore(request).expect("it is fine");
        match plan.target {
            Target::Source {
                spec, destination, ..
            } => (*spec, destination),
            _ => panic!("it goes through a source"),
        }
    }

    #[test]
    fn the_latest_snapshot_for_a_source_is_the_latest_of_that_source() {
        let of = |name| filter(through(name, None)).source.expect("it is of one");
        assert_eq!((of("db").tags, of("db").paths), (vec!["db".into()], vec![]));
        assert_eq!(of("files").tags, ["nightly"]);
        assert_eq!(of("files").paths, ["/srv/files"]);
        assert_eq!(of("volume:uploads").paths, ["/volumes/uploads"]);
        let mut tagged = through("db", None);
        let other: TagSet = "other".parse().expect("it is a set");
        tagged.filter.tags = vec![other.clone()];
        let tagged = filter(tagged);
        assert_eq!((tagged.tags, tagged.source), (vec![other], None));
        let anywhere = filter(request(RestoreTarget::Directory("/tmp".into())));
        assert_eq!(anywhere.source, None);
    }

    #[test]
    fn a_target_without_a_source_is_a_directory_if_it_looks_like_one() {
        for (target, path) in [
            ("/srv/new", "/srv/new"),
            ("./new", "./new"),
            ("..", ".."),
            ("a/b", "a/b"),
            ("dir:/srv/new", "/srv/new"),
        ] {
            let plan = sample().plan_restore(request(RestoreTarget::Place(target.into())));
            match plan.expect(target).target {
                Target::Directory(found) => assert_eq!(found, PathBuf::from(path)),
                _ => panic!("{target} is a directory"),
            }
        }
        for target in ["shop_copy", "volume:uploads"] {
            let plan = sample().plan_restore(request(RestoreTarget::Place(target.into())));
            let help = plan.err().expect("it has no source");
            let help = help.next_step().expect("it helps").to_owned();
            assert!(help.contains("--source NAME"), "{help}");
        }
    }

    #[test]
    fn a_folder_of_a_snapshot_does_not_go_through_a_source() {
        let mut folder = through("files", None);
        folder.snapshot.folder = Some(b"/srv/files/a".into());
        sample()
            .plan_restore(folder)
            .err()
            .expect("it has no place there");
    }

    #[test]
    fn a_source_of_files_gets_the_trees_of_the_target_and_no_other() {
        let (_, destination) = source(through("files", None));
        assert_eq!(destination, Destination::Original);
        let (spec, destination) = source(through("files", Some("dir:/srv/copy")));
        assert_eq!(destination, Destination::Granted("dir:/srv/copy".into()));
        let places: Vec<_> = spec
            .grants
            .trees
            .values()
            .flat_map(|tree| &tree.paths)
            .map(|place| place.path.clone())
            .collect();
        assert_eq!(places, [PathBuf::from("/srv/copy")]);
        let (_, destination) = source(through("db", Some("copy")));
        assert_eq!(destination, Destination::Named("copy".into()));
        let elsewhere = sample().plan_restore(through("files", Some("copy")));
        let error = elsewhere.err().expect("it is not a directory");
        assert_eq!(error.message(), "copy is not a target for files");
    }

    #[test]
    fn a_part_of_a_snapshot_removes_nothing() {
        let mut part = through("files", None);
        part.paths = vec![b"/srv".into()];
        part.delete = true;
        let error = sample().plan_restore(part).err().expect("it is no whole");
        assert_eq!(error.kind(), Kind::Config);
    }
}
