//! Detects statements that mention the setting that decides where strings end, even as the text of a string.

use super::STRINGS;

/// How many bytes of [`STRINGS`] have come, in whatever place.
#[derive(Debug, Default)]
pub(super) struct Mention(usize);

impl Mention {
    /// Takes note of the next byte of the statement.
    pub(super) fn notice(&mut self, byte: u8) {
        let pattern = STRINGS.as_bytes();
        let byte = byte.to_ascii_lowercase();
        if self.is_whole() {
            // Until the statement ends.
        } else if byte == pattern[self.0] {
            self.0 += 1;
        } else {
            self.0 = usize::from(byte == pattern[0]);
        }
    }

    /// Whether the setting may be meant.
    pub(super) fn is_whole(&self) -> bool {
        self.0 == STRINGS.len()
    }
}
