//! Traces the calls of the contract that a test makes: arguments, results and times. Spans trace the plugin's calls
//! to the host.

use std::fmt::{Debug, Display};
use std::time::Instant;

use tracing::trace;
use tthost_conformance::host::{CallFuture, Objects, Reader, Store, Writer};
use tthost_conformance::model::{
    Completeness, Ending, Entry, Findings, Identity, Page, Receipt, Reclaimed, Rights, Small,
    Snapshot, Usage,
};

use super::convert;
use crate::error::{Error, Result};

/// How much of it there is, in words.
pub(super) trait Amount {
    fn amount(&self) -> String;
}

/// Makes a call, for the suite.
pub(super) fn traced<'a, T: Amount + 'a>(
    name: &'static str,
    given: impl Display + 'a,
    call: impl Future<Output = Result<T>> + 'a,
) -> CallFuture<'a, T> {
    convert::call(trace_call(name, given, call))
}

/// Makes a call. One that is dropped before its end is told as well.
pub(super) async fn trace_call<T: Amount>(
    name: &'static str,
    given: impl Display,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut open = Open {
        name,
        given: given.to_string(),
        start: Instant::now(),
        is_under_way: true,
    };
    let answer = call.await;
    open.end(&match &answer {
        Ok(value) => value.amount(),
        Err(error) => failure(error),
    });
    answer
}

/// A call that is under way.
struct Open {
    name: &'static str,
    given: String,
    start: Instant,
    is_under_way: bool,
}

impl Open {
    fn end(&mut self, answer: &str) {
        self.is_under_way = false;
        let (name, given, time) = (self.name, &self.given, self.start.elapsed());
        trace!("{name}({given}) -> {answer} in {time:.1?}");
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.is_under_way {
            self.end("given up");
        }
    }
}

fn failure(error: &Error) -> String {
    format!("{:?}: {}", convert::error(error).case, error.message())
}

/// A number of things, in words.
pub(super) fn counted(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ if one.ends_with('y') => format!("{count} {}ies", &one[..one.len() - 1]),
        _ => format!("{count} {one}s"),
    }
}

/// The contents of small files, in words.
pub(super) fn contents(files: &[Small]) -> String {
    let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    format!("{}, {bytes} bytes", counted(files.len(), "file"))
}

impl Amount for () {
    fn amount(&self) -> String {
        "ok".into()
    }
}

impl Amount for Vec<Entry> {
    fn amount(&self) -> String {
        counted(self.len(), "entry")
    }
}

impl Amount for Vec<Small> {
    fn amount(&self) -> String {
        contents(self)
    }
}

/// The files whose contents are wanted.
impl Amount for Vec<u64> {
    fn amount(&self) -> String {
        counted(self.len(), "file")
    }
}

impl Amount for Vec<Snapshot> {
    fn amount(&self) -> String {
        counted(self.len(), "snapshot")
    }
}

impl Amount for Page {
    fn amount(&self) -> String {
        counted(self.objects.len(), "object")
    }
}

impl Amount for Findings {
    fn amount(&self) -> String {
        let bytes = self.bytes_read;
        format!(
            "{}, {bytes} bytes read",
            counted(self.errors.len(), "error")
        )
    }
}

/// Contents that were read, and how many bytes of them.
impl<T: Debug> Amount for (T, u64) {
    fn amount(&self) -> String {
        format!("{:?}, {} bytes", self.0, self.1)
    }
}

/// The answer of a source to a capture.
impl Amount for (Vec<String>, Box<dyn Reader>) {
    fn amount(&self) -> String {
        counted(self.0.len(), "path")
    }
}

macro_rules! open {
    ($($name:ident),+) => {$(
        impl Amount for Box<dyn $name> {
            fn amount(&self) -> String {
                "ok".into()
            }
        }
    )+};
}

open!(Objects, Reader, Store, Writer);

macro_rules! shown {
    ($($name:ty),+) => {$(
        impl Amount for $name {
            fn amount(&self) -> String {
                format!("{self:?}")
            }
        }
    )+};
}

shown!(
    u32,
    Option<u64>,
    Completeness,
    Ending,
    Identity,
    Receipt,
    Reclaimed,
    Rights,
    Usage
);
