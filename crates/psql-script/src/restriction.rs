//! The only commands that a dump may contain, because `pg_dump` writes them: `\restrict` and `\unrestrict` with one
//! token.

/// The state of the dump's own `\restrict`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Restriction {
    #[default]
    None,
    Restricted(Vec<u8>),
    Lifted,
}

impl Restriction {
    /// A line that is a command, whole.
    pub(super) fn command(&mut self, line: &[u8]) -> Result<(), String> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let restriction = match (&*self, line) {
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
        *self = restriction.ok_or_else(|| refusal(line))?;
        Ok(())
    }
}

/// Refuses a line that can become none of the commands that `pg_dump` writes.
pub(super) fn expect_permitted(line: &[u8]) -> Result<(), String> {
    if may_be_permitted(line) {
        Ok(())
    } else {
        Err(refusal(line))
    }
}

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

fn refusal(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    format!("psql would run the command {line}")
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric)
}
