//! What a restoration is going to change.

use schemars::JsonSchema;
use serde::Serialize;

/// A place that something is restored to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// What it is, for example `database shop`.
    pub name: String,
    /// What is there, a few words each.
    pub holds: Vec<String>,
    /// The bytes of what is there, where the source knows.
    pub bytes: Option<u64>,
    /// What becomes of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What becomes of a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "fate", rename_all = "lowercase")]
pub enum Fate {
    /// It is not there, and is made.
    Created,
    /// It is there and empty.
    Filled,
    /// What is there is changed where it is.
    Changed,
    /// What is restored takes its place in one step, at the end.
    Exchanged {
        /// What was there.
        kept: Kept,
    },
}

/// What was at a place, after something else has taken it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Kept {
    /// What it is called.
    pub name: String,
    /// What removes it, for example an SQL statement.
    pub removal: String,
}
