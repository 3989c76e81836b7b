//! Retention policies of the configuration and the command line.

use std::convert::Infallible;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, Environment};
use crate::error::{Error, Kind, Result};
use crate::retention::{Age, ByPeriod, Count, GroupBy, Keep, Policy, Rule, Rules, Scope};
use crate::snapshot::TagSet;

/// Which snapshots stay when a sink is pruned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Retention {
    /// Keep the newest so many snapshots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<Count>,
    /// Keep the last snapshot of each of so many hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_hourly: Option<Count>,
    /// Keep the last snapshot of each of so many days. The default of `[retention]` is
    /// `BACKUP_KEEP_DAILY`, else 7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_daily: Option<Count>,
    /// Keep the last snapshot of each of so many weeks. The default of `[retention]` is
    /// `BACKUP_KEEP_WEEKLY`, else 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_weekly: Option<Count>,
    /// Keep the last snapshot of each of so many months. The default of `[retention]` is
    /// `BACKUP_KEEP_MONTHLY`, else 12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_monthly: Option<Count>,
    /// Keep the last snapshot of each of so many years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_yearly: Option<Count>,
    /// Keep all snapshots that are at most so much older than the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within: Option<Age>,
    /// Of those that are at most so much older than the newest, keep the last of each hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within_hourly: Option<Age>,
    /// Of those that are at most so much older than the newest, keep the last of each day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within_daily: Option<Age>,
    /// Of those that are at most so much older than the newest, keep the last of each week.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within_weekly: Option<Age>,
    /// Of those that are at most so much older than the newest, keep the last of each month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within_monthly: Option<Age>,
    /// Of those that are at most so much older than the newest, keep the last of each year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within_yearly: Option<Age>,
    /// Keep all snapshots with this tag, or with all of several tags that have commas between them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep_tag: Vec<String>,
    /// What snapshots that are looked at together have in common. The default is their host and
    /// their paths. With nothing, all are looked at together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<GroupBy>,
}

impl Retention {
    /// Fills in what the file leaves open for all snapshots.
    pub(super) fn apply(&mut self, environment: &Environment) -> Result<()> {
        for (set, variable, default) in [
            (&mut self.keep_daily, "BACKUP_KEEP_DAILY", 7),
            (&mut self.keep_weekly, "BACKUP_KEEP_WEEKLY", 4),
            (&mut self.keep_monthly, "BACKUP_KEEP_MONTHLY", 12),
        ] {
            if set.is_some() {
                continue;
            }
            *set = Some(match environment.get(variable) {
                None => Count::Limited(default),
                Some(text) => text.parse().map_err(|why| {
                    Error::new(Kind::Config, format!("{variable} is wrong: {why}"))
                })?,
            });
        }
        Ok(())
    }

    /// The policy that it comes to; none where it says nothing of what stays.
    fn policy(&self) -> Result<Option<Policy>> {
        let says_nothing = Self {
            group_by: self.group_by.clone(),
            ..Self::default()
        } == *self;
        if says_nothing {
            return Ok(None);
        }
        let has_empty_tag = |text: &String| text.split(',').any(|tag| tag.trim().is_empty());
        if let Some(text) = self.keep_tag.iter().find(|text| has_empty_tag(text)) {
            let text = format!("keep-tag: a tag of \"{text}\" is empty");
            return Err(Error::new(Kind::Config, text).help("name the tags that stay"));
        }
        Policy::new(Keep {
            last: self.keep_last.unwrap_or_default(),
            counts: ByPeriod {
                hourly: self.keep_hourly.unwrap_or_default(),
                daily: self.keep_daily.unwrap_or_default(),
                weekly: self.keep_weekly.unwrap_or_default(),
                monthly: self.keep_monthly.unwrap_or_default(),
                yearly: self.keep_yearly.unwrap_or_default(),
            },
            within: self.keep_within,
            within_periods: ByPeriod {
                hourly: self.keep_within_hourly,
                daily: self.keep_within_daily,
                weekly: self.keep_within_weekly,
                monthly: self.keep_within_monthly,
                yearly: self.keep_within_yearly,
            },
            tags: self.tag_sets(),
        })
        .map(Some)
    }

    fn tag_sets(&self) -> Vec<TagSet> {
        let parse = |text: &String| {
            text.parse()
                .unwrap_or_else(|never: Infallible| match never {})
        };
        self.keep_tag.iter().map(parse).collect()
    }
}

