//! zstd. The caller's expectation limits the output, not the input's own header.

use std::cell::RefCell;

use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective, Strategy};

/// Why bytes could not be decompressed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecompressError {
    /// They are no zstd frame, or a damaged one.
    #[error("the compressed data is damaged")]
    Damaged,
    /// There is more in them than the caller expects.
    #[error("the compressed data holds more than {0} bytes")]
    TooLong(usize),
    /// The contents exceed the limit of the caller.
    #[error("there is no room for what the compressed data holds")]
    NoRoom,
}

/// Level 3 of a dump in SQL at 1.5 times the speed of zstd's own, into 3 % more bytes: matches
/// are looked up in one table, which fits into a core's inner caches, instead of in two.
const LEVEL_3: [CParameter; 3] = [
    CParameter::Strategy(Strategy::ZSTD_fast),
    CParameter::HashLog(16),
    CParameter::MinMatch(6),
];

/// The highest level whose context is kept for the next time.
const MAX_KEPT: i32 = 12;

/// The bytes as one zstd frame; none when zstd fails for want of memory.
pub fn compress(bytes: &[u8], level: i32) -> Option<Vec<u8>> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    }
    // A context keeps its memory, so one for a costly level is not used again.
    if level > MAX_KEPT {
        return Compressor::new(level).ok()?.compress(bytes).ok();
    }
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => slot.insert(Compressor::new(level).ok()?),
        };
        compressor
            .context_mut()
            .reset(ResetDirective::Parameters)
            .ok()?;
        compressor.set_compression_level(level).ok()?;
        for parameter in if level == 3 { &LEVEL_3[..] } else { &[] } {
            compressor.set_parameter(*parameter).ok()?;
        }
        compressor.compress(bytes).ok()
    })
}

/// Whether bytes look like noise all over, which nothing makes smaller: what is compressed or encrypted already. A sample of
/// them is compressed, which takes a small part of the time.
pub(crate) fn are_noise(bytes: &[u8], level: i32) -> bool {
    /// Places that are looked at, and the bytes of each.
    const PLACES: usize = 16;
    const EACH: usize = 4 << 10;
    const SAMPLE: usize = PLACES * EACH;
    /// Fewer bytes are soon compressed.
    const MIN_LENGTH: usize = 4 * SAMPLE;

    if bytes.len() < MIN_LENGTH {
        return false;
    }
    let places = bytes.chunks(bytes.len() / PLACES).take(PLACES);
    let sample: Vec<u8> = places.flat_map(|place| &place[..EACH]).copied().collect();
    compress(&sample, level).is_some_and(|compressed| compressed.len() >= SAMPLE - SAMPLE / 128)
}

/// The bytes that compressing so many takes meanwhile, besides its result. The tables of a level are no larger than the
/// input asks for.
pub fn compression_memory(length: usize, level: i32) -> usize {
    let tables = match level {
        ..=3 => 2 << 20,
        4..=5 => 8 << 20,
        6..=MAX_KEPT => 32 << 20,
        13..=19 => 192 << 20,
        _ => 1 << 30,
    };
    length
        .saturating_mul(16)
        .saturating_add(1 << 20)
        .min(tables)
}

/// The most bytes that so many become, when they are compressed or sealed.
pub fn longest_compressed(length: usize) -> usize {
    /// An upper bound for what sealing adds.
    const SEALED: usize = 64;
    zstd_safe::compress_bound(length) + SEALED
}

