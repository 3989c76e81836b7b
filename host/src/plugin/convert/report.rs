//! Reports of plugins: snapshots, receipts, findings, rights, places. Their texts come from stores that anybody may
//! have written to.

use jiff::Timestamp;

use crate::contract::{
    self, Answer, Depth, Draft, Fate, Finding, Findings, Instant, Invalid, Kept, Place, Receipt,
    Reclaimed, Rights, Severity, SnapshotId, Subset, Usage, WriteMode,
};
use crate::error::{Error, Kind};
use crate::grant::Access;
use crate::plugin::bindings::mover::exports::tthost::backup::transfer;
use crate::plugin::bindings::sink::exports::tthost::backup::sink;
use crate::plugin::bindings::survey::exports::tthost::backup::survey;
use crate::plugin::bindings::types;
use crate::snapshot::Snapshot;
use crate::text::{printable, printable_length};

/// The most findings of a check, places of a restoration, and so on, that anybody is going to look at.
pub(in crate::plugin) const MAX_LISTED: usize = 10_000;

/// The most paths, snapshots or notes of one of them.
const MAX_ITEMS: usize = 100;

/// What a text takes in memory as it is and as it is shown.
fn weight(text: &str) -> usize {
    2 * size_of::<String>() + text.len() + printable_length(text)
}

/// What a snapshot takes in memory.
pub(in crate::plugin) fn weight_of_snapshot(snapshot: &sink::Snapshot) -> usize {
    let texts = [&snapshot.id, &snapshot.hostname, &snapshot.username].into_iter();
    let texts = texts
        .chain(&snapshot.tags)
        .chain(&snapshot.paths)
        .chain(&snapshot.program)
        .chain(&snapshot.damaged);
    size_of::<Snapshot>() + texts.map(|text| weight(text)).sum::<usize>()
}

/// What a finding takes in memory.
pub(in crate::plugin) fn weight_of_finding(finding: &sink::Finding) -> usize {
    /// Of a path, which is shown as text.
    const EACH: usize = 10;
    let ids = finding.snapshots.iter().map(|id| weight(id));
    let paths = finding.paths.iter().map(|path| EACH * path.len());
    size_of::<Finding>() + weight(&finding.what) + ids.chain(paths).sum::<usize>()
}

/// What a place of a restoration takes in memory.
pub(in crate::plugin) fn weight_of_place(place: &survey::Place) -> usize {
    let kept = match &place.fate {
        survey::Fate::Exchanged(kept) => weight(&kept.name) + weight(&kept.removal),
        _ => 0,
    };
    let holds = place.holds.iter().map(|text| weight(text));
    size_of::<Place>() + weight(&place.name) + kept + holds.sum::<usize>()
}

impl TryFrom<sink::Snapshot> for Snapshot {
    type Error = Error;

    /// The texts come from a store that anybody may have written to.
    fn try_from(snapshot: sink::Snapshot) -> Result<Self, Error> {
        let id = SnapshotId::new(snapshot.id.clone()).map_err(|invalid| broken(&invalid))?;
        if let Some(why) = snapshot.damaged {
            return Ok(Self::damaged(id, printable(&why)));
        }
        let shown = |texts: &[String]| texts.iter().map(|text| printable(text)).collect();
        let instant = Instant::try_from(snapshot.time).ok();
        let time = instant.and_then(|instant| Some((instant, Timestamp::try_from(instant).ok()?)));
        let Some((instant, time)) = time else {
            let why = format!("the snapshot {} has an impossible time", id.short());
            return Ok(Self::damaged(id, why));
        };
        let recorded = Draft {
            time: instant,
            hostname: contract::text(snapshot.hostname).map_err(|invalid| broken(&invalid))?,
            username: contract::text(snapshot.username).map_err(|invalid| broken(&invalid))?,
            tags: contract::texts(snapshot.tags).map_err(|invalid| broken(&invalid))?,
            paths: contract::texts(snapshot.paths).map_err(|invalid| broken(&invalid))?,
            mode: WriteMode::default(),
        };
        Ok(Self {
            time,
            id,
            hostname: printable(&recorded.hostname),
            username: printable(&recorded.username),
            tags: shown(&recorded.tags),
            paths: shown(&recorded.paths),
            recorded,
            program: snapshot.program.as_deref().map(printable),
            files: snapshot.files,
            bytes: snapshot.bytes,
            bytes_added: snapshot.bytes_added,
            bytes_stored: snapshot.bytes_stored,
            damaged: None,
        })
    }
}

impl TryFrom<transfer::Receipt> for Receipt {
    type Error = Invalid;

    fn try_from(receipt: transfer::Receipt) -> Result<Self, Invalid> {
        Ok(Self {
            snapshot: receipt.snapshot.map(SnapshotId::new).transpose()?,
            files_new: receipt.files.new,
            files_changed: receipt.files.changed,
            files_unmodified: receipt.files.unmodified,
            directories_new: receipt.directories.new,
            directories_changed: receipt.directories.changed,
            directories_unmodified: receipt.directories.unmodified,
            objects_added: receipt.objects_added,
            bytes_added: receipt.bytes_added,
            bytes_stored: receipt.bytes_stored,
            files_total: receipt
                .files
                .new
                .saturating_add(receipt.files.changed)
                .saturating_add(receipt.files.unmodified),
            bytes_total: receipt.bytes_total,
            removed: receipt.removed,
            failed: receipt.failed,
        })
    }
}

