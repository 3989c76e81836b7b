//! `trees.directory`: the items of a directory, and the contents of its files.

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
use crate::plugin::memory::{Memory, Share};
use crate::plugin::state::State;
use crate::tree::{FileReader, ReadDir, Stamp};

/// Bytes of a large file that are read at a time.
const PIECE: usize = 1 << 20;

/// Pieces that are read before somebody takes them.
const READ_AHEAD: usize = 2;

/// Entries of a directory that a plugin is given at a time.
const MAX_LISTED: u32 = 1024;

/// The largest file that is read whole, in bytes.
const MAX_SMALL_SIZE: u64 = 1 << 20;

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
    /// The memory of the names.
    held: Option<Share>,
}

/// What a name takes besides its bytes.
const NAME: usize = 48;

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
    fn next(
        &mut self,
        view: &dyn ReadDir,
        max: usize,
        memory: &Memory,
    ) -> Result<Vec<CString>, types::Error> {
        let names = match &mut self.names {
            Some(names) => names,
            none => {
                let (names, held) = list(view, memory)?;
                self.held = Some(held);
                none.insert(names)
            }
        };
        let rest = names.len().saturating_sub(max);
        let next = names.drain(rest..).rev().collect();
        if names.is_empty() {
            *names = Vec::new();
            self.held = None;
        }
        Ok(next)
    }
}

/// All names of a directory, the first one last, and their memory.
fn list(view: &dyn ReadDir, memory: &Memory) -> Result<(Vec<CString>, Share), types::Error> {
    let mut held = memory.hold(0)?;
    let mut refused = None;
    let mut keep = |name: &CStr| {
        let room = held.grow(NAME + name.count_bytes());
        room.map_err(|error| {
            refused = Some(error);
            io::ErrorKind::OutOfMemory.into()
        })
    };
    match view.list(&mut keep) {
        Ok(mut names) => {
            names.reverse();
            Ok((names, held))
        }
        Err(cause) => Err(refused.unwrap_or_else(|| failed(&cause))),
    }
}

/// What has this name, and its memory. One for which there is no room does not keep the others from being listed.
fn stat(view: &dyn ReadDir, name: CString, memory: &Memory) -> (Listed, Option<Share>) {
    let looked = view.stat(&name).map_err(|cause| failed(&cause));
    let name = name.into_bytes();
    let looked = looked.and_then(|(kind, metadata)| {
        let more = name.len() + kind.more_weight() + metadata.more_weight();
        let held = memory.hold(size_of::<trees::Item>() + more)?;
        Ok((kind, metadata, held))
    });
    match looked {
        Ok((kind, metadata, held)) => {
            let item = trees::Item {
                name,
                kind: kind.into(),
                metadata: metadata.into(),
            };
            (Ok(item), Some(held))
        }
        Err(error) => (Err((name, error)), None),
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
        if !(1..=MAX_LISTED).contains(&max) {
            let text = format!("{max} entries were asked for; 1 to {MAX_LISTED} are possible");
            return Ok(Err(types::Error::Other(text)));
        }
        let (view, listing, memory) = accessor.with(|mut access| {
            let state = access.get();
            let Directory { view, listing } = state.table.get(&directory)?;
            Ok::<_, wasmtime::Error>((view.clone(), listing.clone(), state.memory.clone()))
        })?;
        let names = {
            let (view, memory) = (view.clone(), memory.clone());
            blocking(move || {
                let mut listing = listing.lock().unwrap_or_else(PoisonError::into_inner);
                listing.next(&*view, max as usize, &memory)
            })
        };
        let names = match names.await? {
            Ok(names) => names,
            Err(error) => return Ok(Err(error)),
        };
        let is_sequential = view.is_sequential();
        let stat = move |name| stat(&*view, name, &memory);
        let looked = blocking_each(names, is_sequential, stat).await?;
        note(accessor);
        // What was listed counts as the plugin's memory until it has all of it.
        let (listed, _held): (Vec<_>, Vec<_>) = looked.into_iter().unzip();
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
        let memory = accessor.with(|mut access| access.get().memory.clone());
        let held = match memory.hold((READ_AHEAD + 1) * PIECE) {
            Ok(held) => held,
            Err(error) => return Ok(Err(error)),
        };
        let mut file = match blocking(move || view.open(name.as_c_str(), length)).await? {
            Ok(file) => file,
            Err(cause) => return Ok(Err(failed(&cause))),
        };
        let (pieces, mut read) = mpsc::channel(READ_AHEAD);
        let (tell, told) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let stamp = read_pieces(&mut *file, length, &pieces, &Buffers::new(memory));
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
            let verdict =
                async move { Ok::<_, wasmtime::Error>(told.await.unwrap_or_else(closed)) };
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
            bytes += usize::try_from(file.length.min(MAX_SMALL_SIZE)).unwrap_or_default();
            bytes += file.name.len() + size_of::<trees::WholeFile>();
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
    if length > MAX_SMALL_SIZE {
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
    buffers: &Buffers,
) -> io::Result<trees::Stamp> {
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

fn closed<T>(_: oneshot::error::RecvError) -> Result<T, types::Error> {
    Err(types::Error::Other("the host failed to read it".into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tree::{OperatorPath, Root};

    #[test]
    fn the_names_of_a_directory_take_room_of_the_plugin_until_it_has_them() {
        const NAMES: usize = 100;
        let directory = tempfile::tempdir().expect("there is room");
        for number in 0..NAMES {
            fs::write(directory.path().join(format!("{number:0200}")), "").expect("there is room");
        }
        let root = Root::at(&OperatorPath::new(directory.path()), false).expect("it is there");
        let view = root.view();
        let memory = Memory::new((NAMES * 300 * 8 / 7) as u64);
        let next = |listing: &mut Listing, max| listing.next(&**view, max, &memory);
        let mut first = Listing::default();
        assert_eq!(next(&mut first, 1).expect("there is room").len(), 1);
        let error = next(&mut Listing::default(), 1).expect_err("there is none for another");
        assert!(matches!(error, types::Error::Other(text) if text.contains("limits.memory")));
        assert_eq!(
            next(&mut first, NAMES).expect("they are listed").len(),
            NAMES - 1
        );
        next(&mut Listing::default(), 1).expect("there is room again");
    }

    #[test]
    fn what_there_is_no_room_for_is_an_error_of_its_own() {
        let directory = tempfile::tempdir().expect("there is room");
        fs::write(directory.path().join("file"), "").expect("there is room");
        let root = Root::at(&OperatorPath::new(directory.path()), false).expect("it is there");
        let stat = |memory: &Memory| stat(&**root.view(), c"file".into(), memory);
        let (listed, held) = stat(&Memory::new(1 << 20));
        assert!(listed.is_ok() && held.is_some());
        let (listed, held) = stat(&Memory::new(100));
        let (name, _) = listed.expect_err("there is no room");
        assert!(name == b"file" && held.is_none());
    }
}
