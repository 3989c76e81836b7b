//! `tthost plugin list`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::Session;
use crate::cli::output::Answer;
use crate::cli::table::table;
use crate::error::{Error, Kind, Result};
use crate::operation::Report;
use crate::operation::plugins::{InUse, Pin, pin};
use crate::plugin::{Role, bundled};

/// The configured plugins.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Plugins {
    /// The bundled plugins, and the configured sources and sinks.
    plugins: Vec<Listed>,
}

/// A plugin, or a use of one.
#[derive(Serialize, JsonSchema)]
struct Listed {
    /// Its name.
    name: String,
    /// Its role.
    role: Role,
    /// `bundled plugin` or `configured`.
    kind: &'static str,
    /// The plugin of a source or sink: the name of a bundled one, or a file; null for a bundled plugin itself.
    plugin: Option<String>,
    /// How the plugin of a source or sink stands to its pin.
    pin: Option<Pin>,
    /// Where it came from, as the configuration remembers it.
    from: Option<String>,
    /// The jobs that the source or sink belongs to.
    jobs: Vec<String>,
}

impl Report for Plugins {}

/// Lists plugins and what uses them.
pub(super) async fn list(session: &Session<'_>) -> Result<Answer> {
    let config = &session.config;
    let bundled = bundled().iter().map(|plugin| Listed {
        name: plugin.name.to_owned(),
        role: plugin.role,
        kind: "bundled plugin",
        plugin: None,
        pin: None,
        from: None,
        jobs: Vec::new(),
    });
    let mut plugins: Vec<_> = bundled.collect();
    let used = config.plugins()?;
    let compared = tokio::task::spawn_blocking(move || {
        let compared = used.into_iter().map(|used| (pin(&used.origin).0, used));
        compared.collect::<Vec<_>>()
    });
    let compared = compared
        .await
        .map_err(|cause| Error::new(Kind::Other, "plugins cannot be read").caused_by(cause))?;
    for role in Role::ALL {
        for name in config.names(role) {
            let is_it = |(_, used): &&(Pin, InUse)| used.role == role && used.name == name;
            let used = compared.iter().find(is_it);
            plugins.push(Listed {
                name: name.to_owned(),
                role,
                kind: "configured",
                plugin: used.map(|(_, used)| used.origin.to_string()),
                pin: used.map(|(pin, _)| *pin),
                from: used.and_then(|(_, used)| used.from.clone()),
                jobs: config.jobs_of(role, name),
            });
        }
    }
    let report = Plugins { plugins };
    session.output.answer(&report, || show(&report))
}

fn show(report: &Plugins) -> String {
    let heading = ["NAME", "ROLE", "KIND", "PLUGIN", "PIN", "JOBS"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(report.plugins.iter().map(|listed| {
        let plugin = listed.plugin.as_deref().unwrap_or_default();
        let pin = listed.pin.map(state).unwrap_or_default();
        let jobs = listed.jobs.join(", ");
        let cells = [
            &listed.name,
            listed.role.word(),
            listed.kind,
            plugin,
            pin,
            &jobs,
        ];
        cells.map(str::to_owned).to_vec()
    }));
    table(&rows)
}

/// How a plugin stands to its pin.
pub(super) fn state(pin: Pin) -> &'static str {
    match pin {
        Pin::Bundled => "bundled",
        Pin::Matches => "matches",
        Pin::Differs => "DIFFERS",
        Pin::Missing => "FILE MISSING",
        Pin::Unreadable => "UNREADABLE",
        Pin::None => "not pinned",
    }
}
