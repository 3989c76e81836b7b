//! Checks that everything that a configuration names exists and works, without changing anything.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, warn};

use super::{Context, Verdict};
use crate::confine::kernel;
use crate::error::{Error, Kind, Result};
use crate::grant::{Access, Command};
use crate::plugin::{self, Repository, Role, Spec};
use crate::tree::OperatorPath;
use crate::volume;

/// The findings in a configuration.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Report {
    /// The file that was read; null where there is none.
    pub file: Option<PathBuf>,
    /// The sources, sinks and alerts that can be used, for example `source postgres`.
    pub checked: Vec<String>,
    /// What is wrong with the others. Each names its subject.
    pub errors: Vec<Error>,
}

impl super::Report for Report {
    fn verdict(&self) -> Verdict {
        match self.errors.first() {
            Some(error) => Verdict::Failed(error.kind()),
            None => Verdict::Done,
        }
    }
}

impl Report {
    /// Adds a part, with all that is wrong with it.
    pub fn add(&mut self, subject: String, errors: Vec<Error>) {
        if errors.is_empty() {
            self.checked.push(subject);
        } else {
            self.errors.extend(errors);
        }
    }
}

/// Looks at a source or sink: its plugin, its settings, all that it is granted, and, of a sink, the repository. Answers
/// everything that is wrong.
pub async fn examine(context: &Context, spec: &Spec) -> Vec<Error> {
    let mut errors = match &spec.store {
        Some(store) => Box::pin(examine(context, store)).await,
        None => Vec::new(),
    };
    let examined = async {
        match context.runtime.check(spec).await {
            Ok(denied) => {
                for import in denied {
                    let (interface, needs) = (import.interface, import.needs.unwrap_or_default());
                    warn!(
                        subject = spec.subject(),
                        "it imports {interface} and is not granted {needs}: its calls are denied"
                    );
                }
            }
            Err(error) => errors.push(error),
        }
        for (name, tree) in &spec.grants.trees {
            let places = tree.paths.iter();
            errors.extend(places.filter_map(|place| unreadable(name, &place.path)));
        }
        for (name, command) in &spec.grants.commands {
            let grant = format!("grants.commands.{name}");
            if let Err(error) = examine_command(command).await {
                errors.push(error.at(&grant));
            }
        }
        if let Err(error) = volume::examine(spec).await {
            errors.push(error);
        }
        if spec.role == Role::Sink && errors.is_empty() {
            errors.extend(open(context, spec).await.err());
        }
    };
    examined.instrument(spec.span()).await;
    let of_spec = |error: Error| error.of(spec.subject());
    errors.into_iter().map(of_spec).collect()
}

/// Opens the repository of a sink. What the sink keeps on this machine is kept aside where it has nothing yet, and goes again.
async fn open(context: &Context, sink: &Spec) -> Result<()> {
    let mut sink = sink.clone();
    let mut aside = None;
    if let Some(directory) = sink.grants.directories.get_mut(plugin::STATE)
        && !directory.path.exists()
    {
        let scratch = Scratch::make()
            .map_err(|cause| Error::of_system("no temporary directory can be made", cause))?;
        directory.path.clone_from(&scratch.0);
        aside = Some(scratch);
    }
    let opened = async {
        let repository = Repository::open(context, &sink, Access::ReadOnly).await?;
        repository.use_and_close(context, async { Ok(()) }).await
    };
    let opened = opened.await;
    drop(aside);
    opened
}

/// A directory that goes again.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("tthost-{}", hex::encode(random));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in the directory for temporary files is somebody else's to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a program is there and can be confined as it is to be.
pub async fn examine_command(command: &Command) -> Result<()> {
    let Some(program) = command.find() else {
        let text = format!("there is no program {} that can be run", command.program);
        return Err(Error::new(Kind::NotFound, text).help("install it, or write its path in argv"));
    };
    if let Some(missing) = command.confinement.read.iter().find(|path| !path.exists()) {
        let text = format!(
            "{} may read {}, which is not there",
            program.display(),
            missing.display()
        );
        return Err(Error::new(Kind::NotFound, text));
    }
    if command.confinement.required
        && let Some(gap) = kernel().await.gaps(&command.confinement).first()
    {
        let text = format!("{} cannot be confined here: {gap}", program.display());
        return Err(Error::new(Kind::Denied, text)
            .help("without confine = \"required\" it runs all the same"));
    }
    Ok(())
}

/// The error of a tree that cannot be read.
fn unreadable(name: &str, path: &Path) -> Option<Error> {
    let cause = OperatorPath::new(path).open().err()?;
    let kind = match cause.kind() {
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::PermissionDenied => Kind::Denied,
        _ => Kind::Config,
    };
    let text = format!("the directory {} cannot be opened", path.display());
    let error = Error::new(kind, text).caused_by(cause);
    Some(error.at(&format!("grants.trees.{name}")))
}
