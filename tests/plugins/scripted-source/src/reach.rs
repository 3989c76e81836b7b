//! What of the machine a plugin can reach.

use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};

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
