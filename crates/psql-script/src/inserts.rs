//! Rows of a table as statements, which `pg_dump --inserts` writes into an archive.
//!
//! `pg_restore` splits them at semicolons by its own rules: it knows quotes, but neither comments nor dollar quotes
//! nor escapes. So only statements that it and the server parse alike are allowed.

/// How each statement begins.
const BEGINNING: &[u8] = b"INSERT INTO ";

/// Follows the statements, piece by piece.
#[derive(Debug, Default)]
pub struct Inserts {
    /// How much of [`BEGINNING`] has come.
    begun: usize,
    /// In a string, or in a name.
    quote: Option<u8>,
    before: u8,
}

impl Inserts {
    /// Follows the next bytes. The error says why they are refused.
    ///
    /// # Errors
    ///
    /// When something is not a statement that `pg_dump` writes.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<(), String> {
        bytes.iter().try_for_each(|byte| self.step(*byte))
    }

    /// The last row has come.
    ///
    /// # Errors
    ///
    /// When it is not complete.
    pub fn finish(&self) -> Result<(), String> {
        if self.begun == 0 {
            Ok(())
        } else {
            Err("its last statement is cut".into())
        }
    }

    fn step(&mut self, byte: u8) -> Result<(), String> {
        if byte == 0 {
            return Err("it contains a NUL byte".into());
        }
        let before = std::mem::replace(&mut self.before, byte);
        if let Some(quote) = self.quote {
            // Two in a row are one in the text: the second one begins again what the first one ended.
            if byte == quote {
                self.quote = None;
            }
            return Ok(());
        }
        if self.begun < BEGINNING.len() {
            if self.begun == 0 && byte.is_ascii_whitespace() {
                return Ok(());
            }
            if byte != BEGINNING[self.begun] {
                return Err("it is something else than the INSERT of a row".into());
            }
            self.begun += 1;
            return Ok(());
        }
        match byte {
            b'"' => self.quote = Some(byte),
            // Those with escapes have a letter before them; `B` is for bits.
            b'\'' if !before.is_ascii_alphanumeric() && before != b'&' || before == b'B' => {
                self.quote = Some(byte);
            }
            b';' => self.begun = 0,
            b'-' if before == b'-' => return Err("there is a comment in it".into()),
            b'_' | b'.' | b',' | b'(' | b')' | b'+' | b'-' | b' ' | b'\n' | b'\t' => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => {
                return Err(format!("{:?} stands outside of quotes", char::from(byte)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(text: &str) -> Result<(), String> {
        let mut inserts = Inserts::default();
        text.as_bytes()
            .chunks(3)
            .try_for_each(|piece| inserts.follow(piece))?;
        inserts.finish()
    }

    #[test]
    fn rows_are_inserted_as_pg_dump_writes_it() {
        for text in [
            "",
            "INSERT INTO public.t VALUES (1, 'it''s; \\ -- COMMIT;', NULL, -1.5e+10);\n\n",
            "INSERT INTO public.\"o\"\"dd; t\" (a, \"b\") OVERRIDING SYSTEM VALUE VALUES\n\t(B'101', 'é\n'),\n\t(2, '')\n  ON CONFLICT DO NOTHING;\n",
            "INSERT INTO t DEFAULT VALUES;\nINSERT INTO t DEFAULT VALUES;\n",
        ] {
            assert_eq!(followed(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "COMMIT;",
            "INSERT INTO t VALUES (1); COMMIT;",
            "INSERT INTO t VALUES (1) -- ;\nCOMMIT;",
            "INSERT INTO t VALUES (1) /* ; */;",
            "INSERT INTO t VALUES ($$;$$);",
            "INSERT INTO t VALUES (E'\\'; COMMIT; --');",
            "INSERT INTO t VALUES (U&'\\');",
            "INSERT INTO t VALUES (e'');",
            "INSERT INTO t VALUES ('a",
            "INSERT INTO t VALUES (1)",
            "INSERT INTO t SELECT 1 \\g",
            "INSERT INTO t VALUES ('\0');",
        ] {
            assert!(followed(text).is_err(), "{text}");
        }
    }
}
