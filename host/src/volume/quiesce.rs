//! Quiesces volumes while they are read or written: pauses or stops containers, runs commands before and after, and
//! undoes all of it at the end.

use std::collections::BTreeMap;

use tracing::error;

use super::archive::Helpers;
use super::engine::{Container, EmptyImage, Engine, Helper};
use super::suspension::{self, Suspension};
use crate::error::{Error, Kind, Result};
use crate::grant::{Command, Containers, Volumes};
use crate::journal::{Journal, Leftover, Note, SuspendMode};
use crate::operator_program;
use crate::plugin::Context;

/// What has to be undone when a volume is done with. [`Quiesce::release`] undoes it, or another process when this one dies.
pub(crate) struct Quiesce {
    journal: Journal,
    undo: Vec<Undo>,
}

enum Undo {
    Wake(Suspension),
    RemoveImage(Engine, EmptyImage, Note),
    RemoveHelper(Engine, Helper, Note),
    Run(String, Command),
}

impl Quiesce {
    pub(crate) fn new(journal: &Journal) -> Self {
        Self {
            journal: journal.clone(),
            undo: Vec::new(),
        }
    }

    /// Does what a grant wants to be done before its volumes are used. What was done when
    /// something fails is to be undone as well.
    pub(super) async fn take(
        &mut self,
        context: &Context,
        subject: &str,
        engine: &Engine,
        volumes: &Volumes,
        commands: &BTreeMap<String, Command>,
        names: impl Iterator<Item = &str>,
    ) -> Result<()> {
        let before = volumes.before.as_ref();
        let before = before.map(|name| Ok::<_, Error>((name, command(commands, name)?)));
        let before = before.transpose()?;
        if let Some(name) = &volumes.after {
            let command = command(commands, name)?.clone();
            // It runs too when the one before fails in the middle of its work.
            self.undo.push(Undo::Run(name.clone(), command));
        }
        if let Some((name, command)) = before {
            let ran = operator_program::run(subject, name, command, b"");
            context.unless_cancelled(ran).await?;
        }
        let halt = match volumes.containers {
            Containers::Run => return Ok(()),
            Containers::Pause => SuspendMode::Pause,
            Containers::Stop => SuspendMode::Stop,
        };
        let lock = self.journal.lock().await.map_err(|cause| {
            let text = "the state directory cannot be used, so nothing is done to containers";
            Error::of_system(text, cause)
                .help("set TTHOST_STATE_DIR to a directory that can be written to")
        })?;
        let mut users: Vec<Container> = Vec::new();
        for name in names {
            for user in self.users_of(engine, name).await? {
                if !users.iter().any(|other| other.id == user.id) {
                    users.push(user);
                }
            }
        }
        for plan in suspension::plan(&self.journal, engine, halt, users).await? {
            if context.cancel.is_cancelled() {
                return Err(Error::new(Kind::Cancelled, "interrupted"));
            }
            let suspension = Suspension::note(&self.journal, engine, halt, &plan)?;
            let taken = suspension.take(&plan).await;
            // The engine may have done it whatever it answered.
            self.undo.push(Undo::Wake(suspension));
            taken?;
        }
        drop(lock);
        Ok(())
    }

    /// Makes containers that have a volume, to be read through the engine.
    pub(super) async fn helpers(&mut self, engine: &Engine, volume: &str) -> Result<Helpers> {
        let image = EmptyImage::new();
        let note = self.note(Leftover::Image {
            engine: engine.address().to_owned(),
            name: image.name().to_owned(),
        })?;
        self.undo
            .push(Undo::RemoveImage(engine.clone(), image.clone(), note));
        engine.create_image(&image).await?;
        Ok(Helpers {
            along: self.helper(engine, &image, volume).await?,
            aside: self.helper(engine, &image, volume).await?,
        })
    }

    async fn helper(
        &mut self,
        engine: &Engine,
        image: &EmptyImage,
        volume: &str,
    ) -> Result<Helper> {
        let helper = Helper::new();
        let note = self.note(Leftover::Helper {
            engine: engine.address().to_owned(),
            name: helper.name().to_owned(),
        })?;
        self.undo
            .push(Undo::RemoveHelper(engine.clone(), helper.clone(), note));
        engine.create_helper(&helper, image, volume).await?;
        Ok(helper)
    }

    fn note(&self, leftover: Leftover) -> Result<Note> {
        self.journal.note(leftover).map_err(|cause| {
            let text =
                "the state directory cannot hold what is to be removed from the engine afterwards";
            Error::of_system(text, cause)
        })
    }

    /// The containers that use a volume, and are not held yet.
    async fn users_of(&self, engine: &Engine, volume: &str) -> Result<Vec<Container>> {
        let own = rustix::system::uname();
        let own = own.nodename().to_string_lossy();
        let mut users = engine.users_of(volume).await?;
        users.retain(|container| {
            // In a container, the host's name is the beginning of its id: this one had better
            // not stop itself.
            let is_own = own.len() >= 12 && container.id.starts_with(&*own);
            !is_own && !self.has(container)
        });
        Ok(users)
    }

    fn has(&self, wanted: &Container) -> bool {
        self.undo.iter().any(|undo| match undo {
            Undo::Wake(suspension) => suspension.id() == wanted.id,
            Undo::RemoveImage(..) | Undo::RemoveHelper(..) | Undo::Run(..) => false,
        })
    }

    /// Undoes everything, the last first, also after an interruption. Answers what could not be
    /// undone.
    pub(crate) async fn release(self, subject: &str) -> Vec<Error> {
        let mut errors = Vec::new();
        for undo in self.undo.into_iter().rev() {
            let undone = match &undo {
                Undo::Wake(suspension) => suspension.release(&self.journal).await,
                Undo::RemoveImage(engine, image, note) => {
                    let removed = engine.remove_image(image.name()).await;
                    clear(&self.journal, *note, removed)
                }
                Undo::RemoveHelper(engine, helper, note) => {
                    helper.release();
                    let removed = engine.remove_helper(helper.name()).await;
                    clear(&self.journal, *note, removed)
                }
                Undo::Run(name, command) => {
                    operator_program::run(subject, name, command, b"").await
                }
            };
            if let Err(error) = undone {
                let error = error.of(subject);
                error!(subject, "{}", error.message());
                errors.push(error);
            }
        }
        errors
    }
}

fn clear(journal: &Journal, note: Note, undone: Result<()>) -> Result<()> {
    undone?;
    journal
        .clear(note)
        .map_err(|cause| Error::of_system("the state directory cannot be written to", cause))
}

pub(super) fn command<'a>(
    commands: &'a BTreeMap<String, Command>,
    name: &str,
) -> Result<&'a Command> {
    commands.get(name).ok_or_else(|| {
        Error::new(Kind::Config, format!("the command {name} is not granted"))
            .help(format!("add grants.commands.{name}"))
    })
}

#[cfg(test)]
mod tests;
