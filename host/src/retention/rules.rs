//! Applies policies to snapshots.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Group, GroupBy, Policy, Reason, Safeguard};
use crate::snapshot::Snapshot;

/// The policies of a store. Of the rules that apply to a snapshot, those of the narrowest scope
/// count. Where that is more than one, the snapshot stays if one of them keeps it.
#[derive(Clone, Debug)]
pub struct Rules(Vec<Rule>);

/// A policy, and what it applies to.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The snapshots that it is for.
    pub scope: Scope,
    /// Which of them stay.
    pub policy: Policy,
    /// Which of them are looked at together.
    pub group_by: GroupBy,
}

/// Snapshots that a policy is for. A snapshot is of the source with whose tags its own begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of the source with these tags.
    Source(Vec<String>),
    /// Those that a job makes: of one of some sources, with all of the job's tags.
    Job {
        /// The tags of each source.
        sources: Vec<Vec<String>>,
        /// The tags that the job gives.
        tags: Vec<String>,
    },
    /// All.
    Everything,
}

/// When and where it is.
#[derive(Clone, Debug)]
pub struct EvaluationTime {
    /// What is later is in the future.
    pub now: Timestamp,
    /// Whose days and weeks are meant.
    pub zone: TimeZone,
}

/// What policies come to.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// Why each snapshot stays, in their order; those without a reason go.
    pub reasons: Vec<Vec<Reason>>,
    /// The groups of which nothing is removed although the policy says so.
    pub held: Vec<ProtectedGroup>,
}

/// A group of which nothing is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProtectedGroup {
    /// The group.
    #[serde(rename = "group_key")]
    pub group: Group,
    /// Why.
    #[serde(rename = "reason")]
    pub safeguard: Safeguard,
}

impl EvaluationTime {
    /// Here and now.
    pub fn now() -> Self {
        Self {
            now: Timestamp::now(),
            zone: TimeZone::system(),
        }
    }
}

impl Rules {
    /// These, of which one is for all snapshots.
    pub fn new(everything: Policy, group_by: GroupBy, others: Vec<Rule>) -> Self {
        let mut rules = others;
        rules.push(Rule {
            scope: Scope::Everything,
            policy: everything,
            group_by,
        });
        Self(rules)
    }

    /// What becomes of these snapshots. With `force`, a newest snapshot that looks as if its backup had
    /// failed is not heeded.
    pub fn judge(&self, snapshots: &[Snapshot], time: &EvaluationTime, force: bool) -> Judgement {
        let mut judgement = Judgement {
            reasons: vec![Vec::new(); snapshots.len()],
            held: Vec::new(),
        };
        for (reasons, snapshot) in judgement.reasons.iter_mut().zip(snapshots) {
            if snapshot.is_from_future(time.now) {
                reasons.push(Reason::Future);
            }
        }
        for rule in &self.0 {
            let places = snapshots.iter().enumerate();
            let judged = places.filter(|(_, snapshot)| {
                !snapshot.is_from_future(time.now) && self.applies(rule, snapshot)
            });
            for (group, places) in rule.group_by.split(judged) {
                let members: Vec<_> = places.iter().map(|place| &snapshots[*place]).collect();
                let mut kept = rule.policy.judge(&members, &time.zone);
                if let Some(safeguard) = held(&members, &kept, force) {
                    judgement.held.push(ProtectedGroup { group, safeguard });
                    for reasons in kept.iter_mut().filter(|reasons| reasons.is_empty()) {
                        reasons.push(Reason::ProtectedGroup);
                    }
                }
                for (place, kept) in places.into_iter().zip(kept) {
                    let reasons = &mut judgement.reasons[place];
                    for reason in kept {
                        if !reasons.contains(&reason) {
                            reasons.push(reason);
                        }
                    }
                }
            }
        }
        judgement
    }

    /// Whether a rule is one of those that count for a snapshot.
    fn applies(&self, rule: &Rule, snapshot: &Snapshot) -> bool {
        let fitting = self.0.iter().filter(|rule| rule.scope.has(snapshot));
        let narrowest = fitting.map(|rule| rule.scope.breadth()).min();
        rule.scope.has(snapshot) && narrowest == Some(rule.scope.breadth())
    }
}

/// Why nothing of a group is removed, of which something would be.
fn held(members: &[&Snapshot], kept: &[Vec<Reason>], force: bool) -> Option<Safeguard> {
    if kept.iter().all(|reasons| !reasons.is_empty()) {
        return None;
    }
    if kept.iter().all(Vec::is_empty) {
        return Some(Safeguard::NothingLeft);
    }
    Safeguard::on(members).filter(|_| !force)
}

impl Scope {
    fn has(&self, snapshot: &Snapshot) -> bool {
        match self {
            Self::Source(source) => snapshot.tags.starts_with(source),
            Self::Job { sources, tags } => {
                sources
                    .iter()
                    .any(|source| snapshot.tags.starts_with(source))
                    && tags.iter().all(|tag| snapshot.tags.contains(tag))
            }
            Self::Everything => true,
        }
    }

