//! The operator's credentials for a registry, as `docker login` stores them.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::grant::Secret;
use crate::operator_file;

/// What Docker's own registry is known by, and what `docker login` stores its credentials for.
const DOCKER: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// The message of a helper without credentials for a registry.
const NOT_FOUND: &str = "credentials not found";

/// Where credentials are: in Docker's configuration, by registry, or with a helper that it names.
#[derive(Clone, Debug, Default)]
pub struct CredentialStore {
    /// The configuration itself, as `DOCKER_AUTH_CONFIG` has it.
    pub text: Option<Secret>,
    /// Its file.
    pub file: Option<PathBuf>,
}

/// Credentials for one registry.
pub(super) enum Credentials {
    /// A user and a password.
    Password { user: String, password: Secret },
    /// A token that the registry gives others for.
    Refresh(Secret),
}

impl CredentialStore {
    /// Those for a registry; none where there are none.
    pub(super) async fn find(&self, registry: &str) -> Result<Option<Credentials>> {
        let (store, registry) = (self.clone(), registry.to_owned());
        let found = tokio::task::spawn_blocking(move || store.look_up(&registry)).await;
        found.map_err(|cause| {
            Error::new(Kind::Other, "credentials cannot be looked up").caused_by(cause)
        })?
    }

    fn look_up(&self, registry: &str) -> Result<Option<Credentials>> {
        let (text, place) = match (&self.text, &self.file) {
            (Some(text), _) => (
                Zeroizing::new(text.expose().to_vec()),
                "DOCKER_AUTH_CONFIG".to_owned(),
            ),
            (None, Some(file)) => {
                let place = file.display().to_string();
                match operator_file::read(file, operator_file::MAX_TEXT_SIZE) {
                    Ok(text) => (text, place),
                    Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
                    Err(cause) => {
                        let text = format!("the credentials in {place} cannot be read");
                        return Err(Error::new(Kind::Config, text).caused_by(cause));
                    }
                }
            }
            (None, None) => return Ok(None),
        };
        let known_as = if registry == DOCKER.0 {
            DOCKER.1
        } else {
            registry
        };
        let secret = |text: String| Secret::from(text);
        match get_credential_from_reader(text.as_slice(), known_as) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                let password = secret(password);
                Ok(Some(Credentials::Password { user, password }))
            }
            Ok(DockerCredential::IdentityToken(token)) => {
                Ok(Some(Credentials::Refresh(secret(token))))
            }
            Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
            Err(CredentialRetrievalError::HelperFailure { stdout, .. })
                if stdout.contains(NOT_FOUND) =>
            {
                Ok(None)
            }
            // What a helper has said is not shown, since it may be a secret.
            Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
                let text =
                    format!("{helper}, which {place} names, gives no credentials for {registry}");
                Err(Error::new(Kind::Config, text).help("try it with `docker login`"))
            }
            Err(cause) => {
                let text = format!("{place} gives no credentials for {registry}");
                Err(Error::new(Kind::Config, text).caused_by(cause.to_string()))
            }
        }
    }
}

impl Credentials {
    /// The header of a request that bears a user and a password.
    pub(super) fn basic(&self) -> Option<Result<HeaderValue>> {
        match self {
            Self::Password { user, password } => {
                let pair = [user.as_bytes(), b":", password.expose()].concat();
                let pair = Zeroizing::new(pair);
                let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_slice())));
                Some(header(&text))
            }
            Self::Refresh(_) => None,
        }
    }
}

/// A header that nothing shows.
pub(super) fn header(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::new(Kind::Config, "its credentials cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn of_text(text: &str) -> CredentialStore {
        CredentialStore {
            text: Some(Secret::from(text.to_owned())),
            file: None,
        }
    }

    #[test]
    fn credentials_are_found_by_their_registry_alone() {
        let pair = STANDARD.encode("me:pass");
        let store = of_text(&format!(
            r#"{{"auths": {{"ghcr.io": {{"auth": "{pair}"}}, "https://index.docker.io/v1/": {{"auth": "{pair}"}}}}}}"#
        ));
        for registry in ["ghcr.io", "docker.io"] {
            let found = store.look_up(registry).expect("it can be read");
            let header = found
                .and_then(|found| found.basic())
                .expect("there are some");
            let header = header.expect("they can stand in a header");
            assert_eq!(header, format!("Basic {pair}"));
            assert!(header.is_sensitive() && !format!("{header:?}").contains(&pair));
        }
        let other = store
            .look_up("ghcr.io.example.com")
            .expect("it can be read");
        assert!(other.is_none());
        let nothing = CredentialStore::default().look_up("ghcr.io");
        assert!(nothing.expect("there is no file").is_none());
    }

    #[test]
    fn what_is_wrong_with_them_is_told_without_them() {
        let directory = tempfile::tempdir().expect("there is room");
        let file = directory.path().join("config.json");
        fs::write(&file, r#"{"auths": {"h": {"auth": "czNjcmV0"}}}"#).expect("there is room");
        let store = CredentialStore {
            text: None,
            file: Some(file.clone()),
        };
        let error = store.look_up("h").expect_err("there is no password");
        assert!(error.message().contains("config.json"), "{error}");
        assert!(!format!("{error:#}{error:?}").contains("s3cret"), "{error}");
        fs::write(&file, "s3cret").expect("there is room");
        let error = store.look_up("h").expect_err("it is not JSON");
        assert!(!format!("{error:#}{error:?}").contains("s3cret"), "{error}");
        fs::remove_file(&file).expect("it is there");
        assert!(store.look_up("h").expect("nobody logged in").is_none());
        fs::create_dir(&file).expect("there is room");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).expect("it is ours");
        store.look_up("h").expect_err("it is a directory");
    }
}
