//! Finds a second title in a script. It begins another dump, and the end of the script does not tell whether the
//! first dump is complete.
//!
//! The rows of a table may hold any line, so they are passed over.

use std::mem;

use memchr::{memchr_iter, memmem};

/// The end of a table's rows.
const ROWS_END: &[u8] = b"\n\\.\n";

/// The end of a statement that rows follow.
const ROWS_BEGIN: &[u8] = b" FROM stdin;";

/// The beginnings of lines that matter are shorter, in bytes.
const MAX_LENGTH: usize = 48;

/// The start of the first line after a title and an empty line.
const AFTER_TITLE: [&[u8]; 4] = [
    br"\restrict ",
    b"-- Dumped from database version ",
    b"-- Started on ",
    b"SET ",
];

/// Looks for titles.
#[derive(Debug)]
pub(crate) struct Titles {
    /// The lines of one.
    lines: [Vec<u8>; 4],
    /// How many of them have come last.
    matched: usize,
    /// Whole lines that have come, and the beginning and the end of this one.
    line: u64,
    start: Vec<u8>,
    end: Vec<u8>,
    /// In the rows of a table: the last bytes, where they may begin [`ROWS_END`].
    rows: Option<Vec<u8>>,
    second: Option<u64>,
}

impl Titles {
    pub(crate) fn new(title: &str) -> Self {
        let title = format!("-- {title}").into_bytes();
        Self {
            lines: [b"--".to_vec(), title, b"--".to_vec(), Vec::new()],
            matched: 0,
            line: 0,
            start: Vec::new(),
            end: Vec::new(),
            rows: None,
            second: None,
        }
    }

    /// The line in which a second title begins.
    pub(crate) fn second(&self) -> Option<u64> {
        self.second
    }

    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.rows.take() {
                Some(before) => self.pass_rows(before, bytes),
                None => self.follow_lines(bytes),
            };
        }
    }

    /// Returns the bytes after the rows.
    fn pass_rows<'a>(&mut self, before: Vec<u8>, bytes: &'a [u8]) -> &'a [u8] {
        let most = ROWS_END.len() - 1;
        let mut seam = before;
        let kept = seam.len();
        seam.extend_from_slice(first(bytes, most));
        let end = match memmem::find(&seam, ROWS_END) {
            Some(at) => Some(at + ROWS_END.len() - kept),
            None => memmem::find(bytes, ROWS_END).map(|at| at + ROWS_END.len()),
        };
        if let Some(end) = end {
            self.line += memchr_iter(b'\n', &bytes[..end]).count() as u64;
            return &bytes[end..];
        }
        self.line += memchr_iter(b'\n', bytes).count() as u64;
        let latest = if bytes.len() < most { &seam } else { bytes };
        self.rows = Some(last(latest, most).to_vec());
        &[]
    }

    /// Returns the bytes after the lines, if rows follow.
    fn follow_lines<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut at = 0;
        for end in memchr_iter(b'\n', bytes) {
            let line = &bytes[at..end];
            at = end + 1;
            if !self.start.is_empty() || !self.end.is_empty() {
                self.note(line);
                let (start, end) = (mem::take(&mut self.start), mem::take(&mut self.end));
                self.end_line(&start, &end);
            } else if self.matched == 0 && !matches!(line.first(), Some(b'-' | b'C')) {
                // Most lines are like this: they neither belong to a title nor have rows after them.
                self.line += 1;
            } else {
                self.end_line(first(line, MAX_LENGTH), last(line, ROWS_BEGIN.len()));
            }
            if self.rows.is_some() {
                return &bytes[at..];
            }
        }
        self.note(&bytes[at..]);
        &[]
    }

    /// Remembers the start and the end of an incomplete line.
    fn note(&mut self, piece: &[u8]) {
        self.start
            .extend_from_slice(first(piece, MAX_LENGTH - self.start.len()));
        self.end.extend_from_slice(last(piece, ROWS_BEGIN.len()));
        let excess = self.end.len().saturating_sub(ROWS_BEGIN.len());
        self.end.drain(..excess);
    }

    /// A line has ended that begins and ends so.
    fn end_line(&mut self, start: &[u8], end: &[u8]) {
        if self.matched == self.lines.len() {
            let before = self.line - self.lines.len() as u64;
            let is_title = AFTER_TITLE.iter().any(|text| start.starts_with(text));
            if is_title && before > 0 {
                self.second.get_or_insert(before + 1);
            }
            self.matched = 0;
        }
        self.matched = if start == self.lines[self.matched] {
            self.matched + 1
        } else {
            usize::from(start == self.lines[0])
        };
        self.line += 1;
        if start.starts_with(b"COPY ") && end == ROWS_BEGIN {
            self.rows = Some(b"\n".to_vec());
        }
    }
}

/// At most so many bytes, the first ones.
fn first(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}

/// At most so many bytes, the last ones.
fn last(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(most)..]
}
