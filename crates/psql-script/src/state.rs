//! The states of psql's scanner.

use super::words::Word;

/// The syntactic state before the next byte.
#[derive(Debug)]
pub(super) enum State {
    /// Between tokens.
    Code,
    Word(Word),
    /// After one `-`.
    Dash,
    /// After one `/`.
    Slash,
    /// After one `:`.
    Colon,
    /// After `$` and a possible tag of a dollar quote.
    Dollar(Vec<u8>),
    /// A string without escapes, and whether an odd number of backslashes has come last.
    String(bool),
    EscapeString,
    /// After a backslash in a string with escapes.
    Escaped,
    QuotedIdentifier,
    LineComment,
    BlockComment {
        depth: u32,
        /// The byte before, where it may begin `/*` or `*/`.
        before: u8,
    },
    /// Between `$tag$` and the next.
    DollarString {
        delimiter: Vec<u8>,
        /// The last bytes, which may be the start of the delimiter.
        tail: Vec<u8>,
    },
    /// A line that begins with a backslash.
    Command(Vec<u8>),
    /// After the semicolon of a `COPY`: nothing but the end of the line may come.
    AfterCopy,
    /// The rows of a `COPY`. Holds the first bytes of the line.
    Rows(Vec<u8>),
}

/// Whether a quote may go on with a string that has escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    No,
    /// The quote before it ended one: two in a row are one in the string.
    Ended,
    /// Nothing but white space and comments has come since one ended.
    EndedApart,
}
