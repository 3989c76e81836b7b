//! What is to be undone when volumes have been read or written: containers that pause or stop
//! meanwhile, commands that run before and after, helpers.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use tracing::error;

use super::archive::Helpers;
use super::engine::{Container, EmptyImage, Engine, Helper};
use crate::error::{Error, Kind, Result};
use crate::grant::{Command, Containers, Volumes};
use crate::plugin::Context;
use crate::stderr;

/// What has to be undone when a volume is done with. Nothing undoes it but [`Quiesce::release`].
#[derive(Default)]
pub(crate) struct Quiesce {
    undo: Vec<Undo>,
}

enum Undo {
    Unpause(Engine, Container),
    Start(Engine, Container),
    RemoveImage(Engine, EmptyImage),
    RemoveHelper(Engine, Helper),
    Run(String, Command),
}

impl Quiesce {
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
        if let Some(name) = &volumes.before {
            run(subject, name, command(commands, name)?).await?;
        }
        if let Some(name) = &volumes.after {
            let command = command(commands, name)?.clone();
            self.undo.push(Undo::Run(name.clone(), command));
        }
        for name in names {
            for container in self.containers(engine, volumes, name).await? {
                if context.cancel.is_cancelled() {
                    return Err(Error::new(Kind::Cancelled, "interrupted"));
                }
                // First of all, so that it is undone whatever the engine answers.
                match volumes.containers {
                    Containers::Run => {}
                    Containers::Pause => {
                        self.undo
                            .push(Undo::Unpause(engine.clone(), container.clone()));
                        engine.pause(&container).await?;
                    }
                    Containers::Stop => {
                        self.undo
                            .push(Undo::Start(engine.clone(), container.clone()));
                        engine.stop(&container).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes containers that have a volume, to be read through the engine.
    pub(super) async fn helpers(&mut self, engine: &Engine, volume: &str) -> Result<Helpers> {
        let image = engine.create_image().await?;
        self.undo
            .push(Undo::RemoveImage(engine.clone(), image.clone()));
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
        let helper = engine.create_helper(image, volume).await?;
        self.undo
            .push(Undo::RemoveHelper(engine.clone(), helper.clone()));
        Ok(helper)
    }

    /// The containers that are to pause or stop, and do not yet.
    async fn containers(
        &self,
        engine: &Engine,
        volumes: &Volumes,
        volume: &str,
    ) -> Result<Vec<Container>> {
        if volumes.containers == Containers::Run {
            return Ok(Vec::new());
        }
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
            Undo::Unpause(_, container) | Undo::Start(_, container) => container.id == wanted.id,
            Undo::RemoveImage(..) | Undo::RemoveHelper(..) | Undo::Run(..) => false,
        })
    }

    /// Undoes everything, the last first, also after an interruption. Answers what could not be
    /// undone.
    pub(crate) async fn release(self, subject: &str) -> Vec<Error> {
        let mut errors = Vec::new();
        for undo in self.undo.into_iter().rev() {
            let undone = match &undo {
                Undo::Unpause(engine, container) => engine.unpause(container).await,
                Undo::Start(engine, container) => engine.start(container).await,
                Undo::RemoveImage(engine, image) => engine.remove_image(image).await,
                Undo::RemoveHelper(engine, helper) => engine.remove_helper(helper).await,
                Undo::Run(name, command) => run(subject, name, command).await,
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

fn command<'a>(commands: &'a BTreeMap<String, Command>, name: &str) -> Result<&'a Command> {
    commands.get(name).ok_or_else(|| {
        Error::new(Kind::Config, format!("the command {name} is not granted"))
            .help(format!("add grants.commands.{name}"))
    })
}

/// Runs one of the operator's commands, with its granted environment, to its end.
async fn run(subject: &str, name: &str, command: &Command) -> Result<()> {
    let program = &command.program;
    let environment = command
        .env
        .iter()
        .map(|(name, value)| (name, std::ffi::OsStr::from_bytes(value.expose())));
    let started = tokio::process::Command::new(program)
        .args(&command.arguments)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let failed = |text: String| Error::new(Kind::Other, format!("the command {name} {text}"));
    let mut child = started
        .map_err(|cause| failed(format!("({program}) cannot be started")).caused_by(cause))?;
    let listener = child
        .stderr
        .take()
        .map(|pipe| stderr::listen(pipe, subject, name));
    let status = child.wait().await;
    if let Some(listener) = listener {
        listener.last_words().await;
    }
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("failed: {status}"))),
        Err(cause) => Err(failed("cannot be waited for".into()).caused_by(cause)),
    }
}

#[cfg(test)]
mod tests;
