//! WASI's `descriptor.read` and `descriptor.write` in the place of wasmtime's own.
//!
//! A call to read changes threads twice, which takes longer than the reading: so it gets more bytes than wasmtime's 64 KiB. And
//! wasmtime tells neither a quota that is used up nor a file system that became read-only from a disk that is broken.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::io::Errno;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::plugin::state::State;

const INTERFACE: &str = "wasi:filesystem/types@0.2.12";
const READ: &str = "[method]descriptor.read";
const WRITE: &str = "[method]descriptor.write";

/// Bytes a call, at most; the host holds them meanwhile.
const MOST: usize = 1 << 20;

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
                let length = usize::try_from(length).unwrap_or(MOST).min(MOST);
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
    linker.allow_shadowing(false);
    Ok(())
}

/// The error as WASI calls it.
fn code(cause: &io::Error) -> ErrorCode {
    match Errno::from_io_error(cause) {
        Some(Errno::DQUOT) => ErrorCode::Quota,
        Some(Errno::ROFS) => ErrorCode::ReadOnly,
        _ => cause.into(),
    }
}

/// What a file holds from `offset` on, and whether that is its end.
fn read(file: &File, length: usize, offset: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, offset)?;
    bytes.truncate(read);
    Ok((bytes, read == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wasmtime_has_the_functions_in_whose_place_they_come() {
        let engine = wasmtime::Engine::default();
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI is linked");
        let mut interface = linker.instance(INTERFACE).expect("it can be extended");
        for name in [READ, WRITE] {
            let added = interface.func_wrap(name, |_, (): ()| Ok(()));
            assert!(added.is_err(), "{INTERFACE} has no {name}");
        }
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