/// What a zstd frame holds, which may be at most `longest` bytes, in place of what is in
/// `output`. After an error, that is undefined. Before it takes memory, it asks with `room` for so many bytes more.
pub fn decompress(
    bytes: &[u8],
    longest: usize,
    output: &mut Vec<u8>,
    mut room: impl FnMut(usize) -> bool,
) -> Result<(), DecompressError> {
    thread_local! {
        static DECOMPRESSOR: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
    }
    /// Room that is made before anything has been seen to be there, in bytes.
    const FIRST: usize = 64 << 10;

    let claimed = zstd_safe::get_frame_content_size(bytes).map_err(|_| DecompressError::Damaged)?;
    let claimed = claimed.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    if claimed.is_some_and(|size| size > longest) {
        return Err(DecompressError::TooLong(longest));
    }
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let context = match slot {
            Some(context) => context,
            None => slot.insert(DCtx::try_create().ok_or(DecompressError::Damaged)?),
        };
        context
            .reset(ResetDirective::SessionOnly)
            .map_err(|_| DecompressError::Damaged)?;
        let mut input = InBuffer::around(bytes);
        // zstd packs at most about 20 thousand to one, so a claim beyond that is a lie.
        let plausible = bytes.len().saturating_mul(20_000).max(FIRST);
        output.clear();
        let first = claimed.unwrap_or(FIRST).min(plausible).min(longest);
        if !room(first) {
            return Err(DecompressError::NoRoom);
        }
        output.reserve_exact(first);
        loop {
            let position = output.len();
            let mut buffer = OutBuffer::around_pos(&mut *output, position);
            let rest = context
                .decompress_stream(&mut buffer, &mut input)
                .map_err(|_| DecompressError::Damaged)?;
            if output.len() > longest || (rest > 0 && output.len() == longest) {
                return Err(DecompressError::TooLong(longest));
            }
            if rest == 0 {
                let whole = input.pos() == bytes.len();
                return whole.then_some(()).ok_or(DecompressError::Damaged);
            }
            if output.len() == output.capacity() {
                let more = output.len().max(FIRST).min(longest - output.len());
                if !room(more) {
                    return Err(DecompressError::NoRoom);
                }
                output.reserve_exact(more);
            } else if input.pos() == bytes.len() {
                return Err(DecompressError::Damaged);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8], longest: usize) -> Result<Vec<u8>, DecompressError> {
        let mut output = b"what was here before".to_vec();
        decompress(bytes, longest, &mut output, |_| true).map(|()| output)
    }

    #[test]
    fn room_is_asked_for_before_memory_is_taken() {
        let zeros = vec![0; 10 << 20];
        let bulk = compress(&zeros, 3).expect("it compresses");
        let streamed = zstd::stream::encode_all(&zeros[..], 3).expect("it compresses");
        for bytes in [bulk, streamed] {
            let (mut output, mut left) = (Vec::new(), 1 << 20);
            let room = |more: usize| {
                let rest = usize::checked_sub(left, more);
                left = rest.unwrap_or(left);
                rest.is_some()
            };
            let refused = decompress(&bytes, zeros.len(), &mut output, room);
            assert_eq!(refused, Err(DecompressError::NoRoom));
            assert!(output.capacity() <= 1 << 20);
        }
    }

    #[test]
    fn noise_is_noise_only_where_it_is_so_all_over() {
        let mut bytes = vec![0; 1 << 20];
        getrandom::fill(&mut bytes).expect("there is randomness");
        assert!(are_noise(&bytes, 3));
        assert!(!are_noise(&bytes[..100_000], 3), "too little to tell");
        for place in [0, 500_000, 900_000] {
            let mut mixed = bytes.clone();
            let text = b"INSERT INTO shop VALUES (1, 'tea');\n".repeat(3000);
            mixed[place..][..text.len()].copy_from_slice(&text);
            assert!(!are_noise(&mixed, 3), "there is text at {place}");
        }
    }

    #[test]
    fn frames_come_back_whole_with_and_without_a_stated_size() {
        let text = b"all the king's horses ".repeat(50_000);
        let bulk = compress(&text, 3).expect("it compresses");
        assert_eq!(whole(&bulk, text.len()).expect("it is whole"), text);
        let streamed = zstd::stream::encode_all(&text[..], 3).expect("it compresses");
        assert_eq!(whole(&streamed, text.len()).expect("it is whole"), text);
        let nothing = compress(b"", 3).expect("it compresses");
        assert_eq!(whole(&nothing, 0).expect("it is whole"), b"");
    }

    #[test]
    fn a_bomb_is_refused() {
        let zeros = vec![0; 10 << 20];
        let bulk = compress(&zeros, 3).expect("it compresses");
        assert_eq!(
            whole(&bulk, 1 << 20),
            Err(DecompressError::TooLong(1 << 20))
        );
        let streamed = zstd::stream::encode_all(&zeros[..], 3).expect("it compresses");
        assert_eq!(
            whole(&streamed, 1 << 20),
            Err(DecompressError::TooLong(1 << 20))
        );
    }

    #[test]
    fn damage_is_refused() {
        let bulk = compress(&b"text ".repeat(1000), 3).expect("it compresses");
        assert_eq!(
            whole(&bulk[..bulk.len() - 1], 10_000),
            Err(DecompressError::Damaged)
        );
        assert_eq!(whole(b"no frame", 10_000), Err(DecompressError::Damaged));
        let mut tail = bulk.clone();
        tail.push(0);
        assert_eq!(whole(&tail, 10_000), Err(DecompressError::Damaged));
        assert_eq!(whole(b"", 10_000), Err(DecompressError::Damaged));
    }

    #[test]
    fn a_compressed_blob_may_hold_anything() {
        let samples = [
            &b"text that says the same again and again ".repeat(50)[..],
            b"x",
        ]
        .map(|text| compress(text, 3).expect("it is compressed"));
        tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "blob", &samples, |bytes| {
            const MAX_LENGTH: usize = 1 << 16;
            let mut output = Vec::new();
            let asked = std::cell::Cell::new(0);
            let room = |more| {
                asked.set(asked.get() + more);
                true
            };
            if decompress(bytes, MAX_LENGTH, &mut output, room).is_ok() {
                assert!(output.len() <= MAX_LENGTH);
            }
            assert!(asked.get() <= MAX_LENGTH, "it takes {} bytes", asked.get());
        });
    }
}
