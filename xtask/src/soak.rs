//! The tests that take minutes each.

use anyhow::{Result, bail, ensure};
use lexopt::prelude::*;

/// The part that feeds parsers, whose tests are inside the crates.
const FUZZ: &str = "fuzz";

/// The parts, and what the names of their tests begin with in the end-to-end tests.
const PARTS: [(&str, &str); 6] = [
    ("kills", "soak::kills::"),
    ("s3-faults", "soak::s3_faults::"),
    ("disks", "soak::disks::"),
    ("files", "soak::many_files::"),
    ("python", "soak::python::"),
    ("volumes", "volumes::"),
];

/// How the names of all tests end that feed a parser.
pub(crate) const PARSERS: &str = "may_hold_anything";

/// What is to be run, and how much of it.
#[derive(Default)]
pub(crate) struct Options {
    parts: Vec<String>,
    seed: Option<u64>,
    count: Option<u32>,
    seconds: Option<u32>,
    case: Option<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("seed") => options.seed = Some(arguments.value()?.parse()?),
                Long("count") => options.count = Some(arguments.value()?.parse()?),
                Long("seconds") => options.seconds = Some(arguments.value()?.parse()?),
                Long("case") => options.case = Some(arguments.value()?.string()?),
                Value(part) => {
                    let part = part.string()?;
                    let known: Vec<_> = PARTS.iter().map(|(part, _)| *part).collect();
                    ensure!(
                        part == FUZZ || known.contains(&part.as_str()),
                        "{part}: the parts are called {}, {FUZZ}",
                        known.join(", ")
                    );
                    options.parts.push(part);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        if options.case.is_some() && options.parts.len() != 1 {
            bail!("a case is one of a part: write `cargo xtask soak PART --seed N --case NAME`");
        }
        Ok(options)
    }

    /// The filters of the end-to-end tests that are meant; none where no such test is.
    pub(crate) fn end_to_end(&self) -> Vec<&'static str> {
        let meant = PARTS.iter().filter(|(part, _)| self.means(part));
        meant.map(|(_, filter)| *filter).collect()
    }

    /// Whether parsers are to be fed.
    pub(crate) fn feeds_parsers(&self) -> bool {
        self.means(FUZZ)
    }

    /// The variables that tell the tests.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let numbers = [
            ("TTHOST_SOAK_SEED", self.seed),
            ("TTHOST_SOAK_COUNT", self.count.map(u64::from)),
            (
                "TTHOST_FUZZ_SECONDS",
                Some(self.seconds.map_or(60, u64::from)),
            ),
        ];
        let mut environment: Vec<_> = numbers
            .into_iter()
            .filter_map(|(name, number)| Some((name, number?.to_string())))
            .collect();
        environment.extend(
            self.case
                .iter()
                .map(|case| ("TTHOST_SOAK_CASE", case.clone())),
        );
        environment
    }

    fn means(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|meant| meant == part)
    }
}
