//! Reused buffers. Fresh pages from the kernel cost more than the work on their contents.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::memory::{Memory, Share};

/// Buffers that wait for their next use, in the memory of a plugin. Clones share them.
#[derive(Clone)]
pub(super) struct Buffers(Arc<Home>);

struct Home {
    memory: Memory,
    waiting: Mutex<Vec<(Vec<u8>, Share)>>,
}

/// A buffer that goes back when it is dropped, if there is room for it.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// Of one that was used before: it has its room whatever is in it.
    share: Option<Share>,
    home: Buffers,
}

impl Buffers {
    /// Buffers that wait, at most.
    const MAX: usize = 8;
    /// The largest capacity of a buffer that waits for reuse, in bytes.
    const MAX_SIZE: usize = 8 << 20;

    /// None yet, of a plugin with this memory.
    pub(super) fn new(memory: Memory) -> Self {
        let waiting = Mutex::default();
        Self(Arc::new(Home { memory, waiting }))
    }

    /// A buffer with whatever was in it before, or an empty one.
    pub(super) fn take(&self) -> Buffer {
        let (bytes, share) = self.waiting(Vec::pop).unzip();
        Buffer {
            bytes: bytes.unwrap_or_default(),
            share,
            home: self.clone(),
        }
    }

    fn waiting<R>(&self, action: impl FnOnce(&mut Vec<(Vec<u8>, Share)>) -> R) -> R {
        let waiting = self.0.waiting.lock();
        action(&mut waiting.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Buffer {
    /// The bytes, which cannot change any more. The buffer goes back with the last of them.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl AsMut<Vec<u8>> for Buffer {
    fn as_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        self.share = None;
        if bytes.capacity() <= Buffers::MAX_SIZE
            && let Ok(share) = self.home.0.memory.hold(bytes.capacity())
        {
            self.home.waiting(|waiting| {
                if waiting.len() < Buffers::MAX {
                    waiting.push((bytes, share));
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(buffers: &Buffers) -> usize {
        buffers.waiting(|waiting| waiting.len())
    }

    fn buffers() -> Buffers {
        Buffers::new(Memory::new(1 << 30))
    }

    #[test]
    fn a_buffer_that_waits_or_is_used_again_takes_room_of_the_plugin() {
        const LENGTH: usize = 1 << 20;
        let memory = Memory::new(4 * LENGTH as u64);
        let free = 4 * LENGTH - memory.crossing();
        let buffers = Buffers::new(memory.clone());
        let used = || {
            let mut buffer = buffers.take();
            buffer.resize(LENGTH, 0);
            buffer
        };
        let taken = [used(), used(), used(), used()];
        drop(taken);
        assert_eq!(waiting(&buffers), 3, "there is no room for the last");
        memory.hold(LENGTH).expect_err("they take it");
        let mut again = buffers.take();
        again.truncate(1);
        memory.hold(LENGTH).expect_err("it is as large as before");
        drop((again, buffers));
        memory.hold(free).expect("they are gone");
    }

    #[test]
    fn a_buffer_comes_back_with_the_last_of_its_bytes() {
        let buffers = buffers();
        let mut buffer = buffers.take();
        buffer.extend(b"text");
        let bytes = buffer.freeze();
        let part = bytes.slice(1..);
        drop(bytes);
        assert_eq!((&*part, waiting(&buffers)), (b"ext".as_slice(), 0));
        drop(part);
        assert_eq!(waiting(&buffers), 1);
        assert_eq!(*buffers.take(), b"text");
    }

    #[test]
    fn only_so_much_waits() {
        let buffers = buffers();
        let taken: Vec<_> = (0..=Buffers::MAX).map(|_| buffers.take()).collect();
        drop(taken);
        assert_eq!(waiting(&buffers), Buffers::MAX);
        let mut large = buffers.take();
        large.reserve_exact(Buffers::MAX_SIZE + 1);
        drop(large);
        assert_eq!(waiting(&buffers), Buffers::MAX - 1);
    }
}
