//! Docker volumes: finds those of a grant, their files, and the containers that use them.
//!
//! | module | holds |
//! |---|---|
//! | the Docker Engine's API, as far as it is used |
//! | selects the volumes of a grant |
//! | pauses or stops containers, runs hooks, and undoes all of it |
//! | `suspension` | containers that are paused or stopped, also by several processes |
//! | lists containers and volumes, for a first configuration |
//! | a volume whose files are not accessible, through the engine |
//!
//! No plugin gets to the engine: it sees the files of a volume as a tree, like any other.

mod archive;
mod choice;
mod engine;
mod quiesce;
mod survey;
mod suspension;

use tracing::warn;

use crate::error::{Error, Kind, Result};
use crate::grant::{Access, Choice, Tree, TreePath, Volumes};
use crate::journal::{Journal, JournalLock, Leftover};
use crate::plugin::Context;
use crate::plugin::Spec;
use crate::tree::{OperatorPath, Root};
use engine::{Engine, Volume};

pub(crate) use quiesce::Quiesce;
#[cfg(test)]
pub(crate) use survey::ComposeService;
pub(crate) use survey::{NamedVolume, RunningContainer, Survey, container_environment, survey};

/// Finds the volumes that a source was granted, which makes them trees like others, and does what
/// is to be done before they are read or written. Whatever comes, [`Quiesce::release`] has to be called.
/// A dry run creates no volume and pauses or stops no container.
pub(crate) async fn prepare(
    context: &Context,
    spec: &mut Spec,
    access: Access,
    dry_run: bool,
    quiesce: &mut Quiesce,
) -> Result<()> {
    let subject = spec.subject();
    for (name, volumes) in std::mem::take(&mut spec.grants.volumes) {
        let found = async {
            let engine = Engine::connect(&volumes.engines).await?;
            let found = find(&engine, &volumes, access, dry_run).await?;
            if !dry_run {
                let names = found.iter().map(|volume| volume.name.as_str());
                quiesce
                    .take(
                        context,
                        &subject,
                        &engine,
                        &volumes,
                        &spec.grants.commands,
                        names,
                    )
                    .await?;
            }
            open(context, &subject, &engine, &volumes, found, quiesce).await
        };
        let (tree, streamed) = found
            .await
            .map_err(|error: Error| error.of(subject.clone()))?;
        spec.streamed.insert(name.clone(), streamed);
        spec.grants.trees.insert(name, tree);
    }
    Ok(())
}

/// Whether the volumes that a source was granted are there, and the commands that run before and after.
pub(crate) async fn examine(spec: &Spec) -> Result<()> {
    for (name, volumes) in &spec.grants.volumes {
        let examined = async {
            for command in volumes.before.iter().chain(&volumes.after) {
                quiesce::command(&spec.grants.commands, command)?;
            }
            let engine = Engine::connect(&volumes.engines).await?;
            find(&engine, volumes, Access::ReadOnly, true).await
        };
        let found = examined.await;
        found.map_err(|error| error.at(&format!("grants.trees.{name}")))?;
    }
    Ok(())
}

/// Undoes what a process did to an engine that is gone. Answers what that was, for people; nothing when it is no
/// business of an engine.
pub(crate) async fn undo(
    journal: &Journal,
    leftover: &Leftover,
    lock: &JournalLock,
) -> Result<Option<String>> {
    let engine = |address: &String| {
        let addresses = vec![address.clone()];
        async move { Engine::connect(&addresses).await }
    };
    match leftover {
        Leftover::Container(held) => {
            suspension::wake_abandoned(journal, held, lock).await?;
            Ok(Some(format!(
                "the container {}, which it had {}, goes on",
                held.name, held.halt
            )))
        }
        Leftover::Helper { engine: at, name } => {
            engine(at).await?.remove_helper(name).await?;
            Ok(Some(format!("its container {name} is removed")))
        }
        Leftover::Image { engine: at, name } => {
            engine(at).await?.remove_image(name).await?;
            Ok(Some(format!("its image {name} is removed")))
        }
        Leftover::Files { .. } | Leftover::OfPlugin { .. } => Ok(None),
    }
}

/// The volumes that are meant. One that may be made is there after that.
async fn find(
    engine: &Engine,
    volumes: &Volumes,
    access: Access,
    dry_run: bool,
) -> Result<Vec<Volume>> {
    let there = engine.volumes().await?;
    let mut chosen =
        choice::choose(&volumes.choice, &there).map_err(|error| match &volumes.choice {
            Choice::Existing(name) if access == Access::ReadWrite => {
                let there = error.next_step().unwrap_or_default();
                let help = format!("--target volume:{name} creates it; {there}");
                error.help(help)
            }
            _ => error,
        })?;
    if let Choice::Ensured(name) = &volumes.choice
        && chosen.is_empty()
    {
        if dry_run {
            return Err(Error::new(
                Kind::NotFound,
                format!("there is no volume {name}, and a dry run does not create it"),
            )
            .help("without --dry-run, tthost creates it"));
        }
        let made = engine.create(name).await?;
        if !is_here(engine, &made) {
            engine.remove_volume(name).await?;
            return Err(out_of_reach(&made));
        }
        chosen.push(made);
    }
    match chosen.iter().find(|volume| !is_here(engine, volume)) {
        // Before anything is done for its sake.
        Some(volume) if access == Access::ReadWrite => Err(out_of_reach(volume)),
        _ => Ok(chosen),
    }
}

/// Whether the files of a volume can be reached from here.
fn is_here(engine: &Engine, volume: &Volume) -> bool {
    engine.is_local() && OperatorPath::new(&volume.mountpoint).open().is_ok()
}

/// The volumes as a tree, and those of them that are streamed, open.
async fn open(
    context: &Context,
    subject: &str,
    engine: &Engine,
    granted: &Volumes,
    found: Vec<Volume>,
    quiesce: &mut Quiesce,
) -> Result<(Tree, Vec<Root>)> {
    let mut tree = Tree { paths: Vec::new() };
    let mut streamed = Vec::new();
    for volume in found {
        let Volume {
            name, mountpoint, ..
        } = &volume;
        let by_name = || vec![b"volumes".to_vec(), name.clone().into_bytes()];
        let shown_as = granted.shown_as.clone().unwrap_or_else(by_name);
        if is_here(engine, &volume) {
            tree.paths.push(TreePath {
                path: mountpoint.clone(),
                shown_as: Some(shown_as),
            });
            continue;
        }
        warn!(
            subject,
            "the files of the volume {name} cannot be reached from here: the engine streams \
             them from containers that never start. The snapshot lacks ACLs, most extended \
             attributes and fractions of seconds"
        );
        let helpers = quiesce.helpers(engine, name).await?;
        let view = archive::open(context, subject, engine.clone(), helpers).await?;
        streamed.push(Root::elsewhere(view, shown_as));
    }
    Ok((tree, streamed))
}

fn out_of_reach(volume: &Volume) -> Error {
    let text = format!(
        "the files of the volume {} are at {} on the engine's machine, which cannot be written \
         to from here",
        volume.name,
        volume.mountpoint.display()
    );
    Error::new(Kind::Denied, text).help(
        "run tthost as root where the engine runs, or with that directory mounted at the same \
         path; or restore with --target dir:PATH, and put it there with docker cp",
    )
}
