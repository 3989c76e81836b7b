//! Functions of WASI for files in the place of wasmtime's own.
//!
//! A call to read changes threads twice, which takes longer than the reading: so it gets more bytes than wasmtime's 64 KiB. And
//! wasmtime tells neither a quota that is used up nor a file system that became read-only from a disk that is broken. It keeps the
//! names of a whole directory, and what waits to be written, without asking what the plugin has room for.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::io::Errno;
use wasmtime::component::{Linker, Resource, ResourceTable, ResourceType};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, Host as _, HostDescriptor as _};
use wasmtime_wasi::p2::bindings::io::streams::{self, Host as _, HostOutputStream as _};
use wasmtime_wasi::p2::{DynOutputStream, ReaddirIterator, StreamError};

use crate::plugin::memory::{Memory, Share};
use crate::plugin::state::State;

const INTERFACE: &str = "wasi:filesystem/types@0.2.12";
const READ: &str = "[method]descriptor.read";
const WRITE: &str = "[method]descriptor.write";
const READ_DIRECTORY: &str = "[method]descriptor.read-directory";
const LISTING: &str = "directory-entry-stream";

const STREAMS: &str = "wasi:io/streams@0.2.12";
const WRITE_STREAM: &str = "[method]output-stream.write";

/// What the host keeps of a name in a directory besides its bytes.
const NAME: usize = 64;

/// Bytes a call, at most; the host holds them meanwhile.
const MAX: usize = 1 << 20;

