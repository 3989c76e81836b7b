//! An SQL dump as `psql` reads it.
//!
//! `psql` runs what follows a backslash as a command of its own: a shell (`\!`), a program that is fed a
//! table (`\copy … to program`), a pipe (`\o |`). A dump comes from a repository that others may have written
//! to, so no such command may reach `psql`. Only the pair that `pg_dump` writes itself, `\restrict` and `\unrestrict` with
//! one token, is no reason to refuse a dump, and is blanked.
//!
//! Inside of quotes, comments and the rows of a `COPY` a backslash is data, so the dump is followed by the rules of
//! psql's scanner (`src/fe_utils/psqlscan.l` of `PostgreSQL`). Where the scanner depends on a setting or on its version,
//! or a statement is written in a way in which `pg_dump` writes none, the dump is refused. Two errors are possible, and only
//! one of them is dangerous: data that is taken for a command is refused; a command that is taken for data would run.
//!
//! What cannot be seen here is a setting that a statement changes in a roundabout way (`set_config` with a name that is
//! put together): where strings end for psql depends on `standard_conforming_strings` and on `client_encoding`. So psql
//! has to be restricted as well (`\restrict`), where it can be. The first versions of psql that can be restricted run
//! programs for the arguments of `\unrestrict`: for those a dump is followed [strictly](Script::strictly).

mod inserts;
mod server;
mod words;

use memchr::memmem;
use server::Server;
use words::{Bodies, Statement, Word};

pub use inserts::Inserts;

/// What a longer `COPY` statement or command is not, in bytes: one that `pg_dump` wrote. `COPY` names all columns of a
/// table, at most 1600 of up to 63 bytes.
const LONGEST: usize = 256 << 10;

/// A setting on which the end of every string depends. `pg_dump` switches it on, in this statement.
const STRINGS: &str = "standard_conforming_strings";

/// Follows an SQL dump, piece by piece.
#[derive(Debug)]
pub struct Script {
    state: State,
    statement: Statement,
    server: Server,
    escapes: Escapes,
    /// Only white space has come in this line.
    line_is_blank: bool,
    line: u64,
    restriction: Restriction,
    /// How many bytes of [`STRINGS`] have come, in whatever place.
    mentioned: usize,
    kind: Kind,
    is_strict: bool,
    /// The end of the last piece, as far as it may be the beginning of [`WAY_OUT`].
    tail: Vec<u8>,
}

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A dump in a transaction from outside.
    Dump,
    /// Statements that take effect one by one.
    Statements,
    /// What the server gets without psql, in a transaction from outside.
    Definition,
}

/// Whether a quote may go on with a string that has escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escapes {
    No,
    /// The quote before it ended one: two in a row are one in the string.
    Ended,
    /// Nothing but white space and comments has come since one ended.
    EndedApart,
}

/// What the dump's own `\restrict` has come to.
#[derive(Debug, PartialEq, Eq)]
enum Restriction {
    None,
    Restricted(Vec<u8>),
    Lifted,
}

