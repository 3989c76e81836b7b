//! Requests to a registry, and to the servers that it redirects to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use url::{Host, Url};

use super::Access;
use super::challenge::{self, Challenge, Right};
use super::credentials::Credentials;
use crate::error::{Error, Kind, Result};
use crate::net::{self, AllowedOrigin, Client, Origin, Scheme, Timeouts};

/// How long each step is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Redirects that are followed.
const HOPS: usize = 5;

/// The longest answer of a server that gives out tokens, in bytes.
const MAX_TOKEN_LENGTH: usize = 64 << 10;

/// Docker's registry by its name, and where it is.
const DOCKER: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// An answer, whose body comes over the connections of a client.
pub(super) struct Answer {
    response: Response<net::Incoming>,
    /// The client of a server that was only sent to.
    _client: Option<Client<Full<Bytes>>>,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }
}

/// A server that the operator has named.
pub(super) struct Server {
    /// The location in the operator's words.
    name: String,
    origin: Origin,
    client: Client<Full<Bytes>>,
    access: Access,
    /// It is on this machine or in a private network, and may send there.
    is_near: bool,
    /// The credentials of its requests, after the server has requested them.
    authorization: Option<HeaderValue>,
}

/// A request to a server.
pub(super) struct RegistryRequest<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// The accepted media type.
    pub(super) accept: &'a str,
    /// The body and its media type.
    pub(super) body: Option<(Bytes, &'a str)>,
    /// The repository that it is about, and what is done there; none where nobody logs in.
    pub(super) about: Option<(&'a str, Right)>,
}

impl<'a> RegistryRequest<'a> {
    pub(super) fn get(url: Url, accept: &'a str) -> Self {
        Self {
            method: Method::GET,
            url,
            accept,
            body: None,
            about: None,
        }
    }
}

impl Server {
    /// Finds out how a server is reached: with TLS or without, near or far. The URL is one to look at.
    /// Answers where that led, and what was found there.
    pub(super) async fn find(
        name: &str,
        mut url: Url,
        access: &Access,
    ) -> Result<(Self, Url, Answer)> {
        let mut is_near = false;
        loop {
            let origin = origin(&url)?;
            let client = client(&origin, is_near, access)?;
            let ask = RegistryRequest::get(url.clone(), "*/*");
            let error = match send(&client, &origin, &ask, None).await {
                Ok(response) => {
                    let server = Self {
                        name: name.to_owned(),
                        origin,
                        client,
                        access: access.clone(),
                        is_near,
                        authorization: None,
                    };
                    let answer = Answer {
                        response,
                        _client: None,
                    };
                    return Ok((server, url, answer));
                }
                Err(error) => error,
            };
            match error.root() {
                root if root.wants_private() && !is_near => is_near = true,
                root if is_loopback(&origin)
                    && origin.scheme == Scheme::Https
                    && !speaks_tls(root) =>
                {
                    let scheme = url.set_scheme("http");
                    scheme.map_err(|()| Error::new(Kind::Other, "it has no other scheme"))?;
                }
                _ => return Err(unreachable(&error)),
            }
        }
    }

    /// The same of a registry.
    pub(super) async fn find_registry(registry: &str, access: &Access) -> Result<Self> {
        let host = if registry == DOCKER.0 {
            DOCKER.1
        } else {
            registry
        };
        let scheme = if access.plain_http { "http" } else { "https" };
        let url = Url::parse(&format!("{scheme}://{host}/v2/"));
        let url = url.map_err(|cause| {
            let text = format!("{registry} is not a registry");
            Error::new(Kind::Config, text).caused_by(cause)
        })?;
        let (server, ..) = Self::find(registry, url, access).await?;
        Ok(server)
    }

    /// A place on this server.
    pub(super) fn url(&self, path: &str) -> Result<Url> {
        let url = Url::parse(&format!("{}{path}", self.origin));
        url.map_err(|cause| Error::new(Kind::Other, "there is no such place").caused_by(cause))
    }

    /// Sends a request, logs in where that is asked for, and follows where it is sent.
    pub(super) async fn ask(&mut self, mut ask: RegistryRequest<'_>) -> Result<Answer> {
        let mut answer = self.ask_once(&ask).await?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let Some((repository, right)) = ask.about
            && origin(&ask.url)? == self.origin
        {
            self.log_in(answer.headers(), repository, right).await?;
            answer = self.ask_once(&ask).await?;
        }
        let mut hops = 0;
        while ask.method == Method::GET && answer.status().is_redirection() {
            hops += 1;
            if hops > HOPS {
                let text = format!("{} sends on and on", self.name);
                return Err(Error::new(Kind::Other, text));
            }
            ask.url = target(&ask.url, answer.headers()).ok_or_else(|| {
                Error::new(Kind::Other, format!("{} sends to nowhere", self.name))
            })?;
            answer = self.ask_once(&ask).await?;
        }
        Ok(answer)
    }

    /// Credentials go to the server itself alone: neither to another port of it nor past TLS.
    async fn ask_once(&self, ask: &RegistryRequest<'_>) -> Result<Answer> {
        let to = self.check_transport(&ask.url)?;
        let (sent, client) = if to == self.origin {
            let authorization = self.authorization.as_ref();
            (send(&self.client, &to, ask, authorization).await, None)
        } else {
            let client = client(&to, self.is_near, &self.access)?;
            (send(&client, &to, ask, None).await, Some(client))
        };
        Ok(Answer {
            response: sent.map_err(|error| unreachable(&error))?,
            _client: client,
        })
    }

    /// The origin of a URL, if one may go there from this server.
    fn check_transport(&self, url: &Url) -> Result<Origin> {
        let to = origin(url)?;
        if to.scheme == Scheme::Http && self.origin.scheme == Scheme::Https {
            let text = format!("{} sends to {to}, past TLS", self.name);
            return Err(
                Error::new(Kind::Denied, text).help("there is nothing that you can do here")
            );
        }
        Ok(to)
    }

    async fn log_in(&mut self, asked: &HeaderMap, repository: &str, right: Right) -> Result<()> {
        let credentials = self.access.credentials.find(&self.name).await?;
        let challenge = Challenge::of(asked).ok_or_else(|| {
            let text = format!(
                "{} wants to be logged in to in a way that tthost does not know",
                self.name
            );
            Error::new(Kind::Unsupported, text)
        })?;
        let authorization = match (challenge, credentials) {
            (Challenge::Basic, Some(credentials)) => credentials
                .basic()
                .unwrap_or_else(|| Err(self.refuses(StatusCode::UNAUTHORIZED)))?,
            (Challenge::Basic, None) => return Err(self.refuses(StatusCode::UNAUTHORIZED)),
            (Challenge::Bearer { realm, service }, credentials) => {
                let scope = right.scope(repository);
                let given = self.token(realm, service.as_deref(), &scope, credentials);
                given.await?
            }
        };
        self.authorization = Some(authorization);
        Ok(())
    }

    /// A token, from where the registry has them given out. Credentials go there as well: the registry says so, and it is
    /// the one that they are for.
    async fn token(
        &self,
        mut realm: Url,
        service: Option<&str>,
        scope: &str,
        credentials: Option<Credentials>,
    ) -> Result<HeaderValue> {
        let at = self.check_transport(&realm)?;
        let mut authorization = None;
        let mut ask = match credentials {
            Some(Credentials::Refresh(token)) => RegistryRequest {
                method: Method::POST,
                body: Some((
                    challenge::refresh(&token, service, scope).into(),
                    "application/x-www-form-urlencoded",
                )),
                ..RegistryRequest::get(realm, "application/json")
            },
            other => {
                authorization = other.and_then(|other| other.basic()).transpose()?;
                let mut query = realm.query_pairs_mut();
                query.append_pair("scope", scope);
                if let Some(service) = service {
                    query.append_pair("service", service);
                }
                drop(query);
                RegistryRequest::get(realm, "application/json")
            }
        };
        ask.about = None;
        let client = client(&at, self.is_near, &self.access)?;
        let sent = send(&client, &at, &ask, authorization.as_ref()).await;
        let answer = Answer {
            response: sent.map_err(|error| unreachable(&error))?,
            _client: Some(client),
        };
        match answer.status() {
            StatusCode::OK => challenge::token(&read(answer, MAX_TOKEN_LENGTH, &at).await?),
            StatusCode::BAD_REQUEST => Err(self.refuses(StatusCode::UNAUTHORIZED)),
            status => Err(self.refuses(status)),
        }
    }

    /// The error of an answer that is not the one that was asked for.
    pub(super) fn refuses(&self, status: StatusCode) -> Error {
        let name = &self.name;
        match status {
            StatusCode::UNAUTHORIZED => {
                let text = format!("{name} wants other credentials, or some");
                let help = format!("`docker login {name}` stores them where tthost looks");
                Error::new(Kind::Unauthenticated, text).help(help)
            }
            StatusCode::FORBIDDEN => Error::new(Kind::Denied, format!("{name} does not allow it")),
            StatusCode::NOT_FOUND => Error::new(Kind::NotFound, format!("{name} does not have it")),
            status => {
                let kind = if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
                    Kind::Unavailable
                } else {
                    Kind::Other
                };
                Error::new(kind, format!("{name} answers {status}"))
            }
        }
    }

    /// The bytes of an answer, no more than so many.
    pub(super) async fn read(&self, answer: Answer, most: usize) -> Result<Bytes> {
        read(answer, most, &self.origin).await
    }
}

