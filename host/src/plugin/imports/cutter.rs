//! `seal.cutter`: cuts a stream into pieces, outside of the plugin.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tthost_chunker::{Chunker, Cutting, Polynomial, Sizes};
use wasmtime::component::{Access, Accessor, HasSelf, Resource, StreamReader};

use super::seal::{Answer, SHA_256, Staged, unknown, weight};
use crate::pipe;
use crate::plugin::bindings::common::tthost::backup::seal;
use crate::plugin::bindings::types;
use crate::plugin::cores::CoreShare;
use crate::plugin::memory::{Memory, Share};
use crate::plugin::state::State;
use crate::plugin::streams;

/// Bytes that are cut at a time: most often two pieces, whose digests are computed side by side.
const TOGETHER: usize = 3 << 20;

/// The largest number of staged pieces that wait for a request. More than these wait at their origin.
const MAX_STAGED: usize = 1;

/// The pieces whose digests are being computed, or the reason why there are none.
type Cut = Result<oneshot::Receiver<Staged>, types::Error>;

/// A stream that is cut.
pub struct Cutter {
    cuts: Arc<Mutex<mpsc::Receiver<Cut>>>,
    work: JoinHandle<()>,
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Cuts one stream.
struct Work {
    bytes: BoxStream<'static, Bytes>,
    /// None while it cuts.
    chunker: Option<Chunker>,
    /// The bytes that the chunker holds.
    held: Share,
    cores: CoreShare,
    /// The caller is gone.
    given_up: Arc<AtomicBool>,
    cuts: mpsc::Sender<Cut>,
}

impl Work {
    async fn run(mut self) {
        loop {
            let (bytes, ended) = self.gather().await;
            let cut = match self.cut(bytes, ended).await {
                Ok(None) => None,
                Ok(Some(staged)) => Some(Ok(staged)),
                Err(error) => Some(Err(error)),
            };
            let failed = matches!(cut, Some(Err(_)));
            if let Some(cut) = cut
                && self.cuts.send(cut).await.is_err()
            {
                return;
            }
            if ended || failed {
                return;
            }
        }
    }

    /// The next bytes, and whether they are the last.
    async fn gather(&mut self) -> (Vec<Bytes>, bool) {
        let mut gathered = Vec::new();
        let mut length = 0;
        while length < TOGETHER {
            let Some(bytes) = self.bytes.next().await else {
                return (gathered, true);
            };
            length += bytes.len();
            gathered.push(bytes);
        }
        (gathered, false)
    }

    /// Cuts the new bytes, and starts to compute the digests of the pieces; `None` if no piece ends there.
    async fn cut(
        &mut self,
        bytes: Vec<Bytes>,
        ended: bool,
    ) -> Result<Option<oneshot::Receiver<Staged>>, types::Error> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(types::Error::Cancelled("the operation was given up".into()));
        }
        self.held.grow(bytes.iter().map(Bytes::len).sum())?;
        let mut chunker = self.chunker.take().ok_or_else(closed)?;
        let cutting = self.cores.run(move || {
            let mut pieces = Vec::new();
            let buffer = chunker.buffer();
            buffer.reserve(bytes.iter().map(Bytes::len).sum());
            for bytes in &bytes {
                buffer.extend_from_slice(bytes);
            }
            drop(bytes);
            pieces.extend(std::iter::from_fn(|| chunker.next_chunk()));
            if ended {
                pieces.extend(std::iter::from_fn(|| chunker.finish()));
            }
            (chunker, pieces)
        });
        let (chunker, pieces) = cutting.await.map_err(|_| closed())?;
        self.chunker = Some(chunker);
        if pieces.is_empty() {
            return Ok(None);
        }
        let length = pieces.iter().map(Vec::len).sum();
        let mut share = self.held.split(length);
        share.grow(weight(pieces.iter().map(Vec::len)) - length)?;
        Ok(Some(self.cores.start(move || Staged::new(pieces, share))))
    }
}

impl seal::HostCutter for State {
    fn drop(&mut self, cutter: Resource<Cutter>) -> wasmtime::Result<()> {
        self.table.delete(cutter)?;
        Ok(())
    }
}

impl seal::HostCutterWithStore<State> for HasSelf<State> {
    fn begin(
        mut host: Access<'_, State, Self>,
        contents: StreamReader<u8>,
        cutting: seal::Cutting,
        digest: String,
    ) -> Answer<Resource<Cutter>> {
        if digest != SHA_256 {
            return Ok(Err(unknown("digest", &digest)));
        }
        let cutting = match checked(cutting) {
            Ok(cutting) => cutting,
            Err(error) => return Ok(Err(error)),
        };
        // The bytes that are gathered before a cut, or wait in a pipe.
        let memory: Memory = host.get().memory.clone();
        let held = match memory.hold(TOGETHER.max(pipe::CAPACITY)) {
            Ok(held) => held,
            Err(error) => return Ok(Err(error)),
        };
        let bytes = streams::bytes_of(&mut host, contents)?;
        let (give, cuts) = mpsc::channel(MAX_STAGED);
        let work = Work {
            bytes,
            chunker: Some(Chunker::new(cutting)),
            held,
            cores: host.get().cores.clone(),
            given_up: host.get().given_up.clone(),
            cuts: give,
        };
        let cutter = Cutter {
            cuts: Arc::new(Mutex::new(cuts)),
            work: tokio::spawn(work.run()),
        };
        Ok(Ok(host.get().table.push(cutter)?))
    }

