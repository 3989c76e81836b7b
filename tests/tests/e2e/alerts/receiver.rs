//! An HTTP server that takes everything and keeps it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

/// A request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    /// The lines of its head, in lower case.
    pub(crate) head: Vec<String>,
    /// Its body.
    pub(crate) body: String,
}

/// The server. It ends with the process.
pub(crate) struct Receiver {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                thread::spawn(move || {
                    // A client that went away has nothing to keep.
                    if let Ok(request) = take(stream) {
                        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                        kept.push(request);
                    }
                });
            }
        });
        Ok(Self { address, requests })
    }

    /// Its origin.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came since the last time, sorted by method and path.
    pub(crate) fn take(&self) -> Vec<Request> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let mut requests = std::mem::take(&mut *requests);
        requests.sort_by(|a, b| a.line.cmp(&b.line));
        requests
    }
}

fn take(stream: TcpStream) -> Result<Request> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let line = head.first().context("it has a first line")?;
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    let head: Vec<_> = head.iter().map(|line| line.to_lowercase()).collect();
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap_or("0").parse()?];
    reader.read_exact(&mut body)?;
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    Ok(Request {
        line,
        head,
        body: String::from_utf8(body)?,
    })
}
