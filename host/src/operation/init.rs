//! The first set-up: a password, a repository, and the configuration that names both.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{Context, Created, Verdict, create};
use crate::error::{Error, Kind, Result};
use crate::grant::Secret;
use crate::json;
use crate::plugin::Spec;

/// A plan that creates a configuration and a repository.
pub struct Plan {
    /// The directory of the repository.
    pub repository: PathBuf,
    /// Where its password is.
    pub password: Password,
    /// A password of the database that needs a file of its own.
    pub database_password: Option<NewFile>,
    /// The sink that creates the repository.
    pub sink: Spec,
    /// The name of the sink that creates another one in another place, and what it is and may or what is missing for that.
    pub offsite: Option<(String, Result<Spec>)>,
    /// Where the configuration is written.
    pub config: PathBuf,
    /// The text of the new file.
    pub text: String,
    /// The discovered data of a script.
    pub found: Option<Found>,
}

/// The discovered data that a script backs up.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Found {
    /// The container of the database; null for one that is reached over the network.
    pub container: Option<String>,
    /// The project of `docker compose` that it belongs to.
    pub project: Option<String>,
    /// The server, where it is not a container.
    pub server: Option<String>,
    /// The database.
    pub database: String,
    /// The role that dumps and restores it.
    pub user: String,
    /// The volume of uploads.
    pub volume: Option<String>,
}

/// Where the password of a new repository is.
pub enum Password {
    /// In a file that was made for it.
    Made(NewFile, Secret),
    /// In a file that was there.
    Given(PathBuf),
    /// In a variable of the environment.
    Environment(&'static str),
}

/// The result of `tthost init`.
#[derive(Serialize, JsonSchema)]
pub struct Report {
    /// The sink that stores in the repository.
    pub sink: String,
    /// The directory of the repository.
    pub repository: PathBuf,
    /// The repository's own id.
    pub id: String,
    /// Whether it was made just now. Otherwise it was there, and the password is the right one.
    pub created: bool,
    /// The data that `--from-env` found.
    pub found: Option<Found>,
    /// What became of the repository in the other place, where one was asked for. What went wrong
    /// there does not undo the rest.
    pub offsite: Option<Offsite>,
    /// The configuration that was written.
    pub config: PathBuf,
    /// The file with the password; null where it is in a variable.
    #[serde(rename = "password_file", serialize_with = "path_if_any")]
    #[schemars(with = "Option<PathBuf>")]
    pub password: Password,
}

/// The repository in the other place.
#[derive(Serialize, JsonSchema)]
pub struct Offsite {
    /// The sink that stores there.
    pub sink: String,
    /// Whether it is there now.
    #[serde(flatten, serialize_with = "json::fields_or_error")]
    #[schemars(with = "json::FieldsOrError<Created>")]
    pub result: Result<Created>,
}

impl super::Report for Report {
    /// A repository that was asked for and is not there is a failure.
    fn verdict(&self) -> Verdict {
        match self.offsite.as_ref().map(|offsite| &offsite.result) {
            Some(Err(error)) => Verdict::Failed(error.kind()),
            Some(Ok(_)) | None => Verdict::Done,
        }
    }
}

/// Creates the repository or takes it over, writes the configuration, and does the same in the other
/// place. When the first of them fails, a password that was made for it is removed, unless something was stored that only it opens.
pub async fn init(context: &Context, plan: Plan) -> Result<Report> {
    let created = create(context, &plan.sink).await;
    let mut password = plan.password;
    if let Password::Made(file, _) = &mut password {
        let is_of_use = match &created {
            Ok(_) => true,
            Err(error) => error.kind() != Kind::Unauthenticated && holds_files(&plan.repository),
        };
        if is_of_use {
            file.keep();
        }
    }
    let Created { identity, is_new } = created?;
    NewFile::write(plan.config.clone(), plan.text.as_bytes(), 0o600)?.keep();
    if let Some(mut file) = plan.database_password {
        file.keep();
    }
    let offsite = match plan.offsite {
        Some((sink, spec)) => Some(create_offsite(context, sink, spec).await),
        None => None,
    };
    Ok(Report {
        sink: plan.sink.name,
        repository: plan.repository,
        id: identity.id,
        created: is_new,
        found: plan.found,
        offsite,
        config: plan.config,
        password,
    })
}

/// Whether anything was stored at a place, as far as that can be seen.
fn holds_files(place: &Path) -> bool {
    let holds = |directory: &Path| -> io::Result<bool> {
        let mut below = vec![directory.to_owned()];
        while let Some(directory) = below.pop() {
            for entry in std::fs::read_dir(directory)? {
                let entry = entry?;
                if !entry.file_type()?.is_dir() {
                    return Ok(true);
                }
                below.push(entry.path());
            }
        }
        Ok(false)
    };
    match holds(place) {
        Ok(holds) => holds,
        Err(cause) => cause.kind() != io::ErrorKind::NotFound,
    }
}

async fn create_offsite(context: &Context, sink: String, spec: Result<Spec>) -> Offsite {
    let result = async { create(context, &spec?).await }.await;
    let result = result.map_err(|error: Error| {
        error.help(format!(
            "everything else is done; once this is fixed, `tthost init --sink {sink}` creates the repository"
        ))
    });
    Offsite { sink, result }
}

impl Password {
    /// The file that it is in.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Made(file, _) => Some(file.path()),
            Self::Given(path) => Some(path),
            Self::Environment(_) => None,
        }
    }
}

/// A file that this program has made, and that goes away again unless it is kept.
pub struct NewFile {
    path: PathBuf,
    kept: bool,
}

impl NewFile {
    /// Makes a file where there is none, with this mode from the first byte on.
    pub fn write(path: PathBuf, contents: &[u8], mode: u32) -> Result<Self> {
        let failed = |cause: io::Error, path: &Path| {
            let text = format!("{} cannot be written", path.display());
            Error::of_system(text, cause)
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .map_err(|cause| failed(cause, &path))?;
        let new = Self { path, kept: false };
        file.write_all(contents)
            .and_then(|()| file.sync_all())
            .map_err(|cause| failed(cause, &new.path))?;
        Ok(new)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // It is of no use; that it stays does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn path_if_any<S: Serializer>(password: &Password, serializer: S) -> Result<S::Ok, S::Error> {
    password.file().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_file_is_for_its_owner_alone_and_goes_unless_it_is_kept() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("password");
        let file = NewFile::write(path.clone(), b"secret", 0o600).expect("it is new");
        let mode = path.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
        let mut file = NewFile::write(path.clone(), b"secret", 0o600).expect("it is new");
        file.keep();
        drop(file);
        assert!(NewFile::write(path.clone(), b"other", 0o600).is_err());
        assert_eq!(std::fs::read(&path).expect("it stays"), b"secret");
    }
}
