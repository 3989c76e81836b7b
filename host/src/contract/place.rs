//! What a restoration is going to change.

use schemars::JsonSchema;
use serde::Serialize;

/// A target of a restoration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// Its kind and name, for example `database shop`.
    pub name: String,
    /// Its current contents, a few words each.
    pub holds: Vec<String>,
    /// The size of its current contents, if the source knows.
    pub bytes: Option<u64>,
    /// How the restoration changes it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// How a restoration changes a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "fate", rename_all = "lowercase")]
pub enum Fate {
    /// It does not exist, and is created.
    Created,
    /// It exists and is empty.
    Filled,
    /// Its data is changed directly.
    Changed,
    /// It is exchanged for the restored data in one step, at the end.
    Exchanged {
        /// The old data.
        kept: Kept,
    },
}

/// The old data of a place after an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Kept {
    /// Its new name.
    pub name: String,
    /// How to remove it, for example an SQL statement.
    pub removal: String,
}
