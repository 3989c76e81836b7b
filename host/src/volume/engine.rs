//! The Docker Engine's API (<https://docs.docker.com/reference/api/engine/>), as far as it is
//! used. Podman's service answers the same.

use std::collections::HashMap;
use std::path::PathBuf;

use bollard::models::{ContainerSummaryStateEnum, VolumeCreateRequest};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListVolumesOptions};
use bollard::{API_DEFAULT_VERSION, Docker};

use crate::error::{Error, Kind, Result};
use crate::plugin::printable;

/// Seconds that an answer may take. Stopping a container takes its grace period.
const PATIENCE: u64 = 120;

/// A volume that there is.
#[derive(Clone, Debug)]
pub(super) struct Volume {
    pub(super) name: String,
    /// Where its files are, on the machine of the engine.
    pub(super) mountpoint: PathBuf,
    pub(super) labels: HashMap<String, String>,
}

/// A container.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) id: String,
    /// For messages.
    pub(super) name: String,
}

/// A connection to an engine that answers.
#[derive(Clone)]
pub(super) struct Engine(Docker);

impl Engine {
    /// Connects to the first of these addresses at which there is one: `unix:///path`,
    /// `tcp://host:port` or `http://host:port`.
    pub(super) async fn connect(addresses: &[String]) -> Result<Self> {
        let there = |address: &&String| match address.strip_prefix("unix://") {
            Some(path) => std::path::Path::new(path).exists(),
            None => true,
        };
        let Some(address) = addresses.iter().find(there) else {
            return Err(Error::new(
                Kind::Unavailable,
                format!("there is no Docker engine at {}", addresses.join(" or ")),
            )
            .help("start it, or set DOCKER_HOST to where it is"));
        };
        let connected = if address.starts_with("unix://") {
            Docker::connect_with_unix(address, PATIENCE, API_DEFAULT_VERSION)
        } else if address.starts_with("tcp://") || address.starts_with("http://") {
            Docker::connect_with_http(address, PATIENCE, API_DEFAULT_VERSION)
        } else {
            return Err(Error::new(
                Kind::Config,
                format!("DOCKER_HOST is {address}, which is no address that tthost can use"),
            )
            .help("it uses unix:///PATH and tcp://HOST:PORT"));
        };
        let unavailable = |cause: bollard::errors::Error| {
            let text = printable(&cause.to_string());
            Error::new(
                Kind::Unavailable,
                format!("the Docker engine at {address} does not answer: {text}"),
            )
            .help("whoever runs tthost must be allowed to use the engine's socket")
        };
        // An older engine is spoken to as it wants it.
        let docker = connected.map_err(unavailable)?;
        Ok(Self(docker.negotiate_version().await.map_err(unavailable)?))
    }

    /// All volumes.
    pub(super) async fn volumes(&self) -> Result<Vec<Volume>> {
        let listed = self.0.list_volumes(None::<ListVolumesOptions>).await;
        let listed = listed.map_err(|cause| failed("list its volumes", &cause))?;
        Ok(listed
            .volumes
            .into_iter()
            .flatten()
            .map(Into::into)
            .collect())
    }

    /// Makes a volume.
    pub(super) async fn create(&self, name: &str) -> Result<Volume> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            ..VolumeCreateRequest::default()
        };
        let created = self.0.create_volume(request).await;
        created
            .map(Into::into)
            .map_err(|cause| failed(&format!("make the volume {name}"), &cause))
    }

    /// The containers that run and use a volume.
    pub(super) async fn users_of(&self, volume: &str) -> Result<Vec<Container>> {
        let filters = HashMap::from([("volume", vec![volume])]);
        let options = ListContainersOptionsBuilder::new()
            .filters(&filters)
            .build();
        let listed = self.0.list_containers(Some(options)).await;
        let listed = listed.map_err(|cause| failed("list its containers", &cause))?;
        let running = listed
            .into_iter()
            .filter(|container| container.state == Some(ContainerSummaryStateEnum::RUNNING));
        Ok(running
            .filter_map(|container| {
                let id = container.id?;
                let name = container.names.into_iter().flatten().next();
                let name = name.map_or_else(
                    || id.clone(),
                    |name| printable(name.trim_start_matches('/')),
                );
                Some(Container { id, name })
            })
            .collect())
    }

    pub(super) async fn pause(&self, container: &Container) -> Result<()> {
        let paused = self.0.pause_container(&container.id).await;
        paused.map_err(|cause| failed(&format!("pause {}", container.name), &cause))
    }

    pub(super) async fn unpause(&self, container: &Container) -> Result<()> {
        let unpaused = self.0.unpause_container(&container.id).await;
        or_already(unpaused)
            .map_err(|cause| failed(&format!("let {} go on", container.name), &cause))
    }

    pub(super) async fn stop(&self, container: &Container) -> Result<()> {
        let stopped = self.0.stop_container(&container.id, None).await;
        stopped.map_err(|cause| failed(&format!("stop {}", container.name), &cause))
    }

    pub(super) async fn start(&self, container: &Container) -> Result<()> {
        let started = self.0.start_container(&container.id, None).await;
        or_already(started)
            .map_err(|cause| failed(&format!("start {} again", container.name), &cause))
    }
}

impl From<bollard::models::Volume> for Volume {
    fn from(volume: bollard::models::Volume) -> Self {
        Self {
            name: volume.name,
            mountpoint: volume.mountpoint.into(),
            labels: volume.labels,
        }
    }
}

/// Fine as well when the container is in that state already.
fn or_already(answer: Result<(), bollard::errors::Error>) -> Result<(), bollard::errors::Error> {
    match answer {
        Err(bollard::errors::Error::DockerResponseServerError {
            status_code: 304 | 409,
            ..
        }) => Ok(()),
        answer => answer,
    }
}

fn failed(what: &str, cause: &bollard::errors::Error) -> Error {
    let text = printable(&cause.to_string());
    Error::new(
        Kind::Other,
        format!("the Docker engine cannot {what}: {text}"),
    )
}
