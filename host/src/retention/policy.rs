//! Applies a policy to one group of snapshots.
//!
//! For each kind of period, the last snapshot of each of the newest periods stays, up to the configured number. Periods
//! without snapshots do not count. If there are fewer periods, the oldest snapshot stays too. The same holds for periods
//! within an age, which counts from the newest snapshot. Incomplete snapshots are kept in addition: they never displace a
//! snapshot that would stay without them.

use std::borrow::Cow;
use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::{Age, ByPeriod, Count, Period};
use crate::error::{Error, Kind, Result};
use crate::snapshot::Snapshot;
use crate::snapshot::TagSet;

/// What stays. Nothing, unless something is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The newest so many.
    pub last: Count,
    /// The last of so many periods.
    pub counts: ByPeriod<Count>,
    /// All that are at most so much older than the newest.
    pub within: Option<Age>,
    /// Of those that are at most so much older than the newest, the last of each period.
    pub within_periods: ByPeriod<Option<Age>>,
    /// All that have one of these sets of tags.
    pub tags: Vec<TagSet>,
}

/// Which snapshots stay. There is no policy that asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy(Keep);

/// Why a snapshot stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is one of the newest.
    Last,
    /// It is the last of a period.
    LastOf(Period),
    /// It is not older than that.
    Within,
    /// It is the last of a period, and not older than that.
    WithinLastOf(Period),
    /// It has tags.
    Tags,
    /// It is dated in the future.
    Future,
    /// Nothing of its group is removed.
    ProtectedGroup,
}

/// How far back something goes.
#[derive(Clone, Copy)]
enum Reach {
    /// For so many.
    Count(Count),
    /// As far as they are younger than that.
    After(Timestamp),
    /// To the end.
    Everything,
}

impl Policy {
    /// A policy by which this stays.
    pub fn new(keep: Keep) -> Result<Self> {
        let asks = keep.last.is_some()
            || keep.counts.each().iter().any(|(_, count)| count.is_some())
            || keep.within.is_some()
            || keep
                .within_periods
                .each()
                .iter()
                .any(|(_, age)| age.is_some())
            || !keep.tags.is_empty();
        if !asks {
            let empty = Error::new(Kind::Config, "the retention keeps no snapshot at all");
            return Err(empty.help("keep at least one: keep-last = 1"));
        }
        Ok(Self(keep))
    }

    /// Why each of these snapshots stays, in their order; those without a reason go. They are one
    /// group, from the newest to the oldest. Periods are those of the time zone.
    pub(super) fn judge(&self, snapshots: &[&Snapshot], zone: &TimeZone) -> Vec<Vec<Reason>> {
        let mut reasons = vec![Vec::new(); snapshots.len()];
        let everything: Vec<_> = (0..snapshots.len()).collect();
        // What would stay if there were no incomplete ones stays as well: they displace nothing.
        let is_complete = |place: &usize| !snapshots[*place].is_incomplete();
        let complete: Vec<_> = everything.iter().copied().filter(is_complete).collect();
        for places in [everything, complete] {
            let time = |place: &usize| snapshots[*place].time.to_zoned(zone.clone());
            let times: Vec<Zoned> = places.iter().map(time).collect();
            let Some(newest) = times.first() else {
                continue;
            };
            for (reason, period, reach) in self.demands(newest) {
                for staying in staying(&times, period, reach) {
                    let reasons: &mut Vec<_> = &mut reasons[places[staying]];
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
            }
        }
        for (snapshot, reasons) in snapshots.iter().zip(&mut reasons) {
            if self.0.tags.iter().any(|set| set.is_in(&snapshot.tags)) {
                reasons.push(Reason::Tags);
            }
        }
        reasons
    }

    /// All that goes by time.
    fn demands(&self, newest: &Zoned) -> Vec<(Reason, Option<Period>, Reach)> {
        let keep = &self.0;
        let within = |age: Age| age.before(newest).map_or(Reach::Everything, Reach::After);
        let mut demands = vec![(Reason::Last, None, Reach::Count(keep.last))];
        demands.extend(
            keep.counts
                .each()
                .map(|(period, count)| (Reason::LastOf(period), Some(period), Reach::Count(count))),
        );
        demands.extend(keep.within.map(|age| (Reason::Within, None, within(age))));
        let periods = keep.within_periods.each().into_iter();
        demands.extend(periods.filter_map(|(period, age)| {
            Some((Reason::WithinLastOf(period), Some(period), within(age?)))
        }));
        demands
    }
}

/// The places of those that stay, among times from the newest to the oldest: the last of each period,
/// or each by itself.
fn staying(times: &[Zoned], period: Option<Period>, mut reach: Reach) -> Vec<usize> {
    let mut last = None;
    let mut staying = Vec::new();
    for (place, time) in times.iter().enumerate() {
        let of = period.map(|period| period.of(time));
        let is_new = of.is_none() || of != last;
        let is_oldest = place + 1 == times.len();
        if (is_new || is_oldest) && reach.covers(time) {
            staying.push(place);
            last = of;
        }
    }
    staying
}

impl Reach {
    /// Whether it goes as far as to this one, which counts then.
    fn covers(&mut self, time: &Zoned) -> bool {
        match self {
            Self::Count(left) => match left.take() {
                Some(rest) => {
                    *left = rest;
                    true
                }
                None => false,
            },
            Self::After(edge) => time.timestamp() > *edge,
            Self::Everything => true,
        }
    }
}

impl Reason {
    fn as_str(self) -> &'static str {
        use Period::{Day, Hour, Month, Week, Year};
        match self {
            Self::Last => "last",
            Self::LastOf(Hour) => "hourly",
            Self::LastOf(Day) => "daily",
            Self::LastOf(Week) => "weekly",
            Self::LastOf(Month) => "monthly",
            Self::LastOf(Year) => "yearly",
            Self::Within => "within",
            Self::WithinLastOf(Hour) => "within-hourly",
            Self::WithinLastOf(Day) => "within-daily",
            Self::WithinLastOf(Week) => "within-weekly",
            Self::WithinLastOf(Month) => "within-monthly",
            Self::WithinLastOf(Year) => "within-yearly",
            Self::Tags => "tags",
            Self::Future => "future",
            Self::ProtectedGroup => "held",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl JsonSchema for Reason {
    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Why a snapshot stays.",
            "enum": [
                "last", "hourly", "daily", "weekly", "monthly", "yearly", "within", "within-hourly",
                "within-daily", "within-weekly", "within-monthly", "within-yearly", "tags", "future",
                "held",
            ],
        })
    }
}

