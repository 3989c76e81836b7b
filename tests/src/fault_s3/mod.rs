//! An S3 server whose faults a test injects: what it stores is real, and what it says is what the
//! test wants, so that faults can be had that no real server shows when it is asked to.
//!
//! Signatures are not looked at. A real server does that in other tests, and a server whose clock is
//! wrong could not be had otherwise.

mod answer;
mod fault;
mod front;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

pub use fault::{Fault, Operation, Refusal, S3Request};

use crate::offsite::Offsite;
use crate::s3::Bucket;

/// The access key of the test itself, whose requests are never faulty and not recorded.
const OWNER: &str = "owner";

/// What decides how an answer is faulty.
type Faults = Box<dyn Fn(&S3Request) -> Fault + Send + Sync>;

/// A running server. It ends when this is dropped, and what it stores goes with it.
#[derive(Debug)]
pub struct FaultS3 {
    shared: Arc<Shared>,
    port: u16,
    // The server ends before its storage is removed, since fields are dropped in this order.
    _runtime: Runtime,
    _storage: TempDir,
}

/// A request that was made.
#[derive(Clone, Debug)]
pub struct Request {
    /// What was asked for.
    pub asked: S3Request,
    /// Whether it came with a digest of its body, in `Content-MD5`.
    pub digested: bool,
    /// The status of the answer; none when there was none.
    pub status: Option<u16>,
}

impl FaultS3 {
    /// Starts a server that answers with these faults.
    pub fn start(fault: impl Fn(&S3Request) -> Fault + Send + Sync + 'static) -> Result<Self> {
        let storage = tempfile::Builder::new().prefix("tthost-fault.").tempdir()?;
        let files = FileSystem::new(storage.path())
            .map_err(|cause| anyhow::anyhow!("the storage cannot be used: {cause:?}"))?;
        let shared = Arc::new(Shared {
            storage: S3ServiceBuilder::new(files).build(),
            faults: Mutex::new(Box::new(fault)),
            counts: Mutex::default(),
            requests: Mutex::default(),
            stored: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(accept(listener, shared.clone()));
        Ok(Self {
            shared,
            port,
            _runtime: runtime,
            _storage: storage,
        })
    }

    /// The server's origin.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A bucket, whose answers are not faulty. It need not exist yet.
    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        Bucket::at(&self.endpoint(), name, OWNER, OWNER)
    }

    /// A new bucket, whose answers are not faulty.
    pub fn new_bucket(&self, name: &str) -> Result<Bucket> {
        let bucket = self.bucket(name)?;
        bucket.create().context("the bucket cannot be made")?;
        Ok(bucket)
    }

    /// A place in a bucket, with credentials whose answers are faulty.
    pub fn place(&self, place: &str) -> Offsite {
        Offsite {
            endpoint: self.endpoint(),
            place: place.to_owned(),
            access_key: "any".to_owned(),
            secret_key: "any".to_owned(),
            settings: String::new(),
        }
    }

    /// Bends otherwise from now on, and counts and records requests from the beginning.
    pub fn set(&self, fault: impl Fn(&S3Request) -> Fault + Send + Sync + 'static) {
        *lock(&self.shared.faults) = Box::new(fault);
        lock(&self.shared.counts).clear();
        lock(&self.shared.requests).clear();
    }

    /// The requests since the faults was last set, in the order of their answers.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }
}

/// What all connections share.
struct Shared {
    storage: S3Service,
    faults: Mutex<Faults>,
    /// How many requests there were for each operation and kind of object.
    counts: Mutex<HashMap<(Operation, String), usize>>,
    requests: Mutex<Vec<Request>>,
    /// When objects were stored, by bucket and key.
    stored: Mutex<HashMap<String, Instant>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A test that failed has said why; its poisoned lock is no second failure.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, shared.clone()));
    }
}

/// Serves a connection to its end.
async fn serve(stream: TcpStream, shared: Arc<Shared>) -> Result<()> {
    let stream = stream.into_std()?;
    // Kept until the end, so that an answer can still say how the connection is closed.
    let socket = Arc::new(stream.try_clone()?);
    let service = service_fn(|request| front::answer(request, shared.clone(), socket.clone()));
    let stream = TcpStream::from_std(stream)?;
    // Connections that break are what this server is for.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    Ok(())
}
