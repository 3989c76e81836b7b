//! Inspects what an archive makes `pg_restore` do, by the rules for SQL, before `pg_restore` can do it.
//!
//! `pg_restore` passes on the SQL of a table of contents unchanged, even several statements at once. It also
//! generates statements from some of the other texts, which are inspected as the statements that they become.

use std::collections::BTreeSet;

use dump_check::{Entry, Examine};
use psql_script::{Inserts, announces_rows, look_over};

/// What says where strings end. Without it, `pg_restore` takes the old rules.
const STRINGS: &[u8] = b"SET standard_conforming_strings = 'on';\n";

/// What stands around the encoding of all texts.
const ENCODING: (&[u8], &[u8]) = (b"SET client_encoding = '", b"';\n");

/// `pg_restore` takes so many bytes off the beginning of a statement that removes something, and has `ALTER` in their place.
const CHOPPED: usize = "DROP ".len();

/// A name is told up to this length, in characters.
const TOLD: usize = 60;

/// Looks over an archive.
#[derive(Default)]
pub(crate) struct Vetting {
    settles_strings: bool,
    /// The entries that are lists of large objects.
    lists: BTreeSet<u64>,
    inserts: Inserts,
}

impl Examine for Vetting {
    fn comment(&mut self, text: &[u8]) -> Result<(), String> {
        if text.iter().any(u8::is_ascii_control) {
            return Err("is refused: its head would be more than a comment".into());
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), String> {
        self.vet(entry).map_err(|why| {
            let text = [&entry.sort[..], b" ", &entry.name].concat();
            let text: String = String::from_utf8_lossy(&text).chars().take(TOLD).collect();
            format!("is refused for its entry {} ({text}): {why}", entry.number)
        })
    }

    fn contents_end(&mut self) -> Result<(), String> {
        if self.settles_strings {
            Ok(())
        } else {
            Err(
                "is refused: it does not say where strings end (standard_conforming_strings)"
                    .into(),
            )
        }
    }

    fn statements(&mut self, piece: &[u8]) -> Result<(), String> {
        let refused = |why| format!("is refused for the rows of a table: {why}");
        self.inserts.follow(piece).map_err(refused)
    }

    fn statements_end(&mut self) -> Result<(), String> {
        let refused = |why| format!("is refused for the rows of a table: {why}");
        std::mem::take(&mut self.inserts).finish().map_err(refused)
    }
}

impl Vetting {
    fn vet(&mut self, entry: &Entry) -> Result<(), String> {
        let is_sort = |byte: &u8| byte.is_ascii_uppercase() || *byte == b' ';
        // pg_restore looks for it in the SQL.
        if entry.sort.len() < 3 || !entry.sort.iter().all(is_sort) {
            return Err("there is no such sort of object".into());
        }
        if self.lists.contains(&entry.number) {
            return Err("another entry has its number".into());
        }
        match entry.sort.as_slice() {
            b"STDSTRINGS" if entry.definition == STRINGS => self.settles_strings = true,
            b"STDSTRINGS" => return Err("it changes where strings end".into()),
            b"ENCODING" => vet_encoding(&entry.definition)?,
            b"BLOB METADATA" => {
                let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'\n';
                if !entry.definition.iter().all(is_number) {
                    return Err("it holds something else than numbers".into());
                }
                self.lists.insert(entry.number);
            }
            b"ACL" if entry.name.starts_with(b"LARGE OBJECTS") => self.vet_rights(entry)?,
            _ => look_over(&entry.definition)?,
        }
        // It becomes a part of a statement.
        if entry.sort == b"BLOB" && !entry.name.iter().all(u8::is_ascii_digit) {
            return Err("a large object has a number for its name".into());
        }
        look_over(&entry.removal)?;
        if let Some(rest) = entry.removal.get(CHOPPED..) {
            look_over(&[b"ALTER ", rest].concat())?;
        }
        if !entry.copy.is_empty() && !announces_rows(&entry.copy) {
            return Err("it has a COPY that pg_dump does not write".into());
        }
        Ok(())
    }

