//! The configuration for display, without values that look like secrets.

use toml::{Table, Value};

use super::File;

/// Suffixes of the names of variables and settings that hold secrets, in capital letters.
const SECRET: [&str; 5] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "KEY"];

/// The replacement for a secret.
const HIDDEN: &str = "…";

impl File {
    /// All of it, with secrets hidden that stand in it as texts.
    pub fn without_secrets(&self) -> Table {
        let mut table = Table::try_from(self).expect("it is TOML");
        table.iter_mut().for_each(|(name, value)| hide(name, value));
        table
    }
}

fn hide(name: &str, value: &mut Value) {
    match value {
        Value::String(text) => {
            let name = name.to_uppercase();
            if SECRET.iter().any(|secret| name.ends_with(secret)) {
                HIDDEN.clone_into(text);
            } else if let Some(shown) = without_login(text) {
                *text = shown;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| hide(name, value)),
        Value::Table(table) => table.iter_mut().for_each(|(name, value)| hide(name, value)),
        _ => {}
    }
}

/// A text with a URL in it that says who logs in, without that.
fn without_login(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (login, _) = authority.rsplit_once('@')?;
    Some(format!("{before}://{HIDDEN}{}", &rest[login.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_hidden_and_nothing_else() {
        let text = "[sources.db]\n\
            plugin = 'postgres-source'\n\
            config.keep = 'a'\n\
            config.secret-access-key = 'canary'\n\
            grants.secrets.password = { env = 'RESTIC_PASSWORD' }\n\
            [sources.db.grants.commands.pg_dump]\n\
            argv = ['pg_dump', '--dbname=postgres://u:canary@host/db?x=@y']\n\
            env = { PGPASSWORD = 'canary', PGHOST = 'host' }\n";
        let file: File = toml::from_str(text).expect("it is a configuration");
        let shown = file.without_secrets().to_string();
        assert!(!shown.contains("canary"), "{shown}");
        for kept in [
            "postgres://…@host/db?x=@y",
            "RESTIC_PASSWORD",
            "PGHOST = \"host\"",
        ] {
            assert!(shown.contains(kept), "{shown}");
        }
    }
}
