//! A plugin of tthost: a restic repository in an S3 bucket.
//!
//! `restic-plugin` has the code that all sinks with restic repositories share. This plugin adds the bucket and its permissions.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | the settings and the secrets |
//! | [`client`] | signed requests with retries |
//! | [`fault`] | the faults of requests |
//! | [`rights`] | the operations that the credentials allow |
//! | [`probe`] | detects these operations |
//! | [`state`] | the state directory on this machine |
//! | [`backend`] | the repository's files in the bucket |
//!
//! [`Cached`] manages the copies on this machine.

mod backend;
mod client;
mod fault;
#[cfg(test)]
mod fuzz;
mod part;
mod probe;
mod rights;
mod settings;
mod state;

use restic_plugin::Directory;
use restic_plugin::bindings::exports::tthost::backup::plugin::Description;
use restic_plugin::bindings::exports::tthost::backup::sink;
use restic_plugin::bindings::tthost::backup::types;
use restic_plugin::probe::remove_leftovers;
use restic_repo::{Access, Cached, Error, Result};

use backend::S3;
use client::Client;
use rights::Rights;
use settings::Settings;
use state::State;

type Component = restic_plugin::Plugin<S3Storage>;

restic_plugin::bindings::export!(Component with_types_in restic_plugin::bindings);

struct S3Storage;

impl restic_plugin::Storage for S3Storage {
    type Files = Cached<S3, Directory>;

    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Stores snapshots in a restic repository in an S3 bucket".into(),
            config_schema: settings::CONFIG_SCHEMA.into(),
            needs: settings::needs(),
        }
    }

    async fn find(config: &str, access: types::Access) -> Result<Self::Files> {
        let settings = Settings::read(config).await?;
        let state = State::granted(&settings).await?;
        let found = find_in(settings, state.clone(), access).await;
        if let (Err(_), Some(state)) = (&found, state) {
            // Nobody is going to leave what is not found.
            state.directory().remove_partial().await;
        }
        found
    }

    async fn probe(config: &str) -> Result<sink::Rights> {
        let settings = Settings::read(config).await?;
        let state = State::granted(&settings).await?;
        let probed = probe_in(settings, state.clone()).await;
        if let Some(state) = state {
            state.directory().remove_partial().await;
        }
        probed
    }

    async fn clean_up(files: &Self::Files) {
        if let Some(directory) = files.storage() {
            directory.remove_leftovers().await;
        }
        let files = files.backend();
        remove_leftovers(async |name| files.remove_probe(name).await).await;
    }

    async fn close(files: &Self::Files) {
        if let Some(directory) = files.storage() {
            directory.remove_partial().await;
        }
    }
}

/// The files of the place that the settings name.
async fn find_in(
    settings: Settings,
    state: Option<State>,
    access: types::Access,
) -> Result<Cached<S3, Directory>> {
    let client = Client::new(settings)?;
    let is_read_only = access == types::Access::ReadOnly;
    let kept = state.as_ref().and_then(State::rights);
    // A refusal that has passed must not keep anybody from his data.
    let is_outdated = match &kept {
        Some(rights) if !rights.reads() => client.page(client.prefix(), None).await.is_ok(),
        _ => false,
    };
    let rights = match kept.filter(|_| !is_outdated) {
        Some(rights) if is_read_only || rights.holds() => rights,
        _ if is_read_only => Rights::reading(),
        _ => probe::probe_and_keep(&client, state.as_ref()).await?,
    };
    match &state {
        None if rights.access()? == Access::WriteOnly => {
            return Err(Error::Config(
                    "the credentials are write-only, so this machine must keep copies of what it stores: \
                     set grants.directories.state to a directory for them"
                        .into(),
                ));
        }
        Some(state)
            if !is_read_only
                && rights.access()? != Access::WriteOnly
                && state.moved_to()?.is_some() =>
        {
            state.move_back().await?;
        }
        _ => {}
    }
    let directory = state.as_ref().map(|state| state.directory().clone());
    let files = S3::new(client, state, rights)?;
    Ok(Cached::new(files, directory))
}

/// What can be done there, found out anew.
async fn probe_in(settings: Settings, state: Option<State>) -> Result<sink::Rights> {
    let client = Client::new(settings)?;
    let mut rights = probe::probe_and_keep(&client, state.as_ref()).await?;
    if let Some(state) = state {
        rights.notes.extend(
            state
                .moved_to()?
                .map(|prefix| format!("snapshots of this machine go to {}", client.place(&prefix))),
        );
    } else if rights.access().is_err() || !rights.get.is_yes() {
        rights.notes.push(
            "no state directory is granted, and write-only credentials need one: \
                 set grants.directories.state"
                .into(),
        );
    }
    Ok(rights.into())
}