impl From<sink::Reclaimed> for Reclaimed {
    fn from(reclaimed: sink::Reclaimed) -> Self {
        Self {
            objects_removed: reclaimed.objects_removed,
            bytes_removed: reclaimed.bytes_removed,
            objects_written: reclaimed.objects_written,
            bytes_written: reclaimed.bytes_written,
            bytes_left: reclaimed.bytes_left,
            bytes_unused: reclaimed.bytes_unused,
        }
    }
}

impl From<sink::Rights> for Rights {
    fn from(rights: sink::Rights) -> Self {
        let found = Instant::try_from(rights.found).ok();
        let found = found.and_then(|found| Timestamp::try_from(found).ok());
        Self {
            put: rights.put.into(),
            get: rights.get.into(),
            list: rights.list.into(),
            delete: rights.delete.into(),
            overwrite: rights.overwrite.into(),
            put_if_absent: rights.put_if_absent.into(),
            versioned: rights.versioned.into(),
            object_lock: rights.object_lock.into(),
            found,
            notes: {
                let notes = rights.notes.iter().take(MAX_ITEMS);
                notes.map(|note| printable(note)).collect()
            },
        }
    }
}

impl From<sink::Answer> for Answer {
    fn from(answer: sink::Answer) -> Self {
        match answer {
            sink::Answer::Yes => Self::Yes,
            sink::Answer::No => Self::No,
            sink::Answer::Unknown => Self::Unknown,
        }
    }
}

impl TryFrom<sink::Findings> for Findings {
    type Error = Invalid;

    fn try_from(findings: sink::Findings) -> Result<Self, Invalid> {
        let more = findings.findings.len().saturating_sub(MAX_LISTED);
        let found = findings.findings.into_iter().take(MAX_LISTED);
        let mut found: Vec<_> = found.map(Finding::try_from).collect::<Result<_, _>>()?;
        if more > 0 {
            found.push(Finding {
                severity: Severity::Error,
                what: format!("it found {more} more"),
                snapshots: Vec::new(),
                paths: Vec::new(),
            });
        }
        Ok(Self {
            findings: found,
            snapshots: findings.snapshots,
            objects: findings.objects,
            bytes_read: findings.bytes_read,
        })
    }
}

impl TryFrom<sink::Finding> for Finding {
    type Error = Invalid;

    fn try_from(finding: sink::Finding) -> Result<Self, Invalid> {
        let snapshots = finding.snapshots.into_iter().take(MAX_LISTED);
        let snapshots = snapshots.map(SnapshotId::new);
        let paths = finding.paths.iter().take(MAX_ITEMS);
        Ok(Self {
            severity: match finding.severity {
                sink::Severity::Error => Severity::Error,
                sink::Severity::Warning => Severity::Warning,
            },
            what: printable(&finding.what),
            snapshots: snapshots.collect::<Result<_, _>>()?,
            paths: paths
                .map(|path| printable(&String::from_utf8_lossy(path)))
                .collect(),
        })
    }
}

impl From<survey::Place> for Place {
    fn from(place: survey::Place) -> Self {
        Self {
            name: printable(&place.name),
            holds: {
                let holds = place.holds.iter().take(MAX_ITEMS);
                holds.map(|text| printable(text)).collect()
            },
            bytes: place.bytes,
            fate: place.fate.into(),
        }
    }
}

impl From<survey::Fate> for Fate {
    fn from(fate: survey::Fate) -> Self {
        match fate {
            survey::Fate::Created => Self::Created,
            survey::Fate::Filled => Self::Filled,
            survey::Fate::Changed => Self::Changed,
            survey::Fate::Exchanged(kept) => Self::Exchanged {
                kept: Kept {
                    name: printable(&kept.name),
                    removal: printable(&kept.removal),
                },
            },
        }
    }
}

impl From<Depth> for sink::Depth {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::Structure => Self::Structure,
            Depth::Data(subset) => Self::Data(subset.into()),
        }
    }
}

impl From<Subset> for sink::Subset {
    fn from(subset: Subset) -> Self {
        Self {
            first: subset.first,
            last: subset.last,
        }
    }
}

impl From<sink::Usage> for Usage {
    fn from(usage: sink::Usage) -> Self {
        Self {
            objects: usage.objects,
            bytes: usage.bytes,
        }
    }
}

impl From<Access> for types::Access {
    fn from(access: Access) -> Self {
        match access {
            Access::ReadOnly => Self::ReadOnly,
            Access::ReadWrite => Self::ReadWrite,
        }
    }
}

impl From<Draft> for sink::Draft {
    fn from(draft: Draft) -> Self {
        Self {
            time: draft.time.into(),
            hostname: draft.hostname,
            username: draft.username,
            tags: draft.tags,
            paths: draft.paths,
            dry_run: draft.mode.dry_run,
            force: draft.mode.force,
        }
    }
}

fn broken(invalid: &Invalid) -> Error {
    Error::new(Kind::Plugin, invalid.to_string())
}
