//! Finds the container and the volume of the script in the Docker engine.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Overrides, Question, database};
use crate::config::Environment;
use crate::error::{Error, Kind, Result};
use crate::text::printable;
use crate::volume::{NamedVolume, RunningContainer, Survey};

/// The service that the script runs `pg_dump` in.
const SERVICE: &str = "postgres";

/// The usual images of `PostgreSQL`, whoever made them.
const IMAGES: [&str; 6] = [
    "postgres",
    "postgresql",
    "postgis",
    "timescaledb",
    "timescaledb-ha",
    "pgvector",
];

/// What the name of the volume of uploads holds.
const UPLOADS: &str = "uploads";

/// The volume of uploads.
#[derive(Debug)]
pub(super) struct Uploads {
    pub(super) volume: String,
    /// A pattern that only its name matches; none where the operator named it.
    pub(super) pattern: Option<String>,
}

/// The container of the database. None for a server elsewhere, or when nothing looks like one.
pub(super) fn postgres(
    survey: &Survey,
    overrides: &Overrides,
    environment: &Environment,
    choose: &mut dyn FnMut(&Question) -> Result<usize>,
) -> Result<Option<RunningContainer>> {
    let is_called = |container: &RunningContainer, name: &str| {
        container.name == name
            || container
                .compose
                .as_ref()
                .is_some_and(|compose| compose.service == name)
    };
    let mut found: Vec<_> = survey
        .containers
        .iter()
        .filter(|container| match &overrides.postgres {
            Some(name) => is_called(container, name),
            None => is_postgres(container),
        })
        .collect();
    match &overrides.postgres {
        Some(name) if found.is_empty() => {
            let names = survey
                .containers
                .iter()
                .map(|container| printable(&container.name));
            let help = format!("these run: {}", names.collect::<Vec<_>>().join(", "));
            let text = format!("no container or service that runs is called {name}");
            return Err(Error::new(Kind::NotFound, text).help(help));
        }
        Some(_) => {}
        None => {
            if let Some(host) = database::host_of_address(environment)?
                && !["localhost", "127.0.0.1", "[::1]"].contains(&host.as_str())
            {
                found.retain(|container| is_called(container, &host));
            }
        }
    }
    prefer(&mut found, |container| {
        // The script lies beside the file of the project.
        let files = container.compose.iter().flat_map(|compose| &compose.files);
        let script = environment.file().and_then(Path::parent);
        script.is_some() && files.into_iter().any(|file| file.parent() == script)
    });
    let describe = |container: &&RunningContainer| match &container.compose {
        Some(compose) => printable(&format!(
            "{} (service {} of {})",
            container.name, compose.service, compose.project
        )),
        None => printable(&format!("{} ({})", container.name, container.image)),
    };
    let chosen = one_of(
        &found,
        "containers look like PostgreSQL",
        "--postgres",
        describe,
        choose,
    )?;
    Ok(chosen.map(|container| (*container).clone()))
}

/// The volume of uploads, of this project where it has one.
pub(super) fn uploads(
    survey: &Survey,
    overrides: &Overrides,
    project: Option<&str>,
    choose: &mut dyn FnMut(&Question) -> Result<usize>,
) -> Result<Option<Uploads>> {
    if let Some(name) = &overrides.volume {
        if survey.volumes.iter().all(|volume| volume.name != *name) {
            let names = survey.volumes.iter().map(|volume| printable(&volume.name));
            let help = format!("there are: {}", names.collect::<Vec<_>>().join(", "));
            let text = format!("there is no volume {name}");
            return Err(Error::new(Kind::NotFound, text).help(help));
        }
        let volume = name.clone();
        return Ok(Some(Uploads {
            volume,
            pattern: None,
        }));
    }
    let mut found: Vec<_> = survey
        .volumes
        .iter()
        .filter(|volume| volume.name.contains(UPLOADS))
        .collect();
    prefer(&mut found, |volume| {
        project.is_some() && volume.project.as_deref() == project
    });
    prefer(&mut found, |volume| {
        project.is_some_and(|project| volume.name.starts_with(project))
    });
    let describe = |volume: &&NamedVolume| printable(&volume.name);
    let chosen = one_of(
        &found,
        "volumes are called like uploads",
        "--volume",
        describe,
        choose,
    )?;
    Ok(chosen.map(|volume| Uploads {
        volume: volume.name.clone(),
        pattern: pattern(survey, &volume.name, project),
    }))
}

/// Whether `docker compose` can be called.
pub(super) fn has_compose(environment: &Environment) -> bool {
    let mut version = Command::new("docker");
    version.args(["compose", "version"]).stdin(Stdio::null());
    version.stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(path) = environment.get("PATH") {
        version.env("PATH", path);
    }
    version.status().is_ok_and(|status| status.success())
}

fn is_postgres(container: &RunningContainer) -> bool {
    let image = container.image.rsplit('/').next().unwrap_or_default();
    let image = image.split([':', '@']).next().unwrap_or_default();
    let service = container
        .compose
        .as_ref()
        .map(|compose| compose.service.as_str());
    service == Some(SERVICE) || IMAGES.contains(&image)
}

