//! Checks a repository.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, instrument, warn};

use super::{Context, Findings, Usage, Verdict};
use crate::contract::{Depth, Subset};
use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::plugin::{Repository, Spec};

pub use super::rotation::Rotation;

/// A check of a sink.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sink.
    pub sink: Spec,
    /// The data to read back.
    pub reading: Reading,
}

/// The data to read back.
#[derive(Clone, Debug)]
pub enum Reading {
    /// None: check only the structure.
    Nothing,
    /// Every byte.
    Everything,
    /// One of several parts, counted from 1. All parts together are all data.
    Part {
        /// The number of the part.
        number: u32,
        /// The number of parts.
        of: NonZeroU32,
    },
    /// A random part of this size, from 0 to 1.
    Share(f64),
    /// A random part of about this many bytes.
    Size(u64),
    /// The part that follows the part of the last check.
    Rotation(Rotation),
}

/// The data that a check will read back.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Cost {
    /// The data to read back.
    pub reading: Usage,
    /// All stored data.
    pub stored: Usage,
}

/// The result of a check.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The number of errors.
    pub num_errors: usize,
    /// The findings of the sink.
    #[serde(flatten)]
    pub findings: Findings,
    /// The data that was to be read back; null if only the structure was checked.
    pub cost: Option<Cost>,
}

impl Report {
    fn new(findings: Findings, cost: Option<Cost>) -> Self {
        Self {
            num_errors: findings.errors(),
            findings,
            cost,
        }
    }
}

impl super::Report for Report {
    /// Damage is a failure.
    fn verdict(&self) -> Verdict {
        if self.num_errors == 0 {
            Verdict::Done
        } else {
            Verdict::Failed(Kind::Corrupt)
        }
    }
}

/// Checks a sink. Reports how much it will read back before it begins.
#[instrument(name = "run", level = "error", skip_all, fields(operation = "check"))]
pub async fn check(context: &Context, plan: Plan, tell: impl FnOnce(Cost)) -> Result<Report> {
    let span = plan.sink.span();
    let checked = async {
        let repository = Repository::open(context, &plan.sink, Access::ReadWrite).await?;
        let checking = check_repository(&repository, plan.reading, tell);
        repository.use_and_close(context, checking).await
    };
    checked.instrument(span).await
}

async fn check_repository(
    repository: &Repository,
    reading: Reading,
    tell: impl FnOnce(Cost),
) -> Result<Report> {
    if matches!(reading, Reading::Nothing) {
        let findings = repository.check(Depth::Structure).await?;
        return Ok(Report::new(findings, None));
    }
    let identity = repository.identity().await?;
    let stored = repository.usage(Subset::ALL).await?;
    let subset = reading.subset(&identity.id, stored)?;
    let cost = Cost {
        reading: match subset {
            Subset::ALL => stored,
            subset => repository.usage(subset).await?,
        },
        stored,
    };
    tell(cost);
    let findings = repository.check(Depth::Data(subset)).await?;
    if let Reading::Rotation(rotation) = reading
        && let Err(error) = rotation.advance(&identity.id, subset)
    {
        warn!("the next check reads the same part again: {error:#}");
    }
    Ok(Report::new(findings, Some(cost)))
}

impl Reading {
    /// The subset of the objects.
    fn subset(&self, store: &str, stored: Usage) -> Result<Subset> {
        match self {
            Self::Nothing | Self::Everything => Ok(Subset::ALL),
            Self::Part { number, of } => Ok(Subset::part(*number, of.get())),
            Self::Share(share) => random(*share),
            Self::Size(bytes) => random(fraction(*bytes, stored.bytes)),
            Self::Rotation(rotation) => rotation.next(store),
        }
    }
}

/// A part of this size, from 0 to 1, with a random start.
fn random(share: f64) -> Result<Subset> {
    let mut first = [0; 4];
    getrandom::fill(&mut first).map_err(|cause| {
        Error::new(Kind::Other, "cannot get random numbers from the system").caused_by(cause)
    })?;
    Ok(Subset::from(u32::from_le_bytes(first), places(share)))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "it is from 0 to the number of places, which a float holds exactly"
)]
fn places(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * Subset::PLACES as f64).ceil() as u64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "which part it is need not be exact"
)]
fn fraction(bytes: u64, of: u64) -> f64 {
    bytes as f64 / of.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_share_of_what_is_stored() {
        let stored = Usage {
            objects: 4,
            bytes: 400,
        };
        let length = |reading: &Reading| {
            let subset = reading.subset("store", stored).expect("it is a part");
            u64::from(subset.last.wrapping_sub(subset.first)) + 1
        };
        assert_eq!(length(&Reading::Size(100)), 1 << 30);
        assert_eq!(length(&Reading::Size(500)), 1 << 32);
        assert_eq!(length(&Reading::Share(0.5)), 1 << 31);
        assert_eq!(length(&Reading::Share(1.0)), 1 << 32);
        assert_eq!(length(&Reading::Everything), 1 << 32);
    }
}