impl Config {
    /// What stays of which snapshots. What is asked for takes the place of what is configured: a policy
    /// that of all policies, a grouping that of all groupings.
    pub fn retention(&self, asked: &Retention) -> Result<Rules> {
        let asked_policy = asked.policy()?;
        let everything = &self.file.retention;
        let policy = match &asked_policy {
            Some(policy) => policy.clone(),
            None => match everything.policy()? {
                Some(policy) => policy,
                None => Policy::new(Keep::default())?,
            },
        };
        let group_by = asked.group_by.as_ref().or(everything.group_by.as_ref());
        let group_by = group_by.cloned().unwrap_or_default();
        let rule = |place: String, scope, own: &Retention| {
            let own_policy = own.policy().map_err(|error| error.of(place))?;
            let own_group_by = asked.group_by.as_ref().or(own.group_by.as_ref());
            Ok(Rule {
                policy: asked_policy
                    .clone()
                    .or(own_policy)
                    .unwrap_or_else(|| policy.clone()),
                group_by: own_group_by.unwrap_or(&group_by).clone(),
                scope,
            })
        };
        let sources = self.file.sources.iter().filter_map(|(name, source)| {
            let scope = Scope::Source(self.tags(name));
            Some(rule(
                format!("source {name}"),
                scope,
                source.retention.as_ref()?,
            ))
        });
        let jobs = self.file.jobs.iter().filter_map(|(name, job)| {
            let scope = Scope::Job {
                sources: job.sources.iter().map(|name| self.tags(name)).collect(),
                tags: job.tags.clone(),
            };
            Some(rule(format!("job {name}"), scope, job.retention.as_ref()?))
        });
        let others = sources.chain(jobs).collect::<Result<_>>()?;
        Ok(Rules::new(policy, group_by, others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::EvaluationTime;
    use crate::snapshot::sample;

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = variables.iter().map(owned).collect();
        Config::parse(text, None, environment)
    }

    /// How many of ten daily snapshots, each from another host, stay.
    fn staying(config: &Config, asked: &Retention, tags: &[&str]) -> usize {
        let snapshots: Vec<_> = (1..=10)
            .map(|day| {
                let mut snapshot = sample(&format!("2026-05-{day:02}T12:00:00Z"));
                snapshot.hostname = format!("container-{day}");
                snapshot.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
                snapshot
            })
            .collect();
        let rules = config.retention(asked).expect("it is fine");
        let judgement = rules.judge(&snapshots, &EvaluationTime::now(), false);
        let reasons = judgement.reasons.iter();
        reasons.filter(|reasons| !reasons.is_empty()).count()
    }

    #[test]
    fn a_source_has_a_policy_of_its_own_before_a_job_and_a_job_before_all() {
        let text = r#"
            [sources.db]
            plugin = "postgres-source"
            retention = { keep-last = 3 }
            [sources.uploads]
            plugin = "volume-source"
            grants.trees.files = { path = "/srv" }
            [jobs.full]
            sources = ["db", "uploads"]
            sinks = ["restic-local"]
            retention = { keep-within = "4d" }
            [retention]
            keep-last = 5
            keep-daily = 0
            keep-weekly = 0
            keep-monthly = 0
            group-by = []
        "#;
        let config = parse(text, &[]).expect("it is fine");
        let nothing = Retention::default();
        assert_eq!(staying(&config, &nothing, &["db"]), 3);
        assert_eq!(staying(&config, &nothing, &["uploads"]), 4);
        assert_eq!(staying(&config, &nothing, &["other"]), 5);
        let asked = Retention {
            keep_last: Some(Count::Limited(2)),
            ..Retention::default()
        };
        for tag in ["db", "uploads", "other"] {
            assert_eq!(staying(&config, &asked, &[tag]), 2, "{tag}");
        }
        let asked = Retention {
            group_by: Some(GroupBy::default()),
            ..Retention::default()
        };
        assert_eq!(staying(&config, &asked, &["db"]), 10);
    }

    #[test]
    fn a_source_can_be_grouped_otherwise_and_keep_the_policy_of_all() {
        let text = r#"
            [sources.uploads]
            plugin = "volume-source"
            grants.trees.files = { path = "/srv" }
            retention = { group-by = [] }
            [retention]
            keep-last = "unlimited"
        "#;
        let config = parse(text, &[]).expect("it is fine");
        assert_eq!(staying(&config, &Retention::default(), &["uploads"]), 10);
        let daily = "[sources.uploads]\nplugin = \"volume-source\"\nretention.group-by = []\n";
        let config = parse(
            daily,
            &[("BACKUP_KEEP_DAILY", "6"), ("BACKUP_KEEP_WEEKLY", "0")],
        );
        // The oldest stays as a month's.
        assert_eq!(
            staying(
                &config.expect("it is fine"),
                &Retention::default(),
                &["uploads"]
            ),
            7
        );
    }

    #[test]
    fn what_is_wrong_with_a_policy_is_told() {
        for (text, words) in [
            (
                "[retention]\nkeep-last = \"many\"",
                "not a number of snapshots",
            ),
            ("[retention]\nkeep-last = -2", "not a number of snapshots"),
            ("[retention]\nkeep-within = \"1w\"", "not an age"),
            ("[retention]\ngroup-by = [\"user\"]", "unknown variant"),
        ] {
            let error = parse(text, &[]).expect_err(text);
            assert!(error.message().contains(words), "{error}");
        }
        let error = parse("", &[("BACKUP_KEEP_DAILY", "a week")]).expect_err("it is not a number");
        assert!(error.message().contains("BACKUP_KEEP_DAILY"), "{error}");
        let text = "[sources.db]\nplugin = \"postgres-source\"\nretention.keep-last = 0\n";
        let config = parse(text, &[]).expect("it can be read");
        let error = config
            .retention(&Retention::default())
            .expect_err("it keeps nothing");
        assert_eq!(error.subject(), Some("source db"));
    }
}