/// The script's pattern, if it still means this volume alone.
fn pattern(survey: &Survey, volume: &str, project: Option<&str>) -> Option<String> {
    let project = project?;
    let is_meant = |name: &str| {
        let rest = name.strip_prefix(project);
        rest.is_some_and(|rest| rest.contains(UPLOADS))
    };
    let meant = survey
        .volumes
        .iter()
        .filter(|volume| is_meant(&volume.name));
    (meant.count() == 1 && is_meant(volume)).then(|| format!("{project}*{UPLOADS}*"))
}

/// Leaves those alone that are better, if there are any.
fn prefer<T>(found: &mut Vec<T>, is_better: impl Fn(&T) -> bool) {
    if found.iter().any(&is_better) {
        found.retain(is_better);
    }
}

fn one_of<'a, T>(
    found: &'a [T],
    what: &'static str,
    option: &'static str,
    describe: impl Fn(&T) -> String,
    choose: &mut dyn FnMut(&Question) -> Result<usize>,
) -> Result<Option<&'a T>> {
    if found.len() < 2 {
        return Ok(found.first());
    }
    let question = Question {
        what,
        choices: found.iter().map(describe).collect(),
        option,
    };
    Ok(found.get(choose(&question)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::ComposeService;

    fn container(project: &str, service: &str, image: &str) -> RunningContainer {
        RunningContainer {
            name: format!("{project}-{service}-1"),
            image: image.into(),
            compose: Some(ComposeService {
                project: project.into(),
                service: service.into(),
                files: vec![format!("/srv/{project}/compose.yaml").into()],
                variables: Vec::new(),
            }),
        }
    }

    fn sample() -> Survey {
        let volume = |name: &str, project: &str| NamedVolume {
            name: name.into(),
            project: Some(project.into()),
        };
        Survey {
            containers: vec![
                container("live", "postgres", "kartoza/postgis:16"),
                container("live", "web", "postgrest/postgrest:v12"),
                container("test", "database", "docker.io/library/postgres:16"),
            ],
            volumes: vec![
                volume("live_pg", "live"),
                volume("live_uploads", "live"),
                volume("test_uploads", "test"),
            ],
        }
    }

    fn never(question: &Question) -> Result<usize> {
        panic!("{question:?}")
    }

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    #[test]
    fn of_several_containers_the_operator_chooses_unless_more_is_known() {
        let survey = sample();
        let mut asked = Vec::new();
        let mut choose = |question: &Question| {
            asked = question.choices.clone();
            Ok(1)
        };
        let find = |named: Option<&str>,
                    variables: &[(&str, &str)],
                    choose: &mut dyn FnMut(&Question) -> Result<usize>| {
            let named = Overrides {
                postgres: named.map(str::to_owned),
                volume: None,
            };
            let found = postgres(&survey, &named, &environment(variables), choose)?;
            Ok::<_, Error>(found.map(|container| container.name))
        };
        let chosen = find(None, &[], &mut choose).expect("it was chosen");
        assert_eq!(chosen.as_deref(), Some("test-database-1"));
        assert_eq!(
            asked,
            [
                "live-postgres-1 (service postgres of live)",
                "test-database-1 (service database of test)"
            ]
        );
        for (named, variables, expected) in [
            (Some("database"), &[][..], Some("test-database-1")),
            (Some("live-postgres-1"), &[], Some("live-postgres-1")),
            (
                None,
                &[("DATABASE_URL", "postgresql://u@database/x")],
                Some("test-database-1"),
            ),
            (
                None,
                &[("DATABASE_URL", "postgresql://u@db.example.com/x")],
                None,
            ),
        ] {
            assert_eq!(
                find(named, variables, &mut never)
                    .expect("it is clear")
                    .as_deref(),
                expected
            );
        }
        let error = find(Some("db"), &[], &mut never).expect_err("there is none");
        assert_eq!(
            error.next_step(),
            Some("these run: live-postgres-1, live-web-1, test-database-1")
        );
    }

    #[test]
    fn the_volume_of_uploads_is_that_of_the_project() {
        let find = |named: Option<&str>, project: Option<&str>| {
            let named = Overrides {
                postgres: None,
                volume: named.map(str::to_owned),
            };
            uploads(&sample(), &named, project, &mut |question: &Question| {
                assert_eq!(question.option, "--volume");
                Ok(0)
            })
        };
        let found = |named, project| {
            let found = find(named, project)
                .expect("it is clear")
                .expect("there is one");
            (found.volume, found.pattern)
        };
        assert_eq!(
            found(None, Some("live")),
            ("live_uploads".into(), Some("live*uploads*".into()))
        );
        assert_eq!(
            found(Some("test_uploads"), Some("live")),
            ("test_uploads".into(), None)
        );
        assert_eq!(found(None, None), ("live_uploads".into(), None));
        let error = find(Some("x"), None).expect_err("there is none");
        assert_eq!(error.message(), "there is no volume x");
    }
}
