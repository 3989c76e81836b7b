//! `wasi:http`: requests to granted origins, with WASI's error codes.

use std::future::Future;
use std::io;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use tracing::{debug, warn};
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::p3::bindings::http::types::{
    DnsErrorPayload, ErrorCode, TlsAlertReceivedPayload,
};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::error::Result;
use crate::grant::{Grants, Purpose};
use crate::net::{self, Client, Timeouts};
use crate::plugin::memory::{Memory, Share};
use crate::plugin::state::{Activity, State};
use crate::text::printable;
use crate::throttle::Throttle;

/// The state of the host for the requests of a plugin.
pub(crate) struct Http {
    wasi: WasiHttpCtx,
    hooks: Hooks,
    /// Requests, answers and their fields.
    table: ResourceTable,
}

/// Requests, answers and sets of fields that a plugin may hold at a time.
const MAX_THINGS: usize = 1024;

/// Bytes of one set of fields; a set of the largest for each thing is an eighth of the default memory limit.
const MAX_FIELDS_SIZE: usize = 64 << 10;

/// Bytes that the host holds for a request at most: pieces of its body and of its answer's.
const HELD: usize = 1 << 20;

/// What becomes of a request.
struct Hooks {
    client: Arc<Client<WasiBody>>,
    purpose: Purpose,
    memory: Memory,
    throttle: Arc<Throttle>,
}

/// What lasts from a request to the end of its answer.
struct Exchange {
    throttle: Arc<Throttle>,
    _held: Share,
}

/// What `send_request` has to return: an answer, and what sends the rest of the request.
type Sending =
    Box<dyn Future<Output = Result<(http::Response<WasiBody>, Transmission), Error>> + Send>;
type Transmission = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl Http {
    /// Creates the state for a plugin with these grants.
    pub(crate) fn new(
        grants: &Grants,
        activity: &Activity,
        memory: Memory,
        throttle: Arc<Throttle>,
    ) -> Result<Self> {
        let activity = activity.clone();
        let client = Client::new(&grants.network, Arc::new(move || activity.note()))?;
        let mut wasi = WasiHttpCtx::new();
        wasi.set_field_size_limit(MAX_FIELDS_SIZE);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_THINGS);
        Ok(Self {
            wasi,
            table,
            hooks: Hooks {
                client: Arc::new(client),
                purpose: grants.purpose,
                memory,
                throttle,
            },
        })
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http.wasi,
            hooks: &mut self.http.hooks,
            table: &mut self.http.table,
        }
    }
}

impl WasiHttpHooks for Hooks {
    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        // The host holds two of them for a request.
        HELD / 4
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Transmission,
    ) -> Sending {
        if self.purpose == Purpose::Inspect && !is_reading(request.method()) {
            let method = request.method();
            let text = format!("HTTP: {method} is not sent in a dry run");
            self.throttle
                .emit(text.len(), |subject| debug!(subject, "{text}"));
            return Box::new(std::future::ready(Err(ErrorCode::HttpRequestDenied.into())));
        }
        let client = self.client.clone();
        let throttle = self.throttle.clone();
        let held = self.memory.hold(HELD);
        Box::new(async move {
            let held = held.map_err(|_| {
                let text = "too many requests at a time for limits.memory";
                Error::InternalError(Some(text.into()))
            })?;
            let exchange = Exchange {
                throttle,
                _held: held,
            };
            let options = options.unwrap_or_default();
            let default = Timeouts::default();
            let timeouts = Timeouts {
                connect: options.connect_timeout.unwrap_or(default.connect),
                first_byte: options.first_byte_timeout.unwrap_or(default.first_byte),
                between_bytes: options
                    .between_bytes_timeout
                    .unwrap_or(default.between_bytes),
            };
            let answer = client
                .send(request, timeouts)
                .await
                .map_err(|error| exchange.tell(&error, unanswered))?;
            let answer = answer.map(|body| {
                body.map_err(move |error| exchange.tell(&error, broken))
                    .boxed_unsync()
            });
            // The client's own tasks send what is left of a request whose answer came early. If that
            // fails, so does the connection, and with it the answer's body.
            let transmission: Transmission = Box::new(std::future::ready(Ok(())));
            Ok((answer, transmission))
        })
    }
}

/// Whether a request of this method changes nothing, as HTTP and `WebDAV` (RFC 4918) define it.
fn is_reading(method: &http::Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PROPFIND")
}

impl Exchange {
    /// Reports the error to the operator in detail, and returns the error code of WASI for the plugin.
    fn tell(&self, error: &net::Error, code: fn(&net::Error) -> ErrorCode) -> Error {
        let causes = printable(&error.in_full());
        let concerns_operator = error.root().concerns_operator();
        self.throttle.emit(causes.len(), |subject| {
            if concerns_operator {
                warn!(subject, "HTTP: {causes}");
            } else {
                debug!(subject, "HTTP: {causes}");
            }
        });
        code(error).into()
    }
}

