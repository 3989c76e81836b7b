//! Plans the removal of snapshots: which ones, and from which sinks.

use vec1::Vec1;

use super::FilterRequest;
use crate::config::{Config, Retention};
use crate::error::Result;
use crate::operation::prune::{Choice, Plan};
use crate::plugin::Role;

/// A request for a prune.
#[derive(Clone, Debug)]
pub struct PruneRequest {
    /// Names of sinks.
    pub sinks: Vec<String>,
    /// Prune all sinks that are marked as offsite too.
    pub offsite: bool,
    /// Which snapshots go.
    pub forget: ForgetRequest,
    /// Free what only they needed.
    pub reclaim: bool,
    /// Tell what would be done, do nothing.
    pub dry_run: bool,
}

/// Which snapshots go.
#[derive(Clone, Debug)]
pub enum ForgetRequest {
    /// Those that these words name: ids, their first digits, or `latest`.
    Named(Vec1<String>),
    /// Those that a policy does not keep.
    ByPolicy {
        /// The policies that replace the configured ones.
        retention: Box<Retention>,
        /// All other snapshots stay anyhow.
        filter: FilterRequest,
        /// Do not heed that a newest snapshot looks as if its backup had failed.
        force: bool,
    },
}

impl Config {
    /// Plans a pruning.
    pub fn plan_prune(&self, request: PruneRequest) -> Result<Plan> {
        let (sinks, unusable) = self.sinks(&request.sinks, request.offsite)?;
        Ok(Plan {
            sinks: Vec1::try_from_vec(sinks).map_err(|_| self.unnamed(Role::Sink, ""))?,
            unusable,
            choice: match request.forget {
                ForgetRequest::Named(words) => Choice::Named(
                    words
                        .try_mapped(|word| self.snapshot(&word, FilterRequest::default(), None))?,
                ),
                ForgetRequest::ByPolicy {
                    retention,
                    filter,
                    force,
                } => Choice::Policy {
                    rules: self.retention(&retention)?,
                    filter: filter.into(),
                    force,
                },
            },
            reclaim: request.reclaim,
            dry_run: request.dry_run,
        })
    }
}
