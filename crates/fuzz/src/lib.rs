//! Feeds a parser with what nobody should write: samples, and what becomes of samples by chance.
//!
//! The samples of a parser are the files in `fuzz/NAME` of its crate. What a parser once failed at is kept there too, so every
//! test run tries it again. A test run takes a moment for each parser; `cargo xtask soak fuzz` takes a minute.

mod mutation;

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// What all choices depend on; without it, chance decides.
const SEED: &str = "TTHOST_SOAK_SEED";

/// How long each parser is fed, in seconds.
const SECONDS: &str = "TTHOST_FUZZ_SECONDS";

/// The only case that is run, as `NAME-NUMBER`.
const CASE: &str = "TTHOST_SOAK_CASE";

/// How long a parser is fed in a test run.
const MOMENT: Duration = Duration::from_millis(250);

/// A parser that takes longer for one input hangs.
const MAX_DURATION: Duration = Duration::from_secs(10);

/// Feeds the parser of this name in the crate with this manifest's directory: all samples, these and those in files, and then
/// what becomes of them. The parser may refuse whatever it gets, and must neither panic nor hang.
///
/// # Panics
///
/// When the parser does, with the command that repeats it, or when there is no sample.
pub fn feed(manifest: &str, name: &str, samples: &[Vec<u8>], mut parse: impl FnMut(&[u8])) {
    let mut pool = samples.to_vec();
    pool.extend(read_samples(&Path::new(manifest).join("fuzz").join(name)));
    assert!(!pool.is_empty(), "{name} has no samples");
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..));
    let case = env::var(CASE).ok();
    let only = match case.as_deref().map(|case| case.rsplit_once('-')) {
        Some(Some((only, number))) if only == name => number.parse::<u64>().ok(),
        Some(_) => return,
        None => None,
    };
    if let Some(number) = only {
        let input = mutation::mutate(&mut Rng::with_seed(seed.wrapping_add(number)), &pool);
        return try_one(name, seed, &number.to_string(), &input, &mut parse);
    }
    for (number, sample) in pool.iter().enumerate() {
        try_one(name, seed, &format!("sample {number}"), sample, &mut parse);
    }
    let time = number(SECONDS).map_or(MOMENT, Duration::from_secs);
    let start = Instant::now();
    let mut inputs = 0_u64;
    while start.elapsed() < time {
        let input = mutation::mutate(&mut Rng::with_seed(seed.wrapping_add(inputs)), &pool);
        try_one(name, seed, &inputs.to_string(), &input, &mut parse);
        inputs += 1;
    }
    say(&format!("fuzz {name}: seed {seed}, {inputs} inputs"));
}

/// Feeds one input, and says how to do it again when that fails.
fn try_one(name: &str, seed: u64, number: &str, input: &[u8], parse: &mut impl FnMut(&[u8])) {
    let start = Instant::now();
    let parsed = catch_unwind(AssertUnwindSafe(|| parse(input)));
    let is_slow = start.elapsed() > MAX_DURATION;
    if parsed.is_ok() && !is_slow {
        return;
    }
    let kept = env::temp_dir().join(format!("tthost-fuzz-{name}-{seed}"));
    let kept = match fs::write(&kept, input) {
        Ok(()) => format!(
            "the input is {}: mend it, and put it into fuzz/{name}",
            kept.display()
        ),
        Err(cause) => format!("the input is {input:?}, which cannot be kept: {cause}"),
    };
    say(&format!(
        "fuzz {name}: {number} fails; {kept}\nrepeat it with \
         `cargo xtask soak fuzz --seed {seed} --case {name}-{number}`"
    ));
    if let Err(panic) = parsed {
        resume_unwind(panic);
    }
    panic!("{name} takes {:?} for {number}", start.elapsed());
}

/// The samples in a directory, in the order of their names.
fn read_samples(directory: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().flat_map(fs::read).collect()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

#[expect(clippy::print_stderr, reason = "whoever runs a test reads it")]
fn say(text: &str) {
    eprintln!("{text}");
}
