//! Converts between the suite's types and the host's.

use bytes::Bytes;
use futures::FutureExt as _;
use tthost_conformance::host::CallFuture;
use tthost_conformance::model;

use crate::contract::{
    AccountName, Answer, Completeness, Depth, Draft, Ending, Entry, EntryKind, Existing, Findings,
    Instant, Invalid, LinkTarget, Metadata, Name, OwnerId, Permissions, Receipt, Rights, Severity,
    SmallFile, Subset, Subtree, WriteMode, Xattr,
};
use crate::error::{Error, Kind, Result};
use crate::grant;
use crate::plugin::{Description, Role};
use crate::snapshot::Snapshot;

/// An answer with the suite's error.
pub(super) fn call<'a, T: 'a>(work: impl Future<Output = Result<T>> + 'a) -> CallFuture<'a, T> {
    work.map(|result| result.map_err(|failure| error(&failure)))
        .boxed_local()
}

/// What the host refuses, and what ended a plugin, is not an answer of it.
pub(super) fn error(error: &Error) -> model::Error {
    let case = match error.kind() {
        Kind::Config => model::Case::Config,
        Kind::Denied => model::Case::Denied,
        Kind::NotFound | Kind::NoRepository => model::Case::NotFound,
        Kind::Exists => model::Case::Exists,
        Kind::Locked => model::Case::Locked,
        Kind::Busy => model::Case::Busy,
        Kind::Unauthenticated => model::Case::Unauthenticated,
        Kind::Corrupt => model::Case::Corrupt,
        Kind::NoSpace => model::Case::NoSpace,
        Kind::ReadOnly => model::Case::ReadOnly,
        Kind::Unavailable => model::Case::Unavailable,
        Kind::Unsupported => model::Case::Unsupported,
        Kind::Cancelled => model::Case::Cancelled,
        Kind::Plugin => model::Case::Broken,
        Kind::Usage | Kind::Other => model::Case::Other,
    };
    let text = error.message();
    model::Error { case, text }
}

pub(super) fn role(role: Role) -> model::Role {
    match role {
        Role::Source => model::Role::Source,
        Role::Sink => model::Role::Sink,
        Role::Store => model::Role::Store,
    }
}

pub(super) fn description(said: Description) -> model::Description {
    let needs = said.needs.into_iter().map(|need| model::Need {
        resource: need.resource.names().1.to_owned(),
        name: need.name,
        reason: need.reason,
    });
    model::Description {
        name: said.name,
        version: said.version,
        summary: said.summary,
        config_schema: said.config_schema,
        needs: needs.collect(),
        capabilities: said.capabilities.into_iter().map(str::to_owned).collect(),
    }
}

pub(super) fn access(access: model::Access) -> grant::Access {
    match access {
        model::Access::ReadOnly => grant::Access::ReadOnly,
        model::Access::ReadWrite => grant::Access::ReadWrite,
    }
}

pub(super) fn completeness(completeness: model::Completeness) -> Completeness {
    match completeness {
        model::Completeness::Complete => Completeness::Complete,
        model::Completeness::Incomplete => Completeness::Incomplete,
    }
}

pub(super) fn to_model_completeness(completeness: Completeness) -> model::Completeness {
    match completeness {
        Completeness::Complete => model::Completeness::Complete,
        Completeness::Incomplete => model::Completeness::Incomplete,
    }
}

pub(super) fn ending(ending: model::Ending) -> Ending {
    match ending {
        model::Ending::Whole => Ending::Whole,
        model::Ending::Changed => Ending::Changed,
        model::Ending::Omitted => Ending::Omitted,
    }
}

pub(super) fn to_model_ending(ending: Ending) -> model::Ending {
    match ending {
        Ending::Whole => model::Ending::Whole,
        Ending::Changed => model::Ending::Changed,
        Ending::Omitted => model::Ending::Omitted,
    }
}

pub(super) fn small(small: model::Small) -> SmallFile {
    SmallFile {
        id: small.id,
        ending: ending(small.ending),
        contents: Bytes::from(small.bytes),
    }
}

pub(super) fn to_model_small(small: &SmallFile) -> model::Small {
    model::Small {
        id: small.id,
        ending: to_model_ending(small.ending),
        bytes: small.contents.to_vec(),
    }
}

fn instant(time: model::Instant) -> Result<Instant, Invalid> {
    Instant::new(time.seconds, time.nanoseconds)
}

fn to_model_instant(time: Instant) -> model::Instant {
    model::Instant {
        seconds: time.seconds(),
        nanoseconds: time.nanoseconds(),
    }
}

pub(super) fn draft(draft: model::Draft) -> Result<Draft> {
    let time = instant(draft.time);
    Ok(Draft {
        time: time.map_err(|invalid| Error::new(Kind::Other, invalid.to_string()))?,
        hostname: draft.hostname,
        username: draft.username,
        tags: draft.tags,
        paths: draft.paths,
        mode: WriteMode {
            dry_run: draft.dry_run,
            force: draft.force,
        },
    })
}

pub(super) fn snapshot(snapshot: Snapshot) -> model::Snapshot {
    let recorded = snapshot.recorded;
    model::Snapshot {
        id: snapshot.id.to_string(),
        time: to_model_instant(recorded.time),
        hostname: recorded.hostname,
        username: recorded.username,
        tags: recorded.tags,
        paths: recorded.paths,
        damaged: snapshot.damaged,
    }
}

pub(super) fn receipt(receipt: Receipt) -> model::Receipt {
    model::Receipt {
        snapshot: receipt.snapshot.map(|id| id.to_string()),
        files: receipt.files_new + receipt.files_changed + receipt.files_unmodified,
        bytes: receipt.bytes_total,
    }
}

pub(super) fn subset(subset: model::Subset) -> Subset {
    Subset {
        first: subset.first,
        last: subset.last,
    }
}

pub(super) fn depth(depth: model::Depth) -> Depth {
    match depth {
        model::Depth::Structure => Depth::Structure,
        model::Depth::Data(part) => Depth::Data(subset(part)),
    }
}

pub(super) fn findings(findings: &Findings) -> model::Findings {
    let errors = findings.findings.iter();
    let errors = errors.filter(|finding| finding.severity == Severity::Error);
    model::Findings {
        errors: errors.map(|finding| finding.what.clone()).collect(),
        bytes_read: findings.bytes_read,
    }
}

pub(super) fn rights(rights: &Rights) -> model::Rights {
    let answer = |answer| match answer {
        Answer::Yes => model::Answer::Yes,
        Answer::No => model::Answer::No,
        Answer::Unknown => model::Answer::Unknown,
    };
    model::Rights {
        put: answer(rights.put),
        get: answer(rights.get),
        list: answer(rights.list),
        delete: answer(rights.delete),
    }
}

pub(super) fn entry(entry: model::Entry) -> Result<Entry, Invalid> {
    let kind = match entry.kind {
        model::Kind::File(size) => EntryKind::File(size),
        model::Kind::Directory => EntryKind::Directory,
        model::Kind::Symlink(target) => EntryKind::Symlink(LinkTarget::new(target)?),
        model::Kind::Fifo => EntryKind::Fifo,
        model::Kind::Socket => EntryKind::Socket,
        model::Kind::CharacterDevice(device) => EntryKind::CharacterDevice(device),
        model::Kind::BlockDevice(device) => EntryKind::BlockDevice(device),
    };
    let metadata = entry.metadata;
    let account = |name: Option<String>| name.map(AccountName::new).transpose();
    let time = |time: Option<model::Instant>| time.map(instant).transpose();
    let xattrs = metadata.xattrs.into_iter();
    Ok(Entry {
        id: entry.id,
        parent: entry.parent,
        name: Name::new(entry.name)?,
        kind,
        metadata: Metadata {
            permissions: Permissions::new(metadata.mode)?,
            uid: OwnerId::new(metadata.uid)?,
            gid: OwnerId::new(metadata.gid)?,
            user: account(metadata.user)?,
            group: account(metadata.group)?,
            modified: instant(metadata.modified)?,
            accessed: time(metadata.accessed)?,
            changed: time(metadata.changed)?,
            device: metadata.device,
            inode: metadata.inode,
            links: metadata.links,
            xattrs: Xattr::all(xattrs.map(|(name, value)| Xattr::new(name, value)))?,
        },
        subtree: entry.subtree.map(Subtree::new).transpose()?,
    })
}

pub(super) fn existing(existing: model::Existing) -> Existing {
    match existing {
        model::Existing::Replaced => Existing::Replaced,
        model::Existing::Kept => Existing::Kept,
    }
}

pub(super) fn to_model_entry(entry: Entry) -> model::Entry {
    let kind = match entry.kind {
        EntryKind::File(size) => model::Kind::File(size),
        EntryKind::Directory => model::Kind::Directory,
        EntryKind::Symlink(target) => model::Kind::Symlink(target.into_bytes()),
        EntryKind::Fifo => model::Kind::Fifo,
        EntryKind::Socket => model::Kind::Socket,
        EntryKind::CharacterDevice(device) => model::Kind::CharacterDevice(device),
        EntryKind::BlockDevice(device) => model::Kind::BlockDevice(device),
    };
    let metadata = entry.metadata;
    model::Entry {
        id: entry.id,
        parent: entry.parent,
        name: entry.name.into_bytes(),
        kind,
        metadata: model::Metadata {
            mode: metadata.permissions.bits(),
            uid: metadata.uid.get(),
            gid: metadata.gid.get(),
            user: metadata.user.map(AccountName::into_string),
            group: metadata.group.map(AccountName::into_string),
            modified: to_model_instant(metadata.modified),
            accessed: metadata.accessed.map(to_model_instant),
            changed: metadata.changed.map(to_model_instant),
            device: metadata.device,
            inode: metadata.inode,
            links: metadata.links,
            xattrs: metadata.xattrs.into_iter().map(Xattr::into_parts).collect(),
        },
        subtree: entry.subtree.map(|subtree| subtree.as_bytes().to_vec()),
    }
}