    async fn next(
        accessor: &Accessor<State, Self>,
        cutter: Resource<Cutter>,
    ) -> Answer<Option<Resource<Staged>>> {
        let cuts = accessor.with(|mut access| {
            Ok::<_, wasmtime::Error>(access.get().table.get(&cutter)?.cuts.clone())
        })?;
        let cut = match cuts.lock().await.recv().await {
            Some(Ok(cut)) => cut,
            Some(Err(error)) => return Ok(Err(error)),
            None => return Ok(Ok(None)),
        };
        let staged = cut.await;
        accessor.with(|mut access| {
            let state = access.get();
            state.activity.note();
            match staged {
                Ok(staged) => Ok(Ok(Some(state.table.push(staged)?))),
                Err(_) => Ok(Err(closed())),
            }
        })
    }
}

fn closed() -> types::Error {
    types::Error::Other("the host failed to cut it".into())
}

/// The request of a plugin, if it is valid.
fn checked(cutting: seal::Cutting) -> Result<Cutting, types::Error> {
    let size = |size: u32| usize::try_from(size).unwrap_or(usize::MAX);
    let cutting = match cutting {
        seal::Cutting::Rabin((polynomial, sizes)) => {
            let polynomial = Polynomial::try_from(polynomial)
                .map_err(|cause| types::Error::Config(cause.to_string()))?;
            let sizes = Sizes {
                smallest: size(sizes.smallest),
                usual: size(sizes.usual),
                largest: size(sizes.largest),
            };
            Cutting::Rabin(polynomial, sizes)
        }
        seal::Cutting::Fixed(length) => Cutting::Fixed(size(length)),
    };
    if cutting.is_possible() {
        Ok(cutting)
    } else {
        let text = format!("the host cuts no stream like this: {cutting:?}");
        Err(types::Error::Config(text))
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::plugin::cores::Cores;

    const CUTTING: Cutting = Cutting::Fixed(1 << 20);

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        getrandom::fill(&mut bytes).expect("there is randomness");
        bytes
    }

    fn rabin() -> seal::Cutting {
        let sizes = seal::Sizes {
            smallest: 512 << 10,
            usual: 1 << 20,
            largest: 8 << 20,
        };
        seal::Cutting::Rabin((0x003d_a335_8b4d_c173, sizes))
    }

    /// Cuts bytes that come in pieces of this length with this memory limit, and returns the staged pieces.
    async fn cut(
        cutting: Cutting,
        bytes: &[u8],
        piece: usize,
        memory: u64,
    ) -> Result<Vec<Staged>, types::Error> {
        let cores = Cores::new().expect("it starts");
        let pieces: Vec<_> = bytes.chunks(piece).map(Bytes::copy_from_slice).collect();
        let (give, mut cuts) = mpsc::channel(MAX_STAGED);
        let work = Work {
            bytes: stream::iter(pieces).boxed(),
            chunker: Some(Chunker::new(cutting)),
            held: Memory::new(memory).hold(0).expect("it is nothing"),
            cores: cores.share(),
            given_up: Arc::default(),
            cuts: give,
        };
        let collect = async {
            let mut staged = Vec::new();
            while let Some(cut) = cuts.recv().await {
                staged.push(cut?.await.expect("it is computed"));
            }
            Ok(staged)
        };
        futures::join!(work.run(), collect).1
    }

    #[tokio::test]
    async fn pieces_are_those_of_the_chunker_however_the_bytes_come() {
        let bytes = noise(20 << 20);
        let cutting = checked(rabin()).expect("it is restic's");
        let mut chunker = Chunker::new(cutting);
        chunker.buffer().extend_from_slice(&bytes);
        let expected: Vec<_> = std::iter::from_fn(|| chunker.finish()).collect();
        for piece in [100_000, 1 << 20, 20 << 20] {
            let staged = cut(cutting, &bytes, piece, 1 << 30).await;
            let staged = staged.expect("there is room");
            let pieces: Vec<_> = staged.iter().flat_map(Staged::pieces).cloned().collect();
            assert!(pieces == expected, "in pieces of {piece} bytes");
        }
    }

    #[tokio::test]
    async fn nothing_is_cut_into_nothing() {
        let staged = cut(CUTTING, &[], 1, 1 << 30).await;
        assert!(staged.expect("there is room").is_empty());
    }

    #[tokio::test]
    async fn what_is_cut_counts_as_the_plugins_memory() {
        let bytes = noise(8 << 20);
        cut(CUTTING, &bytes, 1 << 20, 20 << 20)
            .await
            .expect("there is room for all of it");
        let error = cut(CUTTING, &bytes, 1 << 20, 6 << 20).await;
        let error = error.err().expect("nobody takes what is staged");
        assert!(matches!(error, types::Error::Other(text) if text.contains("limits.memory")));
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let sizes = |smallest, usual, largest| seal::Sizes {
            smallest,
            usual,
            largest,
        };
        let with = |sizes| seal::Cutting::Rabin((0x003d_a335_8b4d_c173, sizes));
        for cutting in [
            seal::Cutting::Fixed(0),
            seal::Cutting::Fixed(u32::MAX),
            seal::Cutting::Rabin((4, sizes(1 << 19, 1 << 20, 1 << 23))),
            with(sizes(1, 1 << 20, 1 << 23)),
            with(sizes(1 << 19, 1_000_000, 1 << 23)),
            with(sizes(1 << 21, 1 << 20, 1 << 20)),
        ] {
            checked(cutting).expect_err("it is not possible");
        }
    }
}
