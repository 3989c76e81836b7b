//! The granted programs: their purposes, and their exits as verdicts.

use tthost_plugin::command::{Exit, Process};
use tthost_plugin::{Error, Need, needs};

/// So many lines of what a program said are told.
const LINES: usize = 3;

/// What the plugin asks the operator for.
pub(crate) fn needs() -> Vec<Need> {
    [
        ("pg_dump", false, "It dumps a database."),
        (
            "pg_dumpall",
            true,
            "It dumps roles and tablespaces, where globals are set.",
        ),
        (
            "psql",
            true,
            "It lists databases, and restores dumps that are SQL.",
        ),
        (
            "pg_restore",
            true,
            "It restores dumps in the formats custom and tar.",
        ),
    ]
    .map(|(name, optional, reason)| needs::command(name, reason, optional))
    .into()
}

/// Waits for the end of a program, and takes nothing but exit code 0 for success.
pub(crate) async fn succeed(name: &str, process: &Process) -> Result<(), Error> {
    judge(name, &process.wait().await?)
}

pub(crate) fn judge(name: &str, exit: &Exit) -> Result<(), Error> {
    let how = match (exit.code, exit.signal) {
        (Some(0), _) => return Ok(()),
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended in an unknown way".into(),
    };
    let said: Vec<_> = exit
        .stderr_tail
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    // What happened stands in the last error and behind it, else in the last lines.
    let is_error = |line: &&str| line.contains("error:") || line.contains("ERROR:");
    let from = said
        .iter()
        .rposition(is_error)
        .unwrap_or(said.len().saturating_sub(LINES));
    let told = &said[from..said.len().min(from + LINES)];
    Err(Error::Other(if told.is_empty() {
        format!("{name} {how} and said nothing")
    } else {
        format!("{name} {how}: {}", told.join(" / "))
    }))
}

/// The codes of errors that say that something is there already: an object, and a database
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const THERE: [&str; 2] = ["42710", "42P04"];

/// How many errors `psql` tells of, in whatever language, that do not say that something is there already.
pub(crate) fn refusals(stderr: &str) -> u64 {
    let codes = stderr.lines().filter_map(code);
    codes.filter(|code| !THERE.contains(code)).count() as u64
}

/// The code of an error, as `psql` writes it when it is verbose: `ERROR:  42710: role "x" already exists`. Those of notices
/// and warnings begin with 00 to 02.
fn code(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(":  ")?;
    let (code, _) = rest.split_once(':')?;
    let is_code = code.len() == 5
        && code
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    (is_code && !["00", "01", "02"].contains(&&code[..2])).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: Option<i32>, signal: Option<i32>, stderr_tail: &str) -> Exit {
        Exit {
            code,
            signal,
            stderr_tail: stderr_tail.into(),
        }
    }

    #[test]
    fn errors_count_that_leave_something_missing() {
        let said = "psql:<stdin>:3: FEHLER:  42710: Rolle \u{bb}x\u{ab} existiert bereits\n\
                    ORT:  CreateRole, user.c:343\n\
                    psql:<stdin>:4: NOTICE:  00000: fine\n\
                    psql:<stdin>:5: WARNING:  01000: hm\n\
                    psql:<stdin>:6: ERROR:  42939: role name \"pg_bad\" is reserved\n\
                    DETAIL:  Role names starting with \"pg_\" are reserved.\n\
                    psql:<stdin>:7: ERROR:  42704: role \"nobody_here\" does not exist\n";
        assert_eq!(refusals(said), 2);
        assert_eq!(refusals(""), 0);
    }

    #[test]
    fn only_exit_code_0_is_success() {
        assert!(judge("pg_dump", &exit(Some(0), None, "pg_dump: warning: x")).is_ok());
        for (ended, text) in [
            (
                exit(Some(1), None, "a\nb\nc\nlost connection\n"),
                "pg_dump ended with exit code 1: b / c / lost connection",
            ),
            (
                exit(
                    Some(1),
                    None,
                    "pg_restore: error: could not execute query: ERROR:  permission denied\nLINE 1: CREATE\n^\nCommand was: CREATE TABLE t (\nid integer\n);\n",
                ),
                "pg_dump ended with exit code 1: pg_restore: error: could not execute query: ERROR:  permission denied / \
                 LINE 1: CREATE / ^",
            ),
            (
                exit(None, Some(9), ""),
                "pg_dump was killed by signal 9 and said nothing",
            ),
            (
                exit(None, None, ""),
                "pg_dump ended in an unknown way and said nothing",
            ),
        ] {
            match judge("pg_dump", &ended) {
                Err(Error::Other(said)) => assert_eq!(said, text),
                other => panic!("{other:?}"),
            }
        }
    }
}
