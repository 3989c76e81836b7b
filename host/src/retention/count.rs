//! The number of snapshots to keep.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What stands for no limit; restic's word.
const UNLIMITED: &str = "unlimited";

/// How many snapshots stay. It is written as a number, or as `unlimited` or -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Count {
    /// At most so many.
    Limited(u32),
    /// All of them.
    Unlimited,
}

/// How a count is written in a file.
#[derive(Deserialize, Serialize)]
#[serde(untagged, expecting = "a count is a number or \"unlimited\"")]
enum Written {
    Number(i64),
    Text(String),
}

impl Count {
    /// Whether it lets any stay.
    pub fn is_some(self) -> bool {
        self != Self::default()
    }

    /// One less of what is left; nothing when none is.
    pub(super) fn take(self) -> Option<Self> {
        match self {
            Self::Unlimited => Some(self),
            Self::Limited(left) => left.checked_sub(1).map(Self::Limited),
        }
    }
}

impl Default for Count {
    fn default() -> Self {
        Self::Limited(0)
    }
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            UNLIMITED => Ok(Self::Unlimited),
            text => text
                .parse()
                .map(Written::Number)
                .map_err(|_| wrong(text))
                .and_then(Self::try_from),
        }
    }
}

impl TryFrom<Written> for Count {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(-1) => Ok(Self::Unlimited),
            Written::Number(number) => match u32::try_from(number) {
                Ok(count) => Ok(Self::Limited(count)),
                Err(_) => Err(wrong(number)),
            },
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Count> for Written {
    fn from(count: Count) -> Self {
        match count {
            Count::Limited(count) => Self::Number(count.into()),
            Count::Unlimited => Self::Text(UNLIMITED.into()),
        }
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How many snapshots stay: a number, or `unlimited` or -1.",
            "anyOf": [
                { "type": "integer", "minimum": -1, "maximum": u32::MAX },
                { "const": UNLIMITED },
            ],
        })
    }
}

fn wrong(text: impl std::fmt::Display) -> String {
    format!("\"{text}\" is not a number of snapshots; write a number or \"{UNLIMITED}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_number_or_unlimited() {
        assert_eq!("7".parse(), Ok(Count::Limited(7)));
        assert_eq!("0".parse(), Ok(Count::default()));
        for unlimited in ["unlimited", "-1"] {
            assert_eq!(unlimited.parse(), Ok(Count::Unlimited));
        }
        for wrong in ["", "-2", "many", "1.5", "4294967296", "Unlimited"] {
            assert!(wrong.parse::<Count>().is_err(), "{wrong}");
        }
    }
}
