//! The certificates that are trusted for an origin.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::error::{Error, tls};
use super::origin::Origin;
use crate::error::{self, Kind, Result};
use crate::operator_file::{self, MAX_TEXT_SIZE};

/// The trusted certificates of one origin.
pub(super) struct Trust {
    /// Besides the system's own.
    granted: Vec<CertificateDer<'static>>,
    /// Made for the first connection, because reading the system's certificates takes a while.
    config: OnceCell<Arc<ClientConfig>>,
}

impl Trust {
    /// Trusts the system's roots and those in a file.
    pub(super) fn new(origin: &Origin, ca: Option<&Path>) -> Result<Self> {
        let granted = match ca {
            None => Vec::new(),
            Some(path) => read(path).map_err(|why| {
                let text = format!(
                    "the certificates for {origin}, in {}, cannot be used: {why}",
                    path.display()
                );
                error::Error::new(Kind::Config, text).help("ca names a file of certificates in PEM")
            })?,
        };
        Ok(Self {
            granted,
            config: OnceCell::new(),
        })
    }

    /// Makes a connection to an origin one that is secret and with the right server.
    pub(super) async fn secure(
        &self,
        origin: &Origin,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let config = self.config.get_or_try_init(|| self.load(origin)).await?;
        let name = match &origin.host {
            Host::Ipv4(address) => ServerName::from(*address),
            Host::Ipv6(address) => ServerName::from(*address),
            Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|cause| failed(origin, std::io::Error::other(cause)))?,
        };
        let connector = TlsConnector::from(config.clone());
        let secured = connector.connect(name, stream).await;
        secured.map_err(|cause| failed(origin, cause))
    }

    async fn load(&self, origin: &Origin) -> Result<Arc<ClientConfig>, Error> {
        let system = tokio::task::spawn_blocking(system_certificates)
            .await
            .map_err(|cause| failed(origin, std::io::Error::other(cause)))?;
        config(origin, system.certs, &self.granted).map(Arc::new)
    }
}

fn failed(origin: &Origin, cause: std::io::Error) -> Error {
    if let Some(rustls::Error::InvalidMessage(_)) = tls(&cause) {
        return Error::NoTls(origin.clone());
    }
    Error::Tls {
        origin: origin.clone(),
        cause,
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = operator_file::read(path, MAX_TEXT_SIZE).map_err(|cause| cause.to_string())?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|cause| cause.to_string())?;
    if certificates.is_empty() {
        return Err("it contains no certificate".into());
    }
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|cause| cause.to_string())?;
    }
    Ok(certificates)
}

/// The certificates that the system trusts. The variable that names a file of them is looked at first, since a pipe would
/// hold everything up.
fn system_certificates() -> rustls_native_certs::CertificateResult {
    let named = std::env::var_os("SSL_CERT_FILE");
    let is_odd = named.is_some_and(|file| {
        Path::new(&file)
            .metadata()
            .is_ok_and(|file| !file.is_file())
    });
    if is_odd {
        return rustls_native_certs::CertificateResult::default();
    }
    rustls_native_certs::load_native_certs()
}

fn config(
    origin: &Origin,
    system: Vec<CertificateDer<'static>>,
    granted: &[CertificateDer<'static>],
) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    // Systems have some that are too old to be understood.
    roots.add_parsable_certificates(system);
    roots.add_parsable_certificates(granted.iter().cloned());
    if roots.is_empty() {
        return Err(Error::NoRoots(origin.clone()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| failed(origin, std::io::Error::other(cause)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin::parse("https://s3.example.com").expect("it is one")
    }

    #[test]
    fn without_any_root_the_operator_is_told_what_to_install() {
        let error = config(&origin(), Vec::new(), &[]).expect_err("there is nothing to trust");
        assert!(
            error.to_string().contains("install ca-certificates"),
            "{error}"
        );
        assert!(error.concerns_operator());
    }

    #[test]
    fn a_file_that_holds_no_certificate_is_named() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("own-ca.pem");
        let missing = Trust::new(&origin(), Some(&path))
            .err()
            .expect("it is missing");
        std::fs::write(&path, "no certificate").expect("it can be written");
        let empty = Trust::new(&origin(), Some(&path))
            .err()
            .expect("it is empty");
        for error in [missing, empty] {
            let text = error.to_string();
            assert!(
                text.contains("own-ca.pem") && text.contains("s3.example.com"),
                "{text}"
            );
        }
    }
}
