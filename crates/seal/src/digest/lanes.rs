//! Several digests on one core, two at a time.
//!
//! The processor's instruction for a round of SHA-256 waits for the round before it. Rounds of
//! another message fill the gaps, so that two messages take little longer than one.

use std::cmp::Reverse;

use sha2::block_api::compress256;

use super::digest;

/// Bytes that are hashed at a time.
pub(super) const BLOCK: usize = 64;

/// How far a digest has come (FIPS 180-4, section 5.3.3 for its beginning).
pub(super) type State = [u32; 8];

const BEGINNING: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Hashes blocks of two messages, as many of each.
pub(super) type Pair = fn(&mut State, &mut State, &[[u8; BLOCK]], &[[u8; BLOCK]]);

/// The SHA-256 of each of the messages, in their order.
pub fn digest_all(messages: &[&[u8]]) -> Vec<[u8; 32]> {
    #[cfg(target_arch = "x86_64")]
    if let Some(pair) = super::sha_ni::pair() {
        return in_pairs(messages, pair);
    }
    messages.iter().map(|message| digest(message)).collect()
}

/// A message under way.
struct Lane<'a> {
    /// Its place among the messages.
    index: usize,
    length: usize,
    state: State,
    blocks: &'a [[u8; BLOCK]],
    /// An incomplete block.
    tail: &'a [u8],
}

impl<'a> Lane<'a> {
    fn new((index, message): (usize, &&'a [u8])) -> Self {
        let (blocks, tail) = message.as_chunks();
        Self {
            index,
            length: message.len(),
            state: BEGINNING,
            blocks,
            tail,
        }
    }

    /// The digest, after the blocks that are left, the tail and the padding.
    fn finish(&mut self) -> [u8; 32] {
        compress256(&mut self.state, self.blocks);
        let mut last = [[0; BLOCK]; 2];
        let flat = last.as_flattened_mut();
        flat[..self.tail.len()].copy_from_slice(self.tail);
        flat[self.tail.len()] = 0x80;
        // The length in bits ends the padding.
        let count = if self.tail.len() + 1 + 8 > BLOCK {
            2
        } else {
            1
        };
        let end = count * BLOCK;
        flat[end - 8..end].copy_from_slice(&(self.length as u64 * 8).to_be_bytes());
        compress256(&mut self.state, &last[..count]);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

fn in_pairs(messages: &[&[u8]], pair: Pair) -> Vec<[u8; 32]> {
    let mut digests = vec![[0; 32]; messages.len()];
    let mut lanes: Vec<_> = messages.iter().enumerate().map(Lane::new).collect();
    // The longest first, so that little is left for one to hash alone.
    lanes.sort_by_key(|lane| Reverse(lane.length));
    let mut waiting = lanes.into_iter();
    let mut alone = waiting.next();
    while let Some(mut a) = alone.take() {
        let Some(mut b) = waiting.next() else {
            digests[a.index] = a.finish();
            break;
        };
        let common = a.blocks.len().min(b.blocks.len());
        let (now_a, later_a) = a.blocks.split_at(common);
        let (now_b, later_b) = b.blocks.split_at(common);
        pair(&mut a.state, &mut b.state, now_a, now_b);
        (a.blocks, b.blocks) = (later_a, later_b);
        // The longer one goes on beside the next message.
        let (mut done, longer) = if a.blocks.is_empty() { (a, b) } else { (b, a) };
        digests[done.index] = done.finish();
        alone = Some(longer);
    }
    digests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_all_lengths_have_their_own_digests() {
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let lengths = [
            0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 4096, 400_000, 3, 399_999, 70_001,
        ];
        for count in 0..=lengths.len() {
            let messages: Vec<_> = lengths[..count].iter().map(|end| &bytes[..*end]).collect();
            let expected: Vec<_> = messages.iter().map(|message| digest(message)).collect();
            assert_eq!(digest_all(&messages), expected);
        }
    }
}