/// WASI's word for a request that got no answer.
fn unanswered(error: &net::Error) -> ErrorCode {
    let error = error.root();
    let text = || Some(printable(&error.in_full()));
    match error {
        net::Error::Refused(_) => ErrorCode::HttpRequestDenied,
        net::Error::Tunnel => ErrorCode::HttpRequestMethodInvalid,
        net::Error::Crowded(_) => ErrorCode::ConnectionLimitReached,
        net::Error::Prohibited { .. } => ErrorCode::DestinationIpProhibited,
        net::Error::Lookup { .. } => ErrorCode::DnsError(DnsErrorPayload {
            rcode: text(),
            info_code: None,
        }),
        net::Error::LookupTimeout(_) => ErrorCode::DnsTimeout,
        net::Error::Unreachable { cause, .. } => match cause.kind() {
            io::ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
            io::ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                ErrorCode::DestinationIpUnroutable
            }
            _ => ErrorCode::InternalError(text()),
        },
        net::Error::ConnectTimeout(_) => ErrorCode::ConnectionTimeout,
        net::Error::NoRoots(_) => ErrorCode::InternalError(text()),
        net::Error::NoTls(_) => ErrorCode::TlsProtocolError,
        net::Error::Tls { cause, .. } => connection(cause).unwrap_or(ErrorCode::TlsProtocolError),
        net::Error::ResponseTimeout => ErrorCode::HttpResponseTimeout,
        net::Error::BodyTimeout => ErrorCode::ConnectionReadTimeout,
        net::Error::Exchange(_) | net::Error::Body(_) => broken(error),
    }
}

/// WASI's word for an exchange that broke off. It never has a text: the future that it goes to
/// is read beside the stream, which wasmtime does not do well with texts.
fn broken(error: &net::Error) -> ErrorCode {
    if let net::Error::BodyTimeout = error {
        return ErrorCode::ConnectionReadTimeout;
    }
    let known = net::chain(error).find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return connection(error);
        }
        if let Some(Error::HttpRequestBodySize(size)) = cause.downcast_ref() {
            return Some(ErrorCode::HttpRequestBodySize(*size));
        }
        let error = cause.downcast_ref::<hyper::Error>()?;
        if error.is_incomplete_message() {
            Some(ErrorCode::HttpResponseIncomplete)
        } else if error.is_parse_too_large() {
            Some(ErrorCode::HttpResponseHeaderSectionSize(None))
        } else if error.is_canceled() || error.is_closed() {
            Some(ErrorCode::ConnectionTerminated)
        } else {
            None
        }
    });
    known.unwrap_or(ErrorCode::HttpProtocolError)
}

/// The error code of WASI for the failure of a connection.
fn connection(error: &io::Error) -> Option<ErrorCode> {
    tls(error).or(match error.kind() {
        io::ErrorKind::UnexpectedEof => Some(ErrorCode::HttpResponseIncomplete),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => Some(ErrorCode::ConnectionTerminated),
        _ => None,
    })
}

