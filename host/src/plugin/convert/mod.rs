//! Between the contract's types as they cross the sandbox's border and as the host holds them.
//! What a plugin gives is checked here, and nowhere else.

mod entry;
mod error;
mod report;

pub(super) use error::{from_contract, to_contract};
pub(super) use report::{MOST_LISTED, weight_of_finding, weight_of_place, weight_of_snapshot};