#[derive(Debug)]
enum State {
    /// Between tokens.
    Code,
    Word(Word),
    /// After one `-`.
    Dash,
    /// After one `/`.
    Slash,
    /// After one `:`.
    Colon,
    /// After `$` and what may be the tag of a quote.
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
        /// The end of what has come, which may be the beginning of the delimiter.
        tail: Vec<u8>,
    },
    /// A line that begins with a backslash.
    Command(Vec<u8>),
    /// After the semicolon of a `COPY`: nothing but the end of the line may come.
    AfterCopy,
    /// The rows of a `COPY`. Holds the first bytes of the line.
    Rows(Vec<u8>),
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
            state: State::Code,
            statement: Statement::default(),
            server: Server::new(kind != Kind::Statements),
            escapes: Escapes::No,
            line_is_blank: true,
            line: 1,
            restriction: Restriction::None,
            mentioned: 0,
            kind,
            is_strict: false,
            tail: Vec::new(),
        }
    }

    /// For a psql that runs more than it should if it sees strings end elsewhere. Refuses strings whose end depends on a
    /// setting, and the command that lifts the restriction, wherever it stands.
    #[must_use]
    pub fn strictly(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Follows the next bytes, and blanks the commands that `pg_dump` wrote. The error says in which line the dump is no
    /// dump, and why.
    pub fn follow(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        let mut position = 0;
        while position < bytes.len() {
            if let State::Rows(start) = &self.state
                && start.len() > ROWS_END
            {
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
            self.step(byte).map_err(|why| self.refusal(&why))?;
            if byte == b'\n' {
                self.line += 1;
                self.line_is_blank = true;
            } else if !byte.is_ascii_whitespace() {
                self.line_is_blank = false;
            }
            if let State::Command(_) = self.state {
                // Whoever runs psql has restricted it: it takes no second restriction, and the token is another one.
                bytes[position] = b' ';
            }
            position += 1;
        }
        if self.is_strict {
            self.find_way_out(bytes)?;
        }
        Ok(())
    }

    /// Looks for [`WAY_OUT`] in what psql is about to get.
    fn find_way_out(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut seam = std::mem::take(&mut self.tail);
        let kept = seam.len();
        seam.extend(&bytes[..bytes.len().min(WAY_OUT.len() - 1)]);
        let found = match memmem::find(&seam, WAY_OUT) {
            Some(at) => Some(at.saturating_sub(kept)),
            None => memmem::find(bytes, WAY_OUT),
        };
        if let Some(found) = found {
            let lines = memchr::memchr_iter(b'\n', &bytes[found..]).count();
            self.line -= lines as u64;
            let way_out = String::from_utf8_lossy(WAY_OUT);
            return Err(self.refusal(&format!(
                "{way_out} stands in it, for which this psql is too old"
            )));
        }
        if bytes.len() < WAY_OUT.len() {
            self.tail = seam;
        } else {
            self.tail.extend(bytes);
        }
        let surplus = self.tail.len().saturating_sub(WAY_OUT.len() - 1);
        self.tail.drain(..surplus);
        Ok(())
    }

    /// The dump ends here. The error says what it ends in the middle of.
    pub fn finish(mut self) -> Result<(), String> {
        self.end().map_err(|why| self.refusal(&why))
    }

    fn end(&mut self) -> Result<(), String> {
        if let State::Word(_) | State::Dollar(_) = self.state {
            // A word ends with the dump.
            self.step(b'\n')?;
        }
        let what = match self.state {
            State::Code | State::Word(_) | State::Dash | State::Slash | State::Colon => {
                return Ok(());
            }
            State::LineComment => return Ok(()),
            State::Dollar(_) | State::DollarString { .. } => "a string in dollar quotes",
            State::String(_) | State::EscapeString | State::Escaped => "a string",
            State::QuotedIdentifier => "a quoted name",
            State::BlockComment { .. } => "a comment",
            State::Command(_) => "a command",
            State::AfterCopy | State::Rows(_) => "the rows of a table",
        };
        Err(format!("it ends in the middle of {what}"))
    }

    fn refusal(&self, why: &str) -> String {
        format!("line {} of the dump is refused: {why}", self.line)
    }

    fn step(&mut self, byte: u8) -> Result<(), String> {
        if byte == 0 {
            // psql reads a line up to its first NUL, and would see something else.
            return Err("it contains a NUL byte".into());
        }
        if !matches!(self.state, State::Rows(_)) {
            self.statement.record(byte)?;
            self.notice(byte);
        }
        match &mut self.state {
            State::Code => self.code(byte)?,
            State::Word(word) => {
                if words::continues(byte) {
                    word.push(byte);
                } else {
                    self.end_word(byte)?;
                }
            }
            State::Dash if byte == b'-' => self.state = State::LineComment,
            State::Slash if byte == b'*' => {
                self.state = State::BlockComment {
                    depth: 1,
                    before: 0,
                };
            }
            State::Dash | State::Slash => {
                self.token();
                self.server.sign();
                self.code(byte)?;
            }
            State::Colon => self.after_colon(byte)?,
            State::Dollar(_) => self.after_dollar(byte)?,
            State::String(true) if byte == b'\'' && self.is_strict => {
                return Err(format!(
                    "a string ends with a backslash, so its end depends on {STRINGS}"
                ));
            }
            State::String(_) if byte == b'\'' => self.state = State::Code,
            State::String(after_backslash) => {
                *after_backslash = byte == b'\\' && !*after_backslash;
            }
            State::EscapeString if byte == b'\'' => {
                self.state = State::Code;
                self.escapes = Escapes::Ended;
            }
            State::EscapeString if byte == b'\\' => self.state = State::Escaped,
            State::Escaped => self.state = State::EscapeString,
            State::QuotedIdentifier if byte == b'"' => self.state = State::Code,
            // psql ends a comment at a carriage return as well.
            State::LineComment if byte == b'\n' || byte == b'\r' => {
                self.end_comment();
            }
            State::EscapeString | State::QuotedIdentifier | State::LineComment => {}
            State::BlockComment { depth, before } => match (*before, byte) {
                (b'*', b'/') => {
                    *depth -= 1;
                    *before = 0;
                    if *depth == 0 {
                        self.end_comment();
                    }
                }
                (b'/', b'*') => {
                    *depth += 1;
                    *before = 0;
                }
                _ => *before = byte,
            },
            State::DollarString { delimiter, tail } => {
                tail.push(byte);
                if tail.len() > delimiter.len() {
                    tail.remove(0);
                }
                if tail == delimiter {
                    self.state = State::Code;
                }
            }
            State::Command(line) => {
                if byte == b'\n' {
                    let line = std::mem::take(line);
                    self.state = State::Code;
                    self.command(&line)?;
                } else {
                    line.push(byte);
                    if !may_be_permitted(line) {
                        return Err(format!(
                            "psql would run the command {}",
                            String::from_utf8_lossy(line)
                        ));
                    }
                }
            }
            State::AfterCopy => match byte {
                b'\n' => self.state = State::Rows(Vec::new()),
                b'\r' => {}
                _ => return Err("something follows a COPY in its line".into()),
            },
            State::Rows(start) => match byte {
                b'\n' if start == b"\\." || start == b"\\.\r" => self.state = State::Code,
                b'\n' => start.clear(),
                byte => start.push(byte),
            },
        }
        Ok(())
    }

    /// A byte outside of quotes, comments and rows that continues no word.
    fn code(&mut self, byte: u8) -> Result<(), String> {
        self.state = State::Code;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {
                self.space();
                return Ok(());
            }
            b'-' => {
                self.state = State::Dash;
                return Ok(());
            }
            b'/' => {
                self.state = State::Slash;
                return Ok(());
            }
            b'\'' if self.escapes == Escapes::EndedApart => {
                return Err("a string with escapes may go on in another line".into());
            }
            b'\'' => {
                self.state = if self.escapes == Escapes::Ended {
                    State::EscapeString
                } else {
                    State::String(false)
                };
                self.token();
                self.server.sign();
                return Ok(());
            }
            b'\\' if self.kind == Kind::Definition => {
                return Err("a backslash stands outside of quotes".into());
            }
            b'\\' if self.line_is_blank && self.statement.is_empty() => {
                self.state = State::Command(vec![byte]);
                return Ok(());
            }
            b'\\' => return Err("psql would run what follows a backslash".into()),
            _ => {}
        }
        self.token();
        if !words::begins(byte) {
            self.server.sign();
        }
        match byte {
            b'"' => self.state = State::QuotedIdentifier,
            b'$' => self.state = State::Dollar(vec![byte]),
            // It means nothing but to psql.
            b':' if self.kind != Kind::Definition => self.state = State::Colon,
            b'(' => {
                self.statement.open();
                self.server.open();
            }
            b')' => {
                self.statement.close();
                self.server.close();
            }
            b';' => self.end_statement()?,
            byte if words::begins(byte) => {
                let mut word = Word::default();
                word.push(byte);
                self.state = State::Word(word);
            }
            _ => {}
        }
        Ok(())
    }

    /// Something comes that is neither white space nor a comment.
    fn token(&mut self) {
        self.escapes = Escapes::No;
        self.statement.token();
    }

    /// White space or a comment has come.
    fn space(&mut self) {
        if self.escapes == Escapes::Ended {
            self.escapes = Escapes::EndedApart;
        }
    }

    fn end_comment(&mut self) {
        self.state = State::Code;
        self.space();
    }

    /// Takes note of a setting that may be meant, even as the text of a string.
    fn notice(&mut self, byte: u8) {
        let pattern = STRINGS.as_bytes();
        let byte = byte.to_ascii_lowercase();
        if self.mentioned == pattern.len() {
            // Until the statement ends.
        } else if byte == pattern[self.mentioned] {
            self.mentioned += 1;
        } else {
            self.mentioned = usize::from(byte == pattern[0]);
        }
    }

    fn end_word(&mut self, next: u8) -> Result<(), String> {
        let State::Word(word) = std::mem::replace(&mut self.state, State::Code) else {
            return Ok(());
        };
        if word.is_number() {
            if word.has_dollar() || next == b'\'' {
                return Err("a number and a string are not told apart".into());
            }
            self.server.sign();
        } else if word.is_variable() {
            // psql puts in its value, or leaves it as it is, and takes it for no word.
            if word.has_dollar() {
                return Err("a variable and a string are not told apart".into());
            }
            self.server.sign();
        } else if word.begins_string(next) {
            self.server.sign();
        } else {
            self.server.word(&word)?;
            let is_for_psql = self.kind != Kind::Definition;
            self.statement.word(&word, is_for_psql)?;
        }
        if next == b'\'' && word.is("e") && !word.is_variable() {
            self.state = State::EscapeString;
            return Ok(());
        }
        self.code(next)
    }

    /// After a colon, psql puts in the value of a variable of its own. Their names are in upper case, and what `pg_dump` writes after a
    /// single colon, the bound of a slice, is not.
    fn after_colon(&mut self, byte: u8) -> Result<(), String> {
        match byte {
            b':' | b'=' => {
                self.state = State::Code;
                Ok(())
            }
            b'\'' | b'"' | b'{' | b'A'..=b'Z' => {
                Err("psql would put in the value of a variable".into())
            }
            byte if words::continues(byte) => {
                self.token();
                self.state = State::Word(Word::variable(byte));
                Ok(())
            }
            byte => self.code(byte),
        }
    }

    fn after_dollar(&mut self, byte: u8) -> Result<(), String> {
        let State::Dollar(tag) = &mut self.state else {
            return Ok(());
        };
        let is_parameter = tag.get(1).is_some_and(u8::is_ascii_digit);
        match byte {
            b'$' if is_parameter => Err("a parameter and a dollar quote are not told apart".into()),
            b'$' => {
                tag.push(byte);
                let delimiter = std::mem::take(tag);
                self.state = State::DollarString {
                    delimiter,
                    tail: Vec::new(),
                };
                Ok(())
            }
            byte if is_parameter && words::begins(byte) && !byte.is_ascii_digit() => {
                Err("a parameter and a string are not told apart".into())
            }
            byte if words::continues(byte) => {
                tag.push(byte);
                if tag.len() > LONGEST {
                    return Err("a dollar quote has an endless tag".into());
                }
                Ok(())
            }
            byte if is_parameter || tag.len() == 1 => self.code(byte),
            byte => {
                // It was no tag: a dollar, and a word.
                let word = Word::of(&tag[1..]);
                self.state = State::Word(word);
                self.end_word(byte)
            }
        }
    }

    fn end_statement(&mut self) -> Result<(), String> {
        self.server.end();
        // For the server, only a body that is one has semicolons of its own.
        let bodies = match self.kind {
            Kind::Definition => Bodies::OfServer(self.server.is_in_body()),
            Kind::Dump | Kind::Statements => Bodies::OfPsql,
        };
        let Some(statement) = self.statement.end(bodies) else {
            if bodies == Bodies::OfPsql && !self.statement.agrees_with(&self.server) {
                return Err("it is not clear to psql where the body of a function ends".into());
            }
            return Ok(());
        };
        if self.mentioned == STRINGS.len() && !statement.settles_strings() {
            return Err(format!(
                "it may change {STRINGS}, on which the end of every string depends"
            ));
        }
        self.mentioned = 0;
        if statement.may_change_encoding() {
            return Err("it may change the encoding to one in which strings end elsewhere".into());
        }
        if statement.is_copy() {
            if self.kind != Kind::Dump || !statement.takes_rows() {
                return Err("it is a COPY that pg_dump does not write".into());
            }
            self.state = State::AfterCopy;
        }
        Ok(())
    }

    fn command(&mut self, line: &[u8]) -> Result<(), String> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let restriction = match (&self.restriction, line) {
            (Restriction::None, line) => line
                .strip_prefix(b"\\restrict ")
                .filter(|token| is_token(token))
                .map(|token| Restriction::Restricted(token.to_vec())),
            (Restriction::Restricted(token), line) => line
                .strip_prefix(b"\\unrestrict ")
                .filter(|lifted| lifted == token)
                .map(|_| Restriction::Lifted),
            (Restriction::Lifted, _) => None,
        };
        let refused = || {
            let line = String::from_utf8_lossy(line);
            format!("psql would run the command {line}")
        };
        self.restriction = restriction.ok_or_else(refused)?;
        Ok(())
    }
}

