//! Installs a plugin: first its file, then its section of the configuration.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use tracing::instrument;

use super::change::Changes;
use super::fetch::Candidate;
use super::replace::replace;
use crate::error::{Error, Kind, Result};
use crate::operation::Context;
use crate::operator_file;
use crate::own_file;
use crate::plugin::{Description, Origin, Role, Spec};
use crate::registry::Digest;

/// A plan that adds or updates a plugin.
pub struct Plan {
    /// The component.
    pub candidate: Candidate,
    /// Where its file will be.
    pub file: PathBuf,
    /// The configuration.
    pub config: PathBuf,
    /// Its current text.
    pub before: String,
    /// Its new text.
    pub after: String,
    /// The section that is added or changed, as it will be.
    pub section: String,
    /// The resulting plugin with its grants.
    pub spec: Spec,
    /// The new sink that a store is for.
    pub around: Option<Spec>,
    /// The differences from the plugin that it replaces.
    pub changes: Option<Changes>,
}

/// A plugin that was taken in.
#[derive(Serialize, JsonSchema)]
pub struct Installed {
    /// The name of its source or sink; of a store, that of its sink.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its description and its grants.
    pub plugin: Description,
    /// Where it came from.
    pub from: String,
    /// The digest of the manifest that named it in a registry; null for one that came from elsewhere.
    pub manifest: Option<String>,
    /// Its file.
    pub file: PathBuf,
    /// The configuration that names it.
    pub config: PathBuf,
    /// The differences from the previous plugin; null for a new plugin, or if the previous one cannot be inspected.
    pub changes: Option<Changes>,
    /// Whether anything was changed.
    pub changed: bool,
}

impl crate::operation::Report for Installed {}

/// The name of a component's file: another component has another one, so what a run is using stays where it is.
pub fn file_name(plugin: &str, digest: Digest) -> String {
    /// Digits of the digest.
    const DIGITS: usize = 12;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name: String = plugin.chars().filter(|c| is_plain(*c)).take(64).collect();
    let digits = digest.to_hex();
    format!("{name}-{}.wasm", &digits[..DIGITS])
}

/// Takes a plugin in. Nothing is changed where it cannot be used with what it is granted.
#[instrument(name = "install", level = "error", skip_all)]
pub async fn install(context: &Context, plan: Plan) -> Result<Installed> {
    let is_new = keep(&plan.file, &plan.candidate)?;
    let taken = async {
        for spec in plan.around.iter().chain([&plan.spec]) {
            context.runtime.check(spec).await?;
        }
        let origin = &plan.spec.origin;
        let described = context.runtime.describe(origin, &plan.spec.grants).await?;
        rewrite(&plan.config, &plan.before, &plan.after)?;
        Ok(described)
    };
    let description = taken.await.inspect_err(|_: &Error| {
        if is_new {
            // It is of no use; that it stays does no harm.
            let _ = fs::remove_file(&plan.file);
        }
    })?;
    Ok(Installed {
        name: plan.spec.name,
        role: plan.spec.role,
        plugin: description,
        from: plan.candidate.location.to_string(),
        manifest: plan.candidate.manifest.map(|digest| digest.to_string()),
        file: plan.file,
        config: plan.config,
        changes: plan.changes,
        changed: true,
    })
}

/// The report on a plugin that is there already.
pub async fn unchanged(
    context: &Context,
    spec: Spec,
    config: PathBuf,
    candidate: &Candidate,
) -> Result<Installed> {
    let file = match &spec.origin {
        Origin::File { path, .. } => path.clone(),
        Origin::Bundled(name) => name.into(),
    };
    Ok(Installed {
        plugin: context.runtime.describe(&spec.origin, &spec.grants).await?,
        name: spec.name,
        role: spec.role,
        from: candidate.location.to_string(),
        manifest: candidate.manifest.map(|digest| digest.to_string()),
        file,
        config,
        changes: None,
        changed: false,
    })
}

/// Writes a component to its file, unless it is there. Answers whether it was not.
fn keep(file: &Path, candidate: &Candidate) -> Result<bool> {
    match own_file::read(file) {
        Ok(there) if Digest::of(&there) == candidate.digest => return Ok(false),
        // What a killed process left.
        Ok(_) => {}
        Err(cause) if cause.kind() == ErrorKind::NotFound => {}
        Err(cause) => return Err(unwritable(file, cause)),
    }
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory).map_err(|cause| unwritable(directory, cause))?;
    }
    replace(file, &candidate.component, 0o644).map_err(|cause| unwritable(file, cause))?;
    Ok(true)
}

/// Puts a new text in the place of a configuration, unless somebody has changed that in the meantime.
pub(super) fn rewrite(config: &Path, before: &str, after: &str) -> Result<()> {
    // What a link leads to is changed, and not the link.
    let place = config
        .canonicalize()
        .map_err(|cause| unwritable(config, cause))?;
    let now = operator_file::read_text(&place).map_err(|cause| unwritable(config, cause))?;
    if now.as_str() != before {
        let text = format!("{} was changed in the meantime", config.display());
        return Err(Error::new(Kind::Busy, text).help("give the command again"));
    }
    replace(&place, after.as_bytes(), 0o600).map_err(|cause| unwritable(config, cause))
}

pub(super) fn unwritable(path: &Path, cause: io::Error) -> Error {
    Error::of_system(format!("{} cannot be written", path.display()), cause)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_name_of_a_file_has_nothing_of_a_path() {
        let name = file_name("../ev il/webdav-sink", Digest::of(b""));
        assert_eq!(name, "evilwebdav-sink-e3b0c44298fc.wasm");
    }

    #[test]
    fn a_configuration_that_somebody_else_changes_stays_and_a_link_stays_one() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("real.toml");
        let link = directory.path().join("tthost.toml");
        fs::write(&path, "theirs").expect("there is room");
        symlink(&path, &link).expect("there is room");
        let error = rewrite(&link, "mine", "new").expect_err("it was changed");
        assert_eq!(error.kind(), Kind::Busy);
        rewrite(&link, "theirs", "new").expect("it is the same");
        assert_eq!(fs::read(&path).expect("it is there"), b"new");
        assert!(link.is_symlink());
    }
}
