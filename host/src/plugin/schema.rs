//! A plugin's `config` table against the schema that the plugin gives of it.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Validator, draft202012};
use serde_json::{Map, Value};

use crate::error::{Error, Kind, Result};
use crate::text::printable;

/// A schema that is longer is refused, in bytes.
const LONGEST: usize = 256 << 10;

/// How many faults of a table are told.
const TOLD: usize = 5;

/// What a schema can say of keys that it does not name.
const UNKNOWN_KEYS: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];

/// What lets a schema name keys elsewhere than in its `properties`.
const COMPOSITION: [&str; 8] = [
    "$ref",
    "$dynamicRef",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "dependentSchemas",
    "patternProperties",
];

/// The schema of a `config` table.
pub(super) struct ConfigSchema {
    schema: Value,
    validator: Validator,
}

impl ConfigSchema {
    /// Takes a plugin's schema over, which has to be one of JSON Schema 2020-12. It refuses unknown
    /// keys from here on, even when it says nothing of them.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(unfit(format!("is longer than {LONGEST} bytes")));
        }
        let schema: Value =
            serde_json::from_str(text).map_err(|cause| because("is not JSON", &cause))?;
        draft202012::meta::validate(&schema)
            .map_err(|cause| because("is not a JSON Schema of 2020-12", &cause))?;
        let mut strict = schema.clone();
        let Some(keywords) = strict.as_object_mut() else {
            return Err(unfit("is not a JSON object"));
        };
        let has = |wanted: &[&str]| wanted.iter().any(|key| keywords.contains_key(*key));
        if !has(&UNKNOWN_KEYS) {
            let unknown_keys = if has(&COMPOSITION) {
                "unevaluatedProperties"
            } else {
                "additionalProperties"
            };
            keywords.insert(unknown_keys.into(), false.into());
        }
        let validator =
            draft202012::new(&strict).map_err(|cause| because("cannot be used", &cause))?;
        Ok(Self { schema, validator })
    }

    /// The schema as the plugin gave it.
    pub(super) fn into_value(self) -> Value {
        self.schema
    }

    /// Refuses a table that does not match, without showing its values.
    pub(super) fn check(&self, config: &Map<String, Value>) -> Result<()> {
        let config = Value::Object(config.clone());
        let faults = self.validator.iter_errors(&config).take(TOLD).map(|fault| {
            let path = fault.instance_path().to_string().replace('/', ".");
            match fault.kind() {
                // All there is to say is that there is such a key.
                ValidationErrorKind::FalseSchema => self.unknown(&config),
                _ => format!("config{path}: {}", fault.masked()),
            }
        });
        let faults: Vec<_> = faults.collect();
        if faults.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = self.keys().map(String::as_str).collect();
        let help = if keys.is_empty() {
            "it takes no config; remove the table".to_owned()
        } else {
            format!("the keys of its config are {}", keys.join(", "))
        };
        Err(Error::new(Kind::Config, printable(&faults.join("; "))).help(printable(&help)))
    }

    /// The sentence on keys that the schema does not name.
    fn unknown(&self, config: &Value) -> String {
        let given = config.as_object().into_iter().flat_map(Map::keys);
        let unknown = given.filter(|key| !self.keys().any(|known| known == *key));
        let unknown: Vec<_> = unknown.map(String::as_str).collect();
        format!("config has no key {}", unknown.join(", "))
    }

    /// The keys that the schema names at the top.
    fn keys(&self) -> impl Iterator<Item = &String> {
        let properties = self.schema["properties"].as_object();
        properties.into_iter().flat_map(Map::keys)
    }
}

/// The same with a cause, which quotes the plugin.
fn because(fault: &str, cause: &impl std::fmt::Display) -> Error {
    unfit(fault).caused_by(printable(&cause.to_string()))
}

fn unfit(fault: impl std::fmt::Display) -> Error {
    let text = format!("its config-schema {fault}");
    Error::new(Kind::Plugin, printable(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, config: &str) -> Result<()> {
        let config = serde_json::from_str(config).expect("it is a table");
        ConfigSchema::parse(schema)?.check(&config)
    }

    #[test]
    fn a_table_matches_or_the_fault_is_told_with_its_key_and_without_its_value() {
        let schema = r#"{"properties": {"format": {"enum": ["plain", "custom"]}, "n": {"type": "integer"}}}"#;
        check(schema, r#"{"format": "plain", "n": 3}"#).expect("it matches");
        let error = check(schema, r#"{"n": "s3cret"}"#).expect_err("it is no number");
        assert!(error.message().contains("config.n: "), "{error}");
        assert!(!error.message().contains("s3cret"), "{error}");
    }

    #[test]
    fn unknown_keys_are_refused_unless_the_schema_allows_them() {
        for (schema, is_allowed) in [
            ("{}", false),
            (r#"{"allOf": [{"properties": {"size": {}}}]}"#, false),
            (r#"{"allOf": [{"properties": {"colour": {}}}]}"#, true),
            (r#"{"additionalProperties": false}"#, false),
            (r#"{"additionalProperties": true}"#, true),
        ] {
            let checked = check(schema, r#"{"colour": 1}"#);
            assert_eq!(checked.is_ok(), is_allowed, "{schema}");
            if let Err(error) = checked {
                assert!(error.message().contains("colour"), "{error}");
            }
        }
    }

    #[test]
    fn what_is_no_schema_is_the_plugins_fault() {
        for schema in [
            "",
            "3",
            r#"{"type": "colour"}"#,
            r#"{"$ref": "https://example.com/schema.json"}"#,
        ] {
            let error = check(schema, "{}").expect_err(schema);
            assert_eq!(error.kind(), Kind::Plugin, "{error}");
        }
    }
}
