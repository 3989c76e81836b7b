//! Docker volumes: which ones a grant means, where they are, and what uses them meanwhile.
//!
//! | module | holds |
//! |---|---|
//! | `engine` | the Docker Engine's API, as far as it is used |
//! | `choice` | which of the volumes that there are a grant means |
//! | `hold` | containers that pause or stop, and commands that run before and after |
//!
//! No plugin gets to the engine: it sees the files of a volume as a tree, like any other.

mod choice;
mod engine;
mod hold;

use std::path::PathBuf;

use crate::error::{Error, Kind, Result};
use crate::grant::{Place, Tree, Volumes};
use crate::operation::Context;
use crate::plugin::Spec;
use engine::Engine;

pub(crate) use hold::Hold;

/// Finds the volumes that a source was granted, which makes them trees like others, and does what
/// is to be done before they are read or written. Whatever comes, the hold has to be released.
/// For a rehearsal nothing is made and nothing is held.
pub(crate) async fn prepare(
    context: &Context,
    spec: &mut Spec,
    rehearsal: bool,
    hold: &mut Hold,
) -> Result<()> {
    let subject = spec.subject();
    for (name, volumes) in std::mem::take(&mut spec.grants.volumes) {
        let found = async {
            let engine = Engine::connect(&volumes.engines).await?;
            let found = find(&engine, &volumes, rehearsal).await?;
            if !rehearsal {
                hold.take(context, engine, &volumes, &spec.grants.commands, &found)
                    .await?;
            }
            Ok(found)
        };
        let found = found
            .await
            .map_err(|error: Error| error.of(subject.clone()))?;
        let places = found.into_iter().map(|(name, path)| Place {
            path,
            shown_as: Some(vec![b"volumes".to_vec(), name.into_bytes()]),
        });
        let tree = Tree {
            places: places.collect(),
            access: volumes.access,
        };
        spec.grants.trees.insert(name, tree);
    }
    Ok(())
}

/// The names of the volumes, and where they are.
async fn find(
    engine: &Engine,
    volumes: &Volumes,
    rehearsal: bool,
) -> Result<Vec<(String, PathBuf)>> {
    let there = engine.volumes().await?;
    let mut chosen = choice::choose(volumes, &there)?;
    if chosen.is_empty() {
        let name = volumes.choice.text();
        if rehearsal {
            return Err(Error::new(
                Kind::NotFound,
                format!("there is no volume {name}, and a dry run makes none"),
            )
            .help("without --dry-run it is made, and everything is new in it"));
        }
        chosen.push(engine.create(name).await?);
    }
    let place = |volume: engine::Volume| {
        if volume.mountpoint.is_dir() {
            return Ok((volume.name, volume.mountpoint));
        }
        let text = format!(
            "the files of the volume {} are at {}, which cannot be reached from here",
            volume.name,
            volume.mountpoint.display()
        );
        Err(Error::new(Kind::Denied, text)
            .help("run tthost as root where the engine runs, or with that directory mounted at the same path"))
    };
    chosen.into_iter().map(place).collect()
}
