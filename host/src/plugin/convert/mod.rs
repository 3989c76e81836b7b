//! Converts between the contract's generated types and the host's. Everything that a plugin returns is validated
//! here, and nowhere else.

mod entry;
mod error;
mod report;

pub(super) use error::{from_contract, to_contract};
pub(super) use report::{MAX_LISTED, weight_of_finding, weight_of_place, weight_of_snapshot};
