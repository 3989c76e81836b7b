//! The Docker Engine's API (<https://docs.docker.com/reference/api/engine/>), as far as it is
//! used. Podman's service answers the same.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use bollard::models::{
    ContainerCreateBody, ContainerSummaryStateEnum, HostConfig, VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder,
    InspectContainerOptions, ListContainersOptions, ListContainersOptionsBuilder,
    ListVolumesOptions, RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker, body_full};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio_util::sync::CancellationToken;

use super::survey::{ComposeService, RunningContainer};
use crate::error::{Error, Kind, Result};
use crate::text::printable;

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

/// A container that was made to look at a volume, and is never started: an engine hands out the
/// files of containers only, of each one archive at a time.
#[derive(Clone, Debug)]
pub(super) struct Helper {
    /// Its id.
    container: String,
    /// Nobody may read its archives any more: it could not be removed meanwhile.
    released: CancellationToken,
}

impl Helper {
    /// Does work with its archives, until it is about to be removed.
    pub(super) async fn while_there(self, work: impl Future<Output = ()>) {
        self.released.run_until_cancelled(work).await;
    }
}

/// An image that was made for helpers. There is nothing in it.
#[derive(Clone, Debug)]
pub(super) struct EmptyImage {
    id: String,
}

/// Where helpers have the volume.
const INSIDE: &str = "/volume";

/// An archive with nothing in it ends at once, with two empty blocks.
const EMPTY_ARCHIVE: [u8; 1024] = [0; 1024];

/// What marks the helpers for somebody who comes upon one.
const MARK: &str = "tthost.helper";

