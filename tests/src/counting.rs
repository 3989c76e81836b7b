//! A proxy in front of a server that counts requests and changes none.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// How many requests there were of each method. `LIST` is S3's, which HTTP calls `GET`.
pub type Requests = BTreeMap<String, u64>;

/// Longer than any line of a request's head.
const MAX_LINE_LENGTH: u64 = 64 << 10;

/// A running proxy. It listens until the process ends, as its connections are the clients' to
/// close.
#[derive(Debug)]
pub struct Counting {
    address: SocketAddr,
    requests: Arc<Mutex<Requests>>,
}

impl Counting {
    /// A proxy on a port of the loopback interface, in front of the server of this origin.
    ///
    /// The header `Host`, which S3's signatures cover, reaches the server as the client wrote it,
    /// with the proxy's address.
    pub fn before(origin: &str) -> Result<Self> {
        let server = origin
            .strip_prefix("http://")
            .with_context(|| format!("{origin} does not speak plain HTTP"))?;
        let server: SocketAddr = server.parse()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let requests = Arc::new(Mutex::default());
        let counted = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                // Whatever goes wrong ends the connection, and its client sees that.
                thread::spawn(move || serve(&client, server, &counted));
            }
        });
        Ok(Self { address, requests })
    }

    /// The origin for clients.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came since the last call.
    pub fn take(&self) -> Requests {
        mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves one connection to its end.
fn serve(client: &TcpStream, server: SocketAddr, counted: &Mutex<Requests>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    // A head and its body are written apart, which must not wait for each other.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            let answered = io::copy(&mut &server, &mut &*client);
            end(client, &answered)
        });
        let asked = forward(&mut BufReader::new(client), &mut &server, |line| {
            let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
            *counted.entry(kind(line)).or_default() += 1;
        });
        end(&server, &asked)
    })
}

/// Tells one side that the other has no more to say. After what was cut short there is nothing to
/// wait for either.
fn end<T>(side: &TcpStream, copied: &io::Result<T>) -> io::Result<()> {
    side.shutdown(if copied.is_ok() {
        Shutdown::Write
    } else {
        Shutdown::Both
    })
}

/// Copies requests until there are no more, and shows each one's first line to `count`.
fn forward(
    from: &mut impl BufRead,
    to: &mut impl Write,
    mut count: impl FnMut(&str),
) -> io::Result<()> {
    let mut head = Vec::new();
    loop {
        head.clear();
        let mut length = 0;
        let mut chunked = false;
        while let line @ 1.. = read_line(from, &mut head)? {
            let start = head.len() - line;
            let line = String::from_utf8_lossy(&head[start..]);
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if start == 0 {
                count(line);
                continue;
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(io::Error::other)?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.trim().eq_ignore_ascii_case("chunked");
            }
        }
        if head.is_empty() {
            return Ok(());
        }
        to.write_all(&head)?;
        if chunked {
            copy_chunks(from, to)?;
        } else {
            copy(from, to, length)?;
        }
    }
}

/// Copies a body in chunks, and the trailers behind them.
fn copy_chunks(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    let mut last = false;
    loop {
        line.clear();
        read_line(from, &mut line)?;
        to.write_all(&line)?;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if last {
            if text.is_empty() {
                return Ok(());
            }
            continue;
        }
        let (size, _) = text.split_once(';').unwrap_or((text, ""));
        let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        if size == 0 {
            last = true;
        } else {
            // With the end of its line.
            copy(from, to, size + 2)?;
        }
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write, length: u64) -> io::Result<()> {
    if io::copy(&mut from.take(length), to)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Appends a line with its end, and answers how many bytes that was.
fn read_line(from: &mut impl BufRead, into: &mut Vec<u8>) -> io::Result<usize> {
    let length = from.take(MAX_LINE_LENGTH).read_until(b'\n', into)?;
    if length > 0 && !into.ends_with(b"\n") {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(length)
}

/// The method of a request line, or `LIST`.
fn kind(line: &str) -> String {
    let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
    if method == "GET" && rest.contains("list-type=") {
        return "LIST".to_owned();
    }
    method.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(input: &str) -> (io::Result<()>, String, Vec<String>) {
        let (mut output, mut lines) = (Vec::new(), Vec::new());
        let result = forward(&mut input.as_bytes(), &mut output, |line| {
            lines.push(kind(line));
        });
        (result, String::from_utf8_lossy(&output).into_owned(), lines)
    }

    #[test]
    fn bodies_are_not_taken_for_requests() {
        let input = "PUT /a HTTP/1.1\r\nHost: h\r\ncontent-LENGTH: 19\r\n\r\nGET / HTTP/1.1\r\n\r\n.\
                     PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                     12;x=y\r\nGET / HTTP/1.1\r\n\r\n\r\n0\r\nTrailer: GET /\r\n\r\n\
                     GET /bucket?list-type=2 HTTP/1.1\r\n\r\nDELETE /a HTTP/1.1\r\n\r\n";
        let (result, output, lines) = forwarded(input);
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(output, input);
        assert_eq!(lines, ["PUT", "PUT", "LIST", "DELETE"]);
    }

    #[test]
    fn a_request_cut_short_is_an_error() {
        for input in [
            "PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nab",
            "PUT /a HTTP/1.1\r\nContent-Le",
            "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            assert!(forwarded(input).0.is_err(), "{input:?}");
        }
    }
}
