//! Plans a check: the sink, and how much to read back.

use std::num::NonZeroU32;
use std::str::FromStr;

use super::SinkRequest;
use crate::config::Config;
use crate::config::quantity::size;
use crate::error::Result;
use crate::operation::check::{Plan, Reading, Rotation};

/// A request for a check.
#[derive(Clone, Debug)]
pub struct CheckRequest {
    /// The sink.
    pub sink: SinkRequest,
    /// How much is read back.
    pub read: ReadRequest,
}

/// How much is read back.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadRequest {
    /// Nothing: only the structure is checked.
    Nothing,
    /// Every byte.
    Everything,
    /// A part of it.
    Subset(ReadSubset),
    /// Another part each time, so that so many runs in a row read everything.
    Rotation(NonZeroU32),
}

/// A part of what is stored, as restic writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReadSubset {
    /// `n/m`: this one of so many parts.
    Part(u32, NonZeroU32),
    /// `x%`: a random part of this size, from 0 to 1.
    Share(f64),
    /// `50M`: a random part of about so many bytes.
    Size(u64),
}

impl FromStr for ReadSubset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("\"{text}\" is not a part of a repository; write for example 2/10, 5% or 10G")
        };
        if let Some((number, of)) = text.split_once('/') {
            let number: u32 = number.trim().parse().map_err(|_| wrong())?;
            let of: NonZeroU32 = of.trim().parse().map_err(|_| wrong())?;
            if number == 0 || number > of.get() {
                return Err(format!(
                    "\"{text}\" is not a part: the first is 1/{of}, and the last {of}/{of}"
                ));
            }
            return Ok(Self::Part(number, of));
        }
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
            if !(percent > 0.0 && percent <= 100.0) {
                return Err(format!("\"{text}\" is not more than 0% and at most 100%"));
            }
            return Ok(Self::Share(percent / 100.0));
        }
        size(text).map(Self::Size).map_err(|_| wrong())
    }
}

impl Config {
    /// Plans a check.
    pub fn plan_check(&self, request: &CheckRequest) -> Result<Plan> {
        let reading = match request.read {
            ReadRequest::Nothing => Reading::Nothing,
            ReadRequest::Everything => Reading::Everything,
            ReadRequest::Subset(ReadSubset::Part(number, of)) => Reading::Part { number, of },
            ReadRequest::Subset(ReadSubset::Share(share)) => Reading::Share(share),
            ReadRequest::Subset(ReadSubset::Size(bytes)) => Reading::Size(bytes),
            ReadRequest::Rotation(runs) => self.rotation(runs)?,
        };
        let sink = self.sink(&request.sink)?;
        Ok(Plan { sink, reading })
    }

    /// The subset that each further check reads.
    pub(super) fn rotation(&self, runs: NonZeroU32) -> Result<Reading> {
        Ok(Reading::Rotation(Rotation {
            runs,
            directory: self.state_directory()?.join("rotation"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_written_as_for_restic() {
        let ten = NonZeroU32::new(10).expect("it is not 0");
        for (text, part) in [
            ("2/10", ReadSubset::Part(2, ten)),
            ("10/10", ReadSubset::Part(10, ten)),
            ("50%", ReadSubset::Share(0.5)),
            ("2.5%", ReadSubset::Share(0.025)),
            ("100%", ReadSubset::Share(1.0)),
            ("50M", ReadSubset::Size(50 << 20)),
            ("1000", ReadSubset::Size(1000)),
        ] {
            assert_eq!(text.parse(), Ok(part), "{text}");
        }
        for wrong in [
            "", "0/10", "11/10", "1/0", "0%", "101%", "-5%", "NaN%", "half", "1/2/3",
        ] {
            assert!(wrong.parse::<ReadSubset>().is_err(), "{wrong}");
        }
    }
}
