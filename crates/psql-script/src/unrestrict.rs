//! Finds the command that lifts psql's restriction, anywhere in psql's input.

use memchr::memmem;

/// The command.
pub(super) const UNRESTRICT: &[u8] = b"\\unrestrict";

/// Looks for [`UNRESTRICT`] in a dump that comes piece by piece.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The end of the last piece, as far as it may be the beginning of [`UNRESTRICT`].
    tail: Vec<u8>,
}

impl Search {
    /// Where in this piece it stands; 0 where it began before.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut seam = std::mem::take(&mut self.tail);
        let kept = seam.len();
        seam.extend(&bytes[..bytes.len().min(UNRESTRICT.len() - 1)]);
        let found = match memmem::find(&seam, UNRESTRICT) {
            Some(at) => Some(at.saturating_sub(kept)),
            None => memmem::find(bytes, UNRESTRICT),
        };
        if bytes.len() < UNRESTRICT.len() {
            self.tail = seam;
        } else {
            self.tail.extend(bytes);
        }
        let surplus = self.tail.len().saturating_sub(UNRESTRICT.len() - 1);
        self.tail.drain(..surplus);
        found
    }
}
