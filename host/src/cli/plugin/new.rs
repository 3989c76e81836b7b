//! `tthost plugin new`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::Session;
use crate::cli::output::Answer;
use crate::error::{Error, Kind, Result};
use crate::operation::plugins::{self, Created, Language, Project};
use crate::plugin::Role;

#[derive(Debug, Args)]
pub(crate) struct New {
    /// Name of the plugin and of its new directory
    name: String,
    /// Kind of plugin
    #[arg(long, value_name = "KIND")]
    kind: KindName,
    /// Programming language
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    lang: LanguageName,
    /// The SDK for Rust: the directory `crates/plugin-sdk` of a clone of tthost
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LanguageName {
    Rust,
    Python,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindName {
    Source,
    Sink,
    Store,
}

/// Makes a project for a plugin.
pub(super) fn new(session: &Session<'_>, arguments: New) -> Result<Answer> {
    let New {
        name,
        kind,
        lang,
        sdk,
    } = arguments;
    let role = match kind {
        KindName::Source => Role::Source,
        KindName::Sink => Role::Sink,
        KindName::Store => Role::Store,
    };
    let language = match (lang, sdk) {
        (LanguageName::Rust, Some(sdk)) => Language::Rust(sdk),
        (LanguageName::Python, None) => Language::Python,
        (LanguageName::Rust, None) => {
            let error = Error::new(Kind::Usage, "a project in Rust needs the SDK");
            return Err(
                error.help("--sdk names the directory crates/plugin-sdk of a clone of tthost")
            );
        }
        (LanguageName::Python, Some(_)) => {
            let error = Error::new(Kind::Usage, "--sdk has no effect: the SDK is for Rust");
            return Err(error.help("leave it out"));
        }
    };
    let project = Project {
        name,
        role,
        language,
    };
    let report = plugins::create(&project)?;
    session.output.outcome(&report, || show(&report, lang))
}

fn show(report: &Created, lang: LanguageName) -> String {
    let build = match lang {
        LanguageName::Rust => "cargo build --release --target wasm32-wasip2",
        LanguageName::Python => "sh build.sh",
    };
    let directory = report.directory.display();
    format!(
        "made {} in {directory}\n\nBuild it with\n  cd {directory}\n  {build}\n\
         README.md there says how to go on.\n",
        format_args!("the {} {}", report.role.word(), report.name),
    )
}
