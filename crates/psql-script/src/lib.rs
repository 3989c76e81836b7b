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

//!
//! | module | holds |
//! |---|---|
//! | `script` | a dump that comes piece by piece |
//! | `scanner` | psql's scanner |
//! | `state` | where in a script that can be |
//! | `words` | what the words of a statement say |
//! | `server` | what the server makes of the same |
//! | `restriction` | the commands that may stand in a dump |
//! | `way_out` | the one that lifts the restriction of psql |
//! | `mention` | the setting on which the end of strings depends |
//! | `inserts` | the rows of a table as statements |

mod inserts;
mod mention;
mod restriction;
mod scanner;
mod script;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod way_out;
mod words;

use scanner::{Kind, Scanner};

pub use inserts::Inserts;
pub use script::Script;

/// What a longer `COPY` statement or command is not, in bytes: one that `pg_dump` wrote. `COPY` names all columns of a
/// table, at most 1600 of up to 63 bytes.
const LONGEST: usize = 256 << 10;

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
