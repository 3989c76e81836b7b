//! Decides which snapshots to keep.
//!
//! | module | holds |
//! |---|---|
//! | applies policies to snapshots |
//! | applies a policy to one group |
//! | groups of snapshots |
//! | `safeguard` | when a prune removes nothing of a group |
//! | the parts of a policy |
//!
//! The rules are restic's, so that both programs agree. Source: "Removing snapshots according to a
//! policy" in restic's manual. What restic does not have is a [`Safeguard`], and that snapshots dated in the
//! future stay and do not count.

mod age;
mod count;
mod group;
mod period;
mod policy;
mod rules;
mod safeguard;

pub use age::Age;
pub use count::Count;
pub use group::{Group, GroupBy, GroupKey};
pub use period::{ByPeriod, Period};
pub use policy::{Keep, Policy, Reason};
pub use rules::{EvaluationTime, Judgement, ProtectedGroup, Rule, Rules, Scope};
pub use safeguard::Safeguard;
