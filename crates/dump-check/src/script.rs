//! SQL of `pg_dump` and `pg_dumpall`: a title at the beginning, and a line at the end that marks a complete dump.

use crate::Check;
use crate::titles::Titles;

/// An upper bound for the title and its surroundings, in bytes.
const MAX_HEAD_LENGTH: usize = 128;

/// Whatever may follow the completion line, and the line, are shorter, in bytes.
const MAX_TAIL_LENGTH: usize = 1024;

/// Follows a script.
#[derive(Debug)]
pub struct Script {
    title: &'static str,
    head: Vec<u8>,
    tail: Vec<u8>,
    titles: Titles,
}

impl Script {
    /// A script of `pg_dump`.
    #[must_use]
    pub fn of_database() -> Self {
        Self::titled("PostgreSQL database dump")
    }

    /// A script of `pg_dumpall`.
    #[must_use]
    pub fn of_cluster() -> Self {
        Self::titled("PostgreSQL database cluster dump")
    }

    fn titled(title: &'static str) -> Self {
        Self {
            title,
            head: Vec::new(),
            tail: Vec::new(),
            titles: Titles::new(title),
        }
    }

    /// Whether it has the title, so that it has to have an end too. Follow all of it before.
    #[must_use]
    pub fn is_titled(&self) -> bool {
        self.begins().is_ok()
    }

    /// Whether the script begins as it should.
    fn begins(&self) -> Result<(), String> {
        let title = self.title;
        if self.head.is_empty() {
            return Err("is empty".into());
        }
        let expected = |end: &str| format!("--{end}-- {title}{end}--{end}");
        if self.head.starts_with(expected("\r\n").as_bytes()) {
            return Err(
                "went through a terminal, which changed the ends of its lines: use docker compose exec with -T, \
                 docker exec or ssh without -t"
                    .into(),
            );
        }
        if self.head.starts_with(expected("\n").as_bytes()) {
            Ok(())
        } else {
            Err(format!("does not begin with the title \"-- {title}\""))
        }
    }

    /// Whether it ends as it should.
    fn ends(&self) -> Result<(), String> {
        let completion = format!("-- {} complete", self.title);
        let mut lines = self.tail.rsplit(|byte| *byte == b'\n');
        // An incomplete line was cut off.
        if lines.next().is_none_or(|rest| !rest.is_empty()) {
            return Err(format!("is cut: \"{completion}\" is missing at its end"));
        }
        for line in lines {
            if line == completion.as_bytes() {
                return Ok(());
            }
            // When it was completed, and the other half of the pair that restricts psql.
            let may_follow = line.is_empty()
                || line == b"--"
                || line.starts_with(b"-- Completed on ")
                || line.starts_with(br"\unrestrict ");
            if !may_follow {
                break;
            }
        }
        Err(format!("is cut: \"{completion}\" is missing at its end"))
    }
}

impl Check for Script {
    fn follow(&mut self, bytes: &[u8]) {
        let room = MAX_HEAD_LENGTH - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.tail
            .extend_from_slice(&bytes[bytes.len().saturating_sub(MAX_TAIL_LENGTH)..]);
        let excess = self.tail.len().saturating_sub(MAX_TAIL_LENGTH);
        self.tail.drain(..excess);
        self.titles.follow(bytes);
    }

