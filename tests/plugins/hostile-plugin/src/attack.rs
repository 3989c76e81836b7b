//! What a source and a sink do alike.

use std::future::{Future as _, poll_fn};
use std::hint::black_box;
use std::io::Write as _;
use std::task::Poll;

use crate::bindings::tthost::backup::leftovers;
use crate::bindings::tthost::backup::log::{Level, log};
use crate::bindings::tthost::backup::progress;
use crate::bindings::tthost::backup::seal::{
    self, Compression, Digester, Expectation, Piece, Staged,
};
use crate::bindings::tthost::backup::secrets;
use crate::bindings::tthost::backup::types::Error;

const MIB: usize = 1 << 20;

/// Does what its name says, and nothing where it is no attack of these.
pub(crate) async fn attack(name: &str) -> Result<(), Error> {
    match name {
        "loop" => loop {
            black_box(());
        },
        "chatter" => loop {
            progress::report("blobs", 1, None);
            log(Level::Debug, "still here");
        },
        "stall" => std::future::pending().await,
        "trap" => panic!("as configured"),
        "hoard" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(black_box(vec![1_u8; MIB]));
            }
        }
        "handles" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(Digester::begin("sha-256")?);
            }
        }
        "large-list" => {
            let digester = Digester::begin("sha-256")?;
            digester.update(&vec![0; 24 * MIB]);
            Ok(())
        }
        "stage" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(Staged::stage("sha-256".into(), vec![vec![0; MIB]]).await?);
            }
        }
        "stage-nothing" => {
            let mut hoard = Vec::new();
            loop {
                let pieces = vec![Vec::new(); 100_000];
                hoard.push(Staged::stage("sha-256".into(), pieces).await?);
            }
        }
        "scrypt" => seal::scrypt(b"password".to_vec(), b"salt".to_vec(), 1 << 19, 8, 1, 32)
            .await
            .map(drop),
        "decompress" => seal::decompress("zstd".into(), bomb(), 1 << 30)
            .await
            .map(drop),
        "compress" => {
            let compression = Compression {
                algorithm: "zstd".into(),
                level: 22,
            };
            let bytes = vec![7; 6 * MIB];
            seal::compress(bytes, compression).await.map(drop)
        }
        "open-streams" => {
            let key = seal::Key::import("aes-256-ctr+poly1305-aes", &[7; 64])?;
            let mut hoard = Vec::new();
            loop {
                hoard.push(seal::Opening::begin(&key));
            }
        }
        "waiting-names" => wait_with_names().await,
        "log" => {
            for number in 0..200_000 {
                log(Level::Error, &format!("message {number}"));
            }
            Ok(())
        }
        "leftovers" => litter().await,
        "stdout" => {
            let mut out = std::io::stdout();
            let text = vec![b'x'; MIB];
            // It goes nowhere.
            while out.write_all(&text).is_ok() {
                progress::report("output", 1, None);
            }
            Err(Error::Other("the output is closed".into()))
        }
        "stderr" => {
            let mut out = std::io::stderr();
            let text = vec![b'x'; MIB];
            while out.write_all(&text).is_ok() {}
            Err(Error::Other("the error output is full".into()))
        }
        "terminal" => {
            let text = format!("\u{1b}]0;owned\u{7}\u{1b}[2J\r\u{202e}{}", "x".repeat(MIB));
            log(Level::Error, &text);
            Err(Error::Other(text))
        }
        "secret" => {
            let secret = secrets::get("password".into()).await?;
            Err(Error::Other(format!(
                "it has a secret of {} bytes",
                secret.len()
            )))
        }
        _ => Ok(()),
    }
}

/// Lets many calls wait, each with a name that is long. The plugin is rid of it when the call has begun.
async fn wait_with_names() -> Result<(), Error> {
    let key = seal::Key::import("aes-256-ctr+poly1305-aes", &[7; 64])?;
    let (opening, _unread) = seal::Opening::begin(&key);
    let piece = || Piece {
        name: "x".repeat(300 << 10),
        bytes: Vec::new(),
        expectation: Expectation {
            compression: None,
            max_length: 1 << 30,
            digest: None,
        },
    };
    let mut calls = Vec::new();
    for _ in 0..200 {
        let mut call = Box::pin(opening.add(vec![piece()]));
        // The first has room; nobody reads, so all others wait.
        match poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
            Poll::Ready(answer) => answer?,
            Poll::Pending => calls.push(call),
        }
    }
    std::future::pending().await
}

/// Notes what it forgets again, and looks alive meanwhile.
async fn litter() -> Result<(), Error> {
    loop {
        leftovers::note("x".repeat(256)).await?;
        leftovers::clear("x".repeat(256)).await?;
        Staged::stage("sha-256".into(), vec![vec![1]]).await?;
    }
}

/// A frame of zstd that holds a gigabyte of zeros, in blocks that repeat one byte, and does not say so beforehand.
fn bomb() -> Vec<u8> {
    const BLOCK: u32 = 128 << 10;
    const BLOCKS: u32 = (1 << 30) / BLOCK;
    // The magic number, no size, and a window of 2 MiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    for number in 1..=BLOCKS {
        let header = (BLOCK << 3) | (1 << 1) | u32::from(number == BLOCKS);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}
