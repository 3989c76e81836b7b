//! `pg_dump`'s archives, in the custom format and as tar: checks that they are complete, and what they make
//! `pg_restore` do.
//!
//! `pg_restore` reads the whole table of contents before it does anything. So a caller can still refuse an archive
//! while it streams by.

mod contents;
mod custom;
mod tar;

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::Check;
use crate::input::{Ended, Input};

pub use contents::Entry;

/// Inspects what an archive makes `pg_restore` do, before it can do it. Each error says why it must not.
pub trait Examine {
    /// A text that `pg_restore` repeats in a comment, before its transaction.
    ///
    /// # Errors
    ///
    /// When it is more than that.
    fn comment(&mut self, text: &[u8]) -> Result<(), String>;

    /// An entry of the table of contents.
    ///
    /// # Errors
    ///
    /// When it must not be carried out.
    fn entry(&mut self, entry: &Entry) -> Result<(), String>;

    /// There are no more entries.
    ///
    /// # Errors
    ///
    /// When one is missing.
    fn contents_end(&mut self) -> Result<(), String>;

    /// A piece of an entry's rows, where they are statements.
    ///
    /// # Errors
    ///
    /// When they must not be carried out.
    fn statements(&mut self, piece: &[u8]) -> Result<(), String>;

    /// The rows of the entry end here.
    ///
    /// # Errors
    ///
    /// When they end in the middle of one.
    fn statements_end(&mut self) -> Result<(), String>;
}

/// `pg_restore` would run statements that were not inspected.
const COMPRESSED_STATEMENTS: &str = "has rows that are compressed INSERT statements, which nobody can look over: restore it with \
                                     pg_restore yourself";

/// How to treat an archive of an unknown, newer version.
fn unknown(is_examined: bool) -> Result<(), Fault> {
    if is_examined {
        let text = "has a version that is not known here, so nobody can look over what it does: restore it with pg_restore \
                    yourself";
        return Err(Fault::Other(text.into()));
    }
    Ok(())
}

/// The container of a table of contents. The numbers are those of its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The custom format.
    Custom = 1,
    /// A tar file.
    Tar = 3,
}

type Parser = Pin<Box<dyn Future<Output = Result<(), Fault>>>>;

/// Why an archive is none, or is not taken.
enum Fault {
    Cut,
    Damaged,
    /// A sentence about the archive.
    Other(String),
}

impl From<Ended> for Fault {
    fn from(Ended: Ended) -> Self {
        Self::Cut
    }
}

impl Fault {
    /// What it means in this part of the archive.
    fn in_part(self, part: &str) -> Self {
        match self {
            Self::Cut => Self::Other(format!("is cut in {part}")),
            Self::Damaged => Self::Other(format!("is damaged in {part}")),
            other @ Self::Other(_) => other,
        }
    }
}

/// Follows an archive.
pub struct Archive {
    input: Input,
    parser: Parser,
    need: Rc<Need>,
    followed: u64,
    verdict: Option<Result<(), String>>,
}

/// The part of an archive that `pg_restore` needs to succeed.
#[derive(Debug, Default)]
struct Need {
    /// How many bytes it may have without having all of that; none where it always needs the last byte.
    withheld_from: Cell<Option<u64>>,
    /// Where that ends, if it is known.
    end: Cell<Option<u64>>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}

impl Archive {
    /// One in this form.
    #[must_use]
    pub fn new(form: Form) -> Self {
        Self::of(move |input, need| {
            Box::pin(async move {
                match form {
                    Form::Custom => custom::parse(input, None).await,
                    Form::Tar => tar::parse(input, need, None).await,
                }
            })
        })
    }

    /// One in either form, as `pg_restore` recognizes it, which somebody looks at.
    #[must_use]
    pub fn examined(examiner: Box<dyn Examine>) -> Self {
        Self::of(move |input, need| {
            Box::pin(async move {
                need.withheld_from.set(Some(0));
                if input.peek::<5>().await? == *contents::MAGIC {
                    need.withheld_from.set(None);
                    custom::parse(input, Some(examiner)).await
                } else {
                    tar::parse(input, need, Some(examiner)).await
                }
            })
        })
    }

    fn of(parser: impl FnOnce(Input, Rc<Need>) -> Parser) -> Self {
        let (input, need) = (Input::default(), Rc::new(Need::default()));
        Self {
            parser: parser(input.clone(), need.clone()),
            input,
            need,
            followed: 0,
            verdict: None,
        }
    }

    /// Reads on, as far as there is something to read.
    fn advance(&mut self) {
        if self.verdict.is_none()
            && let Poll::Ready(verdict) = self
                .parser
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        {
            self.verdict = Some(verdict.map_err(|fault| match fault {
                Fault::Cut => "is empty, or cut in its header".into(),
                Fault::Damaged => "has a header that is damaged".into(),
                Fault::Other(text) => text,
            }));
        }
        if self.verdict.is_some() {
            self.input.clear();
        }
    }

    /// The first objection.
    #[must_use]
    pub fn objection(&self) -> Option<&str> {
        self.verdict.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// How many bytes were followed.
    #[must_use]
    pub fn followed(&self) -> u64 {
        self.followed
    }

    /// How many bytes from its beginning `pg_restore` may have, of those that were followed, so that it cannot succeed
    /// before it gets the rest.
    #[must_use]
    pub fn released(&self) -> u64 {
        match self.need.withheld_from.get() {
            Some(withheld_from) => withheld_from.min(self.followed),
            None => self.followed.saturating_sub(1),
        }
    }

    /// Where what `pg_restore` needs ends, if something comes behind it. In its place, zeros do.
    #[must_use]
    pub fn end_of_need(&self) -> Option<u64> {
        self.need.end.get()
    }
}

impl Check for Archive {
    fn follow(&mut self, bytes: &[u8]) {
        self.followed += bytes.len() as u64;
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

#[cfg(test)]
mod tests;
