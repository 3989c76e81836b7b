//! Two databases, compared exactly.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use anyhow::{Context, Result};

use crate::command;
use crate::postgres::Postgres;

/// For each table, partition and materialized view: rows, and a sum of two hashes of
/// each row's text, which does not depend on the rows' order.
const TABLES: &str = r"
SELECT format(
    'SELECT %L, count(*), coalesce(sum(hashtextextended(t::text, 1)), 0), coalesce(sum(hashtextextended(t::text, 2)), 0) FROM %s AS t;',
    format('table %I.%I', n.nspname, c.relname), c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\_toast%' AND n.nspname NOT LIKE 'pg\_temp%'
ORDER BY 1";

const LARGE_OBJECTS: &str = "
SELECT 'large object ' || oid, pg_get_userbyid(lomowner), coalesce(lomacl::text, ''), md5(lo_get(oid))
FROM pg_largeobject_metadata ORDER BY oid";

const SEQUENCES: &str = "
SELECT format('sequence %I.%I', schemaname, sequencename), coalesce(last_value::text, 'unused')
FROM pg_sequences ORDER BY 1";

/// Everything that a dump has to preserve, each thing by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    things: BTreeMap<String, String>,
    rows: u64,
}

impl Fingerprint {
    /// Reads all of a database: its rows, large objects, sequences and definitions.
    pub fn of(postgres: &Postgres, database: &str) -> Result<Self> {
        let mut fingerprint = Self {
            things: definitions(postgres, database)?,
            rows: 0,
        };
        let tables = postgres.psql(database, TABLES)?;
        for query in [&tables, LARGE_OBJECTS, SEQUENCES] {
            for row in postgres.psql(database, query)?.lines() {
                let (name, contents) = row.split_once('|').context("a row without columns")?;
                if name.starts_with("table ") {
                    let (count, _) = contents
                        .split_once('|')
                        .context("a table without a count")?;
                    fingerprint.rows += count.parse::<u64>()?;
                }
                fingerprint
                    .things
                    .insert(name.to_owned(), contents.to_owned());
            }
        }
        Ok(fingerprint)
    }

    /// What is in one of the two and not, or not the same, in the other; empty when
    /// they are equal. A line for each thing, and both of its forms where they differ.
    pub fn difference(&self, other: &Self) -> String {
        let mut text = String::new();
        for (name, mine) in &self.things {
            match other.things.get(name) {
                None => {
                    let _ = writeln!(text, "{name}: missing in the second");
                }
                Some(theirs) if mine != theirs => {
                    let _ = writeln!(text, "{name}:\n- {mine}\n+ {theirs}");
                }
                Some(_) => {}
            }
        }
        for name in other
            .things
            .keys()
            .filter(|name| !self.things.contains_key(*name))
        {
            let _ = writeln!(text, "{name}: missing in the first");
        }
        text
    }

    /// How many there are of one kind: `table`, `large object`, `sequence`, `definition`.
    pub fn count(&self, kind: &str) -> usize {
        self.things
            .keys()
            .filter(|name| name.starts_with(kind))
            .count()
    }

    /// Rows of all tables together.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// For people: how much of everything there is.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows in {} tables, {} large objects, {} sequences and {} definitions",
            self.rows,
            self.count("table "),
            self.count("large object "),
            self.count("sequence "),
            self.count("definition "),
        )
    }
}

/// What `pg_dump --schema-only` says, object by object.
fn definitions(postgres: &Postgres, database: &str) -> Result<BTreeMap<String, String>> {
    let dump =
        command::run(postgres.client("pg_dump", database).arg("--schema-only"))?.success()?;
    let mut objects = BTreeMap::<String, String>::new();
    let mut object = "definition preamble".to_owned();
    for line in dump.text()?.lines() {
        // Newer versions fence a dump with a token that is different each time.
        if line.starts_with("\\restrict ") || line.starts_with("\\unrestrict ") {
            continue;
        }
        if let Some(name) = line.strip_prefix("-- Name: ") {
            object = format!("definition {name}");
        } else if !line.is_empty() && line != "--" {
            let text = objects.entry(object.clone()).or_default();
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(objects)
}
