//! Errors in the syntax of a configuration.

use std::path::Path;

use crate::error::{Error, Kind};

/// An error of the TOML, with the line that it is in. The text of the file is not quoted, but for a key: any value may be
/// a secret, put where it does not belong.
pub(super) fn explain(path: &Path, text: &str, cause: &toml::de::Error) -> Error {
    let shown = path.display();
    let message = without_value(cause.message());
    let place = match cause.span() {
        Some(span) => {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count();
            // What is not TOML at all can be wrong anywhere, also in the middle of a text.
            let is_toml = text.parse::<toml::Table>().is_ok();
            let key = text.lines().nth(line).filter(|_| is_toml).and_then(key);
            let of = key.map(|key| format!(" ({key})")).unwrap_or_default();
            format!("{shown} line {}{of}: {message}", line + 1)
        }
        None => format!("{shown}: {message}"),
    };
    Error::new(Kind::Config, place).help("`tthost config schema` prints all keys")
}

/// The key that a line of TOML begins with.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (!key.is_empty() && key.chars().all(is_bare)).then_some(key)
}

/// A message of serde's without the value that it quotes.
fn without_value(message: &str) -> String {
    let kind = ["invalid type: ", "invalid value: "]
        .into_iter()
        .find_map(|fault| {
            let (found, expected) = message.strip_prefix(fault)?.rsplit_once(", expected ")?;
            let kind = found.split(['"', '`']).next()?.trim_end();
            Some(format!("{fault}{kind}, expected {expected}"))
        });
    kind.unwrap_or_else(|| message.to_owned())
}