#[cfg(test)]
mod published;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::sample;

    /// The places of those that stay, of snapshots from the newest to the oldest.
    fn stay(keep: Keep, times: &[&str]) -> Vec<usize> {
        let reasons = reasons(keep, times, &TimeZone::UTC);
        let places = reasons.iter().enumerate();
        places
            .filter(|(_, reasons)| !reasons.is_empty())
            .map(|(place, _)| place)
            .collect()
    }

    fn reasons(keep: Keep, times: &[&str], zone: &TimeZone) -> Vec<Vec<Reason>> {
        let snapshots: Vec<_> = times.iter().map(|time| sample(time)).collect();
        let snapshots: Vec<_> = snapshots.iter().collect();
        Policy::new(keep)
            .expect("it keeps some")
            .judge(&snapshots, zone)
    }

    fn daily(count: u32) -> Keep {
        let counts = ByPeriod {
            daily: Count::Limited(count),
            ..ByPeriod::default()
        };
        Keep {
            counts,
            ..Keep::default()
        }
    }

    #[test]
    fn of_each_day_the_last_snapshot_stays() {
        let times = [
            "2026-03-04T02:00:00Z",
            "2026-03-04T01:00:00Z",
            "2026-03-02T01:00:00Z",
            "2026-03-01T23:00:00Z",
            "2026-03-01T01:00:00Z",
        ];
        assert_eq!(stay(daily(1), &times), [0]);
        // The third is a day without one, which does not count.
        assert_eq!(stay(daily(2), &times), [0, 2]);
        assert_eq!(stay(daily(3), &times), [0, 2, 3]);
        // While there are fewer days than asked for, the oldest stays too.
        assert_eq!(stay(daily(4), &times), [0, 2, 3, 4]);
    }

    #[test]
    fn periods_overlap_and_each_reason_is_named() {
        let times = [
            "2026-01-01T12:00:00Z",
            "2025-12-31T12:00:00Z",
            "2025-12-28T12:00:00Z",
        ];
        let keep = Keep {
            last: Count::Limited(1),
            counts: ByPeriod {
                weekly: Count::Limited(1),
                monthly: Count::Limited(2),
                yearly: Count::Limited(1),
                ..ByPeriod::default()
            },
            ..Keep::default()
        };
        let reasons = reasons(keep, &times, &TimeZone::UTC);
        let text = |reasons: &[Reason]| {
            let texts: Vec<_> = reasons.iter().map(ToString::to_string).collect();
            texts.join(" ")
        };
        assert_eq!(text(&reasons[0]), "last weekly monthly yearly");
        // The year's last week is the first of the next one.
        assert_eq!(text(&reasons[1]), "monthly");
        assert_eq!(text(&reasons[2]), "");
    }

    #[test]
    fn a_day_is_one_of_the_time_zone() {
        let times = [
            "2026-03-02T12:00:00Z",
            "2026-03-01T23:30:00Z",
            "2026-03-01T22:30:00Z",
        ];
        let zone = TimeZone::get("Europe/Berlin").expect("it is known");
        // 23:30 in London is the next day in Berlin.
        let reasons = reasons(daily(2), &times, &zone);
        let counts: Vec<_> = reasons.iter().map(Vec::len).collect();
        assert_eq!(counts, [1, 0, 1]);
    }

    #[test]
    fn a_policy_that_keeps_nothing_is_none() {
        let error = Policy::new(Keep::default()).expect_err("it keeps nothing");
        assert_eq!(error.kind(), Kind::Config);
    }
}
