//! Builds a plugin project.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::time::{Duration, Instant, interval};

use crate::error::{Error, Kind, Result};
use crate::operation::Context;
use crate::operator_program;

/// The file that marks a project of cargo.
const MANIFEST: &str = "Cargo.toml";
/// The build script of any other project.
const SCRIPT: &str = "build.sh";
/// The output of the script.
pub(super) const COMPONENT: &str = "plugin.wasm";

/// The names of functions, and the lines of the source that they come from: where a plugin breaks down, they tell. `cargo build`
/// alone makes a component without them.
const TELLING: [(&str, &str); 2] = [
    ("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only"),
    ("CARGO_PROFILE_RELEASE_STRIP", "none"),
];

/// The directory of a project, and how it is built.
#[derive(Clone, Debug)]
pub enum Project {
    /// By cargo.
    Rust(PathBuf),
    /// By its script.
    Other(PathBuf),
}

impl Project {
    /// The project in a directory.
    pub fn find(directory: &Path) -> Result<Self> {
        if directory.join(MANIFEST).is_file() {
            Ok(Self::Rust(directory.to_owned()))
        } else if directory.join(SCRIPT).is_file() {
            Ok(Self::Other(directory.to_owned()))
        } else {
            let text = format!("{} is not a project of a plugin", directory.display());
            Err(Error::new(Kind::NotFound, text).help(format!(
                "name a directory with a {MANIFEST}, or with a {SCRIPT} that makes {COMPONENT}; `tthost plugin new` makes one"
            )))
        }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        match self {
            Self::Rust(directory) | Self::Other(directory) => directory,
        }
    }
}

/// Builds a project, tells each line that its tools write, and answers the component that comes of it.
pub async fn build(
    context: &Context,
    project: &Project,
    tell: impl FnMut(&str),
) -> Result<PathBuf> {
    let directory = project.directory();
    let building = async {
        match project {
            Project::Rust(_) => {
                let arguments = [
                    "build",
                    "--release",
                    "--target=wasm32-wasip2",
                    "--message-format=json-render-diagnostics",
                ];
                let command = ("cargo", arguments.as_slice());
                let told = operator_program::build(directory, command, &TELLING, tell).await?;
                component(&told)
            }
            Project::Other(_) => {
                let command = ("sh", [SCRIPT].as_slice());
                operator_program::build(directory, command, &[], tell).await?;
                Ok(directory.join(COMPONENT))
            }
        }
    };
    let built = tell_meanwhile(context, building);
    let component = context.unless_cancelled(built).await?;
    if component.is_file() {
        return Ok(component);
    }
    let text = format!("{SCRIPT} made no {COMPONENT}");
    Err(Error::new(Kind::NotFound, text).of(directory.display().to_string()))
}

/// Tells each second how long something has taken so far.
async fn tell_meanwhile<T>(context: &Context, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let mut second = interval(Duration::from_secs(1));
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = second.tick() => {
                let taken = start.elapsed().as_secs();
                context.events.progress("the project", "s of building", taken, None);
            }
        }
    }
}

/// A message of cargo about an artifact.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

/// The component among what cargo has built.
fn component(told: &[u8]) -> Result<PathBuf> {
    let lines = told.split(|byte| *byte == b'\n');
    // Its other messages have other fields.
    let artifacts = lines.filter_map(|line| serde_json::from_slice::<Artifact>(line).ok());
    let plugins =
        artifacts.filter(|artifact| artifact.target.kind.iter().any(|kind| kind == "cdylib"));
    let files = plugins.flat_map(|artifact| artifact.filenames);
    let mut components: Vec<_> = files
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .collect();
    match (components.pop(), components.len()) {
        (Some(component), 0) => Ok(component),
        (None, _) => Err(Error::new(Kind::NotFound, "the project makes no component")
            .help("a plugin in Rust has crate-type = [\"cdylib\"] in [lib]")),
        (Some(_), more) => {
            let text = format!("the project makes {} components", more + 1);
            Err(Error::new(Kind::Usage, text).help("name the directory of one plugin"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_found_among_what_cargo_says() {
        let artifact = |kind: &str, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"]}},"filenames":["{file}"]}}"#
            )
        };
        let one = [
            artifact("lib", "/t/libserde.rlib"),
            artifact("cdylib", "/t/mine.wasm"),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let found = component(one.join("\n").as_bytes()).expect("there is one");
        assert_eq!(found, Path::new("/t/mine.wasm"));
        let none = artifact("lib", "/t/libmine.rlib");
        let error = component(none.as_bytes()).expect_err("there is none");
        assert!(
            error
                .next_step()
                .is_some_and(|help| help.contains("cdylib"))
        );
        let two = [
            artifact("cdylib", "/t/a.wasm"),
            artifact("cdylib", "/t/b.wasm"),
        ];
        let error = component(two.join("\n").as_bytes()).expect_err("there are two");
        assert!(error.message().contains("2 components"));
    }
}