/// Where a redirect leads.
fn target(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get(header::LOCATION)?.to_str().ok()?;
    from.join(location).ok()
}

/// Where an upload goes on.
pub(super) fn location(from: &Url, answer: &Answer) -> Option<Url> {
    target(from, answer.headers())
}

async fn read(answer: Answer, most: usize, place: &Origin) -> Result<Bytes> {
    let Answer { response, _client } = answer;
    let collected = Limited::new(response.into_body(), most).collect().await;
    collected
        .map(http_body_util::Collected::to_bytes)
        .map_err(|cause| {
            if cause.is::<LengthLimitError>() {
                let text = format!("the answer of {place} is larger than {most} bytes");
                Error::new(Kind::Other, text)
            } else {
                Error::new(
                    Kind::Unavailable,
                    format!("the answer of {place} broke off"),
                )
                .caused_by(cause)
            }
        })
}

fn client(origin: &Origin, private: bool, access: &Access) -> Result<Client<Full<Bytes>>> {
    let allowed = AllowedOrigin {
        origin: origin.clone(),
        private,
        ca: access.ca.clone(),
    };
    Client::new(&[allowed], Arc::new(|| ()))
}

async fn send(
    client: &Client<Full<Bytes>>,
    origin: &Origin,
    ask: &RegistryRequest<'_>,
    authorization: Option<&HeaderValue>,
) -> Result<Response<net::Incoming>, net::Error> {
    let mut request = Request::builder()
        .method(ask.method.clone())
        .uri(format!(
            "{origin}{}",
            &ask.url[url::Position::BeforePath..url::Position::AfterQuery]
        ))
        .header(header::ACCEPT, ask.accept)
        .header(
            header::USER_AGENT,
            concat!("tthost/", env!("CARGO_PKG_VERSION")),
        );
    let mut body = Bytes::new();
    if let Some((bytes, kind)) = &ask.body {
        request = request.header(header::CONTENT_TYPE, *kind);
        body = bytes.clone();
    }
    if [Method::POST, Method::PUT].contains(&ask.method) {
        request = request.header(header::CONTENT_LENGTH, body.len());
    }
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let timeouts = Timeouts {
        connect: TIMEOUT,
        first_byte: TIMEOUT,
        between_bytes: TIMEOUT,
    };
    let request = request.body(Full::from(body));
    let request = request.map_err(|_| net::Error::Refused(origin.to_string()))?;
    client.send(request, timeouts).await
}

