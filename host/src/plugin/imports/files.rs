//! WASI's `descriptor.read`, with more bytes a call than the 64 KiB of wasmtime's own: a call
//! changes threads twice, which takes longer than the reading.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::plugin::state::State;

const INTERFACE: &str = "wasi:filesystem/types@0.2.12";
const READ: &str = "[method]descriptor.read";

/// Bytes a call, at most; the host holds them meanwhile.
const MOST: usize = 1 << 20;

/// Puts it in the place of wasmtime's own.
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
                let read = move || read(&file, length, offset).map_err(ErrorCode::from);
                let answer = tokio::task::spawn_blocking(read).await?;
                drop(held);
                Ok((answer,))
            })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
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
    fn wasmtime_has_a_function_in_whose_place_it_comes() {
        let engine = wasmtime::Engine::default();
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI is linked");
        let mut interface = linker.instance(INTERFACE).expect("it can be extended");
        let added = interface.func_wrap(READ, |_, (): ()| Ok(()));
        assert!(added.is_err(), "{INTERFACE} has no {READ}");
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
