//! Requests through the whole module, to servers on this machine.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;

use super::client::{Client, Timeouts};
use super::error::Error;
use super::resolve::Resolve;
use super::server::{Server, Then, answered, broken};
use super::{AllowedOrigin, Origin};

type TestBody = UnsyncBoxBody<Bytes, Infallible>;
type TestClient = Client<TestBody>;

/// A grant of this origin, in the private network.
fn private(origin: &str) -> AllowedOrigin {
    AllowedOrigin {
        private: true,
        ..public(origin)
    }
}

/// A grant of this origin on the internet.
fn public(origin: &str) -> AllowedOrigin {
    AllowedOrigin {
        origin: Origin::parse(origin).expect(origin),
        private: false,
        ca: None,
    }
}

fn client(granted: &[AllowedOrigin]) -> TestClient {
    Client::new(granted, Arc::new(|| {})).expect("the grants are fine")
}

/// Asks for a URL and reads the whole answer.
async fn get(client: &TestClient, url: &str) -> Result<(u16, String), Error> {
    get_within(client, url, Timeouts::default()).await
}

async fn get_within(
    client: &TestClient,
    url: &str,
    timeouts: Timeouts,
) -> Result<(u16, String), Error> {
    let request = Request::get(url)
        .body(Empty::new().boxed_unsync())
        .expect(url);
    let answer = client.send(request, timeouts).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Answers lookups with these, one after the other.
#[derive(Default)]
struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    lookups: AtomicUsize,
}

impl Names {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |text: &&str| text.parse().expect(text);
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(parse).collect());
        Arc::new(Self {
            answers: Mutex::new(answers.collect()),
            lookups: AtomicUsize::new(0),
        })
    }

    fn lookups(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }
}

impl Resolve for Names {
    fn resolve(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.lock().expect("no test panicked").pop_front();
        Box::pin(async { answer.ok_or_else(|| io::Error::other("there is no such name")) })
    }
}

fn client_with(granted: &[AllowedOrigin], names: &Arc<Names>) -> TestClient {
    Client::with_resolver(granted, Arc::new(|| {}), names.clone()).expect("the grants are fine")
}

