//! What a file and a gigabyte cost tthost as there are more of them.

use std::fmt::Write as _;

use anyhow::Result;

use super::contender::Contender;
use super::report::median;
use super::subject::Subject;
use super::{Contest, Round, warm};

/// How the command line calls it.
pub(crate) const NAME: &str = "growth";

/// Files of 1 KiB.
const FILES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Gigabytes of text from a pipe.
const GIGABYTES: [u64; 4] = [1, 2, 5, 20];

/// Measures the program with each number of files and of gigabytes.
pub(crate) fn table(tthost: &dyn Contender, rounds: usize) -> Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "| work grows | backup | the same again | restore | peak MB of the three |"
    )?;
    writeln!(text, "|---|---:|---:|---:|---:|")?;
    for count in FILES {
        let subject = Subject::files(count, 1 << 10)?;
        let row = row(tthost, &subject, rounds, |wall| {
            format!("{:.0} µs a file", wall * 1e6 / count as f64)
        })?;
        writeln!(text, "{row}")?;
    }
    for gigabytes in GIGABYTES {
        let subject = Subject::repeated_text(gigabytes << 30)?;
        let row = row(tthost, &subject, rounds, |wall| {
            format!("{:.2} s a GiB", wall / gigabytes as f64)
        })?;
        writeln!(text, "{row}")?;
    }
    Ok(text)
}

fn row(
    tthost: &dyn Contender,
    subject: &Subject,
    rounds: usize,
    unit: impl Fn(f64) -> String,
) -> Result<String> {
    let contest = Contest {
        contenders: &[tthost],
        subject,
        server: None,
    };
    warm::data(&subject.data)?;
    let rounds = contest.rounds(rounds)?;
    let of_work = |work: usize, figure: fn(&Round, usize) -> f64| {
        median(rounds.iter().map(|round| figure(round, work)).collect())
    };
    let [first, again, back] =
        [0, 1, 2].map(|work| unit(of_work(work, |round, work| round.costs[work].wall)));
    let peaks = [0, 1, 2].map(|work| {
        let peak = of_work(work, |round, work| round.costs[work].peak as f64 / 1e6);
        format!("{peak:.0}")
    });
    let description = &subject.description;
    let peaks = peaks.join(", ");
    Ok(format!(
        "| {description} | {first} | {again} | {back} | {peaks} |"
    ))
}
