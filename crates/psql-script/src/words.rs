//! The words of a statement: where it ends for psql, and what it does to psql.

use super::server::Server;
use super::{MAX_LENGTH, STRINGS};

/// The words that psql looks at to find the body of a function in SQL.
const FUNCTION_WORDS: [&str; 5] = ["create", "function", "procedure", "or", "replace"];

/// The encodings that only clients have, by all of their names: the second byte of a character may be a backslash. Servers have none
/// of them for that reason.
const AMBIGUOUS_ENCODINGS: [&str; 14] = [
    "BIG5",
    "WIN950",
    "WINDOWS950",
    "GBK",
    "WIN936",
    "WINDOWS936",
    "UHC",
    "WIN949",
    "WINDOWS949",
    "JOHAB",
    "SJIS",
    "SHIFTJIS",
    "SHIFTJIS2004",
    "GB18030",
];

/// Whether a word, a number or a name, can begin with this.
pub(super) fn begins(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Whether a word can go on with this.
pub(super) fn continues(byte: u8) -> bool {
    begins(byte) || byte == b'$'
}

/// A name, a keyword or a number.
#[derive(Debug, Default)]
pub(super) struct Word {
    /// As many bytes as the longest word that matters has, and one more.
    start: Vec<u8>,
    has_dollar: bool,
    is_variable: bool,
}

impl Word {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut word = Self::default();
        for byte in bytes {
            word.push(*byte);
        }
        word
    }

    /// The name of one of psql's own variables, which begins with this and has followed a colon.
    pub(super) fn variable(byte: u8) -> Self {
        let mut word = Self::of(&[byte]);
        word.is_variable = true;
        word
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.has_dollar |= byte == b'$';
        if self.start.len() <= STRINGS.len() {
            self.start.push(byte);
        }
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.start.eq_ignore_ascii_case(word.as_bytes())
    }

    pub(super) fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub(super) fn in_upper_case(&self) -> String {
        String::from_utf8_lossy(&self.start).to_uppercase()
    }

    pub(super) fn is_number(&self) -> bool {
        !self.is_variable && self.start.first().is_some_and(u8::is_ascii_digit)
    }

    pub(super) fn is_variable(&self) -> bool {
        self.is_variable
    }

    /// Whether it is a part of the string that follows (`E'…'`), and no word of the statement.
    pub(super) fn begins_string(&self, next: u8) -> bool {
        match next {
            b'\'' => self.is_one_of(&["e", "b", "x", "n"]),
            b'&' => self.is("u"),
            _ => false,
        }
    }

    pub(super) fn has_dollar(&self) -> bool {
        self.has_dollar
    }
}

/// A statement that has begun, or the space before one.
#[derive(Debug, Default)]
pub(super) struct Statement {
    first: First,
    /// All of it, as far as it may be one of those that are compared with what `pg_dump` writes.
    text: Vec<u8>,
    parentheses: u64,
    /// How deep it is in the body of a function in SQL: 1 in `BEGIN ATOMIC`, more in each `CASE`.
    bodies: u64,
    /// The initials of those of its first words that are [`FUNCTION_WORDS`].
    initials: [u8; 4],
    words: usize,
    /// The last word was `BEGIN`.
    after_begin: bool,
}

/// Who says whether a semicolon is inside of a function's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bodies {
    /// psql, by the words that it has seen.
    OfPsql,
    /// The server, and whether it is.
    OfServer(bool),
}

/// The start of a statement.
#[derive(Debug, Default, PartialEq, Eq)]
enum First {
    /// Nothing has come yet.
    #[default]
    Nothing,
    /// A word that is not complete yet, or something else.
    Token,
    Copy,
    Set,
    /// Something that needs no comparing.
    Other,
}

impl Statement {
    pub(super) fn is_empty(&self) -> bool {
        self.first == First::Nothing
    }

    /// Takes note of a byte of the dump, before anything else is told of it.
    pub(super) fn record(&mut self, byte: u8) -> Result<(), String> {
        if self.first == First::Other {
            return Ok(());
        }
        self.text.push(byte);
        if self.text.len() <= MAX_LENGTH {
            return Ok(());
        }
        match self.first {
            // Space and comments before a statement.
            First::Nothing => self.text.clear(),
            First::Token => self.first = First::Other,
            _ => return Err(format!("a statement is longer than {MAX_LENGTH} bytes")),
        }
        Ok(())
    }

    /// The byte that was recorded last is neither white space nor part of a comment.
    pub(super) fn token(&mut self) {
        if self.first == First::Nothing {
            self.first = First::Token;
            self.text.drain(..self.text.len().saturating_sub(1));
        }
    }

