//! The command that lifts the restriction of psql, wherever it stands in what psql is about to get.

use memchr::memmem;

/// The command.
pub(super) const WAY_OUT: &[u8] = b"\\unrestrict";

/// Looks for [`WAY_OUT`] in a dump that comes piece by piece.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The end of the last piece, as far as it may be the beginning of [`WAY_OUT`].
    tail: Vec<u8>,
}

impl Search {
    /// Where in this piece it stands; 0 where it began before.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut seam = std::mem::take(&mut self.tail);
        let kept = seam.len();
        seam.extend(&bytes[..bytes.len().min(WAY_OUT.len() - 1)]);
        let found = match memmem::find(&seam, WAY_OUT) {
            Some(at) => Some(at.saturating_sub(kept)),
            None => memmem::find(bytes, WAY_OUT),
        };
        if bytes.len() < WAY_OUT.len() {
            self.tail = seam;
        } else {
            self.tail.extend(bytes);
        }
        let surplus = self.tail.len().saturating_sub(WAY_OUT.len() - 1);
        self.tail.drain(..surplus);
        found
    }
}
