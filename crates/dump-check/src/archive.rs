//! `pg_dump`'s archive, in the custom format: a header, a table of contents, and a block of data for each entry that has
//! some. What is written to a pipe names no places, so the blocks are read one after the other, to the last.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::Check;
use crate::input::{Ended, Input};

/// What the archives' versions are that the parser knows, from those of `PostgreSQL` 9.0 on.
const KNOWN: std::ops::RangeInclusive<u8> = 12..=16;

/// A longer table of contents is none.
const MOST_ENTRIES: u64 = 100_000_000;

/// The entry has no data, as its place says.
const NO_DATA: u8 = 3;

/// A byte too many makes the next length an absurd one, so that it looks as if the rest were missing.
const DAMAGED_CONTENTS: &str = "has a table of contents that is cut or damaged; if it went through a terminal, use \
                                docker compose exec with -T, docker exec or ssh without -t";

type Parser = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// Follows an archive.
pub struct Archive {
    input: Input,
    parser: Parser,
    verdict: Option<Result<(), String>>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}

impl Default for Archive {
    fn default() -> Self {
        let input = Input::default();
        Self {
            parser: Box::pin(parse(input.clone())),
            input,
            verdict: None,
        }
    }
}

impl Archive {
    /// Reads on, as far as there is something to read.
    fn advance(&mut self) {
        if self.verdict.is_none()
            && let Poll::Ready(verdict) = self
                .parser
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        {
            self.verdict = Some(verdict);
        }
        if self.verdict.is_some() {
            self.input.clear();
        }
    }
}

impl Check for Archive {
    fn follow(&mut self, bytes: &[u8]) {
        if self.verdict.is_none() {
            self.input.push(bytes);
            self.advance();
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        self.input.end();
        self.advance();
        self.verdict
            .clone()
            .unwrap_or_else(|| Err("has no end".into()))
    }
}

/// What an archive is written with.
struct Dialect {
    input: Input,
    minor: u8,
    integer: u8,
    offset: u8,
}

async fn parse(input: Input) -> Result<(), String> {
    let dialect = header(input)
        .await
        .map_err(|Ended| "is empty, or cut in its header (\"PGDMP\")".to_owned())??;
    let Some(dialect) = dialect else {
        return Ok(());
    };
    let mut missing = dialect
        .contents()
        .await
        .map_err(|_| DAMAGED_CONTENTS.to_owned())?;
    while let Some(kind) = dialect.input.next().await {
        let entry = dialect.block(kind).await.map_err(Fault::in_data)?;
        if !missing.remove(&entry) {
            return Err(format!(
                "is damaged: its table of contents promises no data for the entry {entry}"
            ));
        }
    }
    match missing.len() {
        0 => Ok(()),
        count => Err(format!(
            "is cut: the data of {count} entries of its table of contents are missing"
        )),
    }
}

/// None for a version that nobody knows yet.
async fn header(input: Input) -> Result<Result<Option<Dialect>, String>, Ended> {
    if input.take::<5>().await? != *b"PGDMP" {
        return Ok(Err(
            "is no archive of pg_dump: it does not begin with \"PGDMP\"".into(),
        ));
    }
    let [major, minor, _, integer, offset, form] = input.take::<6>().await?;
    if form != 1 {
        return Ok(Err("is no archive in pg_dump's custom format".into()));
    }
    if major != 1 || minor > *KNOWN.end() {
        return Ok(Ok(None));
    }
    if !KNOWN.contains(&minor) || !(1..=8).contains(&integer) || !(1..=8).contains(&offset) {
        return Ok(Err("has a header that is damaged".into()));
    }
    Ok(Ok(Some(Dialect {
        input,
        minor,
        integer,
        offset,
    })))
}

/// Why something cannot be read.
enum Fault {
    Cut,
    Damaged,
}

impl Fault {
    fn in_data(self) -> String {
        let how = match self {
            Self::Cut => "cut",
            Self::Damaged => "damaged",
        };
        format!("is {how} in its data")
    }
}

impl From<Ended> for Fault {
    fn from(Ended: Ended) -> Self {
        Self::Cut
    }
}

impl Dialect {
    /// A sign and a number.
    async fn integer(&self) -> Result<(bool, u64), Fault> {
        let [sign] = self.input.take().await?;
        if sign > 1 {
            return Err(Fault::Damaged);
        }
        let mut number = 0;
        for place in 0..self.integer {
            let [byte] = self.input.take().await?;
            number |= u64::from(byte) << (8 * place);
        }
        Ok((sign == 1, number))
    }

    async fn natural(&self) -> Result<u64, Fault> {
        match self.integer().await? {
            (false, number) => Ok(number),
            (true, _) => Err(Fault::Damaged),
        }
    }

    /// Passes over a text. Answers whether there is one.
    async fn text(&self) -> Result<bool, Fault> {
        match self.integer().await? {
            (true, _) => Ok(false),
            (false, length) => {
                self.input.skip(length).await?;
                Ok(true)
            }
        }
    }

    async fn texts(&self, count: usize) -> Result<(), Fault> {
        for _ in 0..count {
            self.text().await?;
        }
        Ok(())
    }

    /// The table of contents: the entries that have data.
    async fn contents(&self) -> Result<BTreeSet<u64>, Fault> {
        // How it is compressed.
        if self.minor >= 15 {
            self.input.skip(1).await?;
        } else {
            self.integer().await?;
        }
        // When it was made, from the seconds to summer time.
        for _ in 0..7 {
            self.integer().await?;
        }
        // The database, and the versions of the server and of pg_dump.
        self.texts(3).await?;
        let count = self.natural().await?;
        if count > MOST_ENTRIES {
            return Err(Fault::Damaged);
        }
        let mut with_data = BTreeSet::new();
        for _ in 0..count {
            let (entry, has_data) = self.entry().await?;
            if has_data {
                with_data.insert(entry);
            }
        }
        Ok(with_data)
    }

    /// An entry of the table of contents: its number, and whether it has data.
    async fn entry(&self) -> Result<(u64, bool), Fault> {
        let number = self.natural().await?;
        // Whether pg_dump had a function for its data.
        self.integer().await?;
        // The object's numbers in the catalog, its name and its sort.
        self.texts(4).await?;
        // The section.
        self.integer().await?;
        // How to create, drop and copy it, its schema and its tablespace.
        self.texts(5).await?;
        if self.minor >= 14 {
            // The table's access method.
            self.text().await?;
        }
        if self.minor >= 16 {
            // The sort of relation.
            self.integer().await?;
        }
        // The owner, and what once were row numbers.
        self.texts(2).await?;
        // What it depends on.
        while self.text().await? {}
        let [state] = self.input.take().await?;
        self.input.skip(u64::from(self.offset)).await?;
        Ok((number, state != NO_DATA))
    }

    /// A block of data: the number of its entry.
    async fn block(&self, kind: u8) -> Result<u64, Fault> {
        let entry = self.natural().await?;
        match kind {
            1 => self.pieces().await?,
            // Large objects, each with its number.
            3 => {
                while self.natural().await? != 0 {
                    self.pieces().await?;
                }
            }
            _ => return Err(Fault::Damaged),
        }
        Ok(entry)
    }

    /// Pieces of data, up to an empty one.
    async fn pieces(&self) -> Result<(), Fault> {
        loop {
            match self.natural().await? {
                0 => return Ok(()),
                length => self.input.skip(length).await?,
            }
        }
    }
}

#[cfg(test)]
mod tests;
