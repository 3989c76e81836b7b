//! What reports have in common when they are serialised.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Receipt;
use crate::error::Result;

/// A duration, in seconds.
pub(super) fn seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// What a sink did, as the field `receipt`, or why it did not, as the field `error`.
pub(super) fn receipt_or_error<S: Serializer>(
    result: &Result<Receipt>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match result {
        Ok(receipt) => serializer.collect_map([("receipt", receipt)]),
        Err(error) => serializer.collect_map([("error", error)]),
    }
}

/// All fields of a success, or why there is none, as the field `error`.
pub(super) fn fields_or_error<T: Serialize, S: Serializer>(
    result: &Result<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match result {
        Ok(value) => value.serialize(serializer),
        Err(error) => serializer.collect_map([("error", error)]),
    }
}
