//! What of the machine a plugin can reach.

use std::fmt::Debug;
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};

use crate::bindings::tthost::backup::types::Error;
use crate::bindings::tthost::backup::{commands, secrets, trees};

/// What the host's interfaces answer that is not `denied`: nothing, unless it was granted.
pub(crate) async fn imports() -> Vec<String> {
    let answers = [
        told("secrets", secrets::get("password".into()).await),
        told(
            "commands",
            commands::spawn("sh".into(), Vec::new(), None).await,
        ),
        told("trees", trees::open("files".into()).await),
        told(
            "restorations",
            trees::Restoration::begin("files".into(), 0).await,
        ),
    ];
    let names = trees::granted().into_iter();
    let names = names.map(|name| format!("the tree {name}"));
    answers.into_iter().flatten().chain(names).collect()
}

fn told<T: Debug>(interface: &str, answer: Result<T, Error>) -> Option<String> {
    match answer {
        Err(Error::Denied(_)) => None,
        answer => Some(format!("{interface}, which answer {answer:?}")),
    }
}

/// Everything that can be reached: nothing, unless it was granted.
pub(crate) fn all(listener: Option<&str>) -> Vec<String> {
    let mut reached = Vec::new();
    reached.extend(std::env::vars().map(|(name, _)| format!("the variable {name}")));
    reached.extend(std::env::args().map(|argument| format!("the argument {argument}")));
    for path in [
        "/",
        ".",
        "..",
        "/etc/hostname",
        "/proc/self/environ",
        "/data",
    ] {
        if std::fs::metadata(path).is_ok() {
            reached.push(format!("the path {path}"));
        }
    }
    if let Some(address) = listener
        && TcpStream::connect(address).is_ok()
    {
        reached.push(format!("the address {address}"));
    }
    if TcpListener::bind("127.0.0.1:0").is_ok() {
        reached.push("a port to listen at".into());
    }
    if UdpSocket::bind("127.0.0.1:0").is_ok() {
        reached.push("a port to send from".into());
    }
    if "localhost:80".to_socket_addrs().is_ok() {
        reached.push("the resolver of names".into());
    }
    reached
}
