//! `tthost daemon`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::args::{Global, LogFormat};
use super::output::Answer;
use super::{interrupt, load_config};
use crate::daemon::{self, Program, SystemClock};
use crate::error::{Error, Kind, Result};
use crate::operation::Verdict;
use crate::timer;

/// How often the daemon looks for what has become stale.
const POLL_INTERVAL: Duration = Duration::from_mins(15);

#[derive(Debug, Args)]
pub(super) struct Daemon {
    /// The jobs [default: those with a schedule, else `full`, else the only one]
    #[arg(value_name = "JOB")]
    job: Vec<String>,
    /// Also store in every sink that has `offsite = true`
    #[arg(long)]
    offsite: bool,
}

/// Runs jobs on time until a signal ends it.
pub(super) fn daemon(global: &Global, arguments: &Daemon) -> Result<Answer> {
    let program = Program {
        path: timer::program()?,
        arguments: options(global),
        offsite: arguments.offsite,
    };
    let load = || load_config(global)?.plan_daemon(&arguments.job);
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::new(Kind::Other, "cannot start").caused_by(cause))?;
    tokio.block_on(async {
        let mut orders = interrupt::orders()?;
        tokio::select! {
            ended = daemon::daemon(&SystemClock, &program, load, &mut orders) => ended,
            () = watch(global) => Ok(()),
        }
    })?;
    Ok(Answer::nothing(Verdict::Done))
}

/// Tells again and again what has become stale. Where nothing runs any more, nothing else would.
async fn watch(global: &Global) {
    let mut looks = tokio::time::interval(POLL_INTERVAL);
    loop {
        looks.tick().await;
        // The daemon tells of a configuration that is broken.
        if let Ok(config) = load_config(global) {
            config.watching().0.check().await;
        }
    }
}

/// The options for all commands, as they were given.
fn options(global: &Global) -> Vec<OsString> {
    let files = [
        ("--config", &global.config),
        ("--env-file", &global.env_file),
        ("--cache-dir", &global.cache_dir),
    ];
    let given = |(option, path): (&str, &Option<PathBuf>)| {
        let path = path.as_ref()?;
        Some([option.into(), path.clone().into_os_string()])
    };
    let mut options: Vec<_> = files.into_iter().filter_map(given).flatten().collect();
    options.extend((0..global.verbose).map(|_| "--verbose".into()));
    options.extend(global.quiet.then(|| "--quiet".into()));
    options.extend(global.json.then(|| "--json".into()));
    if global.log_format == LogFormat::Json {
        options.push("--log-format=json".into());
    }
    options
}
