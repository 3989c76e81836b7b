//! Statements as the server parses them: it splits its input at each semicolon, regardless of how psql splits it.
//!
//! psql treats several statements as one if their words look like the body of a function (`CREATE FUNCTION begin()
//! ...`), and sends them together. The server executes each of them.

use super::words::Word;

/// The words with which a statement ends a transaction. The other way is `PREPARE TRANSACTION`.
const ENDS_OF_TRANSACTIONS: [&str; 4] = ["abort", "commit", "end", "rollback"];

/// Follows the words of statements.
#[derive(Debug)]
pub(super) struct Server {
    /// Its input must not end the transaction.
    transactional: bool,
    head: Head,
    /// The last word, with nothing but white space and comments since.
    last: Last,
    parentheses: u64,
    /// Between `BEGIN ATOMIC` and the `END` that follows a semicolon.
    in_body: bool,
}

/// How a statement begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    Nothing,
    Create,
    CreateOr,
    /// Of a function or a procedure.
    Function,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Begin,
    /// At the beginning of a statement.
    Prepare,
    Other,
}

impl Server {
    pub(super) fn new(transactional: bool) -> Self {
        Self {
            transactional,
            head: Head::Nothing,
            last: Last::Other,
            parentheses: 0,
            in_body: false,
        }
    }

    /// Takes note of a word that is complete.
    pub(super) fn word(&mut self, word: &Word) -> Result<(), String> {
        let is_first = self.head == Head::Nothing;
        let last = std::mem::replace(&mut self.last, Last::Other);
        if is_first && self.in_body && word.is("end") {
            self.in_body = false;
            self.head = Head::Other;
            return Ok(());
        }
        if self.transactional {
            if is_first && word.is_one_of(&ENDS_OF_TRANSACTIONS) {
                return Err(would_end(&word.in_upper_case()));
            }
            if last == Last::Prepare && word.is("transaction") {
                return Err(would_end("PREPARE TRANSACTION"));
            }
        }
        if last == Last::Begin && word.is("atomic") && self.begins_body() {
            self.in_body = true;
            self.head = Head::Nothing;
            return Ok(());
        }
        self.head = match self.head {
            Head::Nothing if word.is("create") => Head::Create,
            Head::Create if word.is("or") => Head::CreateOr,
            Head::CreateOr if word.is("replace") => Head::Create,
            Head::Create if word.is_one_of(&["function", "procedure"]) => Head::Function,
            Head::Function => Head::Function,
            _ => Head::Other,
        };
        if word.is("begin") {
            self.last = Last::Begin;
        } else if is_first && word.is("prepare") {
            self.last = Last::Prepare;
        }
        Ok(())
    }

    /// There is no other place for `BEGIN ATOMIC` in a `CREATE FUNCTION`, outside of its parentheses.
    fn begins_body(&self) -> bool {
        self.head == Head::Function && self.parentheses == 0 && !self.in_body
    }

    /// Takes note of something that is not a word.
    pub(super) fn sign(&mut self) {
        self.last = Last::Other;
        if self.head != Head::Function {
            self.head = Head::Other;
        }
    }

    pub(super) fn open(&mut self) {
        self.parentheses += 1;
    }

    pub(super) fn close(&mut self) {
        self.parentheses = self.parentheses.saturating_sub(1);
    }

    /// A semicolon has come.
    pub(super) fn end(&mut self) {
        self.head = Head::Nothing;
        self.last = Last::Other;
        self.parentheses = 0;
    }

    /// Whether it is in the body of a function, which has semicolons of its own.
    pub(super) fn is_in_body(&self) -> bool {
        self.in_body
    }
}

fn would_end(statement: &str) -> String {
    format!("{statement} would end the transaction that the dump is restored in")
}
