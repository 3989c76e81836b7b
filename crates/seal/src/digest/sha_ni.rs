//! Two SHA-256 computations interleaved, with the instructions that x86-64 has for it.
//!
//! Source: FIPS 180-4, section 6.2, and Intel's description of the SHA extensions.

#![expect(
    clippy::many_single_char_names,
    reason = "the standard calls the working variables a to h"
)]

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
    _mm_shuffle_epi32,
};

use super::lanes::{BLOCK, State};

/// FIPS 180-4, section 4.2.2.
#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// The function that hashes blocks of two messages, if this processor supports it.
pub(super) fn pair() -> Option<super::lanes::Pair> {
    let able = is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("sse4.1")
        && is_x86_feature_detected!("ssse3");
    able.then_some(checked)
}

/// To be called only on processors that were looked at, which [`pair`] sees to.
#[expect(unsafe_code, reason = "the compiler cannot know the processor")]
fn checked(a: &mut State, b: &mut State, of_a: &[[u8; BLOCK]], of_b: &[[u8; BLOCK]]) {
    // SAFETY: this function is given out by `pair` alone, which has seen that the processor
    // has all the instructions that `compress` is compiled for.
    unsafe { compress(a, b, of_a, of_b) }
}

/// The working variables, ordered as the instructions want them, and the last 16 words of the
/// message schedule.
struct Lane {
    abef: __m128i,
    cdgh: __m128i,
    words: [__m128i; 4],
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
fn compress(a: &mut State, b: &mut State, of_a: &[[u8; BLOCK]], of_b: &[[u8; BLOCK]]) {
    let mut lanes = [begin(a), begin(b)];
    for (block_a, block_b) in of_a.iter().zip(of_b) {
        let before = lanes.each_ref().map(|lane| (lane.abef, lane.cdgh));
        lanes[0].words = words(block_a);
        lanes[1].words = words(block_b);
        for (quarter, constants) in K.as_chunks().0.iter().enumerate() {
            sixteen_rounds(&mut lanes, quarter > 0, constants);
        }
        for (lane, (abef, cdgh)) in lanes.iter_mut().zip(before) {
            lane.abef = _mm_add_epi32(lane.abef, abef);
            lane.cdgh = _mm_add_epi32(lane.cdgh, cdgh);
        }
    }
    end(&lanes[0], a);
    end(&lanes[1], b);
}

/// The compiler unrolls these loops, and keeps both lanes in registers.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn sixteen_rounds(lanes: &mut [Lane; 2], schedule: bool, constants: &[u32; 16]) {
    for (index, k) in constants.as_chunks().0.iter().enumerate() {
        let [first, second, third, fourth] = *k;
        let k = four(first, second, third, fourth);
        for lane in &mut *lanes {
            if schedule {
                lane.words[index] = next_words(&lane.words, index);
            }
            let input = _mm_add_epi32(lane.words[index], k);
            lane.cdgh = _mm_sha256rnds2_epu32(lane.cdgh, lane.abef, input);
            let input = _mm_shuffle_epi32(input, 0x0e);
            lane.abef = _mm_sha256rnds2_epu32(lane.abef, lane.cdgh, input);
        }
    }
}

/// The four words of the message schedule that take the place of the oldest ones.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn next_words(words: &[__m128i; 4], oldest: usize) -> __m128i {
    let [oldest, second, third, newest] = [0, 1, 2, 3].map(|age| words[(oldest + age) % 4]);
    let shifted = _mm_alignr_epi8(newest, third, 4);
    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(oldest, second), shifted);
    _mm_sha256msg2_epu32(sum, newest)
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn words(block: &[u8; BLOCK]) -> [__m128i; 4] {
    let big_endian = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let halves = block.as_chunks().0;
    [0, 2, 4, 6].map(|at: usize| {
        let bytes = _mm_set_epi64x(
            i64::from_le_bytes(halves[at + 1]),
            i64::from_le_bytes(halves[at]),
        );
        _mm_shuffle_epi8(bytes, big_endian)
    })
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn begin(state: &State) -> Lane {
    let [a, b, c, d, e, f, g, h] = *state;
    Lane {
        abef: four(f, e, b, a),
        cdgh: four(h, g, d, c),
        words: [four(0, 0, 0, 0); 4],
    }
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn end(lane: &Lane, state: &mut State) {
    let [f, e, b, a] = parts(lane.abef);
    let [h, g, d, c] = parts(lane.cdgh);
    *state = [a, b, c, d, e, f, g, h];
}

/// Four words, the lowest first.
#[inline]
#[target_feature(enable = "sse4.1")]
fn four(first: u32, second: u32, third: u32, fourth: u32) -> __m128i {
    _mm_set_epi32(
        fourth.cast_signed(),
        third.cast_signed(),
        second.cast_signed(),
        first.cast_signed(),
    )
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn parts(words: __m128i) -> [u32; 4] {
    [
        _mm_extract_epi32(words, 0).cast_unsigned(),
        _mm_extract_epi32(words, 1).cast_unsigned(),
        _mm_extract_epi32(words, 2).cast_unsigned(),
        _mm_extract_epi32(words, 3).cast_unsigned(),
    ]
}