    /// Lower for what is narrower.
    fn breadth(&self) -> u8 {
        match self {
            Self::Source(_) => 0,
            Self::Job { .. } => 1,
            Self::Everything => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::{Count, Keep};
    use crate::snapshot::sample;

    fn last(count: u32) -> Policy {
        let last = Count::Limited(count);
        let keep = Keep {
            last,
            ..Keep::default()
        };
        Policy::new(keep).expect("it keeps some")
    }

    fn time() -> EvaluationTime {
        EvaluationTime {
            now: "2026-06-01T00:00:00Z".parse().expect("it is a time"),
            zone: TimeZone::UTC,
        }
    }

    fn snapshot(day: u8, hostname: &str, tags: &[&str]) -> Snapshot {
        let mut snapshot = sample(&format!("2026-05-{day:02}T00:00:00Z"));
        snapshot.hostname = hostname.to_owned();
        snapshot.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        snapshot
    }

    fn rule(scope: Scope, count: u32, group_by: &str) -> Rule {
        Rule {
            scope,
            policy: last(count),
            group_by: group_by.parse().expect("it is a grouping"),
        }
    }

    fn everything(count: u32, others: Vec<Rule>) -> Rules {
        Rules::new(last(count), GroupBy::default(), others)
    }

    /// The places of those that go.
    fn going(rules: &Rules, snapshots: &[Snapshot]) -> Vec<usize> {
        let judgement = rules.judge(snapshots, &time(), false);
        let places = judgement.reasons.iter().enumerate();
        let going = places.filter(|(_, reasons)| reasons.is_empty());
        going.map(|(place, _)| place).collect()
    }

    #[test]
    fn hosts_and_paths_are_looked_at_by_themselves_unless_they_are_grouped_otherwise() {
        let mut snapshots = [
            snapshot(1, "one", &["db"]),
            snapshot(2, "one", &["db"]),
            snapshot(3, "other", &["db"]),
            snapshot(4, "other", &["files", "incomplete"]),
        ];
        snapshots[3].paths = vec!["/files".into()];
        for snapshot in &mut snapshots {
            (snapshot.files, snapshot.bytes) = (Some(1), Some(7));
        }
        assert_eq!(going(&everything(1, Vec::new()), &snapshots), [0]);
        for (group_by, gone) in [("tags", [0, 1]), ("", [0, 1]), ("paths", [0, 1])] {
            let group_by = group_by.parse().expect("it is a grouping");
            let rules = Rules::new(last(1), group_by, Vec::new());
            assert_eq!(going(&rules, &snapshots), gone);
        }
    }

    #[test]
    fn a_container_that_has_another_name_each_time_does_not_keep_old_snapshots_for_good() {
        let snapshots: Vec<_> = (1..=4)
            .map(|day| snapshot(day, &format!("container-{day}"), &["uploads"]))
            .collect();
        assert_eq!(going(&everything(2, Vec::new()), &snapshots), [0; 0]);
        let source = rule(Scope::Source(vec!["uploads".into()]), 2, "");
        assert_eq!(going(&everything(2, vec![source]), &snapshots), [0, 1]);
    }

    #[test]
    fn the_narrowest_rule_counts_and_of_several_the_one_that_keeps() {
        let job = |tags: &[&str]| Scope::Job {
            sources: ["db", "files"].map(|tag| vec![tag.into()]).into(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        };
        let rules = everything(
            1,
            vec![
                rule(Scope::Source(vec!["files".into()]), 4, ""),
                rule(job(&["hourly"]), 2, ""),
                rule(job(&[]), 3, ""),
            ],
        );
        let of =
            |tags: &[&str]| -> Vec<_> { (1..=5).map(|day| snapshot(day, "here", tags)).collect() };
        assert_eq!(going(&rules, &of(&["files", "hourly"])), [0]);
        // Both jobs are meant.
        assert_eq!(going(&rules, &of(&["db", "hourly"])), [0, 1]);
        assert_eq!(going(&rules, &of(&["db"])), [0, 1]);
        // That is not a source of the job.
        assert_eq!(going(&rules, &of(&["other", "db"])), [0, 1, 2, 3]);
        assert_eq!(going(&rules, &of(&[])), [0, 1, 2, 3]);
    }

    #[test]
    fn snapshots_dated_in_the_future_stay_and_push_nothing_out() {
        let mut snapshots: Vec<_> = (1..=3).map(|day| snapshot(day, "here", &[])).collect();
        snapshots.push(sample("2030-01-01T00:00:00Z"));
        snapshots[3].hostname = "here".into();
        let rules = everything(1, Vec::new());
        assert_eq!(going(&rules, &snapshots), [0, 1]);
        let judgement = rules.judge(&snapshots, &time(), false);
        assert_eq!(judgement.reasons[3], [Reason::Future]);
    }

    #[test]
    fn a_group_whose_newest_snapshot_is_empty_is_left_alone_unless_forced() {
        let mut snapshots: Vec<_> = (1..=3).map(|day| snapshot(day, "here", &[])).collect();
        for (snapshot, bytes) in snapshots.iter_mut().zip([10, 10, 0]) {
            snapshot.bytes = Some(bytes);
        }
        let rules = everything(1, Vec::new());
        let judgement = rules.judge(&snapshots, &time(), false);
        assert_eq!(judgement.reasons[0], [Reason::ProtectedGroup]);
        assert_eq!(judgement.held[0].safeguard, Safeguard::Empty);
        let forced = rules.judge(&snapshots, &time(), true);
        assert!(forced.held.is_empty() && forced.reasons[0].is_empty());
        // Nothing would go anyway.
        let kept = everything(3, Vec::new()).judge(&snapshots, &time(), false);
        assert!(kept.held.is_empty());
    }

    #[test]
    fn no_policy_removes_all_of_a_group() {
        let keep = Keep {
            tags: vec!["release".parse().expect("it is a tag")],
            ..Keep::default()
        };
        let policy = Policy::new(keep).expect("it keeps some");
        let rules = Rules::new(policy, GroupBy::default(), Vec::new());
        let snapshots = [snapshot(1, "here", &[]), snapshot(2, "here", &[])];
        for force in [false, true] {
            let judgement = rules.judge(&snapshots, &time(), force);
            assert_eq!(judgement.held[0].safeguard, Safeguard::NothingLeft);
            assert_eq!(judgement.reasons[1], [Reason::ProtectedGroup]);
        }
    }
}
