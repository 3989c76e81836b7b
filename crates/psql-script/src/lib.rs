//! Reads an SQL dump as `psql` does.
//!
//! `psql` treats text after a backslash as its own command: a shell (`\!`), a program that gets a table (`\copy … to
//! program`), a pipe (`\o |`). A dump comes from a repository that others may have written to, so no such command may reach
//! `psql`. Only the pair that `pg_dump` writes, `\restrict` and `\unrestrict` with one token, is allowed, and is blanked.
//!
//! Inside of quotes, comments and the rows of a `COPY`, a backslash is data. So the crate follows the rules of psql's scanner
//! (`src/fe_utils/psqlscan.l` of `PostgreSQL`). It refuses a dump where the scanner depends on a setting or on its version, or
//! where a statement has a form that `pg_dump` never writes. Two mistakes are possible, and only one is dangerous: data that
//! looks like a command is refused, but a command that looks like data would run.
//!
//! The crate cannot see a setting that a statement changes indirectly (`set_config` with a computed name): the end of a string
//! depends on `standard_conforming_strings` and `client_encoding`. So psql should also be restricted (`\restrict`). The first
//! versions of psql with restrictions run programs for the arguments of `\unrestrict`. For those, a dump is followed
//! [strictly](Script::strictly).

//!
//! | module | holds |
//! |---|---|
//! | `script` | a dump that arrives in pieces |
//! | `scanner` | psql's scanner |
//! | `state` | the states of the scanner |
//! | `words` | the words of a statement |
//! | `server` | the same as the server parses it |
//! | `restriction` | the commands that a dump may contain |
//! | `unrestrict` | finds the command that lifts psql's restriction |
//! | `mention` | the setting that decides where strings end |
//! | `inserts` | rows of a table as statements |

mod inserts;
mod mention;
mod restriction;
mod scanner;
mod script;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod unrestrict;
mod words;

use scanner::{Kind, Scanner};

pub use inserts::Inserts;
pub use script::Script;

/// What a longer `COPY` statement or command is not, in bytes: one that `pg_dump` wrote. `COPY` names all columns of a
/// table, at most 1600 of up to 63 bytes.
const MAX_LENGTH: usize = 256 << 10;

/// A setting on which the end of every string depends. `pg_dump` switches it on, in this statement.
const STRINGS: &str = "standard_conforming_strings";

/// Looks over SQL that the server gets without psql, in a transaction from outside of it: the definition of an object in an
/// archive. The error says why it must not get it, for a sentence like "it is refused: ...".
///
/// # Errors
///
/// When it would end the transaction, or where that cannot be seen.
pub fn look_over(definition: &[u8]) -> Result<(), String> {
    let mut scanner = Scanner::new(Kind::Definition);
    definition.iter().try_for_each(|byte| scanner.step(*byte))?;
    scanner.end()
}

/// Whether this is the `COPY` with which `pg_dump` announces the rows of a table, and nothing else.
pub fn announces_rows(statement: &[u8]) -> bool {
    statement.strip_suffix(b"\n").is_some_and(words::takes_rows)
}
