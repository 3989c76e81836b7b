//! Lists and selects snapshots.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::{Instrument as _, instrument, warn};
use vec1::Vec1;

use super::{Context, Verdict, open};
use crate::contract::SnapshotId;
use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::plugin::{Repository, Spec};
use crate::retention::{Group, GroupBy};
use crate::snapshot::{Filter, Snapshot, SnapshotRef};

/// How many damaged snapshots are told by name.
pub const MAX_NAMED: usize = 20;

/// Which snapshots are listed, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sink that has them.
    pub sink: Spec,
    /// The snapshots to list.
    pub select: Select,
    /// The keys to group them by.
    pub group_by: Option<GroupBy>,
    /// Only the newest so many of each group; of each host and set of paths where they are not
    /// grouped.
    pub latest: Option<usize>,
}

/// The snapshots to list.
#[derive(Clone, Debug)]
pub enum Select {
    /// Those that pass this filter.
    Matching(Filter),
    /// These.
    Named(Vec1<SnapshotRef>),
}

/// The snapshots of a store.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Snapshots {
    /// The sink's name.
    pub sink: String,
    /// The snapshots that were asked for, the oldest first; group after group where they are grouped.
    pub snapshots: Vec<Snapshot>,
    /// The same by group; null where they are not grouped.
    pub groups: Option<Vec<Grouped>>,
    /// Snapshots of which nothing can be read but their ids.
    pub damaged: Vec<DamagedSnapshot>,
}

/// A snapshot of which nothing can be read but its id.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DamagedSnapshot {
    /// Its full id.
    pub id: SnapshotId,
    /// Why it is damaged.
    pub why: String,
}

impl super::Report for Snapshots {
    fn verdict(&self) -> Verdict {
        if self.damaged.is_empty() {
            Verdict::Done
        } else {
            Verdict::Incomplete
        }
    }
}

/// The snapshots of a group, the oldest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Grouped {
    /// The attributes that they share.
    #[serde(rename = "group_key")]
    pub group: Group,
    /// The snapshots.
    pub snapshots: Vec<Snapshot>,
}

impl Plan {
    /// All snapshots of a sink that pass the filter.
    pub fn all(sink: Spec, filter: Filter) -> Self {
        Self {
            sink,
            select: Select::Matching(filter),
            group_by: None,
            latest: None,
        }
    }
}

/// Lists snapshots.
#[instrument(
    name = "run",
    level = "error",
    skip_all,
    fields(operation = "snapshots")
)]
pub async fn snapshots(context: &Context, plan: Plan) -> Result<Snapshots> {
    let span = plan.sink.span();
    let listed = async {
        let repository = Repository::open(context, &plan.sink, Access::ReadWrite).await?;
        let listing = async {
            let all = repository.snapshots().await?;
            let mut damaged: Vec<_> = all.iter().filter_map(damage).collect();
            let snapshots = match &plan.select {
                Select::Matching(filter) => selected(all, filter),
                Select::Named(ids) => {
                    let mut named = named(&repository, ids).await?;
                    damaged.retain(|damaged| named.iter().any(|named| named.id == damaged.id));
                    named.retain(|named| named.damaged.is_none());
                    named
                }
            };
            Ok((snapshots, damaged))
        };
        repository.use_and_close(context, listing).await
    };
    let (snapshots, damaged) = listed.instrument(span).await?;
    let group_by = plan.group_by.filter(|group_by| !group_by.is_nothing());
    let sink = plan.sink.name;
    Ok(match group_by {
        None => Snapshots {
            sink,
            snapshots: latest(snapshots, plan.latest),
            groups: None,
            damaged,
        },
        Some(group_by) => {
            let groups = grouped(&snapshots, &group_by, plan.latest);
            let listed = groups.iter().flat_map(|group| group.snapshots.iter());
            Snapshots {
                sink,
                snapshots: listed.cloned().collect(),
                groups: Some(groups),
                damaged,
            }
        }
    })
}

