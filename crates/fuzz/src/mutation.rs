//! What becomes of samples by chance.

use fastrand::Rng;

/// The longest input, in bytes.
const MAX_LENGTH: usize = 64 << 10;

/// Changes of one input, at most.
const CHANGES: usize = 8;

/// The longest piece that is copied or removed, in bytes.
const PIECE: usize = 256;

/// Bytes that mean something to many parsers.
const BYTES: &[u8] = b"\0\n\r\t \"#$%&'()*,-./0:;<=>?@[\\]^_`{|}~\x7f\x80\xc2\xff";

/// Texts that are more than parsers expect.
const TEXTS: &[&[u8]] = &[
    b"-1",
    b"1e999",
    b"255",
    b"65536",
    b"2147483648",
    b"4294967296",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"../..",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"\xf0\x9f\x92\xa9",
    b"0000-00-00T00:00:00Z",
    b"9999-12-31T23:59:60.999999999+23:59",
];

/// Numbers at the ends of what as many bytes hold.
const NUMBERS: &[u64] = &[
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// A sample with some changes.
pub(crate) fn mutate(random: &mut Rng, samples: &[Vec<u8>]) -> Vec<u8> {
    let mut input = random.choice(samples).cloned().unwrap_or_default();
    for _ in 0..random.usize(1..=CHANGES) {
        change(random, &mut input, samples);
        input.truncate(MAX_LENGTH);
    }
    input
}

fn change(random: &mut Rng, input: &mut Vec<u8>, samples: &[Vec<u8>]) {
    let at = random.usize(..=input.len());
    match random.u8(..12) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.u8(..8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.u8(..);
            }
        }
        2 => insert(input, at, &[*random.choice(BYTES).unwrap_or(&0)]),
        3 => insert(input, at, random.choice(TEXTS).copied().unwrap_or_default()),
        4 => {
            let range = range(random, input.len());
            input.drain(range);
        }
        5 => {
            let piece = input[range(random, input.len())].to_vec();
            insert(input, at, &piece.repeat(random.usize(1..=3)));
        }
        6 => {
            let other = random.choice(samples).cloned().unwrap_or_default();
            let piece = &other[range(random, other.len())];
            insert(input, at, piece);
        }
        7 => {
            let other = random.choice(samples).cloned().unwrap_or_default();
            input.truncate(at);
            input.extend(&other[random.usize(..=other.len())..]);
        }
        8 => input.truncate(at),
        9 => {
            let number = random.choice(NUMBERS).copied().unwrap_or_default();
            let bytes = if random.bool() {
                number.to_le_bytes()
            } else {
                number.to_be_bytes()
            };
            let width = 1 << random.u8(..4);
            for (place, byte) in input.iter_mut().skip(at).zip(&bytes[..width]) {
                *place = *byte;
            }
        }
        10 => replace_number(random, input, at),
        // What nests may nest deeper.
        _ => {
            let opening = *random.choice(b"[{(<\"").unwrap_or(&b'[');
            insert(input, at, &vec![opening; random.usize(1..=2000)]);
        }
    }
}

/// Puts another number where one is written in digits.
fn replace_number(random: &mut Rng, input: &mut Vec<u8>, at: usize) {
    let Some(first) = input[at..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let first = at + first;
    let length = input[first..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let text = random.choice(TEXTS).copied().unwrap_or_default();
    input.splice(first..first + length, text.iter().copied());
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    input.splice(at..at, piece.iter().copied());
}

/// A piece of so many bytes.
fn range(random: &mut Rng, length: usize) -> std::ops::Range<usize> {
    let start = random.usize(..=length);
    let end = (start + random.usize(..=PIECE)).min(length);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_input_and_another_seed_another() {
        let samples = [b"some sample".to_vec(), b"{\"a\": 12}".to_vec()];
        let with = |seed| mutate(&mut Rng::with_seed(seed), &samples);
        assert_eq!(with(1), with(1));
        let different = (0..100)
            .map(with)
            .collect::<std::collections::BTreeSet<_>>();
        assert!(different.len() > 90, "{} different inputs", different.len());
    }
}