/// Looks over SQL that the server gets without psql, in a transaction from outside of it: the definition of an object in an
/// archive. The error says why it must not get it, for a sentence like "it is refused: ...".
///
/// # Errors
///
/// When it would end the transaction, or where that cannot be seen.
pub fn look_over(definition: &[u8]) -> Result<(), String> {
    let mut script = Script::new(Kind::Definition);
    definition.iter().try_for_each(|byte| script.step(*byte))?;
    script.end()
}

/// Whether this is the `COPY` with which `pg_dump` announces the rows of a table, and nothing else.
pub fn announces_rows(statement: &[u8]) -> bool {
    statement.strip_suffix(b"\n").is_some_and(words::takes_rows)
}

/// What lifts the restriction of psql.
const WAY_OUT: &[u8] = b"\\unrestrict";

/// The length of the line that ends the rows of a table, with a carriage return.
const ROWS_END: usize = 3;

/// Whether a line can become one of the commands that `pg_dump` writes.
fn may_be_permitted(line: &[u8]) -> bool {
    [&b"\\restrict "[..], b"\\unrestrict "]
        .iter()
        .any(|command| {
            let both = line.len().min(command.len());
            line[..both] == command[..both]
                && line.len() <= 1024
                && line[both..]
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'\r')
        })
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests;