    /// Rights of many large objects, which `pg_restore` puts together with the lines of their list.
    fn vet_rights(&self, entry: &Entry) -> Result<(), String> {
        let list = entry.first_dependency.as_deref();
        let list = list.and_then(|number| str::from_utf8(number).ok()?.parse().ok());
        if !list.is_some_and(|number| self.lists.contains(&number)) {
            return Err("it does not name a list of large objects".into());
        }
        look_over(&entry.definition)?;
        // pg_restore knows the quotes of names, and no others.
        let mut is_name = false;
        for byte in &entry.definition {
            match byte {
                b'"' => is_name = !is_name,
                _ if is_name => {}
                b'_' | b',' | b';' | b' ' | b'\n' => {}
                byte if byte.is_ascii_alphanumeric() => {}
                _ => return Err("it holds something else than rights".into()),
            }
        }
        Ok(())
    }
}

/// `pg_restore` takes what is in the first quotes for the encoding.
fn vet_encoding(definition: &[u8]) -> Result<(), String> {
    let (before, after) = ENCODING;
    let name = definition
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after));
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_some_and(|name| name.iter().all(is_name)) {
        look_over(definition)
    } else {
        Err("it is not an encoding".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, sort: &str, name: &str, definition: &str) -> Entry {
        Entry {
            number,
            sort: sort.into(),
            name: name.into(),
            definition: definition.into(),
            ..Entry::default()
        }
    }

    fn vetted(entries: &[Entry]) -> Result<(), String> {
        let mut vetting = Vetting::default();
        let strings = "SET standard_conforming_strings = 'on';\n";
        vetting.entry(&entry(1, "STDSTRINGS", "STDSTRINGS", strings))?;
        entries.iter().try_for_each(|entry| vetting.entry(entry))?;
        vetting.contents_end()
    }

    fn rights(dependency: &str, definition: &str) -> Entry {
        Entry {
            first_dependency: Some(dependency.into()),
            ..entry(9, "ACL", "LARGE OBJECTS 1..2", definition)
        }
    }

    #[test]
    fn what_pg_dump_writes_is_taken() {
        let utf8 = "SET client_encoding = 'UTF8';\n";
        let function = "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS $$COMMIT;$$;\n\n\n";
        let table = Entry {
            removal: "DROP FUNCTION public.f(a text[]);\n".into(),
            copy: "COPY public.t (a) FROM stdin;\n".into(),
            ..entry(3, "FUNCTION", "f()", function)
        };
        let schema = Entry {
            removal: "-- *not* dropping schema, since initdb creates it\n".into(),
            ..entry(
                4,
                "SCHEMA",
                "public",
                "-- *not* creating schema, since initdb creates it\n",
            )
        };
        let entries = [
            entry(2, "ENCODING", "ENCODING", utf8),
            table,
            schema,
            entry(
                5,
                "BLOB",
                "16398",
                "SELECT pg_catalog.lo_create('16398');\n",
            ),
            entry(7, "BLOB METADATA", "1..2", "1\n2\n"),
            rights("7", "GRANT ALL ON LARGE OBJECT 1 TO \"it's\";\n"),
        ];
        assert_eq!(vetted(&entries), Ok(()));
    }

    #[test]
    fn what_would_become_another_statement_is_refused() {
        let list = || entry(7, "BLOB METADATA", "1..2", "1\n2\n");
        let text = entry(7, "COMMENT", "c", "SELECT '\n1 TO a; COMMIT; --\n';");
        let grant = "GRANT ALL ON LARGE OBJECT 1 TO a;\n";
        let removal = |removal: &str| Entry {
            removal: removal.into(),
            ..entry(2, "FUNCTION", "f()", "")
        };
        let copy = |copy: &str| Entry {
            copy: copy.into(),
            ..entry(2, "TABLE DATA", "t", "")
        };
        for (entries, why) in [
            (
                vec![entry(2, "TABLE", "t", "SELECT 1; COMMIT;")],
                "entry 2 (TABLE t): COMMIT",
            ),
            (vec![removal("DROP FUNCTION f(); COMMIT;")], "COMMIT"),
            (
                vec![removal("'xxxFUNCTION f() OWNER TO a; COMMIT; --'")],
                "COMMIT",
            ),
            (vec![copy("COMMIT;\n")], "COPY"),
            (vec![copy("COPY t TO PROGRAM 'id';\n")], "COPY"),
            (vec![entry(2, "BLOB", "1; COMMIT; --", "")], "number"),
            (vec![entry(2, "E", "x", "")], "sort"),
            (vec![entry(2, "TABLE\nCOMMIT;", "x", "")], "sort"),
            (vec![entry(2, "ENCODING", "", "'SJIS'")], "encoding"),
            (
                vec![entry(2, "ENCODING", "", "SET client_encoding = 'SJIS';\n")],
                "encoding",
            ),
            (
                vec![entry(
                    2,
                    "STDSTRINGS",
                    "",
                    "SET standard_conforming_strings = 'off';\n",
                )],
                "strings",
            ),
            (vec![entry(2, "SEARCHPATH", "", "COMMIT;")], "COMMIT"),
            (
                vec![entry(2, "BLOB METADATA", "1", "1'); COMMIT; --\n")],
                "numbers",
            ),
            (vec![text, rights("7", grant)], "list"),
            (vec![list(), entry(7, "COMMENT", "c", "")], "number"),
            (
                vec![list(), rights("7", "GRANT '\" TO a; COMMIT; --\"';")],
                "rights",
            ),
        ] {
            let refusal = vetted(&entries).expect_err(why);
            assert!(refusal.contains(why), "{refusal}");
        }
        assert!(Vetting::default().contents_end().is_err());
        assert!(Vetting::default().comment(b"15.4\nDROP TABLE t;").is_err());
        assert_eq!(
            Vetting::default().comment(b"15.18 (Debian 15.18-0+deb12u1)"),
            Ok(())
        );
        let mut vetting = Vetting::default();
        assert!(
            vetting
                .statements(b"INSERT INTO t VALUES (1); COMMIT;")
                .is_err()
        );
    }
}
