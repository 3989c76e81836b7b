//! The Docker Engine's API (<https://docs.docker.com/reference/api/engine/>), as far as it is used. Podman's service
//! is compatible.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerStateStatusEnum, ContainerSummaryStateEnum, HostConfig,
    VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder,
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

/// Seconds that an answer may take. Stopping a container takes its grace period besides.
const REQUEST_TIMEOUT: u64 = 120;

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
    pub(super) status: Status,
}

/// Whether the processes of a container run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    /// It is paused, or has ended, or was never started.
    Halted,
}

/// The properties of a container.
pub(super) struct Details {
    pub(super) status: Status,
    /// It is removed when it ends.
    pub(super) is_removed_with_its_end: bool,
    /// How long it may take to end.
    pub(super) grace_period: Duration,
}

/// A container that was made to look at a volume, and is never started: an engine hands out the
/// files of containers only, of each one archive at a time.
#[derive(Clone, Debug)]
pub(super) struct Helper {
    name: String,
    /// No reader may use its archives any more: the engine could not remove it.
    released: CancellationToken,
}

impl Helper {
    /// One that is not made yet.
    pub(super) fn new() -> Self {
        Self {
            name: unique("tthost-helper-"),
            released: CancellationToken::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Ends all work with its archives.
    pub(super) fn release(&self) {
        self.released.cancel();
    }

    /// Does work with its archives, until it is about to be removed.
    pub(super) async fn while_there(self, work: impl Future<Output = ()>) {
        self.released.run_until_cancelled(work).await;
    }
}

/// An image that was made for helpers. There is nothing in it.
#[derive(Clone, Debug)]
pub(super) struct EmptyImage {
    name: String,
}

impl EmptyImage {
    /// One that is not made yet.
    pub(super) fn new() -> Self {
        Self {
            name: unique(&format!("{EMPTY}:")),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn tag(&self) -> &str {
        self.name.rsplit(':').next().unwrap_or_default()
    }
}

/// A name that nothing else has.
fn unique(prefix: &str) -> String {
    let mut random = [0; 8];
    // Without random numbers, the process makes it unique enough.
    let _ = getrandom::fill(&mut random);
    format!("{prefix}{}-{}", std::process::id(), hex::encode(random))
}

/// The name of empty images, without their tags.
const EMPTY: &str = "tthost-empty";

/// Where helpers have the volume.
const INSIDE: &str = "/volume";

/// An archive with nothing in it ends at once, with two empty blocks.
const EMPTY_ARCHIVE: [u8; 1024] = [0; 1024];

/// How long a container has to end when it does not say it itself.
const USUAL_GRACE: Duration = Duration::from_secs(10);

/// How long it is waited for a container to end, whatever it says.
const MAX_GRACE: Duration = Duration::from_hours(1);

/// The label that identifies helper containers.
const MARK: &str = "tthost.helper";

/// A connection to an engine that answers.
#[derive(Clone)]
pub(super) struct Engine {
    docker: Docker,
    address: String,
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
            Docker::connect_with_unix(address, REQUEST_TIMEOUT, API_DEFAULT_VERSION)
        } else if address.starts_with("tcp://") || address.starts_with("http://") {
            Docker::connect_with_http(address, REQUEST_TIMEOUT, API_DEFAULT_VERSION)
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
            address: address.clone(),
            // Over a network, it is another machine's engine, where the same path is another
            // directory.
            is_local: address.starts_with("unix://"),
        })
    }

    /// Where it is.
    pub(super) fn address(&self) -> &str {
        &self.address
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

    /// The containers that use a volume, whether they run or not.
    pub(super) async fn users_of(&self, volume: &str) -> Result<Vec<Container>> {
        let filters = HashMap::from([("volume", vec![volume])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let listed = self.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|cause| failed("list its containers", &cause))?;
        let containers = listed.into_iter().filter_map(|container| {
            let id = container.id?;
            let name = container.names.into_iter().flatten().next();
            let name = name.map_or_else(
                || id.clone(),
                |name| printable(name.trim_start_matches('/')),
            );
            let status = match container.state {
                Some(ContainerSummaryStateEnum::RUNNING) => Status::Running,
                _ => Status::Halted,
            };
            Some(Container { id, name, status })
        });
        Ok(containers.collect())
    }

    /// Reads the properties of a container, which has this name in messages; `None` if it is gone.
    pub(super) async fn details(&self, id: &str, name: &str) -> Result<Option<Details>> {
        let inspected = self
            .docker
            .inspect_container(id, None::<InspectContainerOptions>)
            .await;
        let found = match inspected {
            Err(cause) if is_missing(&cause) => return Ok(None),
            inspected => inspected.map_err(|cause| failed(&format!("inspect {name}"), &cause))?,
        };
        let is_running = found
            .state
            .and_then(|state| state.status)
            .is_some_and(|status| status == ContainerStateStatusEnum::RUNNING);
        let grace_period = found.config.and_then(|config| config.stop_timeout);
        Ok(Some(Details {
            status: if is_running {
                Status::Running
            } else {
                Status::Halted
            },
            is_removed_with_its_end: found
                .host_config
                .and_then(|config| config.auto_remove)
                .unwrap_or_default(),
            grace_period: match grace_period.map(u64::try_from) {
                Some(Ok(seconds)) => Duration::from_secs(seconds).min(MAX_GRACE),
                // As long as it likes.
                Some(Err(_)) => MAX_GRACE,
                None => USUAL_GRACE,
            },
        }))
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
    pub(super) async fn create_image(&self, image: &EmptyImage) -> Result<()> {
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(EMPTY)
            .tag(image.tag())
            .build();
        let body = body_full(Bytes::from_static(&EMPTY_ARCHIVE));
        let answers = self.docker.create_image(Some(options), Some(body), None);
        let answers: Result<Vec<_>, _> = answers.try_collect().await;
        let answers = answers.map(|_| ());
        answers.map_err(|cause| failed("create an empty image", &cause))
    }

    /// Removes an image; fine when it is not there.
    pub(super) async fn remove_image(&self, name: &str) -> Result<()> {
        let removed = self
            .docker
            .remove_image(name, None::<RemoveImageOptions>, None);
        let removed = removed.await.map(|_| ());
        ignore_missing(removed).map_err(|cause| failed(&format!("remove the image {name}"), &cause))
    }

    /// Makes a container that has a volume, to be read. It has to be removed.
    pub(super) async fn create_helper(
        &self,
        helper: &Helper,
        image: &EmptyImage,
        volume: &str,
    ) -> Result<()> {
        let container = ContainerCreateBody {
            image: Some(image.name.clone()),
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
        let options = CreateContainerOptionsBuilder::new()
            .name(&helper.name)
            .build();
        let created = self.docker.create_container(Some(options), container).await;
        let what = format!("create a container with the volume {volume}");
        created.map(|_| ()).map_err(|cause| failed(&what, &cause))
    }

    /// Removes a helper; fine when it is not there.
    pub(super) async fn remove_helper(&self, name: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        let removed = self.docker.remove_container(name, Some(options)).await;
        ignore_missing(removed)
            .map_err(|cause| failed(&format!("remove the container {name}"), &cause))
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
            .download_from_container(&helper.name, Some(options));
        let failed = |cause: bollard::errors::Error| {
            let text = printable(&cause.to_string());
            if is_missing(&cause) {
                io::Error::new(io::ErrorKind::NotFound, text)
            } else {
                io::Error::other(text)
            }
        };
        archive.map_err(failed).boxed()
    }

    pub(super) async fn pause(&self, id: &str, name: &str) -> Result<()> {
        let paused = self.docker.pause_container(id).await;
        paused.map_err(|cause| failed(&format!("pause {name}"), &cause))
    }

    /// Lets a container go on; fine when it does, or is gone.
    pub(super) async fn unpause(&self, id: &str, name: &str) -> Result<()> {
        let unpaused = self.docker.unpause_container(id).await;
        ignore_missing(or_already(unpaused))
            .map_err(|cause| failed(&format!("resume {name}"), &cause))
    }

    /// Stops a container, as long as that takes it.
    pub(super) async fn stop(&self, id: &str, name: &str) -> Result<()> {
        let details = self.details(id, name).await?;
        let grace = details.map_or(USUAL_GRACE, |details| details.grace_period);
        let docker = self.docker.clone();
        let docker = docker.with_timeout(grace + Duration::from_secs(REQUEST_TIMEOUT));
        let stopped = docker.stop_container(id, None).await;
        stopped.map_err(|cause| failed(&format!("stop {name}"), &cause))
    }

    /// Starts a container; fine when it runs, or is gone.
    pub(super) async fn start(&self, id: &str, name: &str) -> Result<()> {
        let started = self.docker.start_container(id, None).await;
        ignore_missing(or_already(started))
            .map_err(|cause| failed(&format!("start {name} again"), &cause))
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

/// Fine as well when it is not there.
fn ignore_missing(
    answer: Result<(), bollard::errors::Error>,
) -> Result<(), bollard::errors::Error> {
    match answer {
        Err(cause) if is_missing(&cause) => Ok(()),
        answer => answer,
    }
}

fn is_missing(cause: &bollard::errors::Error) -> bool {
    matches!(
        cause,
        bollard::errors::Error::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}

fn failed(what: &str, cause: &bollard::errors::Error) -> Error {
    let text = printable(&cause.to_string());
    Error::new(
        Kind::Other,
        format!("the Docker engine cannot {what}: {text}"),
    )
}