fn grouped(snapshots: &[Snapshot], group_by: &GroupBy, latest: Option<usize>) -> Vec<Grouped> {
    let groups = group_by.split(snapshots.iter().enumerate()).into_iter();
    let now = Timestamp::now();
    let grouped = groups.map(|(group, mut places)| {
        if let Some(newest) = latest {
            keep_newest(&mut places, snapshots, newest, now);
        }
        let places = places.iter().rev();
        let snapshots = places.map(|place| snapshots[*place].clone()).collect();
        Grouped { group, snapshots }
    });
    grouped.collect()
}

/// Of the places of snapshots, from the newest to the oldest, keeps those of the newest so many. Those that are
/// dated in the future count where there are too few others.
fn keep_newest(places: &mut Vec<usize>, snapshots: &[Snapshot], newest: usize, now: Timestamp) {
    let future = places.partition_point(|place| snapshots[*place].is_from_future(now));
    let surplus = places.len().saturating_sub(newest);
    places.drain(..future.min(surplus));
    places.truncate(newest);
}

/// The newest so many of each host and set of paths.
fn latest(snapshots: Vec<Snapshot>, newest: Option<usize>) -> Vec<Snapshot> {
    let Some(newest) = newest else {
        return snapshots;
    };
    let groups = GroupBy::default().split(snapshots.iter().enumerate());
    let mut is_new = vec![false; snapshots.len()];
    let now = Timestamp::now();
    for mut places in groups.into_values() {
        keep_newest(&mut places, &snapshots, newest, now);
        for place in places {
            is_new[place] = true;
        }
    }
    let snapshots = snapshots.into_iter().zip(is_new);
    snapshots
        .filter(|(_, is_new)| *is_new)
        .map(|(snapshot, _)| snapshot)
        .collect()
}

/// The one snapshot that is meant, found without reading it.
#[instrument(
    name = "run",
    level = "error",
    skip_all,
    fields(operation = "snapshots")
)]
pub async fn find(context: &Context, sink: &Spec, wanted: &SnapshotRef) -> Result<Snapshot> {
    let repository = open(context, sink, Access::ReadWrite).await?;
    let picked = pick(&repository, wanted);
    repository.use_and_close(context, picked).await
}

/// What is at this path of a folder, as a path from the top of the snapshot.
pub(super) fn within(folder: Option<&[u8]>, path: &[u8]) -> Vec<u8> {
    match folder {
        Some(folder) => [folder, b"/", path].concat(),
        None => path.to_vec(),
    }
}

/// How many names a path has.
pub(super) fn depth(path: &[u8]) -> usize {
    let names = path.split(|byte| *byte == b'/');
    names.filter(|name| !name.is_empty()).count()
}

/// The one snapshot that is meant.
pub(super) async fn pick(repository: &Repository, wanted: &SnapshotRef) -> Result<Snapshot> {
    let all = repository.snapshots().await?;
    if matches!(wanted, SnapshotRef::Latest(_)) {
        warn_of_damaged(repository, &all);
    }
    let found = meant(repository, &all, wanted)?;
    match &found.damaged {
        Some(why) => Err(Error::new(Kind::Corrupt, why.clone())
            .help("`tthost snapshots` lists those that are not")
            .of(repository.subject())),
        None => Ok(found.clone()),
    }
}

/// These snapshots, each once, the oldest first.
pub(super) async fn named(
    repository: &Repository,
    wanted: &[SnapshotRef],
) -> Result<Vec<Snapshot>> {
    let mut snapshots = repository.snapshots().await?;
    snapshots.sort_by_key(|snapshot| snapshot.time);
    let found = wanted
        .iter()
        .map(|wanted| meant(repository, &snapshots, wanted));
    let found = found.map(|found| found.map(|snapshot| snapshot.id.clone()));
    let found: HashSet<_> = found.collect::<Result<_>>()?;
    snapshots.retain(|snapshot| found.contains(&snapshot.id));
    Ok(snapshots)
}

