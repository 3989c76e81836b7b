//! What can be done in a store.

use std::fmt;

use jiff::Timestamp;

use crate::json;

/// Whether something can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It can.
    Yes,
    /// It cannot.
    No,
    /// It could not be found out.
    Unknown,
}

/// What can be done in a store; see the contract's `rights`.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Rights {
    /// Store something new.
    pub put: Answer,
    /// Read what is there.
    pub get: Answer,
    /// See what is there.
    pub list: Answer,
    /// Remove what is there.
    pub delete: Answer,
    /// Replace what is there.
    pub overwrite: Answer,
    /// Store something only where there is nothing of that name.
    pub put_if_absent: Answer,
    /// What is replaced or removed can be had back.
    pub versioned: Answer,
    /// Nobody can remove what is stored for some time.
    pub object_lock: Answer,
    /// When that was found out.
    #[serde(serialize_with = "json::optional_time")]
    pub found: Option<Timestamp>,
    /// What the plugin has to say besides.
    pub notes: Vec<String>,
}

/// What the rights come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Everything.
    Full,
    /// Everything but removing.
    AppendOnly,
    /// Storing alone.
    WriteOnly,
    /// Looking alone.
    ReadOnly,
    /// Nothing that is of use.
    None,
}

impl Rights {
    /// What they come to.
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
