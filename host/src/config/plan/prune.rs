//! Which sinks are pruned, and what stays there.

use vec1::Vec1;

use super::FilterRequest;
use crate::config::Config;
use crate::error::Result;
use crate::operation::prune::Plan;
use crate::plugin::Role;
use crate::retention::Policy;

/// What is asked of a pruning.
#[derive(Clone, Debug)]
pub struct PruneRequest {
    /// Names of sinks.
    pub sinks: Vec<String>,
    /// Prune all sinks that are marked as offsite too.
    pub offsite: bool,
    /// What stays; none for the configured retention.
    pub policy: Option<Policy>,
    /// All other snapshots stay anyhow.
    pub filter: FilterRequest,
    /// Tell what would be done, do nothing.
    pub dry_run: bool,
}

impl Config {
    /// Plans a pruning.
    pub fn plan_prune(&self, request: PruneRequest) -> Result<Plan> {
        let (sinks, unusable) = self.sinks(&request.sinks, request.offsite)?;
        Ok(Plan {
            sinks: Vec1::try_from_vec(sinks).map_err(|_| self.unnamed(Role::Sink, ""))?,
            unusable,
            policy: match request.policy {
                Some(policy) => policy,
                None => self.retention()?,
            },
            filter: request.filter.into(),
            dry_run: request.dry_run,
        })
    }
}
