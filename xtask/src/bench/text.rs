//! Text like that of a large `pg_dump`, the same for the same length.

#![allow(
    clippy::cast_possible_truncation,
    reason = "random numbers below the length of an array become indices of it"
)]

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::random::Random;

/// Goes up when the text changes.
pub(crate) const VERSION: u32 = 2;

/// What `pg_dump` writes above everything and below it.
const TITLE: &str = "--\n-- PostgreSQL database dump\n--\n\n";
const COMPLETION: &str = "\n--\n-- PostgreSQL database dump complete\n--\n\n";

/// What a text begins and ends with.
pub(crate) fn frame() -> (&'static str, &'static str) {
    (TITLE, COMPLETION)
}

const ROWS_IN_A_TABLE: u64 = 50_000;

const WORDS: usize = 3000;

const FIRST_NAMES: [&str; 12] = [
    "Anna",
    "Jürgen",
    "Zoë",
    "Ольга",
    "Mohammed",
    "Łukasz",
    "Marie",
    "O''Neill",
    "Sakura",
    "José",
    "Ingrid",
    "Wei",
];

const SYLLABLES: [&str; 16] = [
    "ka", "lo", "mi", "ter", "ran", "su", "bel", "no", "ti", "gra", "ver", "pe", "schu", "al",
    "on", "é",
];

const STATES: [&str; 6] = ["new", "paid", "shipped", "returned", "cancelled", "on hold"];

/// Writes so many bytes. Odd tables are `COPY` rows, even ones `INSERT` statements;
/// ids and times go up, words are as unequal in frequency as words are, and each row
/// has a token that nothing can shorten.
pub(crate) fn write(path: &Path, bytes: u64) -> Result<()> {
    let mut file =
        File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut rows = Rows::new();
    let frame = TITLE.len() + COMPLETION.len();
    let mut left = usize::try_from(bytes)?.saturating_sub(frame);
    file.write_all(TITLE.as_bytes())?;
    while left > 0 {
        let table = rows.table()?.as_bytes();
        let part = &table[..table.len().min(left)];
        file.write_all(part)?;
        left -= part.len();
    }
    file.write_all(COMPLETION.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

/// Tables without end.
pub(crate) struct Rows {
    random: Random,
    words: Vec<String>,
    id: u64,
    seconds: u64,
    tables: u64,
    text: String,
    note: String,
}

impl Rows {
    pub(crate) fn new() -> Self {
        let mut random = Random(0x7474_686f_7374);
        let words = (0..WORDS).map(|_| random.word()).collect();
        Self {
            random,
            words,
            id: 100_000,
            seconds: 0,
            tables: 0,
            text: String::new(),
            note: String::new(),
        }
    }

    /// The next table, whole.
    pub(crate) fn table(&mut self) -> Result<&str> {
        self.text.clear();
        self.tables += 1;
        let copy = self.tables % 2 == 1;
        if copy {
            self.text.push_str("COPY public.orders (id, placed, customer, email, state, amount, token, note) FROM stdin;\n");
        }
        for _ in 0..ROWS_IN_A_TABLE {
            self.row(copy)?;
        }
        if copy {
            self.text.push_str("\\.\n\n");
        }
        Ok(&self.text)
    }

    fn row(&mut self, copy: bool) -> Result<()> {
        let random = &mut self.random;
        self.id += 1 + random.below(3);
        self.seconds += random.below(90);
        let (id, seconds) = (self.id, self.seconds);
        let days = seconds / 86_400;
        let (year, month, day) = (2020 + days / 336, days / 28 % 12 + 1, days % 28 + 1);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let time = format_args!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}+00");
        let customer = random.skewed(200_000);
        // A customer always has the same address.
        let name = FIRST_NAMES[customer as usize % FIRST_NAMES.len()];
        let state = random.one_of(&STATES);
        let (euros, cents) = (random.skewed(10_000), random.below(100));
        let token = random.next();
        self.note.clear();
        for _ in 0..6 + random.below(12) {
            self.note
                .push_str(&self.words[random.skewed(WORDS as u64) as usize]);
            self.note.push(' ');
        }
        let (text, note) = (&mut self.text, &self.note);
        if copy {
            writeln!(
                text,
                "{id}\t{time}\t{customer}\t{name}.{customer}@example.com\t{state}\t{euros}.{cents:02}\t{token:016x}\t{note}"
            )?;
        } else {
            writeln!(
                text,
                "INSERT INTO public.archived_orders VALUES ({id}, '{time}', {customer}, '{name}.{customer}@example.com', \
                 '{state}', {euros}.{cents:02}, '{token:016x}', '{note}');"
            )?;
        }
        Ok(())
    }
}

impl Random {
    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Below `limit`, the small ones far more often.
    fn skewed(&mut self, limit: u64) -> u64 {
        let (a, b, c) = (self.below(limit), self.below(limit), self.below(limit));
        a * b / limit * c / limit
    }

    fn word(&mut self) -> String {
        (0..=self.below(4))
            .map(|_| self.one_of(&SYLLABLES))
            .collect()
    }
}
