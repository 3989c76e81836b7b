//! Which snapshots stay.
//!
//! | module | holds |
//! |---|---|
//! | `rules` | which policy applies to which snapshots, and what it comes to |
//! | `policy` | which snapshots of one group stay |
//! | `group` | which snapshots are looked at together |
//! | `hold` | when nothing of a group is removed |
//! | `period`, `count`, `age` | the words of a policy |
//!
//! The rules are restic's, so that both programs agree. Source: "Removing snapshots according to a
//! policy" in restic's manual. What restic does not have is a [`Hold`], and that snapshots dated in the
//! future stay and do not count.

mod age;
mod count;
mod group;
mod hold;
mod period;
mod policy;
mod rules;

pub use age::Age;
pub use count::Count;
pub use group::{Group, GroupBy, GroupKey};
pub use hold::Hold;
pub use period::{ByPeriod, Period};
pub use policy::{Keep, Policy, Reason};
pub use rules::{Held, Judgement, Moment, Rule, Rules, Scope};
