//! One transaction around a whole SQL dump.
//!
//! `pg_dump` puts a transaction of its own around the large objects of a database, only in SQL. Its `COMMIT` would
//! end the transaction that the dump is restored in, so the plugin blanks both lines.
//!
//! It recognises them by the lines before them, because rows of a table may contain any line, also `COMMIT;`.

use memchr::memchr;

/// A longer line is none that matters, in bytes. `COPY` names all columns of a table, at most
/// 1600 of up to 63 bytes, in one.
const MAX_LENGTH: usize = 256 << 10;

/// Follows an SQL dump, piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    section: Section,
    /// The start of the line has gone on already.
    inside_line: bool,
}

/// Where in a dump a line stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Statements,
    /// Between `COPY` and `\.`.
    Rows,
    /// Between the title of the large objects and what begins their transaction.
    Title,
    /// In the transaction of the large objects.
    LargeObjects,
}

impl Transaction {
    /// Blanks the lines of the dump's own transaction. Answers how many bytes can go on; the
    /// others are the start of a line, and have to stand before those of the next piece.
    pub(crate) fn pass(&mut self, bytes: &mut [u8]) -> usize {
        let mut start = 0;
        while let Some(length) = memchr(b'\n', &bytes[start..]) {
            if !std::mem::take(&mut self.inside_line) {
                self.line(&mut bytes[start..start + length]);
            }
            start += length + 1;
        }
        if bytes.len() - start > MAX_LENGTH {
            self.inside_line = true;
            start = bytes.len();
        }
        start
    }

    fn line(&mut self, line: &mut [u8]) {
        // Lines may have come by way of another system.
        let length = line.strip_suffix(b"\r").map_or(line.len(), <[u8]>::len);
        let line = &mut line[..length];
        self.section = match (self.section, &*line) {
            (Section::Rows, br"\.") => Section::Statements,
            (Section::Rows, _) => Section::Rows,
            (Section::Title, b"BEGIN;") => {
                line.fill(b' ');
                Section::LargeObjects
            }
            (Section::Title, b"" | b"--") => Section::Title,
            (Section::LargeObjects, b"COMMIT;") => {
                line.fill(b' ');
                Section::Statements
            }
            (Section::LargeObjects, line) if is_of_large_objects(line) => Section::LargeObjects,
            (_, line) if starts_rows(line) => Section::Rows,
            (_, line) if is_title(line) => Section::Title,
            _ => Section::Statements,
        };
    }
}

fn is_of_large_objects(line: &[u8]) -> bool {
    line.is_empty() || line.starts_with(b"SELECT pg_catalog.lo")
}

fn starts_rows(line: &[u8]) -> bool {
    line.starts_with(b"COPY ") && line.ends_with(b" FROM stdin;")
}

/// The comment above the large objects: `-- Data for Name: BLOBS; Type: BLOBS; Schema: -; ...`.
/// Since version 17 of `PostgreSQL` there may be several, named by their numbers.
fn is_title(line: &[u8]) -> bool {
    line.starts_with(b"-- Data for Name: ")
        && memchr::memmem::find(line, b"; Type: BLOBS; Schema: -;").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE_OBJECTS: &str = "\
--
-- Data for Name: BLOBS; Type: BLOBS; Schema: -; Owner: -
--

BEGIN;

SELECT pg_catalog.lo_open('16398', 131072);
SELECT pg_catalog.lowrite(0, '\\x68656c6c6f');
SELECT pg_catalog.lo_close(0);

COMMIT;

CREATE INDEX i ON public.t USING btree (i);
";

    /// What becomes of a dump that comes in pieces of this many bytes.
    fn passed(dump: &str, piece: usize) -> String {
        let mut transaction = Transaction::default();
        let (mut pending, mut out) = (Vec::new(), Vec::new());
        for bytes in dump.as_bytes().chunks(piece) {
            pending.extend_from_slice(bytes);
            let accepted = transaction.pass(&mut pending);
            out.extend(pending.drain(..accepted));
        }
        out.extend(pending);
        String::from_utf8(out).expect("it was text")
    }

    #[test]
    fn the_transaction_of_large_objects_is_blanked_however_the_dump_comes() {
        let expected = LARGE_OBJECTS
            .replace("BEGIN;", "      ")
            .replace("COMMIT;", "       ");
        for piece in 1..=LARGE_OBJECTS.len() {
            assert_eq!(passed(LARGE_OBJECTS, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn lines_may_end_with_a_carriage_return() {
        let dump = LARGE_OBJECTS.replace('\n', "\r\n");
        let expected = dump
            .replace("BEGIN;", "      ")
            .replace("COMMIT;", "       ");
        assert_eq!(passed(&dump, 10), expected);
        let rows = format!("COPY public.notes (text) FROM stdin;\r\n{dump}\\.\r\n");
        assert_eq!(passed(&rows, 7), rows);
    }

    #[test]
    fn several_groups_of_large_objects_are_blanked() {
        let group = LARGE_OBJECTS.replace("Name: BLOBS", "Name: 16398..16399");
        let blanked = passed(&group.repeat(2), 100);
        assert!(!blanked.contains("BEGIN;") && !blanked.contains("COMMIT;"));
    }

    #[test]
    fn rows_are_left_alone_whatever_they_say() {
        let dump = format!("COPY public.notes (text) FROM stdin;\n{LARGE_OBJECTS}\\.\n");
        assert_eq!(passed(&dump, 7), dump);
        let after = format!("COPY public.notes (text) FROM stdin;\nx\n\\.\n\n{LARGE_OBJECTS}");
        assert!(!passed(&after, 7).contains("COMMIT;"));
    }

    #[test]
    fn the_body_of_a_procedure_keeps_its_transactions() {
        let dump = "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$\nBEGIN\nBEGIN;\nCOMMIT;\nEND $$;\n";
        assert_eq!(passed(dump, 11), dump);
        let tail = format!("{}COMMIT;\n", LARGE_OBJECTS.replace("COMMIT;", "SELECT 1;"));
        assert!(passed(&tail, 11).ends_with("COMMIT;\n"));
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut transaction = Transaction::default();
        let mut line = vec![b'x'; MAX_LENGTH + 1];
        assert_eq!(transaction.pass(&mut line), line.len());
        // What follows in that line is not a line of its own.
        let mut rest = b"-- Data for Name: BLOBS; Type: BLOBS; Schema: -;\nBEGIN;\n".to_vec();
        let before = rest.clone();
        assert_eq!(transaction.pass(&mut rest), before.len());
        assert_eq!(rest, before);
    }
}