/// The origin of a URL, without what stands behind it.
fn origin(url: &Url) -> Result<Origin> {
    let with_login = !url.username().is_empty() || url.password().is_some();
    if with_login {
        return Err(Error::new(
            Kind::Config,
            "a URL with a user or a password is not used",
        ));
    }
    let text = url.origin().ascii_serialization();
    Origin::parse(&text)
        .map_err(|why| Error::new(Kind::Config, format!("a URL is not used: {why}")))
}

/// Whether a server that failed is one that speaks TLS, as far as that can be told.
fn speaks_tls(error: &net::Error) -> bool {
    match error {
        net::Error::NoTls(_) => false,
        // A certificate that is not trusted is one; a connection that just ends is none.
        net::Error::Tls { .. } => error.concerns_operator(),
        _ => true,
    }
}

/// Whether a host is this machine, by its name.
fn is_loopback(origin: &Origin) -> bool {
    match &origin.host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Why there was no answer, in the operator's words.
fn unreachable(error: &net::Error) -> Error {
    match error.root() {
        net::Error::NoTls(origin) => {
            Error::new(Kind::Denied, format!("{origin} does not speak TLS"))
                .help("if it is meant to be asked without, give --plain-http")
        }
        net::Error::NoRoots(origin) => {
            let text =
                format!("{origin} cannot be trusted, because this system has no root certificates");
            Error::new(Kind::Denied, text)
                .help("install ca-certificates, or name a file of them with --ca")
        }
        net::Error::Prohibited {
            origin,
            address,
            what,
            ..
        } => {
            let text = format!("{origin} is at {address}, {what}, and is not asked");
            Error::new(Kind::Denied, text)
        }
        net::Error::Exchange(_) => {
            let text = "there is no answer".to_owned();
            Error::new(Kind::Unavailable, text).caused_by(error.in_full())
        }
        root if root.concerns_operator() => Error::new(Kind::Denied, root.in_full())
            .help("name a file with the certificate of its authority with --ca"),
        root => Error::new(Kind::Unavailable, root.in_full()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(origin: &str, is_near: bool) -> Server {
        let origin = Origin::parse(origin).expect("it is one");
        let access = Access::default();
        Server {
            name: "registry.example.com".into(),
            client: client(&origin, is_near, &access).expect("it needs no file"),
            origin,
            access,
            is_near,
            authorization: None,
        }
    }

    #[tokio::test]
    async fn a_server_sends_neither_past_tls_nor_into_a_network_that_it_is_not_in() {
        // No server listens there.
        for (origin, is_near, to, why) in [
            (
                "https://registry.example.com",
                false,
                "http://127.0.0.1:1/",
                "past TLS",
            ),
            (
                "https://registry.example.com",
                true,
                "http://127.0.0.1:1/",
                "past TLS",
            ),
            (
                "https://registry.example.com",
                false,
                "https://127.0.0.1:1/",
                "is not asked",
            ),
            (
                "https://registry.example.com",
                true,
                "https://127.0.0.1:1/",
                "cannot be reached",
            ),
            (
                "http://registry.example.com",
                true,
                "http://127.0.0.1:1/",
                "cannot be reached",
            ),
            (
                "https://registry.example.com",
                true,
                "https://169.254.169.254/",
                "is not asked",
            ),
            (
                "https://registry.example.com",
                true,
                "https://me:s3cret@127.0.0.1:1/",
                "is not used",
            ),
            (
                "https://registry.example.com",
                true,
                "ftp://127.0.0.1/",
                "is not used",
            ),
        ] {
            let ask = RegistryRequest::get(to.parse().expect("it is a URL"), "*/*");
            let answer = server(origin, is_near).ask_once(&ask).await;
            let error = answer.err().expect("nobody is there");
            assert!(error.message().contains(why), "{to}: {error:#}");
            assert!(!format!("{error:#}").contains("s3cret"), "{error:#}");
        }
    }
}
