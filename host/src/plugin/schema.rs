//! A plugin's `config` table against the schema that the plugin gives of it.
//!
//! What a schema says can take any amount of time and memory to find out: references double at each step, and patterns are programs.
//! So that of a plugin from a file is judged [aside](super::aside).

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::process::Stdio;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Validator, draft202012};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::Runtime;
use super::aside::{self, Limits};
use crate::error::{Error, Kind, Result};
use crate::text::printable;

/// What this program is started with to judge a schema.
pub(crate) const COMMAND: &str = "__judge";

/// What that may take. A schema of a usual plugin takes some milliseconds.
const LIMITS: Limits = Limits {
    memory: 256 << 20,
    cpu: 5,
};

/// A schema that is longer is refused, in bytes.
const MAX_LENGTH: usize = 256 << 10;

/// The largest number of reported faults of a table.
const MAX_REPORTED: usize = 5;

/// The keywords with which a schema constrains keys that it does not name.
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

/// What is judged.
#[derive(Serialize, Deserialize)]
struct Question<'a> {
    schema: Cow<'a, str>,
    /// None where only the schema is in question.
    config: Option<Cow<'a, Map<String, Value>>>,
}

/// What is wrong with a schema, or with a table.
#[derive(Debug, Serialize, Deserialize)]
struct Fault {
    /// It is the table of the operator that is wrong.
    is_of_table: bool,
    text: String,
    cause: Option<String>,
    help: Option<String>,
}

/// The schema of a `config` table.
struct ConfigSchema {
    schema: Value,
    validator: Validator,
}

/// Refuses a schema that cannot be used, and a table that does not match it. Answers the schema. Our own costs little, and is judged here.
pub(super) async fn judge(
    runtime: &Runtime,
    schema: &str,
    config: Option<&Map<String, Value>>,
    is_own: bool,
) -> Result<Value> {
    if schema.len() > MAX_LENGTH {
        return Err(unfit(format!("is longer than {MAX_LENGTH} bytes")).into_error());
    }
    let question = Question {
        schema: schema.into(),
        config: config.map(Cow::Borrowed),
    };
    let asked = serde_json::to_vec(&question).expect("text and tables are JSON");
    let digest = Sha256::digest(&asked).into();
    if !runtime.has_judged(digest) {
        let fault = if is_own {
            question.answer()
        } else {
            Box::pin(judge_aside(&asked)).await?
        };
        fault.map_or(Ok(()), |fault| Err(fault.into_error()))?;
        runtime.note_judged(digest);
    }
    serde_json::from_str(schema).map_err(|cause| because("is not JSON", &cause).into_error())
}

async fn judge_aside(asked: &[u8]) -> Result<Option<Fault>> {
    let mut program = aside::program(COMMAND);
    program.stdout(Stdio::piped());
    let answer = aside::run(program, "judging its config-schema", asked, &LIMITS).await?;
    serde_json::from_slice(&answer).map_err(|cause| {
        Error::new(Kind::Other, "judging its config-schema failed").caused_by(cause)
    })
}

/// The work of the other process: judges what comes in. The error is for people.
pub(crate) fn serve(mut input: impl Read, mut output: impl Write) -> Result<(), String> {
    let mut judge = || -> io::Result<()> {
        LIMITS.apply()?;
        let mut asked = Vec::new();
        input.read_to_end(&mut asked)?;
        let question: Question<'_> = serde_json::from_slice(&asked)?;
        serde_json::to_writer(&mut output, &question.answer())?;
        output.flush()
    };
    judge().map_err(|cause| cause.to_string())
}

impl Question<'_> {
    fn answer(&self) -> Option<Fault> {
        let judge = || {
            let schema = ConfigSchema::parse(&self.schema)?;
            self.config
                .as_ref()
                .map_or(Ok(()), |config| schema.check(config))
        };
        judge().err()
    }
}

impl Fault {
    fn into_error(self) -> Error {
        let kind = if self.is_of_table {
            Kind::Config
        } else {
            Kind::Plugin
        };
        let mut error = Error::new(kind, self.text);
        if let Some(cause) = self.cause {
            error = error.caused_by(cause);
        }
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

impl ConfigSchema {
    /// Takes a plugin's schema over, which has to be one of JSON Schema 2020-12. It refuses unknown
    /// keys from here on, even when it says nothing of them.
    fn parse(text: &str) -> Result<Self, Fault> {
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

    /// Refuses a table that does not match, without showing its values.
    fn check(&self, config: &Map<String, Value>) -> Result<(), Fault> {
        let config = Value::Object(config.clone());
        let faults = self
            .validator
            .iter_errors(&config)
            .take(MAX_REPORTED)
            .map(|fault| {
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
        Err(Fault {
            is_of_table: true,
            text: printable(&faults.join("; ")),
            cause: None,
            help: Some(printable(&help)),
        })
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
fn because(fault: &str, cause: &impl std::fmt::Display) -> Fault {
    Fault {
        cause: Some(printable(&cause.to_string())),
        ..unfit(fault)
    }
}

fn unfit(fault: impl std::fmt::Display) -> Fault {
    let text = format!("its config-schema {fault}");
    Fault {
        is_of_table: false,
        text: printable(&text),
        cause: None,
        help: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, config: &str) -> Result<()> {
        let question = Question {
            schema: schema.into(),
            config: serde_json::from_str(config).expect("it is a table"),
        };
        // As the other process is asked, and answers.
        let asked = serde_json::to_vec(&question).expect("it is JSON");
        let question: Question<'_> = serde_json::from_slice(&asked).expect("it is a question");
        let answer = serde_json::to_vec(&question.answer()).expect("it is JSON");
        let fault: Option<Fault> = serde_json::from_slice(&answer).expect("it is an answer");
        fault.map_or(Ok(()), |fault| Err(fault.into_error()))
    }

    #[test]
    fn a_table_matches_or_the_fault_is_told_with_its_key_and_without_its_value() {
        let schema = r#"{"properties": {"format": {"enum": ["plain", "custom"]}, "n": {"type": "integer"}}}"#;
        check(schema, r#"{"format": "plain", "n": 3}"#).expect("it matches");
        let error = check(schema, r#"{"n": "s3cret"}"#).expect_err("it is not a number");
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