#[tokio::test]
async fn connections_are_used_again_and_are_signs_of_life() {
    let server = Server::at("127.0.0.1", |_| answered("text")).await;
    let origin = format!("http://{}", server.address);
    let pulses = Arc::new(AtomicUsize::new(0));
    let on_progress = {
        let pulses = pulses.clone();
        Arc::new(move || {
            pulses.fetch_add(1, Ordering::Relaxed);
        })
    };
    let client = TestClient::new(&[private(&origin)], on_progress).expect("the grants are fine");
    for number in 0..3 {
        let answer = get(&client, &format!("{origin}/{number}?x=1")).await;
        assert_eq!(answer.expect("it answers"), (200, "text".into()));
    }
    assert_eq!(server.connections(), 1);
    let requests = server.requests();
    assert!(
        requests[2].starts_with("GET /2?x=1 HTTP/1.1\r\n"),
        "{requests:?}"
    );
    assert!(pulses.load(Ordering::Relaxed) >= 6);

    // Another plugin has a client of its own, and that its own connections.
    let other = self::client(&[private(&origin)]);
    get(&other, &format!("{origin}/"))
        .await
        .expect("it answers");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn connections_end_with_their_client() {
    let server = Server::at("127.0.0.1", |_| (Vec::new(), Then::Keep)).await;
    let origin = format!("http://{}", server.address);
    let client = Arc::new(client(&[private(&origin)]));
    let request = tokio::spawn({
        let client = client.clone();
        async move { get(&client, &origin).await }
    });
    while server.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    request.abort();
    assert!(request.await.is_err_and(|end| end.is_cancelled()));
    drop(client);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The request, the client's end of the connection, and with it the server's.
    let after = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(after + 3, before);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_an_error() {
    let server = Server::at("127.0.0.1", |path| {
        broken(match path {
            "/head" => "HTTP/1.1 200 OK\r\ncontent-",
            "/length" => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
            "/nothing" => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
            "/chunk" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nshort",
            _ => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
        })
    })
    .await;
    let origin = format!("http://{}", server.address);
    let client = client(&[private(&origin)]);
    for path in ["head", "length", "nothing", "chunk", "chunks"] {
        let answer = get(&client, &format!("{origin}/{path}")).await;
        assert!(answer.is_err(), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn what_comes_behind_an_answer_is_no_part_of_the_next() {
    let server = Server::at("127.0.0.1", |path| match path {
        "/long" => {
            let (mut answer, then) = answered("text");
            answer.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfake");
            (answer, then)
        }
        _ => answered("good"),
    })
    .await;
    let origin = format!("http://{}", server.address);
    let client = client(&[private(&origin)]);
    let first = get(&client, &format!("{origin}/long")).await;
    assert_eq!(first.expect("it answers").1, "text");
    let second = get(&client, &format!("{origin}/next")).await;
    assert_eq!(second.expect("it answers").1, "good");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Server::at("127.0.0.1", |_| answered("secret")).await;
    let server = Server::at("127.0.0.1", |path| {
        let port = path.trim_start_matches('/');
        let head = "HTTP/1.1 307 Temporary Redirect\r\ncontent-length: 0\r\n";
        let answer = format!("{head}location: http://127.0.0.1:{port}/\r\n\r\n");
        (answer.into_bytes(), Then::Keep)
    })
    .await;
    let origin = format!("http://{}", server.address);
    let client = client(&[private(&origin)]);
    let answer = get(&client, &format!("{origin}/{}", elsewhere.address.port())).await;
    assert_eq!(answer.expect("it answers"), (307, String::new()));
    assert_eq!(elsewhere.connections(), 0);
}

/// A body that does not tell its length beforehand.
fn streamed(pieces: &'static [&str]) -> TestBody {
    let frames = pieces
        .iter()
        .map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
    StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
}

#[tokio::test]
async fn a_body_is_sent_in_chunks_unless_it_is_empty_or_told_its_length() {
    let server = Server::at("127.0.0.1", |_| (answered("").0, Then::Close)).await;
    let origin = format!("http://{}", server.address);
    let client = client(&[private(&origin)]);
    for (method, length, pieces, line) in [
        (Method::DELETE, None, &[] as &[&str], None),
        (
            Method::DELETE,
            None,
            &["a", "b"],
            Some("transfer-encoding: chunked"),
        ),
        (
            Method::PUT,
            None,
            &["a", "b"],
            Some("transfer-encoding: chunked"),
        ),
        (
            Method::PUT,
            Some("2"),
            &["a", "b"],
            Some("content-length: 2"),
        ),
        (Method::GET, None, &[], None),
    ] {
        let mut request = Request::builder().method(method.clone()).uri(&origin);
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let request = request.body(streamed(pieces)).expect("it is a request");
        let answer = client.send(request, Timeouts::default()).await;
        answer.expect("it answers");
        let head = server.requests().pop().expect("it came");
        let found = head
            .lines()
            .find(|line| line.contains("chunked") || line.contains("length"));
        assert_eq!(found, line, "{method} {pieces:?}");
    }
}

#[tokio::test]
async fn a_request_with_less_than_it_announced_fails() {
    let server = Server::at("127.0.0.1", |_| (Vec::new(), Then::Keep)).await;
    let origin = format!("http://{}", server.address);
    let request = Request::put(&origin).header("content-length", "3");
    let request = request
        .body(streamed(&["a", "b"]))
        .expect("it is a request");
    let answer = client(&[private(&origin)])
        .send(request, Timeouts::default())
        .await;
    assert!(matches!(answer, Err(Error::Exchange(_))));
}

#[tokio::test]
async fn a_tunnel_is_refused() {
    let server = Server::at("127.0.0.1", |_| answered("")).await;
    let origin = format!("http://{}", server.address);
    let client = client(&[private(&origin)]);
    let request = Request::builder().method(Method::CONNECT).uri(&origin);
    let request = request
        .body(Empty::new().boxed_unsync())
        .expect("it is a request");
    let answer = client.send(request, Timeouts::default()).await;
    assert!(matches!(answer, Err(Error::Tunnel)));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_of_this_machine_is_refused_without_a_grant_for_private_addresses() {
    let server = Server::at("127.0.0.1", |_| answered("text")).await;
    let port = server.address.port();
    for origin in [
        format!("http://localhost:{port}"),
        format!("http://127.0.0.1:{port}"),
        format!("https://[::1]:{port}"),
    ] {
        let error = get(&client(&[public(&origin)]), &origin).await;
        let error = error.expect_err("it is a private address");
        let text = error.root().to_string();
        assert!(text.starts_with(&format!("{origin} is at ")), "{text}");
        assert!(
            text.contains("loopback") && text.contains("private = true"),
            "{text}"
        );
        assert!(error.root().concerns_operator());
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_metadata_service_is_refused_whatever_was_granted() {
    for origin in ["http://169.254.169.254", "http://[fd00:ec2::254]"] {
        let error = get(&client(&[private(origin)]), origin).await;
        let text = error.expect_err("nobody may").root().to_string();
        assert!(text.contains("no grant allows that"), "{text}");
    }
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_the_judged_address_connected_to() {
    let server = Server::at("127.0.0.1", |_| answered("text")).await;
    let origin = format!("http://rebinding.test:{}", server.address.port());
    let names = Names::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let client = client_with(&[private(&origin)], &names);
    let answer = get(&client, &origin).await;
    assert_eq!(answer.expect("it answers").1, "text");
    assert_eq!((names.lookups(), server.connections()), (1, 1));

    // The other way round, the second answer would have been the good one.
    let names = Names::new(&[&["169.254.169.254"], &["127.0.0.1"]]);
    let client = client_with(&[private(&origin)], &names);
    let error = get(&client, &origin).await.expect_err("it is link-local");
    assert!(matches!(error.root(), Error::Prohibited { .. }), "{error}");
    assert_eq!((names.lookups(), server.connections()), (1, 1));
}

#[tokio::test]
async fn of_many_addresses_those_that_are_allowed_and_answer_are_used() {
    let server = Server::at("127.0.0.1", |_| answered("text")).await;
    let origin = format!("http://many.test:{}", server.address.port());
    // Nobody listens at the second.
    let names = Names::new(&[&["169.254.169.254", "127.0.0.99", "127.0.0.1"]]);
    let client = client_with(&[private(&origin)], &names);
    let answer = get(&client, &origin).await;
    assert_eq!(answer.expect("it answers").1, "text");

    let names = Names::new(&[&["10.0.0.1", "127.0.0.1"]]);
    let client = client_with(&[public(&origin)], &names);
    let error = get(&client, &origin).await.expect_err("both are private");
    let text = error.root().to_string();
    assert!(text.contains("is at 10.0.0.1, a private address"), "{text}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_name_without_an_address_is_an_error_of_the_lookup() {
    let names = Names::new(&[&[]]);
    let client = client_with(&[public("http://empty.test")], &names);
    for _ in ["no address", "no name"] {
        let error = get(&client, "http://empty.test/").await;
        let error = error.expect_err("there is nothing to connect to");
        assert!(matches!(error.root(), Error::Lookup { .. }), "{error}");
    }
}

#[tokio::test]
async fn waiting_has_limits() {
    let server = Server::at("127.0.0.1", |path| match path {
        "/body" => (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort".into(),
            Then::Keep,
        ),
        _ => (Vec::new(), Then::Keep),
    })
    .await;
    let origin = format!("http://{}", server.address);
    let client = client(&[private(&origin)]);
    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_millis(200),
        between_bytes: Duration::from_millis(200),
    };
    let silent = get_within(&client, &origin, timeouts).await;
    assert!(matches!(silent, Err(Error::ResponseTimeout)), "{silent:?}");
    let stopped = get_within(&client, &format!("{origin}/body"), timeouts).await;
    assert!(matches!(stopped, Err(Error::BodyTimeout)), "{stopped:?}");
}

#[tokio::test]
async fn a_server_with_an_own_authority_is_trusted_where_that_was_granted() {
    let directory = tempfile::tempdir().expect("there is room");
    let ca = directory.path().join("own-ca.pem");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
    let issuer = issuer.expect("it is an authority");
    std::fs::write(&ca, issuer.pem()).expect("it can be written");

    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    let certificate = params
        .expect("names")
        .signed_by(&key, &issuer)
        .expect("it is signed");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            key.serialize_der().try_into().expect("it is a key"),
        );
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("it is a certificate")));
    let server = Server::with_tls("127.0.0.1", |_| answered("secret"), acceptor).await;
    let port = server.address.port();

    for origin in [
        format!("https://127.0.0.1:{port}"),
        format!("https://localhost:{port}"),
    ] {
        let trusting = AllowedOrigin {
            ca: Some(ca.clone()),
            ..private(&origin)
        };
        let answer = get(&client(&[trusting]), &origin).await;
        assert_eq!(answer.expect("it is trusted").1, "secret");

        let error = get(&client(&[private(&origin)]), &origin).await;
        let error = error.expect_err("it is not trusted");
        assert!(error.root().concerns_operator(), "{error}");
    }

    // A certificate for another name does not do.
    let origin = format!("https://other.test:{port}");
    let trusting = AllowedOrigin {
        ca: Some(ca),
        ..private(&origin)
    };
    let names = Names::new(&[&["127.0.0.1"]]);
    let error = get(&client_with(&[trusting], &names), &origin).await;
    let error = error.expect_err("the name is another");
    assert!(matches!(error.root(), Error::Tls { .. }), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_not_waited_for_longer_than_for_a_connection() {
    let server = Server::at("127.0.0.1", |_| answered("text")).await;
    let origin = format!("https://{}", server.address);
    let timeouts = Timeouts {
        connect: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let error = get_within(&client(&[private(&origin)]), &origin, timeouts).await;
    let error = error.expect_err("there is no TLS");
    assert!(matches!(error.root(), Error::ConnectTimeout(_)), "{error}");
}
