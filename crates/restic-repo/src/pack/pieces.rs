//! The bytes of a growing pack, in pieces. A single buffer for a whole pack would be half empty most of the time, and
//! several packs are open at once.

/// Bytes of a piece, but for the last one.
const PIECE: usize = 1 << 20;

/// Bytes in pieces.
#[derive(Default)]
pub(super) struct Pieces {
    pieces: Vec<Vec<u8>>,
    length: usize,
}

impl Pieces {
    /// All bytes.
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Adds bytes.
    pub(super) fn extend(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            let room = self.pieces.last().map_or(0, |last| PIECE - last.len());
            if room == 0 {
                self.pieces.push(Vec::with_capacity(PIECE));
            }
            let Some(last) = self.pieces.last_mut() else {
                return;
            };
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - last.len()));
            last.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Takes over the bytes of another one.
    pub(super) fn append(&mut self, other: Self) {
        for piece in other.pieces {
            self.extend(&piece);
        }
    }

    pub(super) fn as_slice(&self) -> &[Vec<u8>] {
        &self.pieces
    }

    pub(super) fn into_inner(self) -> Vec<Vec<u8>> {
        self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_in_their_order_and_all_pieces_but_the_last_are_full() {
        let all: Vec<u8> = (0..=250).cycle().take(3 * PIECE + 7).collect();
        let (mut first, mut second) = (Pieces::default(), Pieces::default());
        for bytes in all[..PIECE + 5].chunks(4097) {
            first.extend(bytes);
        }
        second.extend(&all[PIECE + 5..]);
        first.append(second);
        assert_eq!(first.len(), all.len());
        let pieces = first.into_inner();
        assert!(pieces[..3].iter().all(|piece| piece.len() == PIECE));
        assert!(pieces.concat() == all);
    }
}
