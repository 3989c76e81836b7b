//! `tthost status`.

use std::fmt::Write as _;

use clap::Args;
use jiff::{Timestamp, Unit};

use super::args::Global;
use super::format::{bytes, time};
use super::history::elsewhere;
use super::load_config;
use super::output::{Answer, Output};
use super::table::table;
use crate::error::Result;
use crate::history::{History, Last, Set, SetState, Status as Report};

#[derive(Debug, Args)]
pub(super) struct Status {}

/// Shows how each source stands in each sink. It runs no plugin.
pub(super) fn status(global: &Global, _: &Status, output: &Output) -> Result<Answer> {
    let config = load_config(global)?;
    let history = History::find(&config.state_directory()?, &config.as_recorded())?;
    let now = Timestamp::now();
    let report = Report::new(history.as_ref(), &config.expected(), now)?;
    output.answer(&report, || show(&report, now))
}

fn show(report: &Report, now: Timestamp) -> String {
    let mut text = String::new();
    if report.sets.is_empty() {
        text += "nothing was backed up yet, and no job says what should be\n";
    } else {
        text += &sets(&report.sets, now);
    }
    if !report.sinks.is_empty() {
        text.push('\n');
        text += &sinks(report, now);
    }
    let problems = problems(report, now);
    if !problems.is_empty() {
        let _ = write!(text, "\n{problems}");
    }
    text + &elsewhere(&report.other_configurations)
}

fn sets(sets: &[Set], now: Timestamp) -> String {
    let mut rows = vec![
        [
            "SOURCE",
            "SINK",
            "STATE",
            "LAST RUN",
            "LAST GOOD",
            "NEXT",
            "SIZE",
            "GROWTH",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.extend(sets.iter().map(|set| {
        let last_run = set.last_run.as_ref();
        vec![
            set.source.clone(),
            set.sink.clone(),
            state(set),
            last_run.map_or("never".into(), |last| ago(last.time, now)),
            set.last_success.map_or("never".into(), |at| ago(at, now)),
            set.next_run.map_or("-".into(), |at| until(at, now)),
            set.total_bytes_processed.map_or("-".into(), bytes),
            set.growth.map_or("-".into(), growth),
        ]
    }));
    table(&rows)
}

fn state(set: &Set) -> String {
    match (set.state, set.stale) {
        (SetState::Ok | SetState::Never, true) => "stale".into(),
        (state, true) => format!("{}, stale", state.word()),
        (state, false) => state.word().to_owned(),
    }
}

fn sinks(report: &Report, now: Timestamp) -> String {
    let mut rows = vec![
        ["SINK", "ACCESS", "CHECKED", "PRUNED", "RESTORED", "DRILLED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(report.sinks.iter().map(|sink| {
        vec![
            sink.sink.clone(),
            sink.access.clone().unwrap_or_else(|| "unknown".to_owned()),
            done(sink.last_check.as_ref(), now),
            done(sink.last_prune.as_ref(), now),
            done(sink.last_restore.as_ref(), now),
            done(report.last_drill(&sink.sink), now),
        ]
    }));
    table(&rows)
}

/// How something went the last time that it was done.
fn done(last: Option<&Last>, now: Timestamp) -> String {
    match last {
        None => "never".to_owned(),
        Some(last) => format!("{} {}", last.state.word(), ago(last.time, now)),
    }
}

/// Why things are not as they should be.
fn problems(report: &Report, now: Timestamp) -> String {
    let mut text = String::new();
    for set in &report.sets {
        if let Some(last) = &set.last_run {
            explain(&mut text, &format!("{} in {}", set.source, set.sink), last);
        }
        if let Some(last) = &set.last_drill {
            let what = format!("drill of {} from {}", set.source, set.sink);
            explain(&mut text, &what, last);
        }
    }
    for sink in &report.sinks {
        for (what, last) in [("check", &sink.last_check), ("prune", &sink.last_prune)] {
            if let Some(last) = last {
                explain(&mut text, &format!("{what} of {}", sink.sink), last);
            }
        }
    }
    for run in &report.died {
        let id = run.id.unwrap_or_default();
        let _ = writeln!(
            text,
            "run {id} (tthost {}) began {} and never ended; if it left a lock, remove it with `tthost unlock --sink NAME`",
            run.command,
            time(run.started)
        );
    }
    for alert in &report.alerts {
        if let Some(error) = &alert.error {
            let when = ago(alert.time, now);
            let _ = writeln!(
                text,
                "alert {} was not delivered {when}: {error}",
                alert.alert
            );
        }
    }
    text
}

fn explain(text: &mut String, what: &str, last: &Last) {
    if let Some(error) = &last.error {
        let _ = writeln!(text, "{what}: {error} (`tthost logs {}`)", last.run);
    }
}

fn growth(bytes_more: i64) -> String {
    let sign = if bytes_more < 0 { "-" } else { "+" };
    format!("{sign}{}", bytes(bytes_more.unsigned_abs()))
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(at, now))
}

fn until(at: Timestamp, now: Timestamp) -> String {
    if at <= now {
        return "now".to_owned();
    }
    format!("in {}", span(now, at))
}

/// The time between two, in its largest unit.
fn span(from: Timestamp, to: Timestamp) -> String {
    let minutes = to
        .since((Unit::Minute, from))
        .map_or(0, |span| span.get_minutes());
    match minutes {
        ..120 => format!("{}m", minutes.max(0)),
        120..2880 => format!("{}h", minutes / 60),
        _ => format!("{}d", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let second = |number| Timestamp::from_second(number).expect("it is a time");
        for (seconds, text) in [
            (59, "0m"),
            (119 * 60, "119m"),
            (120 * 60, "2h"),
            (47 * 3600, "47h"),
            (49 * 3600, "2d"),
        ] {
            assert_eq!(span(second(0), second(seconds)), text);
        }
        assert_eq!(until(second(1), second(2)), "now");
        assert_eq!(
            (growth(-1536), growth(0)),
            ("-1.5 KiB".into(), "+0 B".into())
        );
    }
}