/// WASI's word for what TLS ended with.
fn tls(error: &io::Error) -> Option<ErrorCode> {
    Some(match net::tls(error)? {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            ErrorCode::TlsCertificateError
        }
        rustls::Error::AlertReceived(alert) => {
            ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
                alert_id: Some((*alert).into()),
                alert_message: None,
            })
        }
        _ => ErrorCode::TlsProtocolError,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::{Empty, StreamBody};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tracing::Level;

    use super::*;
    use crate::event::diary;
    use crate::net::server::{Server, Then, answered, broken as cut};
    use crate::net::{AllowedOrigin, Origin};

    /// Requests a URL. Returns the error code of WASI and the report to the operator.
    async fn fail(network: &[AllowedOrigin], url: &str) -> (String, Vec<(Level, String)>) {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::get(url).body(body);
        fail_with(network, request.expect("it is a request")).await
    }

    /// The same with a request, as a plugin sends it.
    async fn fail_with(
        network: &[AllowedOrigin],
        request: http::Request<WasiBody>,
    ) -> (String, Vec<(Level, String)>) {
        let grants = Grants {
            network: network.to_vec(),
            ..Grants::default()
        };
        let http = Http::new(
            &grants,
            &Activity::default(),
            Memory::new(2 * HELD as u64),
            Arc::new(Throttle::new("source test".into())),
        );
        let mut hooks = http.expect("the grants are fine").hooks;
        let options = RequestOptions {
            first_byte_timeout: Some(Duration::from_millis(200)),
            between_bytes_timeout: Some(Duration::from_millis(200)),
            ..RequestOptions::default()
        };
        let sent = hooks.send_request(request, Some(options), Box::new(std::future::pending()));
        let failing = async {
            match Box::into_pin(sent).await {
                Err(error) => error,
                Ok((answer, _)) => match answer.into_body().collect().await {
                    Err(error) => error,
                    Ok(_) => panic!("it succeeded"),
                },
            }
        };
        let (error, told) = diary::of(failing).await;
        (format!("{error:?}"), told)
    }

    fn grant(origin: &str, private: bool) -> AllowedOrigin {
        AllowedOrigin {
            origin: Origin::parse(origin).expect(origin),
            private,
            ca: None,
        }
    }

    #[tokio::test]
    async fn what_goes_wrong_has_a_word_of_its_own() {
        let server = Server::at("127.0.0.1", |path| match path {
            "/silent" => (Vec::new(), Then::Keep),
            "/stops" => (
                b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".into(),
                Then::Keep,
            ),
            "/cut" => cut("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"),
            "/chunks" => cut("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nshort"),
            "/closed" => cut(""),
            "/garbage" => cut("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
            _ => answered("text"),
        })
        .await;
        let origin = format!("http://{}", server.address);
        let unused = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports");
            listener.local_addr().expect("it has an address")
        };
        let network = [
            grant(&origin, true),
            grant(&format!("http://{unused}"), true),
        ];
        for (url, word) in [
            (format!("{origin}/silent"), "HttpResponseTimeout"),
            (format!("{origin}/stops"), "ConnectionReadTimeout"),
            (format!("{origin}/cut"), "HttpResponseIncomplete"),
            (format!("{origin}/chunks"), "HttpResponseIncomplete"),
            (format!("{origin}/closed"), "HttpResponseIncomplete"),
            (format!("{origin}/garbage"), "HttpProtocolError"),
            (format!("http://{unused}/"), "ConnectionRefused"),
            ("http://elsewhere.test/".into(), "HttpRequestDenied"),
        ] {
            let (error, _) = fail(&network, &url).await;
            assert!(error.starts_with(word), "{url}: {error}");
        }
    }

    #[tokio::test]
    async fn a_server_without_tls_is_named_to_the_operator() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("there are ports");
        let address = listener.local_addr().expect("it has an address");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await?;
            stream.read_to_end(&mut Vec::new()).await
        });
        let origin = format!("https://{address}");
        let (error, told) = fail(&[grant(&origin, true)], &origin).await;
        assert_eq!(error, "TlsProtocolError");
        let [(Level::WARN, text)] = &told[..] else {
            panic!("{told:?}")
        };
        let named = format!("{origin} does not speak TLS");
        assert!(text.contains(&named), "{text}");
        server.abort();
    }

    #[tokio::test]
    async fn what_the_host_holds_for_requests_counts_as_the_plugins_memory() {
        let server = Server::at("127.0.0.1", |_| answered("text")).await;
        let origin = format!("http://{}", server.address);
        let grants = Grants {
            network: vec![grant(&origin, true)],
            ..Grants::default()
        };
        // Enough memory for one request and the data of one call.
        let memory = Memory::new(HELD as u64 * 3 / 2);
        let throttle = Arc::new(Throttle::new("source test".into()));
        let http = Http::new(&grants, &Activity::default(), memory, throttle);
        let mut hooks = http.expect("the grants are fine").hooks;
        let mut get = || {
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let request = http::Request::get(&origin).body(body);
            let request = request.expect("it is a request");
            Box::into_pin(hooks.send_request(request, None, Box::new(std::future::pending())))
        };
        let (answer, _) = get().await.expect("there is room for one");
        let error = get().await.err().expect("there is none for another");
        assert!(error.to_string().contains("limits.memory"), "{error}");
        drop(answer);
        drop(get().await.expect("there is room again"));
    }

    #[tokio::test]
    async fn a_request_that_is_shorter_than_announced_is_the_plugins_fault() {
        let server = Server::at("127.0.0.1", |_| (Vec::new(), Then::Keep)).await;
        let origin = format!("http://{}", server.address);
        let short = Err(Error::HttpRequestBodySize(Some(2)));
        let body = StreamBody::new(futures::stream::iter([short])).boxed_unsync();
        let request = http::Request::put(&origin).header("content-length", "3");
        let request = request.body(body).expect("it is a request");
        let (error, _) = fail_with(&[grant(&origin, true)], request).await;
        assert_eq!(error, "HttpRequestBodySize(Some(2))");
    }

    #[test]
    fn a_lookup_that_fails_tells_what_the_resolver_said() {
        let error = net::Error::Lookup {
            host: "s3.example.com".into(),
            cause: io::Error::other("Name or service not known"),
        };
        let ErrorCode::DnsError(payload) = unanswered(&error) else {
            panic!("it is none of the lookup")
        };
        let text = payload.rcode.expect("there is a text");
        assert!(
            text.contains("s3.example.com") && text.contains("not known"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn the_operator_is_told_what_a_grant_lacks_and_a_log_what_was_refused() {
        let (error, told) =
            fail(&[grant("http://127.0.0.1:9", false)], "http://127.0.0.1:9/").await;
        assert_eq!(error, "DestinationIpProhibited");
        let [(Level::WARN, text)] = &told[..] else {
            panic!("{told:?}")
        };
        assert!(
            text.contains("127.0.0.1") && text.contains("private = true"),
            "{text}"
        );

        let (_, told) = fail(&[], "https://elsewhere.test/bucket?signature=s3cret").await;
        let refused =
            "HTTP: https://elsewhere.test is not granted: add it to grants.network".to_owned();
        assert_eq!(told, [(Level::WARN, refused)]);
    }
}
