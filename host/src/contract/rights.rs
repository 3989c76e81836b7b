//! What can be done in a store.

use std::fmt;

use jiff::Timestamp;

use crate::json;

/// Whether an operation is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It can.
    Yes,
    /// It cannot.
    No,
    /// The probe could not determine it.
    Unknown,
}

/// The operations that are possible in a store; see the contract's `rights`.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Rights {
    /// Store a new object.
    pub put: Answer,
    /// Read an object.
    pub get: Answer,
    /// List objects.
    pub list: Answer,
    /// Remove an object.
    pub delete: Answer,
    /// Replace an object.
    pub overwrite: Answer,
    /// Store an object only if its name is unused.
    pub put_if_absent: Answer,
    /// Replaced and removed objects can be restored.
    pub versioned: Answer,
    /// For some time, nobody can remove stored objects.
    pub object_lock: Answer,
    /// The time of the probe.
    #[serde(serialize_with = "json::optional_time")]
    pub found: Option<Timestamp>,
    /// Additional facts from the plugin.
    pub notes: Vec<String>,
}

/// The class of these rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Everything.
    Full,
    /// Everything except removing.
    AppendOnly,
    /// Only storing.
    WriteOnly,
    /// Only listing and reading.
    ReadOnly,
    /// Nothing useful.
    None,
}

impl Rights {
    /// Their class.
    pub fn class(&self) -> Class {
        let can = |answer: Answer| answer == Answer::Yes;
        let reads = can(self.get) && can(self.list);
        match (can(self.put), reads, can(self.delete)) {
            (true, true, true) => Class::Full,
            (true, true, false) => Class::AppendOnly,
            (true, false, _) => Class::WriteOnly,
            (false, true, _) => Class::ReadOnly,
            (false, false, _) => Class::None,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::AppendOnly => "append-only",
            Self::WriteOnly => "write-only",
            Self::ReadOnly => "read-only",
            Self::None => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(put: Answer, get: Answer, list: Answer, delete: Answer) -> Rights {
        Rights {
            put,
            get,
            list,
            delete,
            overwrite: Answer::Unknown,
            put_if_absent: Answer::Unknown,
            versioned: Answer::Unknown,
            object_lock: Answer::Unknown,
            found: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_class_needs_all_of_its_rights() {
        use Answer::{No, Unknown, Yes};
        for (put, get, list, delete, class) in [
            (Yes, Yes, Yes, Yes, Class::Full),
            (Yes, Yes, Yes, No, Class::AppendOnly),
            (Yes, Yes, Yes, Unknown, Class::AppendOnly),
            (Yes, No, No, No, Class::WriteOnly),
            // Without a listing, nothing can be found.
            (Yes, Yes, No, No, Class::WriteOnly),
            (Yes, No, Yes, Yes, Class::WriteOnly),
            (No, Yes, Yes, No, Class::ReadOnly),
            (No, Unknown, Yes, Unknown, Class::None),
            (No, No, No, No, Class::None),
        ] {
            assert_eq!(rights(put, get, list, delete).class(), class);
        }
    }
}
