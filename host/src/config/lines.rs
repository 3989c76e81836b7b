//! Finds the lines of a configuration's keys.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::error::Error;

/// The line of each key, by the keys on the way to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(BTreeMap<Vec<String>, usize>);

impl Lines {
    /// Those of a text.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        // What is not TOML is told elsewhere.
        if let Ok(table) = DeTable::parse(text) {
            lines.add(text, &[], table.get_ref());
        }
        lines
    }

    fn add(&mut self, text: &str, above: &[String], table: &DeTable<'_>) {
        for (key, value) in table {
            let path = [above, &[key.get_ref().to_string()]].concat();
            let before = text.get(..key.span().start).unwrap_or_default();
            if let DeValue::Table(below) = value.get_ref() {
                self.add(text, &path, below);
            }
            self.0.insert(path, before.matches('\n').count() + 1);
        }
    }

    /// Says on which line the error is that is about this section: where the key stands that the error names, else where the
    /// section begins.
    pub(super) fn place(&self, file: &Path, section: &[&str], error: Error) -> Error {
        let message = error.to_string();
        // Where the message names the key, from its end.
        let named = |keys: &[String]| match keys {
            [] => Some(0),
            [key] => naming(&message, key),
            // It is called by its name alone: the secret password.
            [.., last] => naming(&message, &keys.join(".")).or_else(|| naming(&message, last)),
        };
        let in_section = self.0.iter().filter_map(|(path, line)| {
            let (above, below) = path.split_at_checked(section.len())?;
            let named = named(below).filter(|_| above == section)?;
            Some(((below.len(), named), line))
        });
        match in_section.max_by_key(|(order, _)| *order) {
            Some((_, line)) => error.at(&format!("{} line {line}", file.display())),
            None => error,
        }
    }
}

/// How many bytes before the end of a message a key stands first, and not as a part of something longer.
fn naming(message: &str, key: &str) -> Option<usize> {
    let is_more = |c: char| c.is_alphanumeric() || "-_".contains(c);
    let found = message.match_indices(key).find(|(start, _)| {
        let (before, after) = (&message[..*start], &message[start + key.len()..]);
        !before.ends_with(is_more) && !before.ends_with('.') && !after.starts_with(is_more)
    });
    found.map(|(start, _)| message.len() - start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn an_error_is_where_its_key_is_or_where_its_section_begins() {
        let text = "\n[alerts.mail]\ntype = 'smtp'\nport = 25\n\n[sources.s]\nplugin = 'p'\n\
                    limits.memory = '1'\ngrants.commands.c = { argv = [] }\n";
        let lines = Lines::of(text);
        let place = |section: &[&str], message: &str| {
            let error = Error::new(Kind::Config, message);
            let placed = lines.place(Path::new("a.toml"), section, error);
            placed
                .message()
                .rsplit_once(" (in ")
                .map(|(_, place)| place.to_owned())
        };
        for (section, message, line) in [
            (&["alerts", "mail"], "port is wrong", "4"),
            (&["alerts", "mail"], "type has no effect on port", "3"),
            (&["alerts", "mail"], "there is no job x", "2"),
            (&["alerts", "mail"], "the report and port-like things", "2"),
            (&["sources", "s"], "limits.memory is not a size", "8"),
            (
                &["sources", "s"],
                "argv is empty (in grants.commands.c)",
                "9",
            ),
        ] {
            let expected = format!("a.toml line {line})");
            assert_eq!(place(section, message), Some(expected), "{message}");
        }
        assert_eq!(place(&["sources", "other"], "plugin"), None);
    }
}
