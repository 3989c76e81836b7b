//! `trees.directory`: what is in a directory, and the contents of its files.

use std::ffi::{CStr, CString};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream;
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::{Answer, blocking, blocking_each, failed};
use crate::contract::Name;
use crate::plugin::bindings::common::tthost::backup::trees;
use crate::plugin::bindings::types;
use crate::plugin::buffers::Buffers;
use crate::plugin::host_stream::HostStream;
use crate::plugin::state::State;
use crate::tree::{FileReader, ReadDir, Stamp};

/// Bytes of a large file that are read at a time.
const PIECE: usize = 1 << 20;

/// Pieces that are read before somebody takes them.
const AHEAD: usize = 2;

/// Entries of a directory that a plugin is given at a time.
const MOST_LISTED: u32 = 1024;

/// The largest file that is read whole, in bytes.
const LARGEST_SMALL: u64 = 1 << 20;

/// An open directory, and how far it has been listed.
pub struct Directory {
    view: Arc<dyn ReadDir>,
    listing: Arc<Mutex<Listing>>,
}

/// What is still to be listed.
#[derive(Default)]
struct Listing {
    /// None before the first is asked for; the next name is the last one here.
    names: Option<Vec<CString>>,
}

type Listed = Result<trees::Item, (Vec<u8>, types::Error)>;

impl Directory {
    pub(super) fn new(view: Arc<dyn ReadDir>) -> Self {
        Self {
            view,
            listing: Arc::default(),
        }
    }
}

impl Listing {
    /// The names of the next things of the directory.
    fn next(&mut self, view: &dyn ReadDir, max: usize) -> io::Result<Vec<CString>> {
        let names = if let Some(names) = &mut self.names {
            names
        } else {
            let mut names = view.list()?;
            names.reverse();
            self.names.insert(names)
        };
        let rest = names.len().saturating_sub(max);
        Ok(names.drain(rest..).rev().collect())
    }
}

fn look(view: &dyn ReadDir, name: CString) -> Listed {
    match view.look(&name) {
        Ok((kind, metadata)) => Ok(trees::Item {
            name: name.into_bytes(),
            kind: kind.into(),
            metadata: metadata.into(),
        }),
        Err(cause) => Err((name.into_bytes(), failed(&cause))),
    }
}

impl trees::HostDirectory for State {
    fn drop(&mut self, directory: Resource<Directory>) -> wasmtime::Result<()> {
        self.table.delete(directory)?;
        Ok(())
    }
}

impl trees::HostDirectoryWithStore<State> for HasSelf<State> {
    async fn next(
        accessor: &Accessor<State, Self>,
        directory: Resource<Directory>,
        max: u32,
    ) -> Answer<Vec<Listed>> {
        if !(1..=MOST_LISTED).contains(&max) {
            let text = format!("{max} entries were asked for; 1 to {MOST_LISTED} are possible");
            return Ok(Err(types::Error::Other(text)));
        }
        let (view, listing) = accessor.with(|mut access| {
            let directory = access.get().table.get(&directory)?;
            Ok::<_, wasmtime::Error>((directory.view.clone(), directory.listing.clone()))
        })?;
        let names = {
            let view = view.clone();
            blocking(move || {
                let mut listing = listing.lock().unwrap_or_else(PoisonError::into_inner);
                listing.next(&*view, max as usize)
            })
        };
        let names = match names.await? {
            Ok(names) => names,
            Err(cause) => return Ok(Err(failed(&cause))),
        };
        let is_sequential = view.is_sequential();
        let look = move |name| look(&*view, name);
        let listed = blocking_each(names, is_sequential, look).await?;
        note(accessor);
        Ok(Ok(listed))
    }

    async fn enter(
        accessor: &Accessor<State, Self>,
        directory: Resource<Directory>,
        name: Vec<u8>,
    ) -> Answer<Resource<Directory>> {
        let name = match one_name(name) {
            Ok(name) => name,
            Err(error) => return Ok(Err(error)),
        };
        let view = view(accessor, &directory)?;
        let entered = blocking(move || view.enter(name.as_c_str())).await?;
        note(accessor);
        match entered {
            Ok(view) => accessor.with(|mut access| {
                let directory = Directory::new(view);
                Ok(Ok(access.get().table.push(directory)?))
            }),
            Err(cause) => Ok(Err(failed(&cause))),
        }
    }

