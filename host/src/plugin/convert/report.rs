//! What plugins report: snapshots, receipts, findings, rights. Their texts come from stores that
//! anybody may have written to.

use jiff::Timestamp;

use crate::contract::{
    Answer, Depth, Draft, Findings, Freed, Instant, Invalid, Receipt, Rights, SnapshotId, WriteMode,
};
use crate::error::{Error, Kind};
use crate::plugin::bindings::common::exports::tthost::backup::transfer;
use crate::plugin::bindings::sink::exports::tthost::backup::sink;
use crate::snapshot::Snapshot;
use crate::text::printable;

impl TryFrom<sink::Snapshot> for Snapshot {
    type Error = Error;

    /// The texts come from a store that anybody may have written to.
    fn try_from(snapshot: sink::Snapshot) -> Result<Self, Error> {
        let texts = |texts: Vec<String>| texts.iter().map(|text| printable(text)).collect();
        let invalid = || {
            let text = format!(
                "snapshot {} has an impossible time",
                printable(&snapshot.id)
            );
            Error::new(Kind::Corrupt, text)
        };
        let instant = Instant::try_from(snapshot.time).map_err(|_| invalid())?;
        let time = Timestamp::try_from(instant).map_err(|_| invalid())?;
        let recorded = Draft {
            time: instant,
            hostname: snapshot.hostname.clone(),
            username: snapshot.username.clone(),
            tags: snapshot.tags.clone(),
            paths: snapshot.paths.clone(),
            mode: WriteMode::default(),
        };
        Ok(Self {
            recorded,
            time,
            id: SnapshotId::new(snapshot.id)
                .map_err(|invalid| Error::new(Kind::Plugin, invalid.to_string()))?,
            hostname: printable(&snapshot.hostname),
            username: printable(&snapshot.username),
            tags: texts(snapshot.tags),
            paths: texts(snapshot.paths),
            program: snapshot.program.as_deref().map(printable),
            files: snapshot.files,
            bytes: snapshot.bytes,
            bytes_added: snapshot.bytes_added,
            bytes_stored: snapshot.bytes_stored,
        })
    }
}

impl TryFrom<transfer::Receipt> for Receipt {
    type Error = Invalid;

    fn try_from(receipt: transfer::Receipt) -> Result<Self, Invalid> {
        Ok(Self {
            snapshot: receipt.snapshot.map(SnapshotId::new).transpose()?,
            files_new: receipt.files_new,
            files_changed: receipt.files_changed,
            files_unmodified: receipt.files_unmodified,
            directories_new: receipt.directories_new,
            directories_changed: receipt.directories_changed,
            directories_unmodified: receipt.directories_unmodified,
            data_blobs: receipt.data_blobs,
            tree_blobs: receipt.tree_blobs,
            bytes_added: receipt.bytes_added,
            bytes_stored: receipt.bytes_stored,
            files_total: receipt.files_total,
            bytes_total: receipt.bytes_total,
            removed: receipt.removed,
        })
    }
}

impl From<sink::Pruned> for Freed {
    fn from(pruned: sink::Pruned) -> Self {
        Self {
            packs_removed: pruned.packs_removed,
            bytes_removed: pruned.bytes_removed,
            packs_written: pruned.packs_written,
            bytes_written: pruned.bytes_written,
            bytes_left: pruned.bytes_left,
            bytes_unused: pruned.bytes_unused,
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
            notes: rights.notes.iter().map(|note| printable(note)).collect(),
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

impl From<sink::Findings> for Findings {
    fn from(findings: sink::Findings) -> Self {
        let texts = |texts: Vec<String>| texts.iter().map(|text| printable(text)).collect();
        Self {
            errors: texts(findings.errors),
            warnings: texts(findings.warnings),
            snapshots: findings.snapshots,
            packs: findings.packs,
            blobs: findings.blobs,
            bytes_read: findings.bytes_read,
        }
    }
}

impl From<Depth> for sink::Depth {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::Structure => Self::Structure,
            Depth::Data => Self::Data,
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