/// The one of these that is meant. It may be damaged where its id names it.
fn meant<'a>(
    repository: &Repository,
    snapshots: &'a [Snapshot],
    wanted: &SnapshotRef,
) -> Result<&'a Snapshot> {
    let filter = match wanted {
        SnapshotRef::Id(prefix) => return by_id(repository, snapshots, prefix),
        SnapshotRef::Latest(filter) => filter,
    };
    let now = Timestamp::now();
    let passing = snapshots.iter().filter(|snapshot| filter.passes(snapshot));
    let Some(newest) = Snapshot::newest(passing.clone(), now) else {
        return Err(none_matches(repository, filter, snapshots));
    };
    let subject = repository.subject();
    for future in passing.filter(|snapshot| snapshot.time > newest.time) {
        warn!(
            subject,
            help = "check the clock of the machine that made it; `tthost forget ID` removes it",
            "the snapshot {} is dated in the future, {}, and does not count as the newest",
            future.id.short(),
            future.time
        );
    }
    Ok(newest)
}

/// The snapshot with this id, or the only one whose id begins so.
fn by_id<'a>(
    repository: &Repository,
    snapshots: &'a [Snapshot],
    prefix: &str,
) -> Result<&'a Snapshot> {
    let is_meant = |snapshot: &&Snapshot| snapshot.id.starts_with(prefix);
    let matching: Vec<_> = snapshots.iter().filter(is_meant).collect();
    match matching.as_slice() {
        [snapshot] => Ok(snapshot),
        [] => Err(missing(
            repository,
            format!("there is no snapshot {prefix}"),
        )),
        several => {
            let text = format!("{} snapshots begin with {prefix}", several.len());
            Err(missing(repository, text))
        }
    }
}

/// The error of a filter that nothing passes, with what would pass it of other hosts.
fn none_matches(repository: &Repository, filter: &Filter, snapshots: &[Snapshot]) -> Error {
    let text = |of_host: &str| match &filter.source {
        Some(source) => format!("it has no snapshot of {}{of_host}", source.name),
        None => format!("it has no snapshot{of_host} that matches"),
    };
    let of_any_host = Filter {
        hosts: None,
        ..filter.clone()
    };
    let others = snapshots.iter().filter(|other| of_any_host.passes(other));
    let others: BTreeSet<_> = others.map(|other| &*other.hostname).collect();
    let (Some(hosts), Some(other)) = (&filter.hosts, others.first()) else {
        return missing(repository, text(""));
    };
    let others: Vec<_> = others.iter().copied().collect();
    let of_host = format!(" of the host {}", hosts.join(" or "));
    let text = format!(
        "{}; there are some of {}",
        text(&of_host),
        others.join(", ")
    );
    let help = format!("`--host {other}` takes those of that host");
    missing(repository, text).help(help)
}

fn missing(repository: &Repository, message: String) -> Error {
    Error::new(Kind::NotFound, message)
        .help("`tthost snapshots` lists all snapshots")
        .of(repository.subject())
}

/// The snapshots of a store that pass the filter, the oldest first.
pub(super) async fn list(repository: &Repository, filter: &Filter) -> Result<Vec<Snapshot>> {
    let all = repository.snapshots().await?;
    warn_of_damaged(repository, &all);
    Ok(selected(all, filter))
}

fn selected(mut snapshots: Vec<Snapshot>, filter: &Filter) -> Vec<Snapshot> {
    snapshots.retain(|snapshot| filter.passes(snapshot));
    snapshots.sort_by_key(|snapshot| snapshot.time);
    snapshots
}

fn damage(snapshot: &Snapshot) -> Option<DamagedSnapshot> {
    Some(DamagedSnapshot {
        id: snapshot.id.clone(),
        why: snapshot.damaged.clone()?,
    })
}

/// Says which snapshots nothing can be done with.
pub(super) fn warn_of_damaged(repository: &Repository, snapshots: &[Snapshot]) {
    let subject = repository.subject();
    let mut damaged = snapshots
        .iter()
        .filter_map(|snapshot| snapshot.damaged.as_ref());
    for why in damaged.by_ref().take(MAX_NAMED) {
        warn!(subject, "{why}; the others are not touched by that");
    }
    let rest = damaged.count();
    if rest > 0 {
        warn!(subject, "{rest} more snapshots are damaged");
    }
}
