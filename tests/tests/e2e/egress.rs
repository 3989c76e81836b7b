//! What a plugin reaches over HTTP: what was granted, and nothing else.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use anyhow::{Result, ensure};
use tthost_tests::fixture::Fixture;
use tthost_tests::plugin;

const RUN: [&str; 5] = ["run", "--source", "fetching", "--sink", "restic-local"];

/// A web server that answers paths as their names say, one request a connection.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Listens until the test's process ends.
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
                // Who hangs up early is not a fault of the server.
                let _ = answer(stream);
            }
        });
        Ok(Self {
            address,
            connections,
        })
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or_default();
    if let Some(elsewhere) = path.strip_prefix("/redirect/") {
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nlocation: http://{elsewhere}/\r\ncontent-length: 5\r\n\
             connection: close\r\n\r\nmoved"
        );
    }
    let length = if path == "/cut" { 99 } else { 5 };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\nhello"
    )
}

/// A fixture whose source asks for these URLs, and is granted this.
fn fixture(urls: &[String], grants: &str) -> Result<Fixture> {
    let component = plugin::component("fetching-source")?;
    let mut fixture = Fixture::new()?;
    let configuration = fixture.configuration(&[])?;
    fixture.configure(&configuration)?;
    let mut text = configuration.to_toml();
    write!(
        text,
        "\n[sources.fetching]\nplugin = {{ path = '{}' }}\nconfig.urls = {urls:?}\n{grants}\n",
        component.display(),
    )?;
    fs::write(fixture.tthost.home().join("tthost.toml"), text)?;
    Ok(fixture)
}

fn grant(origin: &str) -> String {
    format!("[[sources.fetching.grants.network]]\norigin = '{origin}'\nprivate = true\n")
}

#[test]
fn a_plugin_reaches_the_granted_origin_and_no_other() -> Result<()> {
    let granted = Server::start()?;
    let other = Server::start()?;
    let address = granted.address;
    let port = address.port();
    let elsewhere = other.address;
    let reached = [
        (format!("http://{address}/"), "200 hello"),
        (
            format!("http://{address}/redirect/{elsewhere}"),
            "302 moved",
        ),
        (format!("http://{address}/cut"), "HttpResponseIncomplete"),
    ];
    let denied = [
        format!("http://{elsewhere}/"),
        format!("http://{address}@{elsewhere}/"),
        format!("http://{elsewhere}@{address}/"),
        format!("http://user:pass@{address}/"),
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.1.:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f000001:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://[::ffff:7f00:1]:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("https://{address}/"),
        "http://127.0.0.1/".to_owned(),
    ]
    .map(|url| (url, "HttpRequestDenied"));
    let expected: Vec<_> = reached.into_iter().chain(denied).collect();
    let urls: Vec<_> = expected.iter().map(|(url, _)| url.clone()).collect();

    let fixture = fixture(&urls, &grant(&format!("http://{address}")))?;
    let outcome = fixture.tthost.fails(&RUN, 1, &["source fetching"])?;
    let said = &outcome.stderr;
    for (number, (url, outcome)) in expected.iter().enumerate() {
        let found = said.contains(&format!("[{number}: {outcome}"))
            || said.contains(&format!("[{number}: ErrorCode::{outcome}"))
            // What is not a URL at all does not even leave the plugin.
            || (*outcome == "HttpRequestDenied" && said.contains(&format!("[{number}: unsendable")));
        ensure!(found, "{url} is not {outcome}: {said}");
    }
    ensure!(granted.connections() == 3);
    ensure!(other.connections() == 0, "somebody connected");
    fixture.expect_sound(0)
}

#[test]
fn an_address_of_this_machine_needs_a_grant_of_its_own() -> Result<()> {
    let server = Server::start()?;
    let url = format!("http://{}/", server.address);
    let fixture = fixture(
        &[url],
        &grant(&format!("http://{}", server.address)).replace("true", "false"),
    )?;
    let words = ["DestinationIpProhibited", "loopback", "private = true"];
    fixture.tthost.fails(&RUN, 1, &words)?;
    ensure!(server.connections() == 0, "somebody connected");
    Ok(())
}

#[test]
fn without_a_grant_requests_are_denied_and_nobody_is_connected_to() -> Result<()> {
    let server = Server::start()?;
    let url = format!("http://{}/", server.address);
    let fixture = fixture(&[url], "")?;
    let words = ["source fetching", "HttpRequestDenied", "grants.network"];
    fixture.tthost.fails(&RUN, 1, &words)?;
    ensure!(server.connections() == 0, "somebody connected");
    Ok(())
}
