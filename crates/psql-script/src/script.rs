//! A dump that arrives in pieces, on its way to psql.

use super::scanner::{Kind, Scanner};
use super::unrestrict::{Search, UNRESTRICT};

/// Follows an SQL dump, piece by piece.
#[derive(Debug)]
pub struct Script {
    scanner: Scanner,
    line: u64,
    /// The search for commands that lift the restriction.
    unrestrict: Option<Search>,
}

impl Script {
    /// A dump that is restored in a transaction from outside of it, which it must not end by itself.
    pub fn in_transaction() -> Self {
        Self::new(Kind::Dump)
    }

    /// A dump whose statements take effect one by one. It holds no rows.
    pub fn by_statements() -> Self {
        Self::new(Kind::Statements)
    }

    fn new(kind: Kind) -> Self {
        Self {
            scanner: Scanner::new(kind),
            line: 1,
            unrestrict: None,
        }
    }

    /// For a psql that runs more than it should if it sees strings end elsewhere. Refuses strings whose end depends on a
    /// setting, and the command that lifts the restriction, wherever it stands.
    #[must_use]
    pub fn strictly(mut self) -> Self {
        self.scanner.be_strict();
        self.unrestrict = Some(Search::default());
        self
    }

    /// Follows the next bytes, and blanks the commands that `pg_dump` wrote. The error says in which line the dump is no
    /// dump, and why.
    pub fn follow(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        let mut position = 0;
        while position < bytes.len() {
            if self.scanner.is_in_row() {
                // The rest of the row, in one go.
                let rest = &bytes[position..];
                let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                if memchr::memchr(0, &rest[..length]).is_some() {
                    return Err(self.refusal("it contains a NUL byte"));
                }
                position += length;
                if position == bytes.len() {
                    break;
                }
            }
            let byte = bytes[position];
            self.scanner.step(byte).map_err(|why| self.refusal(&why))?;
            if byte == b'\n' {
                self.line += 1;
            }
            if self.scanner.is_in_command() {
                // Whoever runs psql has restricted it: it takes no second restriction, and the token is another one.
                bytes[position] = b' ';
            }
            position += 1;
        }
        let unrestrict = self.unrestrict.as_mut();
        match unrestrict.and_then(|search| search.find(bytes)) {
            Some(found) => {
                let lines = memchr::memchr_iter(b'\n', &bytes[found..]).count();
                self.line -= lines as u64;
                let unrestrict = String::from_utf8_lossy(UNRESTRICT);
                Err(self.refusal(&format!(
                    "{unrestrict} stands in it, for which this psql is too old"
                )))
            }
            None => Ok(()),
        }
    }

    /// Finishes the scan. The error names the construct that the dump ends in.
    pub fn finish(mut self) -> Result<(), String> {
        self.scanner.end().map_err(|why| self.refusal(&why))
    }

    fn refusal(&self, why: &str) -> String {
        format!("line {} of the dump is refused: {why}", self.line)
    }
}
