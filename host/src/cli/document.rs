//! The document that a command prints with `--json`: a common frame around the fields of the command's report.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::json;

use super::{config, init, interrupt, plugin};
use crate::error::{Error, Kind, Result};
use crate::operation::{
    Report, Snapshots, Verdict, check, conformance, copy, drill, examine, ls, plugins, probe,
    prune, restore, run, scheduled, unlock,
};
use crate::{history, notify, timer};

/// The version of the documents. It changes when a field goes or means something else.
const VERSION: u32 = 1;

/// The output of a command with `--json`.
#[derive(Serialize, JsonSchema)]
struct Document<'a, R> {
    /// The version of this format. New fields do not change it.
    version: u32,
    /// The command, for example `plugin list`; null where the command line is not understood.
    command: Option<&'a str>,
    /// How the command ended.
    #[schemars(extend("enum" = ["ok", "incomplete", "failed"]))]
    verdict: &'static str,
    /// The exit code.
    exit_code: u8,
    /// What ended the command early, in place of the command's own fields; null where it came to its
    /// end.
    error: Option<&'a Error>,
    #[serde(flatten)]
    report: Option<&'a R>,
}

type MakeSchema = fn() -> Schema;

/// The schema of each command's document, by its name: that of the command with hyphens.
const SCHEMAS: [(&str, MakeSchema); 38] = [
    ("backup", schema::<run::Report>),
    ("backup-list", schema::<Snapshots>),
    ("backup-prune", schema::<prune::Report>),
    ("backup-verify", schema::<check::Report>),
    (
        "backup-auto",
        schema::<Either<timer::Installation, timer::Removal>>,
    ),
    ("run", schema::<run::Report>),
    ("schedule-install", schema::<timer::Installation>),
    ("schedule-status", schema::<timer::Statuses>),
    ("schedule-remove", schema::<timer::Removal>),
    ("schedule-run", schema::<scheduled::Report>),
    (
        "auto",
        schema::<Either<timer::Installation, timer::Removal>>,
    ),
    ("status", schema::<history::Status>),
    ("history", schema::<history::Listed>),
    ("logs", schema::<history::Log>),
    ("notify-test", schema::<notify::Tested>),
    ("snapshots", schema::<Snapshots>),
    ("ls", schema::<ls::Report>),
    ("restore", schema::<Either<restore::Report, Snapshots>>),
    ("drill", schema::<drill::Report>),
    ("copy", schema::<copy::Report>),
    ("check", schema::<check::Report>),
    ("forget", schema::<prune::Report>),
    ("prune", schema::<prune::Report>),
    ("unlock", schema::<unlock::Report>),
    ("probe", schema::<probe::Report>),
    ("plugin-list", schema::<plugin::Plugins>),
    ("plugin-inspect", schema::<plugin::Inspected>),
    ("plugin-add", schema::<plugins::Installed>),
    ("plugin-update", schema::<plugins::Installed>),
    ("plugin-verify", schema::<plugins::Report>),
    ("plugin-remove", schema::<plugins::Removed>),
    ("plugin-new", schema::<plugins::Created>),
    ("plugin-dev", schema::<conformance::Report>),
    ("plugin-push", schema::<plugins::Pushed>),
    (
        "plugin-test",
        schema::<Either<conformance::Report, conformance::Rules>>,
    ),
    ("config-check", schema::<examine::Report>),
    ("config-show", schema::<config::Shown<'static>>),
    (
        "init",
        schema::<Either<crate::operation::init::Report, init::Created>>,
    ),
];

/// What a command answers that does one thing or another.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is only there for its schema")]
enum Either<A, B> {
    One(A),
    Other(B),
}

/// The document of a command that came to its end.
pub(super) fn of_report<R: Report>(command: &str, verdict: Verdict, report: &R) -> Result<String> {
    print(&Document {
        version: VERSION,
        command: Some(command),
        verdict: verdict.word(),
        exit_code: interrupt::exit_code(verdict),
        error: None,
        report: Some(report),
    })
    .map_err(|cause| Error::new(Kind::Other, "the report is not JSON").caused_by(cause))
}

/// The document of a command that an error ended.
pub(super) fn of_error(command: Option<&str>, error: &Error) -> String {
    let verdict = interrupt::judge(Verdict::Failed(error.kind()));
    print(&Document::<()> {
        version: VERSION,
        command,
        verdict: verdict.word(),
        exit_code: interrupt::exit_code(verdict),
        error: Some(error),
        report: None,
    })
    .expect("an error is JSON")
}

fn print(document: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(document)
}

/// The names of all schemas, for example `plugin-list`.
pub(super) fn schemas() -> impl Iterator<Item = &'static str> {
    SCHEMAS.iter().map(|(name, _)| *name)
}

/// The schema of this name.
pub(super) fn schema_of(name: &str) -> Option<String> {
    let (_, schema) = SCHEMAS.iter().find(|(known, _)| *known == name)?;
    let mut schema = schema();
    let title = format!("tthost {} --json", name.replace('-', " "));
    schema.insert("title".into(), title.into());
    Some(print(&schema).expect("a schema is JSON"))
}

fn schema<R: JsonSchema + 'static>() -> Schema {
    let settings = || SchemaSettings::draft2020_12().for_serialize();
    let mut document = settings()
        .into_generator()
        .into_root_schema_for::<Document<'static, R>>();
    // The fields of the report are all there unless there is an error.
    let report = settings().into_generator().into_root_schema_for::<R>();
    if let Some(fields) = report.get("required") {
        let no_error = json!({ "properties": { "error": { "type": "null" } } });
        document.insert("if".into(), no_error);
        document.insert("then".into(), json!({ "required": fields }));
    }
    document
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::Cli;

    /// Commands whose result is a text of its own.
    const TEXTS: [&str; 4] = ["completions", "config schema", "daemon", "dump"];

    #[test]
    fn every_command_has_a_schema() {
        fn collect(command: &clap::Command, above: &str, all: &mut Vec<String>) {
            for below in command.get_subcommands() {
                let name = format!("{above} {}", below.get_name());
                let name = name.trim_start();
                collect(below, name, all);
                if !below.is_subcommand_required_set() {
                    all.push(name.to_owned());
                }
            }
        }
        let mut commands = Vec::new();
        collect(&Cli::command(), "", &mut commands);
        commands.retain(|command| !TEXTS.contains(&command.as_str()));
        commands.sort_unstable();
        let mut known = SCHEMAS.map(|(name, _)| name.replace('-', " "));
        known.sort_unstable();
        assert_eq!(commands, known);
    }

    #[test]
    fn no_report_has_a_field_of_the_frame() {
        let frame = schema::<()>();
        let frame = frame
            .get("properties")
            .and_then(|fields| fields.as_object());
        for (name, schema) in SCHEMAS {
            let schema = schema();
            for (field, meaning) in frame.expect("it has fields") {
                let found = schema.pointer(&format!("/properties/{field}"));
                assert_eq!(found, Some(meaning), "{field} of {name}");
            }
        }
    }

    #[test]
    fn the_schemas_in_the_documentation_are_those_of_the_code() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas");
        for name in schemas() {
            let written = std::fs::read_to_string(docs.join(format!("{name}.json")));
            let is_true =
                written.unwrap_or_default().trim_end() == schema_of(name).expect("it is known");
            assert!(
                is_true,
                "write it anew: tthost config schema {name} >docs/schemas/{name}.json"
            );
        }
    }
}
