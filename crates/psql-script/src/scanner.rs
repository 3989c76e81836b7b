//! psql's scanner, byte by byte: finds code, data, and commands of psql.

use super::mention::Mention;
use super::restriction::{Restriction, expect_permitted};
use super::server::Server;
use super::state::{Escapes, State};
use super::words::{self, Bodies, Statement, Word};
use super::{MAX_LENGTH, STRINGS};

/// The length of the line that ends the rows of a table, with a carriage return.
const ROWS_END: usize = 3;

/// Where the scanner is in a script.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    statement: Statement,
    server: Server,
    escapes: Escapes,
    /// Only white space has come in this line.
    line_is_blank: bool,
    restriction: Restriction,
    mention: Mention,
    kind: Kind,
    /// Strings whose end depends on a setting are refused.
    is_strict: bool,
}

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A dump in a transaction from outside.
    Dump,
    /// Statements that take effect one by one.
    Statements,
    /// What the server gets without psql, in a transaction from outside.
    Definition,
}

impl Scanner {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            state: State::Code,
            statement: Statement::default(),
            server: Server::new(kind != Kind::Statements),
            escapes: Escapes::No,
            line_is_blank: true,
            restriction: Restriction::default(),
            mention: Mention::default(),
            kind,
            is_strict: false,
        }
    }

    /// Refuses strings whose end depends on a setting.
    pub(super) fn be_strict(&mut self) {
        self.is_strict = true;
    }

    /// Whether nothing but the end of the line ends what it is in: a row of a table that is not the last line.
    pub(super) fn is_in_row(&self) -> bool {
        matches!(&self.state, State::Rows(start) if start.len() > ROWS_END)
    }

    /// Whether the last byte belongs to one of the commands that `pg_dump` writes.
    pub(super) fn is_in_command(&self) -> bool {
        matches!(self.state, State::Command(_))
    }

    /// The next byte. The error says why the dump must not go on with it.
    pub(super) fn step(&mut self, byte: u8) -> Result<(), String> {
        if byte == 0 {
            // psql reads a line up to its first NUL, and would see something else.
            return Err("it contains a NUL byte".into());
        }
        if !matches!(self.state, State::Rows(_)) {
            self.statement.record(byte)?;
            self.mention.notice(byte);
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
            State::Command(line) if byte == b'\n' => {
                let line = std::mem::take(line);
                self.state = State::Code;
                self.restriction.command(&line)?;
            }
            State::Command(line) => {
                line.push(byte);
                expect_permitted(line)?;
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
        if byte == b'\n' {
            self.line_is_blank = true;
        } else if !byte.is_ascii_whitespace() {
            self.line_is_blank = false;
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
                if tag.len() > MAX_LENGTH {
                    return Err("a dollar quote has an endless tag".into());
                }
                Ok(())
            }
            byte if is_parameter || tag.len() == 1 => self.code(byte),
            byte => {
                // It was not a tag: a dollar, and a word.
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
        if self.mention.is_whole() && !statement.settles_strings() {
            return Err(format!(
                "it may change {STRINGS}, on which the end of every string depends"
            ));
        }
        self.mention = Mention::default();
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

    /// Finishes the scan. The error names the construct that the dump ends in.
    pub(super) fn end(&mut self) -> Result<(), String> {
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
}
