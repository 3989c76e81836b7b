//! The result as the README shows it.

use std::fmt::Write as _;
use std::fs;
use std::thread;

use anyhow::Result;

use super::contender::Contender;
use super::measure::Cost;
use super::{Options, Round};

type CostOf = fn(&Round) -> Cost;

/// Medians of all rounds, and how the first contender's relate to the others'.
pub(crate) fn markdown(
    contenders: &[Contender],
    rounds: &[Round],
    options: &Options,
) -> Result<String> {
    let mut text = String::from(
        "| work | program | wall s | CPU s | peak MB | stored MB |\n|---|---|---:|---:|---:|---:|\n",
    );
    let works: [(&str, CostOf); 3] = [
        ("backup from a pipe", |round| round.first),
        ("the same again", |round| round.second),
        ("restore to /dev/null", |round| round.restore),
    ];
    let mut ratios = Vec::new();
    for (work, cost) in works {
        let medians: Vec<[f64; 4]> = (0..contenders.len())
            .map(|number| {
                let of = |value: &dyn Fn(&Round) -> f64| {
                    median(
                        rounds
                            .iter()
                            .filter(|round| round.contender == number)
                            .map(value)
                            .collect(),
                    )
                };
                [
                    of(&|round| cost(round).wall),
                    of(&|round| cost(round).cpu),
                    of(&|round| cost(round).peak as f64 / 1e6),
                    of(&|round| round.stored as f64 / 1e6),
                ]
            })
            .collect();
        for (contender, [wall, cpu, peak, stored]) in contenders.iter().zip(&medians) {
            let name = &contender.version;
            writeln!(
                text,
                "| {work} | {name} | {wall:.2} | {cpu:.2} | {peak:.0} | {stored:.1} |"
            )?;
        }
        for (contender, other) in contenders.iter().zip(&medians).skip(1) {
            let [wall, cpu, peak, stored] = std::array::from_fn(|i| medians[0][i] / other[i]);
            let pair = format!("{} / {}", contenders[0].name, contender.name);
            ratios.push(format!(
                "| {work} | {pair} | {wall:.2} | {cpu:.2} | {peak:.2} | {stored:.2} |"
            ));
        }
    }
    writeln!(text, "{}\n", ratios.join("\n"))?;
    writeln!(
        text,
        "Medians of {} rounds, taking turns, on {}. CPU is user and system time of all processes, peak \
         the memory of the largest. Caches of the repository are off. Reproduce with \
         `cargo xtask bench --size {} --rounds {}`.",
        options.rounds,
        machine(),
        options.megabytes,
        options.rounds,
    )?;
    Ok(text)
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
        "{} ({cores} cores), {} of memory, {}, Linux {}",
        value("/proc/cpuinfo", "model name"),
        value("/proc/meminfo", "MemTotal:"),
        value("/etc/os-release", "PRETTY_NAME"),
        value("/proc/sys/kernel/osrelease", ""),
    )
}
