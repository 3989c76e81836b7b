//! `seal.opening`: sealed bytes into a stream of what they hold.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use wasmtime::component::{Access, Accessor, HasSelf, Resource, StreamReader};

use super::seal::{Answer, Key, begin, check, open};
use crate::plugin::bindings::common::tthost::backup::seal;
use crate::plugin::bindings::types;
use crate::plugin::memory::Share;
use crate::plugin::own::Own;
use crate::plugin::state::State;

/// Opened bytes that wait to be read, at most; what is larger has to be alone.
const AHEAD: u32 = 16 << 20;

/// The end of a stream that a plugin adds to.
pub struct Opening {
    key: Arc<tthost_seal::Key>,
    room: Arc<Semaphore>,
    queue: mpsc::UnboundedSender<Piece>,
    verdict: oneshot::Receiver<Result<(), types::Error>>,
}

/// What is being opened, and its part of the room.
struct Piece {
    opened: oneshot::Receiver<Result<(Vec<u8>, Share), types::Error>>,
    turn: OwnedSemaphorePermit,
}

impl Opening {
    fn new(key: Arc<tthost_seal::Key>) -> (Self, impl Stream<Item = Bytes> + Send) {
        let (queue, pieces) = mpsc::unbounded_channel();
        let (tell, verdict) = oneshot::channel();
        let room = Arc::new(Semaphore::new(AHEAD as usize));
        let stream = stream::unfold((pieces, tell), async |(mut pieces, tell)| {
            let verdict = match next(&mut pieces).await {
                Ok(Some(bytes)) => return Some((bytes, (pieces, tell))),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            // The plugin may have given up.
            let _ = tell.send(verdict);
            None
        });
        let opening = Self {
            key,
            room,
            queue,
            verdict,
        };
        (opening, stream)
    }

    /// How it ended, when it ended before its time.
    fn verdict(&mut self) -> types::Error {
        match self.verdict.try_recv() {
            Ok(Err(error)) => error,
            _ => unread(),
        }
    }
}

/// The next bytes; none when all were given.
async fn next(pieces: &mut mpsc::UnboundedReceiver<Piece>) -> Result<Option<Bytes>, types::Error> {
    let Some(piece) = pieces.recv().await else {
        return Ok(None);
    };
    let opened = piece.opened.await;
    drop(piece.turn);
    match opened {
        Ok(opened) => opened.map(|(bytes, _)| Some(bytes.into())),
        Err(_) => Err(types::Error::Other("the host failed to open it".into())),
    }
}

impl seal::HostOpening for State {
    fn drop(&mut self, opening: Resource<Opening>) -> wasmtime::Result<()> {
        self.table.delete(opening)?;
        Ok(())
    }
}

impl seal::HostOpeningWithStore<State> for HasSelf<State> {
    fn begin(
        mut host: Access<'_, State, Self>,
        key: Resource<Key>,
    ) -> wasmtime::Result<(Resource<Opening>, StreamReader<u8>)> {
        let state = host.get();
        let (opening, bytes) = Opening::new(state.table.get(&key)?.material());
        let own = Own::new(bytes, state.activity.clone());
        let opening = state.table.push(opening)?;
        Ok((opening, StreamReader::new(&mut host, own)?))
    }

    async fn add(
        accessor: &Accessor<State, Self>,
        opening: Resource<Opening>,
        name: String,
        bytes: Vec<u8>,
        expectation: seal::Expectation,
    ) -> Answer<()> {
        if let Err(error) = check(&expectation) {
            return Ok(Err(error));
        }
        let (cores, mut held) = match begin(accessor, bytes.len()) {
            Ok(begun) => begun,
            Err(error) => return Ok(Err(error)),
        };
        let (room, key) = accessor.with(|mut access| {
            let opening = access.get().table.get(&opening)?;
            Ok::<_, wasmtime::Error>((opening.room.clone(), opening.key.clone()))
        })?;
        let size = u32::try_from(expectation.max_length).unwrap_or(AHEAD);
        let turn = room.acquire_many_owned(size.clamp(1, AHEAD)).await?;
        let opened = cores.start(move || {
            let opened = open(&key, &bytes, &expectation).map_err(|error| named(&name, error))?;
            held.grow(opened.len())?;
            Ok((opened, held))
        });
        accessor.with(|mut access| {
            let state = access.get();
            state.activity.note();
            let opening = state.table.get_mut(&opening)?;
            let added = opening.queue.send(Piece { opened, turn });
            Ok(added.map_err(|_| opening.verdict()))
        })
    }

    async fn finish(accessor: &Accessor<State, Self>, opening: Resource<Opening>) -> Answer<()> {
        let Opening { queue, verdict, .. } =
            accessor.with(|mut access| access.get().table.delete(opening))?;
        drop(queue);
        Ok(verdict.await.unwrap_or_else(|_| Err(unread())))
    }
}

fn named(name: &str, error: types::Error) -> types::Error {
    match error {
        types::Error::Corrupt(text) | types::Error::Unauthenticated(text) => {
            types::Error::Corrupt(format!("{name} is damaged: {text}"))
        }
        other => other,
    }
}

fn unread() -> types::Error {
    types::Error::Cancelled("nobody reads the contents any more".into())
}
