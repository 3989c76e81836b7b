//! Buffers that are used again, because pages that the system has yet to clear cost more than
//! what is done with them.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers that wait for their next use. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer that goes back when it is dropped.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    home: Buffers,
}

impl Buffers {
    /// Buffers that wait, at most.
    const MOST: usize = 8;
    /// Room in one that waits, at most, in bytes.
    const LARGEST: usize = 8 << 20;

    /// A buffer with whatever was in it before, or an empty one.
    pub(super) fn take(&self) -> Buffer {
        Buffer {
            bytes: self.waiting(Vec::pop).unwrap_or_default(),
            home: self.clone(),
        }
    }

    fn waiting<R>(&self, action: impl FnOnce(&mut Vec<Vec<u8>>) -> R) -> R {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
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
        if bytes.capacity() <= Buffers::LARGEST {
            self.home.waiting(|waiting| {
                if waiting.len() < Buffers::MOST {
                    waiting.push(bytes);
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

    #[test]
    fn a_buffer_comes_back_with_the_last_of_its_bytes() {
        let buffers = Buffers::default();
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
        let buffers = Buffers::default();
        let taken: Vec<_> = (0..=Buffers::MOST).map(|_| buffers.take()).collect();
        drop(taken);
        assert_eq!(waiting(&buffers), Buffers::MOST);
        let mut large = buffers.take();
        large.reserve_exact(Buffers::LARGEST + 1);
        drop(large);
        assert_eq!(waiting(&buffers), Buffers::MOST - 1);
    }
}
