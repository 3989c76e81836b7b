//! Which snapshots a policy keeps.
//!
//! The rules are restic's, so that both programs agree: for each kind of period, going back from
//! the newest, the last snapshot of so many periods in which there is one is kept, and the oldest of
//! all where fewer periods than that have one. Each host and set of paths is looked at by itself.
//! Source: "Removing snapshots according to a policy" in restic's manual.

use std::collections::BTreeMap;

use jiff::Zoned;
use jiff::tz::TimeZone;

use crate::error::{Error, Kind, Result};
use crate::snapshot::Snapshot;

/// Which snapshots are kept. There is no policy that keeps none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy(Counts);

/// How many snapshots are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The newest so many.
    pub last: u32,
    /// The last of so many hours.
    pub hourly: u32,
    /// The last of so many days.
    pub daily: u32,
    /// The last of so many weeks, which begin on Mondays.
    pub weekly: u32,
    /// The last of so many months.
    pub monthly: u32,
    /// The last of so many years.
    pub yearly: u32,
}

/// Why a snapshot is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It is one of the newest.
    Last,
    /// It is the last of an hour.
    Hourly,
    /// It is the last of a day.
    Daily,
    /// It is the last of a week.
    Weekly,
    /// It is the last of a month.
    Monthly,
    /// It is the last of a year.
    Yearly,
}

impl Reason {
    /// The period that a time is in: the same number for all times of a period, and for `Last`
    /// the snapshot's own place.
    fn period(self, time: &Zoned, place: usize) -> (i32, i32) {
        let month = i32::from(time.year()) * 12 + i32::from(time.month());
        let day = month * 31 + i32::from(time.day());
        match self {
            Self::Last => (0, i32::try_from(place).unwrap_or(i32::MAX)),
            Self::Hourly => (day, i32::from(time.hour())),
            Self::Daily => (0, day),
            Self::Weekly => {
                let week = time.date().iso_week_date();
                (i32::from(week.year()), i32::from(week.week()))
            }
            Self::Monthly => (0, month),
            Self::Yearly => (0, i32::from(time.year())),
        }
    }
}

impl Policy {
    /// A policy that keeps so many.
    pub fn new(counts: Counts) -> Result<Self> {
        if counts == Counts::default() {
            let empty = Error::new(Kind::Config, "the retention keeps no snapshot at all");
            return Err(empty.help("keep at least one: keep-last = 1"));
        }
        Ok(Self(counts))
    }

    /// Why each of these snapshots is kept, in their order; those without a reason go. Periods
    /// are those of the time zone.
    pub fn judge(&self, snapshots: &[Snapshot], zone: &TimeZone) -> Vec<Vec<Reason>> {
        let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (index, snapshot) in snapshots.iter().enumerate() {
            let mut paths = snapshot.paths.clone();
            paths.sort();
            let group = groups.entry((&snapshot.hostname, paths)).or_default();
            group.push(index);
        }
        let mut reasons = vec![Vec::new(); snapshots.len()];
        for mut group in groups.into_values() {
            group.sort_by_key(|index| (snapshots[*index].time, &snapshots[*index].id));
            group.reverse();
            let times: Vec<Zoned> = group
                .iter()
                .map(|index| snapshots[*index].time.to_zoned(zone.clone()))
                .collect();
            for (reason, count) in self.counts() {
                for place in kept(reason, count, &times) {
                    reasons[group[place]].push(reason);
                }
            }
        }
        reasons
    }

    fn counts(&self) -> [(Reason, u32); 6] {
        [
            (Reason::Last, self.0.last),
            (Reason::Hourly, self.0.hourly),
            (Reason::Daily, self.0.daily),
            (Reason::Weekly, self.0.weekly),
            (Reason::Monthly, self.0.monthly),
            (Reason::Yearly, self.0.yearly),
        ]
    }
}