/// Puts them in the place of wasmtime's own.
pub(crate) fn replace(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance(INTERFACE)?.func_wrap_async(
        READ,
        |mut store, (descriptor, length, offset): (Resource<Descriptor>, u64, u64)| {
            Box::new(async move {
                let file = match store.data_mut().table.get(&descriptor)? {
                    Descriptor::File(file) => file.file.clone(),
                    Descriptor::Dir(_) => return Ok((Err(ErrorCode::BadDescriptor),)),
                };
                let length = usize::try_from(length).unwrap_or(MAX).min(MAX);
                let state = store.data_mut();
                // It is a sign of life, as everything is that the plugin gets.
                state.activity.note();
                let Ok(held) = state.memory.hold(length) else {
                    return Ok((Err(ErrorCode::InsufficientMemory),));
                };
                let read = move || read(&file, length, offset).map_err(|cause| code(&cause));
                let answer = tokio::task::spawn_blocking(read).await?;
                drop(held);
                Ok((answer,))
            })
        },
    )?;
    linker.instance(INTERFACE)?.func_wrap_async(
        WRITE,
        |mut store, (descriptor, bytes, offset): (Resource<Descriptor>, Vec<u8>, u64)| {
            Box::new(async move {
                // Whether it may be written to, the kernel knows: the file was opened for no more than was granted.
                let file = match store.data_mut().table.get(&descriptor)? {
                    Descriptor::File(file) => file.file.clone(),
                    Descriptor::Dir(_) => return Ok((Err(ErrorCode::BadDescriptor),)),
                };
                store.data_mut().activity.note();
                let write = move || file.write_at(&bytes, offset);
                let written = tokio::task::spawn_blocking(write).await?;
                let written = written.map(|written| written as u64);
                Ok((written.map_err(|cause| code(&cause)),))
            })
        },
    )?;
    linker.instance(INTERFACE)?.func_wrap_async(
        READ_DIRECTORY,
        |mut store, (descriptor,): (Resource<Descriptor>,)| {
            Box::new(async move {
                let state = store.data_mut();
                let directory = match state.table.get(&descriptor)? {
                    Descriptor::Dir(directory) => directory.dir.clone(),
                    Descriptor::File(_) => return Ok((Err(ErrorCode::NotDirectory),)),
                };
                let memory = state.memory.clone();
                let room = move || room_for_names(&directory, &memory);
                let held = match tokio::task::spawn_blocking(room).await? {
                    Ok(held) => held,
                    Err(code) => return Ok((Err(code),)),
                };
                let state = store.data_mut();
                match state.filesystem().read_directory(descriptor).await {
                    Ok(listing) => {
                        state.listings.insert(listing.rep(), held);
                        Ok((Ok(listing),))
                    }
                    Err(error) => Ok((Err(state.filesystem().convert_error_code(error)?),)),
                }
            })
        },
    )?;
    linker.instance(INTERFACE)?.resource(
        LISTING,
        ResourceType::host::<ReaddirIterator>(),
        |mut store, number| {
            let state = store.data_mut();
            state.listings.remove(&number);
            state
                .table
                .delete(Resource::<ReaddirIterator>::new_own(number))?;
            Ok(())
        },
    )?;
    linker.instance(STREAMS)?.func_wrap(
        WRITE_STREAM,
        |mut store, (stream, bytes): (Resource<DynOutputStream>, Vec<u8>)| {
            Ok((write_permitted(&mut store.data_mut().table, stream, bytes)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Room for the names of a directory, which are going to be listed all at once.
fn room_for_names(directory: &File, memory: &Memory) -> Result<Share, ErrorCode> {
    let no_room = |_| ErrorCode::InsufficientMemory;
    let mut held = memory.hold(0).map_err(no_room)?;
    let entries = rustix::fs::Dir::read_from(directory).map_err(io::Error::from)?;
    for entry in entries {
        let name = entry.map_err(io::Error::from)?.file_name().count_bytes();
        held.grow(NAME + name).map_err(no_room)?;
    }
    Ok(held)
}

/// Writes no more than the stream permits, as WASI has it: what a disk is too slow for waits in the host.
fn write_permitted(
    table: &mut ResourceTable,
    stream: Resource<DynOutputStream>,
    bytes: Vec<u8>,
) -> wasmtime::Result<Result<(), streams::StreamError>> {
    let same = Resource::new_borrow(stream.rep());
    let written = table.check_write(same).and_then(|permitted| {
        if bytes.len() as u64 > permitted {
            let text = "it wrote more to a stream than check-write permits";
            return Err(StreamError::trap(text));
        }
        table.write(stream, bytes)
    });
    match written {
        Ok(()) => Ok(Ok(())),
        Err(error) => table.convert_stream_error(error).map(Err),
    }
}

/// The error as WASI calls it.
fn code(cause: &io::Error) -> ErrorCode {
    match Errno::from_io_error(cause) {
        Some(Errno::DQUOT) => ErrorCode::Quota,
        Some(Errno::ROFS) => ErrorCode::ReadOnly,
        _ => cause.into(),
    }
}

/// Reads a file from `offset`. Returns the bytes, and whether the file ends there.
fn read(file: &File, length: usize, offset: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, offset)?;
    bytes.truncate(read);
    Ok((bytes, read == 0))
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

    use super::*;

    #[test]
    fn wasmtime_has_the_functions_in_whose_place_they_come() {
        let engine = wasmtime::Engine::default();
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI is linked");
        for (interface, name) in [
            (INTERFACE, READ),
            (INTERFACE, WRITE),
            (INTERFACE, READ_DIRECTORY),
            (INTERFACE, LISTING),
            (STREAMS, WRITE_STREAM),
        ] {
            let mut functions = linker.instance(interface).expect("it can be extended");
            let added = functions.func_wrap(name, |_, (): ()| Ok(()));
            assert!(added.is_err(), "{interface} has no {name}");
        }
    }

    #[test]
    fn names_that_are_listed_take_room_of_the_plugin() {
        let directory = tempfile::tempdir().expect("there is room");
        for number in 0..100 {
            let name = format!("{number:0200}");
            std::fs::write(directory.path().join(name), "").expect("there is room");
        }
        let directory = File::open(directory.path()).expect("it is there");
        let memory = Memory::new(100 * 300 * 8 / 7);
        let held = room_for_names(&directory, &memory).expect("there is room");
        let error = room_for_names(&directory, &memory).expect_err("there is none for another");
        assert_eq!(error, ErrorCode::InsufficientMemory);
        drop(held);
        room_for_names(&directory, &memory).expect("there is room again");
    }

    #[test]
    fn no_more_waits_to_be_written_than_the_stream_permits() {
        let mut table = ResourceTable::new();
        let pipe: DynOutputStream = Box::new(MemoryOutputPipe::new(10));
        let stream = table.push(pipe).expect("there is room");
        let mut write = |length| {
            let same = Resource::new_borrow(stream.rep());
            write_permitted(&mut table, same, vec![0; length])
        };
        write(11).expect_err("it is too much");
        assert!(write(10).expect("it is permitted").is_ok());
    }

    #[test]
    fn what_the_system_says_keeps_its_meaning() {
        let code = |errno: Errno| code(&errno.into());
        assert_eq!(code(Errno::DQUOT), ErrorCode::Quota);
        assert_eq!(code(Errno::ROFS), ErrorCode::ReadOnly);
        assert_eq!(code(Errno::NOSPC), ErrorCode::InsufficientSpace);
        assert_eq!(code(Errno::FBIG), ErrorCode::FileTooLarge);
        assert_eq!(code(Errno::IO), ErrorCode::Io);
    }

    #[test]
    fn a_read_ends_with_the_file() {
        let file = File::open(file!().trim_start_matches("host/")).expect("it is this file");
        let length = file.metadata().expect("it has a length").len();
        let read = |length, offset| read(&file, length, offset).expect("it can be read");
        assert_eq!(read(3, 0), (b"//!".to_vec(), false));
        assert_eq!(read(100, length - 2), (b"}\n".to_vec(), false));
        assert_eq!(read(100, length), (Vec::new(), true));
    }
}
