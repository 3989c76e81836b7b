//! Lists the containers and volumes of an engine, for a first configuration.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::engine::Engine;
use crate::error::Result;

/// The containers that run in an engine, and its volumes, each in the order of their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// The containers.
    pub(crate) containers: Vec<RunningContainer>,
    /// The volumes.
    pub(crate) volumes: Vec<NamedVolume>,
}

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunningContainer {
    /// Its name.
    pub(crate) name: String,
    /// The image that it was made from.
    pub(crate) image: String,
    /// Its project and service, if `docker compose` created it.
    pub(crate) compose: Option<ComposeService>,
}

/// A service of a project of `docker compose`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ComposeService {
    /// The project.
    pub(crate) project: String,
    /// The service.
    pub(crate) service: String,
    /// The project's files.
    pub(crate) files: Vec<PathBuf>,
    /// The files of variables that it was started with.
    pub(crate) variables: Vec<PathBuf>,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedVolume {
    /// Its name.
    pub(crate) name: String,
    /// The project of `docker compose` that made it.
    pub(crate) project: Option<String>,
}

/// Asks the first engine that is there.
pub(crate) async fn survey(engines: &[String]) -> Result<Survey> {
    let engine = Engine::connect(engines).await?;
    let mut containers = engine.running().await?;
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    let mut volumes: Vec<_> = engine
        .volumes()
        .await?
        .into_iter()
        .map(|volume| NamedVolume {
            project: volume.labels.get(PROJECT).cloned(),
            name: volume.name,
        })
        .collect();
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Survey {
        containers,
        volumes,
    })
}

/// The variables of a container, by name.
pub(crate) async fn container_environment(
    engines: &[String],
    container: &str,
) -> Result<HashMap<String, String>> {
    let engine = Engine::connect(engines).await?;
    engine.environment(container).await
}

/// The labels by which `docker compose` knows its own.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const DIRECTORY: &str = "com.docker.compose.project.working_dir";
const FILES: &str = "com.docker.compose.project.config_files";
const VARIABLES: &str = "com.docker.compose.project.environment_file";

impl ComposeService {
    /// The labels of a container.
    pub(super) fn from_labels(labels: &HashMap<String, String>) -> Option<Self> {
        let named = |label| labels.get(label).map(String::as_str).unwrap_or_default();
        let directory = Path::new(named(DIRECTORY));
        let paths = |label| {
            let paths = named(label).split(',').filter(|path| !path.is_empty());
            paths.map(|path| directory.join(path)).collect()
        };
        Some(Self {
            project: labels.get(PROJECT)?.clone(),
            service: labels.get(SERVICE)?.clone(),
            files: paths(FILES),
            variables: paths(VARIABLES),
        })
    }
}
