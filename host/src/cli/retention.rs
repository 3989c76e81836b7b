//! Retention options of the command line.

use clap::Args;

use super::args::PathFilter;
use crate::config::{ForgetRequest, Retention};
use crate::retention::{Age, Count, GroupBy};

/// Which snapshots a policy removes.
#[derive(Debug, Args)]
pub(super) struct ByPolicy {
    #[command(flatten)]
    filter: PathFilter,
    /// Remove old snapshots even if the newest one of them is empty or incomplete
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    keep: Keep,
}

/// A retention policy in place of the configured one. Counts are numbers, or `unlimited` or -1.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Retention policy [default: the configured one]; COUNT can be `unlimited`, AGE is like 1y6m14d12h"
)]
struct Keep {
    /// Keep the newest COUNT snapshots
    #[arg(
        long = "keep-last",
        short = 'l',
        value_name = "COUNT",
        allow_negative_numbers = true
    )]
    last: Option<Count>,
    /// Keep the last snapshot of each of COUNT hours
    #[arg(
        long = "keep-hourly",
        short = 'H',
        value_name = "COUNT",
        allow_negative_numbers = true
    )]
    hourly: Option<Count>,
    /// Keep the last snapshot of each of COUNT days
    #[arg(
        long = "keep-daily",
        short = 'd',
        value_name = "COUNT",
        allow_negative_numbers = true
    )]
    daily: Option<Count>,
    /// Keep the last snapshot of each of COUNT weeks
    #[arg(
        long = "keep-weekly",
        short = 'w',
        value_name = "COUNT",
        allow_negative_numbers = true
    )]
    weekly: Option<Count>,
    /// Keep the last snapshot of each of COUNT months
    #[arg(
        long = "keep-monthly",
        short = 'm',
        value_name = "COUNT",
        allow_negative_numbers = true
    )]
    monthly: Option<Count>,
    /// Keep the last snapshot of each of COUNT years
    #[arg(
        long = "keep-yearly",
        short = 'y',
        value_name = "COUNT",
        allow_negative_numbers = true
    )]
    yearly: Option<Count>,
    /// Keep all snapshots that are at most AGE older than the newest
    #[arg(long = "keep-within", value_name = "AGE")]
    within: Option<Age>,
    /// Of those that are at most AGE older than the newest, keep the last of each hour
    #[arg(long = "keep-within-hourly", value_name = "AGE")]
    within_hourly: Option<Age>,
    /// Of those that are at most AGE older than the newest, keep the last of each day
    #[arg(long = "keep-within-daily", value_name = "AGE")]
    within_daily: Option<Age>,
    /// Of those that are at most AGE older than the newest, keep the last of each week
    #[arg(long = "keep-within-weekly", value_name = "AGE")]
    within_weekly: Option<Age>,
    /// Of those that are at most AGE older than the newest, keep the last of each month
    #[arg(long = "keep-within-monthly", value_name = "AGE")]
    within_monthly: Option<Age>,
    /// Of those that are at most AGE older than the newest, keep the last of each year
    #[arg(long = "keep-within-yearly", value_name = "AGE")]
    within_yearly: Option<Age>,
    /// Keep all snapshots with this tag, or with all of TAG,TAG; repeatable
    #[arg(long = "keep-tag", value_name = "TAGS")]
    tags: Vec<String>,
    /// Apply the policy to each group of snapshots with the same host, paths, tags; '' for one group
    #[arg(long, short, value_name = "KEYS")]
    group_by: Option<GroupBy>,
}

impl From<ByPolicy> for ForgetRequest {
    fn from(arguments: ByPolicy) -> Self {
        Self::ByPolicy {
            retention: Box::new(arguments.keep.into()),
            filter: arguments.filter.into(),
            force: arguments.force,
        }
    }
}

impl From<Keep> for Retention {
    fn from(keep: Keep) -> Self {
        Self {
            keep_last: keep.last,
            keep_hourly: keep.hourly,
            keep_daily: keep.daily,
            keep_weekly: keep.weekly,
            keep_monthly: keep.monthly,
            keep_yearly: keep.yearly,
            keep_within: keep.within,
            keep_within_hourly: keep.within_hourly,
            keep_within_daily: keep.within_daily,
            keep_within_weekly: keep.within_weekly,
            keep_within_monthly: keep.within_monthly,
            keep_within_yearly: keep.within_yearly,
            keep_tag: keep.tags,
            group_by: keep.group_by,
        }
    }
}
