//! An HTTP server whose answers a test decides, and which keeps what it was asked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

/// What is answered to the head of a request.
type Script = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// The server. It ends with the process.
pub(super) struct Front {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Front {
    pub(super) fn start(script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (kept, script): (_, Arc<Script>) = (heads.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, script) = (kept.clone(), script.clone());
                // A client that goes away has heard enough.
                thread::spawn(move || drop(serve(stream, &*script, &kept)));
            }
        });
        Ok(Self { address, heads })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads of all requests so far, in lower case.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn serve(mut stream: TcpStream, script: &Script, kept: &Mutex<Vec<String>>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    kept.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head.to_lowercase());
    Ok(stream.write_all(&script(&head))?)
}

/// An answer, after which the connection is closed.
pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}
