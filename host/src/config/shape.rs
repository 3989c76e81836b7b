//! Refuses arrays in place of tables. serde would take their values by position, which nobody means.

use std::path::Path;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::File;
use crate::error::{Error, Kind, Result};

/// Refuses an array where the schema of the configuration has none.
pub(super) fn check(shown: &Path, text: &str) -> Result<()> {
    // What is not TOML has been told already.
    let Ok(table) = DeTable::parse(text) else {
        return Ok(());
    };
    let schema = schemars::schema_for!(File).to_value();
    let shape = Shape { schema: &schema };
    let table = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
    let Some((key, start)) = shape.misplaced(&schema, &table) else {
        return Ok(());
    };
    let line = text[..start.min(text.len())].matches('\n').count() + 1;
    let text = format!(
        "{} line {line} ({key}): an array, where a table or a text belongs",
        shown.display()
    );
    Err(Error::new(Kind::Config, text)
        .help("write { key = value }; `tthost config schema` prints all keys"))
}

struct Shape<'a> {
    schema: &'a Value,
}

impl<'a> Shape<'a> {
    /// The key and the place of the first array where there has to be something else.
    fn misplaced(
        &self,
        schema: &'a Value,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<(String, usize)> {
        let kinds = self.kinds(schema);
        match value.get_ref() {
            DeValue::Array(values) => {
                let items = kinds.iter().filter(|kind| allows(kind, "array"));
                let items: Vec<_> = items.collect();
                if items.is_empty() {
                    return Some((String::new(), value.span().start));
                }
                let items = items.into_iter().filter_map(|kind| kind.get("items"));
                let mut places =
                    items.flat_map(|items| values.iter().map(move |value| (items, value)));
                places.find_map(|(items, value)| self.misplaced(items, value))
            }
            DeValue::Table(table) => table.iter().find_map(|(key, value)| {
                let name: &str = key.get_ref();
                let below = kinds.iter().find_map(|kind| {
                    let named = kind.get("properties").and_then(|of| of.get(name));
                    named.or_else(|| kind.get("additionalProperties").filter(|of| of.is_object()))
                })?;
                let (key, start) = self.misplaced(below, value)?;
                let key = if key.is_empty() {
                    name.to_owned()
                } else {
                    format!("{name}.{key}")
                };
                Some((key, start))
            }),
            _ => None,
        }
    }

    /// The permitted types of a value.
    fn kinds(&self, schema: &'a Value) -> Vec<&'a Value> {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let named = self.schema.pointer(name.trim_start_matches('#'));
            return named.map_or_else(Vec::new, |named| self.kinds(named));
        }
        let several = schema.get("anyOf").or_else(|| schema.get("oneOf"));
        match several.and_then(Value::as_array) {
            Some(several) => several.iter().flat_map(|one| self.kinds(one)).collect(),
            None => vec![schema],
        }
    }
}

fn allows(kind: &Value, what: &str) -> bool {
    match kind.get("type") {
        Some(Value::String(one)) => one == what,
        Some(Value::Array(several)) => several.iter().any(|one| one == what),
        // Anything.
        _ => {
            kind.get("properties").is_none()
                && kind.get("enum").is_none()
                && kind.get("const").is_none()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<()> {
        super::check(Path::new("tthost.toml"), text)
    }

    #[test]
    fn an_array_is_refused_where_a_table_belongs_and_taken_where_it_does() {
        let source = "[sources.s]\nplugin = 'volume-source'\n";
        for (text, key) in [
            (
                "grants.secrets.password = ['NAME']",
                "grants.secrets.password",
            ),
            ("grants.directories.d = ['/srv']", "grants.directories.d"),
            ("grants.commands.c = [['pg_dump']]", "grants.commands.c"),
            (
                "grants.commands.c = { argv = ['a'], env = { A = ['HOME'] } }",
                "grants.commands.c.env.A",
            ),
            ("grants.trees.t = ['/etc']", "grants.trees.t"),
            ("limits = ['1 GiB']", "limits"),
            ("host = ['h']", "host"),
        ] {
            let error = check(&format!("{source}{text}\n")).expect_err(text);
            let place = format!("line 3 (sources.s.{key}): an array");
            assert!(error.message().contains(&place), "{error}");
        }
        let error = check("retention = [1, 2]").expect_err("it is a table");
        assert!(error.message().contains("line 1 (retention)"), "{error}");
        let fine = format!(
            "{source}tags = ['a']\nconfig.exclude = ['*.tmp']\nconfig.any.thing = [[1], {{ a = [2] }}]\n\
             grants.commands.c = {{ argv = ['a', 'b'], inherit = ['HOME'] }}\n\
             grants.network = [{{ origin = 'https://a' }}]\n\
             grants.secrets.s = {{ command = ['pass', 'show'] }}\n\
             [[sources.s.grants.network]]\norigin = 'https://b'\n"
        );
        let fine = fine.replace("grants.network = [{ origin = 'https://a' }]\n", "");
        check(&fine).expect("they belong there");
        toml::from_str::<File>(&fine).expect("it is a configuration");
    }
}