    /// Takes note of a word that is complete, and counts for the body of a function if psql is to read it.
    pub(super) fn word(&mut self, word: &Word, is_for_psql: bool) -> Result<(), String> {
        let is_first = self.first == First::Token && self.text.starts_with(&word.start);
        if is_first {
            self.first = if word.is("copy") {
                First::Copy
            } else if word.is("set") {
                First::Set
            } else {
                First::Other
            };
        } else if self.first == First::Token {
            self.first = First::Other;
        }
        if !is_for_psql {
            return Ok(());
        }
        if let Some(initial) = self.initials.get_mut(self.words)
            && word.is_one_of(&FUNCTION_WORDS)
        {
            *initial = word.start[0].to_ascii_lowercase();
        }
        self.words += 1;
        if self.after_begin && word.is("atomic") && self.bodies == 0 {
            return Err("it is not clear to psql where the body of a function ends".into());
        }
        self.after_begin = word.is("begin");
        if self.is_function() && self.parentheses == 0 {
            if word.is("begin") || (word.is("case") && self.bodies > 0) {
                self.bodies += 1;
            } else if word.is("end") {
                self.bodies = self.bodies.saturating_sub(1);
            }
        }
        Ok(())
    }

    fn is_function(&self) -> bool {
        matches!(
            self.initials,
            [b'c', b'f' | b'p', ..] | [b'c', b'o', b'r', b'f' | b'p']
        )
    }

    pub(super) fn open(&mut self) {
        self.parentheses += 1;
    }

    pub(super) fn close(&mut self) {
        self.parentheses = self.parentheses.saturating_sub(1);
    }

    /// Handles a semicolon. Returns the statement that it ends, if any.
    pub(super) fn end(&mut self, bodies: Bodies) -> Option<Self> {
        let is_inside = match bodies {
            Bodies::OfPsql => self.bodies > 0,
            Bodies::OfServer(is_inside) => is_inside,
        };
        (self.parentheses == 0 && !is_inside).then(|| std::mem::take(self))
    }

    /// Whether the server, too, waits for the rest of a statement that a semicolon did not end.
    pub(super) fn agrees_with(&self, server: &Server) -> bool {
        self.parentheses > 0 || server.is_in_body()
    }

    pub(super) fn is_copy(&self) -> bool {
        self.first == First::Copy
    }

    /// Whether it is a `COPY` as `pg_dump` writes it, with rows behind it.
    pub(super) fn takes_rows(&self) -> bool {
        takes_rows(&self.text)
    }

    /// Whether it is the statement with which `pg_dump` says where strings end.
    pub(super) fn settles_strings(&self) -> bool {
        self.first == First::Set && self.text == format!("SET {STRINGS} = on;").as_bytes()
    }

    /// Whether it may set an encoding in which a byte of ASCII can be the end of another character; `pg_dump` says in one
    /// statement which encoding it has.
    pub(super) fn may_change_encoding(&self) -> bool {
        if self.first != First::Set {
            return false;
        }
        let text = self.text.to_ascii_uppercase();
        let text = String::from_utf8_lossy(&text);
        let named = text
            .strip_prefix("SET CLIENT_ENCODING = '")
            .and_then(|rest| rest.strip_suffix("';"));
        match named {
            Some(name) => {
                let mut name = name.to_owned();
                name.retain(|c| c.is_ascii_alphanumeric());
                AMBIGUOUS_ENCODINGS.contains(&name.as_str())
            }
            None => ["ENCODING", "NAMES", "U&"]
                .iter()
                .any(|part| text.contains(part)),
        }
    }
}

/// Whether a statement is a `COPY` as `pg_dump` writes it, with rows behind it.
pub(super) fn takes_rows(statement: &[u8]) -> bool {
    let takes = || {
        let rest = statement.strip_prefix(b"COPY ")?;
        let mut rest = after_name(rest)?;
        if let Some(table) = rest.strip_prefix(b".") {
            rest = after_name(table)?;
        }
        // There are two spaces where a table has no columns.
        rest = rest.strip_prefix(b" ")?;
        if let Some(columns) = rest.strip_prefix(b"(") {
            rest = after_name(columns)?;
            while let Some(next) = rest.strip_prefix(b", ") {
                rest = after_name(next)?;
            }
            rest = rest.strip_prefix(b")")?;
        }
        (rest == b" FROM stdin;").then_some(())
    };
    takes().is_some()
}

/// The rest after a name as `pg_dump` writes it: in lower case, or quoted.
fn after_name(text: &[u8]) -> Option<&[u8]> {
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let is_plain =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
        let length = text.iter().take_while(|byte| is_plain(byte)).count();
        return (length > 0).then(|| &text[length..]);
    };
    loop {
        let end = memchr::memchr(b'"', rest)?;
        if rest[..end].iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return None;
        }
        rest = &rest[end + 1..];
        // Two in a row are one in the name.
        match rest.strip_prefix(b"\"") {
            Some(more) => rest = more,
            None => return Some(rest),
        }
    }
}
