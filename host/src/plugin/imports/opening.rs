//! `seal.opening`: opens sealed bytes into a stream.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use wasmtime::component::{Access, Accessor, HasSelf, Resource, StreamReader};

use super::seal::{Answer, Key, begin, open_pieces, sealed_weight};
use crate::plugin::bindings::common::tthost::backup::seal;
use crate::plugin::bindings::types;
use crate::plugin::buffers::{Buffer, Buffers};
use crate::plugin::host_stream::HostStream;
use crate::plugin::memory::{Memory, Share};
use crate::plugin::state::State;

/// The largest number of opened bytes that wait for a reader. A larger piece waits alone.
const MAX_OPENED_BYTES: u32 = 32 << 20;

/// The end of a stream that a plugin adds to.
pub struct Opening {
    key: Arc<tthost_seal::Key>,
    buffers: Buffers,
    room: Arc<Semaphore>,
    queue: mpsc::UnboundedSender<Batch>,
    verdict: oneshot::Receiver<Result<(), types::Error>>,
}

/// Pieces that are being opened, and their part of the room.
struct Batch {
    opened: oneshot::Receiver<Result<Vec<Bytes>, types::Error>>,
    turn: OwnedSemaphorePermit,
}

/// The contents of a piece. Its memory is charged until its last byte is released.
struct Opened {
    bytes: Buffer,
    _held: Arc<Share>,
}

impl AsRef<[u8]> for Opened {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl Opening {
    fn new(
        key: Arc<tthost_seal::Key>,
        memory: Memory,
    ) -> (Self, impl Stream<Item = Bytes> + Send + use<>) {
        let (queue, batches) = mpsc::unbounded_channel();
        let (tell, verdict) = oneshot::channel();
        let room = Arc::new(Semaphore::new(MAX_OPENED_BYTES as usize));
        let opened = stream::unfold((batches, tell), async |(mut batches, tell)| {
            let verdict = match next(&mut batches).await {
                Ok(Some(pieces)) => return Some((pieces, (batches, tell))),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            // The plugin may have given up.
            let _ = tell.send(verdict);
            None
        });
        let opening = Self {
            key,
            buffers: Buffers::new(memory),
            room,
            queue,
            verdict,
        };
        (opening, opened.flat_map(stream::iter))
    }

    /// How it ended, when it ended before its time.
    fn verdict(&mut self) -> types::Error {
        match self.verdict.try_recv() {
            Ok(Err(error)) => error,
            _ => unread(),
        }
    }
}

/// The contents of the next pieces; `None` after the last.
async fn next(
    batches: &mut mpsc::UnboundedReceiver<Batch>,
) -> Result<Option<Vec<Bytes>>, types::Error> {
    let Some(batch) = batches.recv().await else {
        return Ok(None);
    };
    let opened = batch.opened.await;
    drop(batch.turn);
    match opened {
        Ok(opened) => opened.map(Some),
        Err(_) => Err(types::Error::Other("the host failed to open it".into())),
    }
}

/// Opens pieces into buffers that are used again.
fn open_all(
    key: &tthost_seal::Key,
    pieces: Vec<seal::Piece>,
    buffers: &Buffers,
    mut held: Share,
) -> Result<Vec<Bytes>, types::Error> {
    let opened = open_pieces(key, pieces, || buffers.take(), &mut held)?;
    let held = Arc::new(held);
    let opened = opened.into_iter().map(|bytes| {
        Bytes::from_owner(Opened {
            bytes,
            _held: held.clone(),
        })
    });
    Ok(opened.collect())
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
        let key = state.table.get(&key)?.material();
        let (opening, bytes) = Opening::new(key, state.memory.clone());
        let own = HostStream::new(bytes, state.activity.clone());
        let opening = state.table.push(opening)?;
        Ok((opening, StreamReader::new(&mut host, own)?))
    }

    async fn add(
        accessor: &Accessor<State, Self>,
        opening: Resource<Opening>,
        pieces: Vec<seal::Piece>,
    ) -> Answer<()> {
        let begun = sealed_weight(&pieces).and_then(|bytes| begin(accessor, bytes));
        let (cores, held) = match begun {
            Ok(begun) => begun,
            Err(error) => return Ok(Err(error)),
        };
        let (key, buffers, room) = accessor.with(|mut access| {
            let opening = access.get().table.get(&opening)?;
            let Opening {
                key, buffers, room, ..
            } = opening;
            Ok::<_, wasmtime::Error>((key.clone(), buffers.clone(), room.clone()))
        })?;
        let size = pieces.iter().fold(0_u64, |size, piece| {
            size.saturating_add(piece.expectation.max_length)
        });
        let size = u32::try_from(size).unwrap_or(MAX_OPENED_BYTES);
        let turn = room
            .acquire_many_owned(size.clamp(1, MAX_OPENED_BYTES))
            .await?;
        let opened = cores.start(move || open_all(&key, pieces, &buffers, held));
        accessor.with(|mut access| {
            let state = access.get();
            state.activity.note();
            let opening = state.table.get_mut(&opening)?;
            let added = opening.queue.send(Batch { opened, turn });
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

fn unread() -> types::Error {
    types::Error::Cancelled("nobody reads the contents any more".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&[u8]; 3] = [b"first", b"second", b"a third one"];

    fn buffers() -> Buffers {
        Buffers::new(Memory::new(1 << 20))
    }

    fn pieces(key: &tthost_seal::Key) -> Vec<seal::Piece> {
        let piece = |text: &[u8]| seal::Piece {
            name: format!("the text of {} bytes", text.len()),
            bytes: tthost_seal::seal(key, text, None).bytes,
            expectation: seal::Expectation {
                compression: None,
                max_length: 100,
                digest: Some(("sha-256".into(), tthost_seal::digest(text).to_vec())),
            },
        };
        TEXTS.map(piece).into()
    }

    #[test]
    fn pieces_are_opened_in_their_order() {
        let key = tthost_seal::Key::from_material(&[7; 64]);
        let held = Memory::new(1000).hold(0).expect("there is room");
        let opened = open_all(&key, pieces(&key), &buffers(), held).expect("they are whole");
        assert_eq!(opened, TEXTS);
    }

    #[test]
    fn a_valid_piece_in_the_place_of_another_is_damage() {
        let key = tthost_seal::Key::from_material(&[7; 64]);
        let held = Memory::new(1000).hold(0).expect("there is room");
        let mut swapped = pieces(&key);
        swapped[2].bytes = swapped[0].bytes.clone();
        let error = open_all(&key, swapped, &buffers(), held).expect_err("it is another text");
        assert!(
            matches!(&error, types::Error::Corrupt(text) if text.contains("of 11 bytes")),
            "{error:?}"
        );
    }

    #[test]
    fn what_was_opened_counts_as_the_plugins_memory_until_it_is_gone() {
        let key = tthost_seal::Key::from_material(&[7; 64]);
        let memory = Memory::new(40);
        let none = || memory.hold(0).expect("there is room");
        let open = || open_all(&key, pieces(&key), &buffers(), none());
        let opened = open().expect("there is room");
        let part = opened[0].slice(1..2);
        drop(opened);
        open().expect_err("there is no room for another");
        drop(part);
        open().expect("there is room again");
    }
}
