//! Serialisers that reports share: times, durations, and results of parts.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::error::{Error, Result};

/// A time, to the second: many programs read no fractions of it.
pub(crate) fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.strftime("%Y-%m-%dT%H:%M:%SZ"))
}

/// The same, where there may be none.
#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
pub(crate) fn optional_time<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

/// A duration, in seconds.
pub(crate) fn seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// What was done, as one field `summary`, or why it was not.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SummaryOrError<T> {
    /// What was done; null where it failed.
    summary: Option<T>,
    /// Why it failed; null where it did not.
    error: Option<Error>,
}

/// All fields of what was done, or why it was not.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FieldsOrError<T> {
    #[serde(flatten)]
    fields: Option<T>,
    /// Why it failed, in place of the other fields; null where it did not.
    error: Option<Error>,
}

/// Serialises as a [`SummaryOrError`].
pub(crate) fn summary_or_error<T: Serialize, S: Serializer>(
    result: &Result<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let summary = result.as_ref().ok();
    let error = result.as_ref().err().cloned();
    SummaryOrError { summary, error }.serialize(serializer)
}

/// Serialises as [`FieldsOrError`].
pub(crate) fn fields_or_error<T: Serialize, S: Serializer>(
    result: &Result<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let fields = result.as_ref().ok();
    let error = result.as_ref().err().cloned();
    FieldsOrError { fields, error }.serialize(serializer)
}
