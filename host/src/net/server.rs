//! A test server that sends scripted bytes.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What is said to the path of a request, and what is done after that.
pub(crate) type Script = fn(&str) -> (Vec<u8>, Then);

/// What is done after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The connection waits for another request.
    Keep,
    /// It is closed.
    Close,
}

/// Stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens at a free port of this address.
    pub(crate) async fn at(address: &str, script: Script) -> Self {
        Self::start(address, script, None).await
    }

    /// Listens with TLS.
    pub(crate) async fn with_tls(address: &str, script: Script, tls: TlsAcceptor) -> Self {
        Self::start(address, script, Some(tls)).await
    }

    async fn start(address: &str, script: Script, tls: Option<TlsAcceptor>) -> Self {
        let address: IpAddr = address.parse().expect("it is an address");
        let listener = TcpListener::bind((address, 0)).await;
        let listener = listener.expect("there are ports");
        let address = listener.local_addr().expect("it has an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn({
            let (connections, requests) = (connections.clone(), requests.clone());
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    connections.fetch_add(1, Ordering::Relaxed);
                    let (requests, tls) = (requests.clone(), tls.clone());
                    tokio::spawn(async move {
                        match tls {
                            None => serve(stream, script, &requests).await,
                            Some(tls) => match tls.accept(stream).await {
                                Ok(stream) => serve(stream, script, &requests).await,
                                Err(cause) => Err(cause),
                            },
                        }
                    });
                }
            }
        });
        Self {
            address,
            connections,
            requests,
            task,
        }
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The heads of the requests that came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no test panicked").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Script,
    requests: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        requests.lock().expect("no test panicked").push(head);
        let (answer, then) = script(&path);
        stream.write_all(&answer).await?;
        if then == Then::Close {
            return stream.shutdown().await;
        }
    }
}

/// An answer with this text, and no more than was announced.
pub(crate) fn answered(text: &str) -> (Vec<u8>, Then) {
    let length = text.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}");
    (answer.into_bytes(), Then::Keep)
}

/// These very bytes, and the end of the connection.
pub(crate) fn broken(bytes: &str) -> (Vec<u8>, Then) {
    (bytes.into(), Then::Close)
}
