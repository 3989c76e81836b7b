//! Groups of snapshots that a policy treats together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::snapshot::{INCOMPLETE, Snapshot};

/// What snapshots of a group have in common.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum GroupKey {
    /// Their host.
    Host,
    /// Their set of paths.
    Paths,
    /// Their set of tags.
    Tags,
}

/// What all snapshots of a group have in common. With nothing, all are one group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct GroupBy(BTreeSet<GroupKey>);

/// What a group's snapshots have in common; empty for what they need not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Group {
    /// The host.
    pub hostname: String,
    /// The paths, sorted.
    pub paths: Option<Vec<String>>,
    /// The tags, sorted.
    pub tags: Option<Vec<String>>,
}

impl GroupBy {
    /// Whether it is one group in any case.
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// The group of a snapshot. Whether it is incomplete makes no difference: that is not a property of
    /// what it is a snapshot of.
    pub fn group(&self, snapshot: &Snapshot) -> Group {
        let has = |key| self.0.contains(&key);
        let sorted = |texts: &[String]| {
            let mut texts: Vec<_> = texts.to_vec();
            texts.retain(|text| text != INCOMPLETE);
            texts.sort();
            texts
        };
        let hostname = Some(&snapshot.hostname).filter(|_| has(GroupKey::Host));
        Group {
            hostname: hostname.cloned().unwrap_or_default(),
            paths: has(GroupKey::Paths).then(|| sorted(&snapshot.paths)),
            tags: has(GroupKey::Tags).then(|| sorted(&snapshot.tags)),
        }
    }

    /// The places of snapshots by their groups, in each from the newest to the oldest.
    pub fn split<'a>(
        &self,
        snapshots: impl IntoIterator<Item = (usize, &'a Snapshot)>,
    ) -> BTreeMap<Group, Vec<usize>> {
        let mut sorted: Vec<_> = snapshots.into_iter().collect();
        sorted.sort_by_key(|(_, snapshot)| (snapshot.time, &snapshot.id));
        let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (place, snapshot) in sorted.into_iter().rev() {
            groups.entry(self.group(snapshot)).or_default().push(place);
        }
        groups
    }
}

/// By host and set of paths, as in restic.
impl Default for GroupBy {
    fn default() -> Self {
        Self([GroupKey::Host, GroupKey::Paths].into())
    }
}

/// Keys with commas between them, as in restic; an empty text for one group.
impl FromStr for GroupBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
        let key = |key| match key {
            "host" | "hosts" => Ok(GroupKey::Host),
            "path" | "paths" => Ok(GroupKey::Paths),
            "tag" | "tags" => Ok(GroupKey::Tags),
            other => Err(format!("\"{other}\" is not one of host, paths and tags")),
        };
        keys.map(key).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = Some(&self.hostname).filter(|host| !host.is_empty());
        let host = host.map(|host| format!("host {host}"));
        let list = |name: &str, texts: &Option<Vec<String>>| match texts.as_deref() {
            None => None,
            Some([]) => Some(format!("no {name}")),
            Some(texts) => Some(format!("{name} {}", texts.join(", "))),
        };
        let parts = [host, list("paths", &self.paths), list("tags", &self.tags)];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            return f.write_str("all snapshots");
        }
        f.write_str(&parts.join("; "))
    }
}
