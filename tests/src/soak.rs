//! Long tests that consist of many cases: each case has a name, a number and random choices of its own, so that one that
//! fails can be run again alone.

use std::env;
use std::io::{self, Write as _};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use sha2::{Digest as _, Sha256};

/// What all choices depend on; without it, chance decides.
const SEED: &str = "TTHOST_SOAK_SEED";

/// How many cases there are of each name.
const COUNT: &str = "TTHOST_SOAK_COUNT";

/// The only case that is run, as `NAME-NUMBER`.
const CASE: &str = "TTHOST_SOAK_CASE";

/// Failures that are shown whole.
const SHOWN: usize = 10;

/// A long test under way.
#[derive(Debug)]
pub struct Soak {
    /// How `cargo xtask soak` calls it.
    part: &'static str,
    seed: u64,
    only: Option<(String, u32)>,
    failures: Vec<String>,
    cases: u32,
    start: Instant,
}

impl Soak {
    /// One that `cargo xtask soak` knows under this name.
    pub fn new(part: &'static str) -> Result<Self> {
        let seed = match env::var(SEED) {
            Ok(text) => text
                .parse()
                .with_context(|| format!("{SEED} is not a number: {text}"))?,
            Err(_) => fastrand::u64(..),
        };
        let only = match env::var(CASE) {
            Ok(text) => {
                let (name, number) = text
                    .rsplit_once('-')
                    .with_context(|| format!("{CASE} is not NAME-NUMBER: {text}"))?;
                Some((name.to_owned(), number.parse()?))
            }
            Err(_) => None,
        };
        let soak = Self {
            part,
            seed,
            only,
            failures: Vec::new(),
            cases: 0,
            start: Instant::now(),
        };
        soak.say(&format!("seed {seed}"));
        Ok(soak)
    }

    /// Whether any case of this name is to be run.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|(only, _)| only == name)
    }

    /// Runs so many cases of a name, whichever of them fail.
    pub fn run(&mut self, name: &str, times: u32, mut case: impl FnMut(&mut Rng) -> Result<()>) {
        let numbers = match &self.only {
            Some((only, number)) if only == name => *number..*number + 1,
            Some(_) => return,
            None => 0..times,
        };
        let start = Instant::now();
        let before = self.failures.len();
        for number in numbers.clone() {
            let mut random = Rng::with_seed(self.seed_of(name, number));
            if let Err(error) = case(&mut random) {
                let again = format!(
                    "cargo xtask soak {} --seed {} --case {name}-{number}",
                    self.part, self.seed
                );
                let failure = format!("{name}-{number}: {error:#}\nrepeat it with `{again}`");
                self.say(&format!("FAILED {failure}"));
                self.failures.push(failure);
            }
        }
        let cases = numbers.end - numbers.start;
        self.cases += cases;
        self.say(&format!(
            "{name}: {cases} cases, {} failed, {:.1} s",
            self.failures.len() - before,
            start.elapsed().as_secs_f64()
        ));
    }

    /// Tells whoever runs it a figure.
    pub fn say(&self, text: &str) {
        // Unlike what `println!` writes, this is seen while the test is under way.
        let _ = writeln!(io::stderr(), "soak {}: {text}", self.part);
    }

    /// Fails when a case has failed.
    pub fn finish(self) -> Result<()> {
        self.say(&format!(
            "{} cases in {:.0} s, {} failed",
            self.cases,
            self.start.elapsed().as_secs_f64(),
            self.failures.len()
        ));
        if self.failures.is_empty() {
            return Ok(());
        }
        let shown: Vec<_> = self.failures.iter().take(SHOWN).cloned().collect();
        bail!(
            "{} of {} cases failed:\n\n{}",
            self.failures.len(),
            self.cases,
            shown.join("\n\n")
        )
    }

    /// What the choices of one case depend on.
    fn seed_of(&self, name: &str, number: u32) -> u64 {
        let digest = Sha256::digest(format!("{} {name} {number}", self.seed));
        let first: [u8; 8] = std::array::from_fn(|place| digest[place]);
        u64::from_le_bytes(first)
    }
}

/// How many cases there are to be of each name in a long test.
pub fn count(default: u32) -> Result<u32> {
    match env::var(COUNT) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{COUNT} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}