/// A connection to an engine that answers.
#[derive(Clone)]
pub(super) struct Engine {
    docker: Docker,
    /// Its paths are this machine's.
    is_local: bool,
}

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
            .help("start the engine, or set DOCKER_HOST to its address"));
        };
        let connected = if address.starts_with("unix://") {
            Docker::connect_with_unix(address, PATIENCE, API_DEFAULT_VERSION)
        } else if address.starts_with("tcp://") || address.starts_with("http://") {
            Docker::connect_with_http(address, PATIENCE, API_DEFAULT_VERSION)
        } else {
            return Err(Error::new(
                Kind::Config,
                format!("DOCKER_HOST is {address}, which tthost cannot use"),
            )
            .help("use unix:///PATH or tcp://HOST:PORT"));
        };
        let unavailable = |cause: bollard::errors::Error| {
            let text = printable(&cause.to_string());
            Error::new(
                Kind::Unavailable,
                format!("the Docker engine at {address} does not answer: {text}"),
            )
            .help("the user who runs tthost must be allowed to use the engine's socket")
        };
        // An older engine is spoken to as it wants it.
        let docker = connected.map_err(unavailable)?;
        Ok(Self {
            docker: docker.negotiate_version().await.map_err(unavailable)?,
            // Over a network, it is another machine's engine, where the same path is another
            // directory.
            is_local: address.starts_with("unix://"),
        })
    }

    /// Whether its paths are this machine's.
    pub(super) fn is_local(&self) -> bool {
        self.is_local
    }

    /// All volumes.
    pub(super) async fn volumes(&self) -> Result<Vec<Volume>> {
        let listed = self.docker.list_volumes(None::<ListVolumesOptions>).await;
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
        let created = self.docker.create_volume(request).await;
        created
            .map(Into::into)
            .map_err(|cause| failed(&format!("create the volume {name}"), &cause))
    }

    /// Removes a volume.
    pub(super) async fn remove_volume(&self, name: &str) -> Result<()> {
        let removed = self
            .docker
            .remove_volume(name, None::<RemoveVolumeOptions>)
            .await;
        removed.map_err(|cause| failed(&format!("remove the volume {name}"), &cause))
    }

    /// The containers that run and use a volume.
    pub(super) async fn users_of(&self, volume: &str) -> Result<Vec<Container>> {
        let filters = HashMap::from([("volume", vec![volume])]);
        let options = ListContainersOptionsBuilder::new()
            .filters(&filters)
            .build();
        let listed = self.docker.list_containers(Some(options)).await;
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

    /// All containers that run.
    pub(super) async fn running(&self) -> Result<Vec<RunningContainer>> {
        let listed = self
            .docker
            .list_containers(None::<ListContainersOptions>)
            .await;
        let listed = listed.map_err(|cause| failed("list its containers", &cause))?;
        Ok(listed
            .into_iter()
            .filter_map(|container| {
                let name = container.names.into_iter().flatten().next()?;
                Some(RunningContainer {
                    name: name.trim_start_matches('/').to_owned(),
                    image: container.image.unwrap_or_default(),
                    compose: ComposeService::from_labels(&container.labels.unwrap_or_default()),
                })
            })
            .collect())
    }

    /// The variables of a container.
    pub(super) async fn environment(&self, container: &str) -> Result<HashMap<String, String>> {
        let inspected = self
            .docker
            .inspect_container(container, None::<InspectContainerOptions>)
            .await;
        let inspected =
            inspected.map_err(|cause| failed(&format!("inspect {container}"), &cause))?;
        let variables = inspected.config.and_then(|config| config.env);
        Ok(variables
            .into_iter()
            .flatten()
            .filter_map(|variable| {
                let (name, value) = variable.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            })
            .collect())
    }

    /// Makes an image with nothing in it. It has to be removed.
    pub(super) async fn create_image(&self) -> Result<EmptyImage> {
        let what = "create an empty image";
        let options = CreateImageOptionsBuilder::new().from_src("-").build();
        let body = body_full(Bytes::from_static(&EMPTY_ARCHIVE));
        let answers = self.docker.create_image(Some(options), Some(body), None);
        let answers: Vec<_> = answers
            .try_collect()
            .await
            .map_err(|cause| failed(what, &cause))?;
        let id = answers.into_iter().rev().find_map(|answer| answer.status);
        id.map(|id| EmptyImage { id }).ok_or_else(|| {
            let text = "the Docker engine created an image and does not name it";
            Error::new(Kind::Other, text)
        })
    }

    pub(super) async fn remove_image(&self, image: &EmptyImage) -> Result<()> {
        let removed = self
            .docker
            .remove_image(&image.id, None::<RemoveImageOptions>, None);
        match removed.await {
            Ok(_) => Ok(()),
            Err(cause) => Err(failed(&format!("remove the image {}", image.id), &cause)),
        }
    }

    /// Makes a container that has a volume, to be read. It has to be removed.
    pub(super) async fn create_helper(&self, image: &EmptyImage, volume: &str) -> Result<Helper> {
        let container = ContainerCreateBody {
            image: Some(image.id.clone()),
            // It is never run, but there has to be one.
            cmd: Some(vec!["none".to_owned()]),
            labels: Some([(MARK.to_owned(), volume.to_owned())].into()),
            host_config: Some(HostConfig {
                binds: Some(vec![format!("{volume}:{INSIDE}:ro")]),
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let created = self
            .docker
            .create_container(None::<CreateContainerOptions>, container)
            .await;
        let what = format!("create a container with the volume {volume}");
        let created = created.map_err(|cause| failed(&what, &cause))?;
        Ok(Helper {
            container: created.id,
            released: CancellationToken::new(),
        })
    }

    pub(super) async fn remove_helper(&self, helper: &Helper) -> Result<()> {
        helper.released.cancel();
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        let removed = self
            .docker
            .remove_container(&helper.container, Some(options))
            .await;
        let what = format!("remove the container {}", helper.container);
        removed.map_err(|cause| failed(&what, &cause))
    }

    /// The archive of what is at a path of a helper's volume, the top being empty; other than
    /// the top it must be UTF-8.
    pub(super) fn archive(
        &self,
        helper: &Helper,
        path: &[u8],
    ) -> BoxStream<'static, io::Result<Bytes>> {
        let path = match path {
            // So that the paths in it begin below.
            b"" => format!("{INSIDE}/."),
            path => format!("{INSIDE}/{}", String::from_utf8_lossy(path)),
        };
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(&path)
            .build();
        let archive = self
            .docker
            .download_from_container(&helper.container, Some(options));
        let failed = |cause: bollard::errors::Error| {
            let text = printable(&cause.to_string());
            match cause {
                bollard::errors::Error::DockerResponseServerError {
                    status_code: 404, ..
                } => io::Error::new(io::ErrorKind::NotFound, text),
                _ => io::Error::other(text),
            }
        };
        archive.map_err(failed).boxed()
    }

    pub(super) async fn pause(&self, container: &Container) -> Result<()> {
        let paused = self.docker.pause_container(&container.id).await;
        paused.map_err(|cause| failed(&format!("pause {}", container.name), &cause))
    }

    pub(super) async fn unpause(&self, container: &Container) -> Result<()> {
        let unpaused = self.docker.unpause_container(&container.id).await;
        or_already(unpaused).map_err(|cause| failed(&format!("resume {}", container.name), &cause))
    }

    pub(super) async fn stop(&self, container: &Container) -> Result<()> {
        let stopped = self.docker.stop_container(&container.id, None).await;
        stopped.map_err(|cause| failed(&format!("stop {}", container.name), &cause))
    }

    pub(super) async fn start(&self, container: &Container) -> Result<()> {
        let started = self.docker.start_container(&container.id, None).await;
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
