//! The test cases that restic publishes for its policy.

use jiff::tz::TimeZone;

use super::{Keep, Policy};
use crate::snapshot::{Snapshot, sample};

const PUBLISHED: &str = include_str!("published.txt");

/// The snapshots, from the newest to the oldest.
fn snapshots(text: &str) -> Vec<Snapshot> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let snapshot = |line: &str| {
        let (time, tags) = line.split_once(' ').unwrap_or((line, ""));
        let mut snapshot = sample(time);
        let tags = tags.split(',').filter(|tag| !tag.is_empty());
        snapshot.tags = tags.map(str::to_owned).collect();
        snapshot
    };
    lines.map(snapshot).collect()
}

/// What a policy says, for example `daily=3 within=1m tag=foo,bar`.
fn keep(text: &str) -> Keep {
    let mut keep = Keep::default();
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').expect(word);
        let count = || value.parse().expect(word);
        let age = || Some(value.parse().expect(word));
        match name {
            "last" => keep.last = count(),
            "hourly" => keep.counts.hourly = count(),
            "daily" => keep.counts.daily = count(),
            "weekly" => keep.counts.weekly = count(),
            "monthly" => keep.counts.monthly = count(),
            "yearly" => keep.counts.yearly = count(),
            "within" => keep.within = age(),
            "within-hourly" => keep.within_periods.hourly = age(),
            "within-daily" => keep.within_periods.daily = age(),
            "within-weekly" => keep.within_periods.weekly = age(),
            "within-monthly" => keep.within_periods.monthly = age(),
            "within-yearly" => keep.within_periods.yearly = age(),
            "tag" => keep.tags.push(value.parse().expect(word)),
            other => panic!("{other} is not a kind of policy"),
        }
    }
    keep
}

/// Places as they are written: `0-2 5`.
fn places(text: &str) -> Vec<usize> {
    let place = |text: &str| text.parse().expect("it is a place");
    let ranges = text.split_whitespace().map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        place(first)..=place(last)
    });
    ranges.flatten().collect()
}

#[test]
fn restics_published_cases_come_out_the_same() {
    let (first, second) = PUBLISHED.split_once("\n\n").expect("it has two parts");
    let snapshots = snapshots(first);
    let members: Vec<_> = snapshots.iter().collect();
    let mut cases = 0;
    for case in second.lines() {
        let (policy, expected) = case.split_once(':').expect("it is a case");
        cases += 1;
        let Ok(policy) = Policy::new(keep(policy)) else {
            // restic refuses the policy that keeps nothing where it is asked for it.
            assert_eq!((policy.trim(), expected.trim()), ("", ""));
            continue;
        };
        let reasons = policy.judge(&members, &TimeZone::UTC);
        let stay = reasons.iter().enumerate();
        let stay = stay.filter(|(_, reasons)| !reasons.is_empty());
        let stay: Vec<_> = stay.map(|(place, _)| place).collect();
        assert_eq!(stay, places(expected), "{case}");
    }
    assert_eq!((snapshots.len(), cases), (103, 40));
}
