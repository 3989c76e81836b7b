//! Mail.

use std::path::Path;
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{self, Certificate, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::error::{Error, Kind, Result};
use crate::notify::{Mail, Notice, Tls};
use crate::operator_file::{self, MAX_TEXT_SIZE};
use crate::text::printable;

/// Sends a notice as a mail.
pub(super) async fn send(mail: &Mail, notice: &Notice, limit: Duration) -> Result<()> {
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.server)
        .port(mail.port)
        .timeout(Some(limit))
        .tls(secrecy(mail).await?);
    if let Some((user, password)) = &mail.login {
        let password = std::str::from_utf8(password.expose())
            .map_err(|_| Error::new(Kind::Config, "its password is not UTF-8"))?;
        transport = transport.credentials(Credentials::new(user.clone(), password.to_owned()));
    }
    let sent = transport.build().send(message(mail, notice)?).await;
    sent.map(drop).map_err(|error| explain(mail, &error))
}

fn message(mail: &Mail, notice: &Notice) -> Result<Message> {
    let mut message = Message::builder()
        .from(mail.from.clone())
        .subject(&notice.title)
        .header(ContentType::TEXT_PLAIN);
    for receiver in &mail.to {
        message = message.to(receiver.clone());
    }
    message
        .body(notice.text.clone())
        .map_err(|cause| Error::new(Kind::Config, "the mail cannot be written").caused_by(cause))
}

async fn secrecy(mail: &Mail) -> Result<client::Tls> {
    if mail.tls == Tls::None {
        return Ok(client::Tls::None);
    }
    let (server, ca) = (mail.server.clone(), mail.ca.clone());
    // Reading the system's certificates takes a while.
    let parameters = tokio::task::spawn_blocking(move || {
        let mut parameters = TlsParameters::builder(server);
        if let Some(ca) = &ca {
            parameters = parameters.add_root_certificate(certificate(ca)?);
        }
        let failed = |cause| Error::new(Kind::Config, "TLS cannot be used").caused_by(cause);
        parameters.build().map_err(failed)
    });
    let failed = |cause| Error::new(Kind::Other, "TLS cannot be used").caused_by(cause);
    let parameters = parameters.await.map_err(failed)??;
    Ok(match mail.tls {
        Tls::Implicit => client::Tls::Wrapper(parameters),
        Tls::Starttls | Tls::None => client::Tls::Required(parameters),
    })
}

fn certificate(path: &Path) -> Result<Certificate> {
    let failed = || {
        let text = format!("the certificates in {} cannot be used", path.display());
        Error::new(Kind::Config, text).help("ca names a file of certificates in PEM")
    };
    let pem =
        operator_file::read(path, MAX_TEXT_SIZE).map_err(|cause| failed().caused_by(cause))?;
    Certificate::from_pem(&pem).map_err(|cause| failed().caused_by(cause))
}

fn explain(mail: &Mail, error: &lettre::transport::smtp::Error) -> Error {
    let place = format!("{}:{}", mail.server, mail.port);
    let kind = if error.is_permanent() || error.is_client() || error.is_tls() {
        Kind::Denied
    } else {
        Kind::Unavailable
    };
    let mut text = format!("the mail server {place} fails: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    Error::new(kind, printable(&text))
}
