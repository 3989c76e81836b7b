//! Each function that the host offers in this version, called once. Without a grant, most answer `denied`; the host has to have
//! them all the same.

use crate::bindings::tthost::backup::commands;
use crate::bindings::tthost::backup::leftovers;
use crate::bindings::tthost::backup::log::{Level, log};
use crate::bindings::tthost::backup::objects::{self, Existing, Part};
use crate::bindings::tthost::backup::progress::report;
use crate::bindings::tthost::backup::seal::{
    self, Compression, Digester, Expectation, Key, Opening, Piece, Staged,
};
use crate::bindings::tthost::backup::secrets;
use crate::bindings::tthost::backup::trees::{self, Restoration, Wanted};
use crate::bindings::tthost::backup::types::{Ending, Error, Small};
use crate::bindings::{wit_future, wit_stream};

/// Calls all of it.
pub(crate) async fn call_everything() -> Result<(), Error> {
    report("interfaces", 1, Some(7));
    leftovers::note("something".into()).await?;
    leftovers::clear("something".into()).await?;
    leftovers::left().await;
    denied("secrets", &secrets::get("nothing".into()).await)?;
    denied("commands", &call_commands().await)?;
    denied("trees", &call_trees().await)?;
    denied("objects", &call_objects().await)?;
    call_seal().await?;
    log(Level::Info, "everything of version 0.2.0 was called");
    Ok(())
}

/// Nothing else is to be expected without a grant.
fn denied<T>(interface: &str, answer: &Result<T, Error>) -> Result<(), Error> {
    match answer {
        Err(Error::Denied(_)) => Ok(()),
        _ => Err(Error::Other(format!("{interface} did not answer denied"))),
    }
}

async fn call_commands() -> Result<(), Error> {
    let process = commands::spawn("nothing".into(), Vec::new(), None).await?;
    process.kill();
    drop(process.stdout());
    process.wait().await.map(drop)
}

async fn call_trees() -> Result<(), Error> {
    for name in trees::granted() {
        let restoration = Restoration::begin(name, 0).await?;
        restoration.concurrency(1);
        restoration.offer(Vec::new()).await?;
        restoration.put_small(Vec::<Small>::new()).await?;
        let (_, stream) = wit_stream::new();
        let (_, verdict) = wit_future::new(|| Ok::<_, Error>(Ending::Whole));
        restoration.put(1, stream, verdict).await?;
        Restoration::commit(restoration, None).await?;
    }
    let roots = trees::open("nothing".into()).await?;
    for root in &roots {
        root.directory.next(1).await?;
        root.directory.enter(b"directory".to_vec()).await?;
        drop(root.directory.read(b"file".to_vec(), 1).await?);
        let wanted = Wanted {
            in_: &root.directory,
            name: b"file".to_vec(),
            length: 1,
        };
        trees::read_small(vec![wanted]).await?;
    }
    Ok(())
}

async fn call_objects() -> Result<(), Error> {
    objects::list(String::new(), None).await?;
    objects::stat("nothing".into()).await?;
    let part = Part {
        offset: 0,
        length: 1,
    };
    let body = objects::get("nothing".into(), Some(part)).await?;
    objects::put("nothing".into(), 1, Existing::Kept, body).await?;
    objects::remove("nothing".into()).await
}

async fn call_seal() -> Result<(), Error> {
    let key = Key::import("aes-256-ctr+poly1305-aes", &[7; 64])?;
    let zstd = || Compression {
        algorithm: "zstd".into(),
        level: 3,
    };
    let plain = vec![b'x'; 1000];
    let staged = Staged::stage("sha-256".into(), vec![plain.clone()]).await?;
    let digest = staged.digests().concat();
    let sealed = Staged::seal(staged, vec![0], &key, Some(zstd())).await?;
    let expectation = || Expectation {
        compression: Some("zstd".into()),
        max_length: 1000,
        digest: Some(("sha-256".into(), digest.clone())),
    };
    let digester = Digester::begin("sha-256")?;
    digester.update(&plain);
    expect("digests", Digester::finish(digester) == digest)?;
    for sealed in &sealed {
        let bytes = || sealed.bytes.clone();
        let opened = seal::open(&key, bytes(), expectation()).await?;
        expect("open", opened == plain)?;
        let piece = || Piece {
            name: "the piece".into(),
            bytes: bytes(),
            expectation: expectation(),
        };
        let opened = seal::open_all(&key, vec![piece()]).await?;
        expect("open-all", opened.concat() == plain)?;
        let (opening, mut stream) = Opening::begin(&key);
        opening.add(vec![piece()]).await?;
        let (_, streamed) = stream.read(Vec::with_capacity(1000)).await;
        expect("opening", streamed == plain)?;
        drop(stream);
        // Whether all of it was read before it ended is its own business.
        let _ = Opening::finish(opening).await;
    }
    seal::seal(&key, plain.clone(), None).await?;
    let compressed = seal::compress(plain.clone(), zstd()).await?;
    let again = seal::decompress("zstd".into(), compressed, 1000).await?;
    expect("decompress", again == plain)?;
    let derived = seal::scrypt(b"word".to_vec(), b"salt".to_vec(), 2, 1, 1, 32).await?;
    expect("scrypt", derived.len() == 32)
}

fn expect(what: &str, is_right: bool) -> Result<(), Error> {
    if is_right {
        Ok(())
    } else {
        Err(Error::Other(format!("{what} gave something else")))
    }
}