    async fn read(
        accessor: &Accessor<State, Self>,
        directory: Resource<Directory>,
        name: Vec<u8>,
        length: u64,
    ) -> Answer<(
        StreamReader<u8>,
        FutureReader<Result<trees::Stamp, types::Error>>,
    )> {
        let name = match one_name(name) {
            Ok(name) => name,
            Err(error) => return Ok(Err(error)),
        };
        let view = view(accessor, &directory)?;
        // What is read ahead, and the piece that is being read.
        let held = accessor.with(|mut access| access.get().memory.hold((AHEAD + 1) * PIECE));
        let held = match held {
            Ok(held) => held,
            Err(error) => return Ok(Err(error)),
        };
        let mut file = match blocking(move || view.open(name.as_c_str(), length)).await? {
            Ok(file) => file,
            Err(cause) => return Ok(Err(failed(&cause))),
        };
        let (pieces, mut read) = mpsc::channel(AHEAD);
        let (tell, told) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let stamp = read_pieces(&mut *file, length, &pieces);
            drop(pieces);
            // Nobody need be listening.
            let _ = tell.send(stamp.map_err(|cause| failed(&cause)));
        });
        let bytes = stream::poll_fn(move |context| {
            let _ = &held;
            read.poll_recv(context)
        });
        accessor.with(|mut access| {
            let activity = access.get().activity.clone();
            let stream = StreamReader::new(&mut access, HostStream::new(bytes, activity))?;
            let verdict = async move { Ok::<_, wasmtime::Error>(told.await.unwrap_or_else(lost)) };
            let verdict = FutureReader::new(&mut access, verdict)?;
            Ok(Ok((stream, verdict)))
        })
    }
}

/// Reads many small files; see the contract.
pub(super) async fn read_small(
    accessor: &Accessor<State, HasSelf<State>>,
    files: Vec<trees::Wanted>,
) -> Answer<Vec<Result<trees::WholeFile, types::Error>>> {
    let mut wanted = Vec::with_capacity(files.len());
    let mut bytes = 0;
    let held = accessor.with(|mut access| {
        let state = access.get();
        for file in files {
            let view = state.table.get(&file.in_)?.view.clone();
            bytes += usize::try_from(file.length.min(LARGEST_SMALL)).unwrap_or_default();
            wanted.push((view, file.name, file.length));
        }
        Ok::<_, wasmtime::Error>(state.memory.hold(bytes))
    })?;
    let held = match held {
        Ok(held) => held,
        Err(error) => return Ok(Err(error)),
    };
    let read = |(view, name, length): (Arc<dyn ReadDir>, Vec<u8>, u64)| {
        let name = one_name(name)?;
        read_whole(&*view, name.as_c_str(), length).map_err(|cause| failed(&cause))
    };
    let are_sequential = wanted.iter().any(|(view, ..)| view.is_sequential());
    let contents = blocking_each(wanted, are_sequential, read).await?;
    drop(held);
    note(accessor);
    Ok(Ok(contents))
}

fn read_whole(view: &dyn ReadDir, name: &CStr, length: u64) -> io::Result<trees::WholeFile> {
    if length > LARGEST_SMALL {
        return Err(io::Error::other("it is too large to be read whole"));
    }
    let mut file = view.open(name, length)?;
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let read = file.read(&mut bytes)?;
    bytes.truncate(read);
    Ok(trees::WholeFile {
        bytes,
        stamp: stamp_of(file.stamp()?, read as u64),
    })
}

/// Sends the first `length` bytes of a file, or all if it is shorter, as long as somebody takes
/// them.
fn read_pieces(
    file: &mut dyn FileReader,
    length: u64,
    pieces: &mpsc::Sender<Bytes>,
) -> io::Result<trees::Stamp> {
    let buffers = Buffers::default();
    let mut left = length;
    while left > 0 {
        let mut buffer = buffers.take();
        let size = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        buffer.resize(size, 0);
        let read = file.read(&mut buffer)?;
        buffer.truncate(read);
        left -= read as u64;
        if read == 0 || pieces.blocking_send(buffer.freeze()).is_err() {
            break;
        }
    }
    Ok(stamp_of(file.stamp()?, length - left))
}

fn view(
    accessor: &Accessor<State, HasSelf<State>>,
    directory: &Resource<Directory>,
) -> wasmtime::Result<Arc<dyn ReadDir>> {
    accessor.with(|mut access| Ok(access.get().table.get(directory)?.view.clone()))
}

/// A sign of life: the plugin got something.
fn note(accessor: &Accessor<State, HasSelf<State>>) {
    accessor.with(|mut access| access.get().activity.note());
}

fn one_name(name: Vec<u8>) -> Result<Name, types::Error> {
    Name::new(name).map_err(|invalid| types::Error::Denied(invalid.to_string()))
}

fn stamp_of(stamp: Stamp, read: u64) -> trees::Stamp {
    trees::Stamp {
        read,
        size: stamp.size,
        modified: stamp.modified.into(),
        changed: stamp.changed.into(),
        device: stamp.device,
        inode: stamp.inode,
    }
}

fn lost<T>(_: oneshot::error::RecvError) -> Result<T, types::Error> {
    Err(types::Error::Other("the host failed to read it".into()))
}