    fn finish(&mut self) -> Result<(), String> {
        self.begins()?;
        if let Some(line) = self.titles.second() {
            return Err(format!(
                "holds a second one from its line {line} on, and whether the first one is whole nobody can tell: dump each \
                 database into a file of its own"
            ));
        }
        self.ends()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "\
--
-- PostgreSQL database dump
--

\\restrict a1

CREATE TABLE public.t (a integer);


--
-- PostgreSQL database dump complete
--

\\unrestrict a1

";

    fn verdict(mut check: Script, dump: &[u8], piece: usize) -> Result<(), String> {
        dump.chunks(piece).for_each(|bytes| check.follow(bytes));
        check.finish()
    }

    #[test]
    fn a_dump_is_whole_however_it_comes_and_however_long_it_is() {
        let long = DUMP.replace(
            "CREATE",
            &format!("{}\nCREATE", "-- x\n".repeat(2 * MAX_TAIL_LENGTH)),
        );
        for dump in [
            DUMP,
            &long,
            &DUMP.replace(
                "complete\n--\n",
                "complete\n--\n\n-- Completed on 2026-01-01 00:00:00 UTC\n",
            ),
        ] {
            for piece in [1, 7, 100, 100_000] {
                assert_eq!(
                    verdict(Script::of_database(), dump.as_bytes(), piece),
                    Ok(())
                );
            }
        }
        let cluster = DUMP.replace("database dump", "database cluster dump");
        assert_eq!(verdict(Script::of_cluster(), cluster.as_bytes(), 9), Ok(()));
        assert!(verdict(Script::of_database(), cluster.as_bytes(), 9).is_err());
    }

    #[test]
    fn a_dump_that_is_cut_anywhere_is_missed_something_of() {
        let completion = "database dump complete\n";
        let end = DUMP.find(completion).expect("it is complete") + completion.len();
        for length in 0..end {
            let verdict = verdict(Script::of_database(), &DUMP.as_bytes()[..length], 100);
            let missing = verdict.expect_err(&DUMP[..length]);
            let said = match length {
                0 => "empty",
                1..34 => "title",
                _ => "complete\" is missing",
            };
            assert!(missing.contains(said), "{length}: {missing}");
        }
    }

    #[test]
    fn a_second_dump_is_found_wherever_the_first_one_ends() {
        let (cut, _) = DUMP.split_once("CREATE").expect("it holds a table");
        for dump in [
            DUMP.repeat(2),
            format!("{cut}{DUMP}"),
            format!("{cut}COPY public.t (a) FROM stdin;\n\\.\n{DUMP}"),
            format!("{cut}COPY public.t (a) FROM stdin;\n1\n2\n\\.\n\n{DUMP}"),
        ] {
            let second = dump
                .rfind("--\n-- PostgreSQL database dump\n")
                .expect("it is there");
            let line = dump[..second].matches('\n').count() + 1;
            for piece in [1, 2, 3, 5, 100_000] {
                let verdict = verdict(Script::of_database(), dump.as_bytes(), piece);
                let said = verdict.expect_err(&dump);
                assert!(
                    said.contains(&format!("its line {line} on")),
                    "{piece}: {said}"
                );
            }
        }
    }

    #[test]
    fn a_title_in_a_row_or_in_the_text_of_a_function_is_none() {
        let rows = format!("COPY public.lines (line) FROM stdin;\n{DUMP}\\.\n\n");
        let function =
            "CREATE FUNCTION f() AS $$\n--\n-- PostgreSQL database dump\n--\n\nBEGIN\n$$;\n";
        for inside in [rows.as_str(), function] {
            let dump = DUMP.replace("CREATE", &format!("{inside}CREATE"));
            for piece in [1, 2, 3, 5, 100_000] {
                assert_eq!(
                    verdict(Script::of_database(), dump.as_bytes(), piece),
                    Ok(())
                );
            }
        }
    }

    #[test]
    fn what_a_terminal_or_an_error_message_adds_is_found() {
        for (dump, said) in [
            (DUMP.replace('\n', "\r\n"), "-T"),
            (format!("warning: x\n{DUMP}"), "title"),
            (format!("{DUMP}killed\n"), "missing at its end"),
            (format!("{DUMP}-- x"), "missing at its end"),
        ] {
            let missing = verdict(Script::of_database(), dump.as_bytes(), 64).expect_err(&dump);
            assert!(missing.contains(said), "{missing}");
        }
    }

    #[test]
    fn a_script_may_hold_anything() {
        let samples = [DUMP.as_bytes().to_vec()];
        tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "script", &samples, |bytes| {
            let whole = verdict(Script::of_database(), bytes, usize::MAX);
            let in_pieces = verdict(Script::of_database(), bytes, 7);
            assert_eq!(in_pieces, whole, "how it comes makes a difference");
            let _ = verdict(Script::of_cluster(), bytes, 100);
        });
    }
}