/// The places of those that are kept for this reason, among times from the newest to the oldest.
fn kept(reason: Reason, count: u32, times: &[Zoned]) -> Vec<usize> {
    let mut left = count;
    let mut last = None;
    let mut kept = Vec::new();
    for (place, time) in times.iter().enumerate() {
        let period = reason.period(time, place);
        let is_oldest = place + 1 == times.len();
        if left > 0 && (last != Some(period) || is_oldest) {
            kept.push(place);
            last = Some(period);
            left -= 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::SnapshotId;

    fn snapshot(time: &str, hostname: &str, path: &str) -> Snapshot {
        Snapshot {
            recorded: crate::contract::Draft::default(),
            id: SnapshotId::new(time.to_owned() + hostname + path).expect("it is an id"),
            time: time.parse().expect("it is a time"),
            hostname: hostname.to_owned(),
            username: String::new(),
            tags: Vec::new(),
            paths: vec![path.to_owned()],
            program: None,
            files: None,
            bytes: None,
            bytes_added: None,
            bytes_stored: None,
        }
    }

    fn snapshots(times: &[&str]) -> Vec<Snapshot> {
        times
            .iter()
            .map(|time| snapshot(time, "here", "/db"))
            .collect()
    }

    fn policy(counts: Counts) -> Policy {
        Policy::new(counts).expect("it keeps some")
    }

    /// The places of those that stay.
    fn stay(counts: Counts, snapshots: &[Snapshot]) -> Vec<usize> {
        let reasons = policy(counts).judge(snapshots, &TimeZone::UTC);
        let places = reasons.iter().enumerate();
        places
            .filter(|(_, reasons)| !reasons.is_empty())
            .map(|(place, _)| place)
            .collect()
    }

    #[test]
    fn of_each_day_the_last_snapshot_stays() {
        let snapshots = snapshots(&[
            "2026-03-01T01:00:00Z",
            "2026-03-01T23:00:00Z",
            "2026-03-02T01:00:00Z",
            "2026-03-04T01:00:00Z",
            "2026-03-04T02:00:00Z",
        ]);
        let daily = |daily| Counts {
            daily,
            ..Counts::default()
        };
        assert_eq!(stay(daily(1), &snapshots), [4]);
        // The third is a day without one, which does not count.
        assert_eq!(stay(daily(2), &snapshots), [2, 4]);
        assert_eq!(stay(daily(3), &snapshots), [1, 2, 4]);
    }

    #[test]
    fn while_there_are_fewer_periods_than_asked_for_the_oldest_snapshot_stays_too() {
        let snapshots = snapshots(&[
            "2026-03-01T01:00:00Z",
            "2026-03-01T23:00:00Z",
            "2026-03-02T01:00:00Z",
        ]);
        let counts = Counts {
            daily: 7,
            ..Counts::default()
        };
        assert_eq!(stay(counts, &snapshots), [0, 1, 2]);
    }

    #[test]
    fn periods_overlap_and_each_reason_is_named() {
        let snapshots = snapshots(&[
            "2025-12-28T12:00:00Z",
            "2025-12-31T12:00:00Z",
            "2026-01-01T12:00:00Z",
        ]);
        let counts = Counts {
            last: 1,
            weekly: 1,
            monthly: 2,
            yearly: 1,
            ..Counts::default()
        };
        let reasons = policy(counts).judge(&snapshots, &TimeZone::UTC);
        assert_eq!(reasons[0], []);
        // The year's last week is the first of the next one.
        assert_eq!(reasons[1], [Reason::Monthly]);
        assert_eq!(
            reasons[2],
            [
                Reason::Last,
                Reason::Weekly,
                Reason::Monthly,
                Reason::Yearly
            ]
        );
    }

    #[test]
    fn hosts_and_paths_are_looked_at_by_themselves() {
        let time = "2026-03-01T01:00:00Z";
        let snapshots = [
            snapshot(time, "here", "/db"),
            snapshot("2026-03-01T02:00:00Z", "here", "/db"),
            snapshot(time, "there", "/db"),
            snapshot(time, "here", "/files"),
        ];
        let counts = Counts {
            last: 1,
            ..Counts::default()
        };
        assert_eq!(stay(counts, &snapshots), [1, 2, 3]);
    }

    #[test]
    fn a_day_is_one_of_the_time_zone() {
        let snapshots = snapshots(&[
            "2026-03-01T22:30:00Z",
            "2026-03-01T23:30:00Z",
            "2026-03-02T12:00:00Z",
        ]);
        let counts = Counts {
            daily: 1,
            ..Counts::default()
        };
        let zone = TimeZone::get("Europe/Berlin").expect("it is known");
        let reasons = policy(counts).judge(&snapshots, &zone);
        assert_eq!(reasons.concat(), [Reason::Daily]);
        let two = Counts {
            daily: 2,
            ..Counts::default()
        };
        let reasons = policy(two).judge(&snapshots, &zone);
        // 23:30 in London is the next day in Berlin.
        assert_eq!((reasons[0].len(), reasons[1].len()), (1, 0));
    }

    #[test]
    fn a_policy_that_keeps_nothing_is_none() {
        let error = Policy::new(Counts::default()).expect_err("it keeps nothing");
        assert_eq!(error.kind(), Kind::Config);
    }
}
