//! The result as the README shows it.

use std::fmt::Write as _;
use std::fs;
use std::thread;

use anyhow::Result;
use tthost_tests::counting::Requests;
use tthost_tests::seaweed;

use super::subject::Subject;
use super::{Options, Round};

/// Medians of all rounds of a subject, and how the first contender's relate to the others'.
pub(crate) fn table(versions: &[String], subject: &Subject, rounds: &[Round]) -> Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "| {} | program | wall s | CPU s | cores | peak MB |",
        subject.description
    )?;
    writeln!(text, "|---|---|---:|---:|---:|---:|")?;
    for (number, work) in subject.works().iter().enumerate() {
        let wall = Medians::of(versions.len(), rounds, |round| round.costs[number].wall);
        let cpu = Medians::of(versions.len(), rounds, |round| round.costs[number].cpu);
        let cores = Medians::of(versions.len(), rounds, |round| {
            round.costs[number].cpu / round.costs[number].wall
        });
        let peak = Medians::of(versions.len(), rounds, |round| {
            round.costs[number].peak as f64 / 1e6
        });
        for (number, version) in versions.iter().enumerate() {
            let (wall, cpu, peak) = (wall.cell(number), cpu.cell(number), peak.cell(number));
            let cores = cores.0[number];
            writeln!(
                text,
                "| {work} | {version} | {wall} | {cpu} | {cores:.1} | {peak} |"
            )?;
        }
    }
    let stored = Medians::of(versions.len(), rounds, |round| round.stored as f64 / 1e6);
    for (number, version) in versions.iter().enumerate() {
        let cell = stored.cell(number);
        writeln!(text, "| repository: {cell} MB | {version} | | | | |")?;
    }
    Ok(text)
}

/// The requests of each contender.
pub(crate) fn requests(
    versions: &[String],
    subject: &Subject,
    counts: &[[Requests; 3]],
) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "| {} | program | requests |", subject.description)?;
    writeln!(text, "|---|---|---|")?;
    for (number, work) in subject.works().iter().enumerate() {
        for (version, counted) in versions.iter().zip(counts) {
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
pub(crate) fn remarks(first: &str, options: &Options) -> String {
    let size = options
        .megabytes
        .map_or_else(String::new, |megabytes| format!(" --size {megabytes}"));
    format!(
        "Medians of {rounds} rounds, taking turns, on {machine}. In parentheses: the figure of {first} \
         divided by this one. CPU is user and system time of all processes, cores is that divided by wall, peak \
         the memory of the largest process. Repositories are in memory, and directories are restored there; what \
         is backed up was read before, and as much memory as it takes was touched. Nobody has a cache of a \
         repository in a directory. An S3 server is SeaweedFS {seaweed} on the same cores, and its own time is in \
         wall only; with it, each has its cache or state: new for the first backup, kept for the rest. Requests \
         are those of one more round, through a proxy that counts them; LIST is a GET of a listing. Reproduce \
         with `cargo xtask bench {subjects}{size} --rounds {rounds}`.",
        rounds = options.rounds,
        machine = machine(),
        seaweed = seaweed::VERSION,
        subjects = options.subjects.join(" "),
    )
}

/// One figure of each contender.
struct Medians(Vec<f64>);

impl Medians {
    fn of(contenders: usize, rounds: &[Round], figure: impl Fn(&Round) -> f64) -> Self {
        let medians = (0..contenders).map(|number| {
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

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
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
