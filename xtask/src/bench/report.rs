//! The result as the README shows it.

use std::fmt::Write as _;
use std::fs;
use std::thread;

use anyhow::Result;
use tthost_tests::counting::Requests;
use tthost_tests::seaweed;

use super::contender::Contender;
use super::subject::{OFFSITE, Subject};
use super::{Options, Round};

/// Medians of all rounds of a subject, and how the first contender's relate to the others'.
pub(crate) fn table(
    contenders: &[Contender],
    subject: &Subject,
    rounds: &[Round],
) -> Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "| {} | program | wall s | CPU s | peak MB |",
        subject.description
    )?;
    writeln!(text, "|---|---|---:|---:|---:|")?;
    for (number, work) in subject.works().iter().enumerate() {
        let wall = Medians::of(contenders, rounds, |round| round.costs[number].wall);
        let cpu = Medians::of(contenders, rounds, |round| round.costs[number].cpu);
        let peak = Medians::of(contenders, rounds, |round| {
            round.costs[number].peak as f64 / 1e6
        });
        for (number, Contender { version, .. }) in contenders.iter().enumerate() {
            let (wall, cpu, peak) = (wall.cell(number), cpu.cell(number), peak.cell(number));
            writeln!(text, "| {work} | {version} | {wall} | {cpu} | {peak} |")?;
        }
    }
    let stored = Medians::of(contenders, rounds, |round| round.stored as f64 / 1e6);
    for (number, Contender { version, .. }) in contenders.iter().enumerate() {
        let cell = stored.cell(number);
        writeln!(text, "| repository: {cell} MB | {version} | | | |")?;
    }
    Ok(text)
}

/// The requests of each contender.
pub(crate) fn requests(
    contenders: &[Contender],
    subject: &Subject,
    counts: &[[Requests; 3]],
) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "| {} | program | requests |", subject.description)?;
    writeln!(text, "|---|---|---|")?;
    for (number, work) in subject.works().iter().enumerate() {
        for (Contender { version, .. }, counted) in contenders.iter().zip(counts) {
            let kinds = counted[number].iter();
            let kinds: Vec<_> = kinds
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect();
            writeln!(text, "| {work} | {version} | {} |", kinds.join(", "))?;
        }
    }
    Ok(text)
}

/// What the figures are.
pub(crate) fn remarks(contenders: &[Contender], options: &Options) -> String {
    let size = options
        .megabytes
        .map_or_else(String::new, |megabytes| format!(" --size {megabytes}"));
    let mut text = format!(
        "Medians of {rounds} rounds, taking turns, on {machine}. In parentheses: {first}'s figure \
         divided by this one. CPU is user and system time of all processes, peak the memory of the \
         largest. ",
        rounds = options.rounds,
        machine = machine(),
        first = contenders[0].name,
    );
    if options.subjects.iter().any(|name| name != OFFSITE) {
        text.push_str(
            "Nobody has a cache of a repository in a directory; directories are restored into \
             memory. ",
        );
    }
    if options.subjects.iter().any(|name| name == OFFSITE) {
        let _ = write!(
            text,
            "The S3 server is SeaweedFS {} on the same cores, and its own time is in wall only. \
             restic and rustic have a cache of their own for each round as tthost has its state: \
             new for the first backup, kept for the rest. Requests are those of one more round, \
             through a proxy that counts them; LIST is a GET of a listing. ",
            seaweed::VERSION,
        );
    }
    let _ = write!(
        text,
        "Reproduce with `cargo xtask bench {subjects}{size} --rounds {rounds}`.",
        subjects = options.subjects.join(" "),
        rounds = options.rounds,
    );
    text
}

/// One figure of each contender.
struct Medians(Vec<f64>);

impl Medians {
    fn of(contenders: &[Contender], rounds: &[Round], figure: impl Fn(&Round) -> f64) -> Self {
        let medians = (0..contenders.len()).map(|number| {
            let own = rounds.iter().filter(|round| round.contender == number);
            median(own.map(&figure).collect())
        });
        Self(medians.collect())
    }

    fn cell(&self, number: usize) -> String {
        let own = self.0[number];
        match number {
            0 => format!("{own:.2}"),
            _ => format!("{own:.2} ({:.2})", self.0[0] / own),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

fn machine() -> String {
    let value = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or("unknown");
        line.trim_start_matches([' ', '\t', ':', '='])
            .trim_matches('"')
            .to_owned()
    };
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{} ({cores} cores), {}, Linux {}",
        value("/proc/cpuinfo", "model name"),
        value("/etc/os-release", "PRETTY_NAME"),
        value("/proc/sys/kernel/osrelease", ""),
    )
}
