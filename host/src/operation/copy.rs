//! Snapshots of one store into another.

use super::Context;
use super::Receipt;
use super::snapshot::{Filter, Snapshot, Which, listed, pick};
use super::store::Store;
use crate::error::{Error, Result};
use crate::plugin::Spec;
use crate::plugin::bindings::sink::exports::tthost::backup::sink::{
    Draft, Selection, Snapshot as Known,
};
use crate::transfer::transfer;

/// Snapshots that are to be in another store as well.
#[derive(Clone, Debug)]
pub struct Copy {
    /// The store that has them.
    pub from: Spec,
    /// The store that is to have them.
    pub to: Spec,
    /// Which ones.
    pub wanted: Wanted,
}

/// Which snapshots are copied. One that the other store has already never is.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All that pass the filter.
    All(Filter),
    /// This one.
    One(Which),
}

/// How one snapshot was dealt with.
#[derive(Clone, Debug)]
pub enum Copied {
    /// The other store has it now.
    New(Receipt),
    /// The other store had it already.
    Present,
}

/// Copies snapshots, the oldest first, with their times, hosts, users, tags and paths, and tells
/// of each as soon as it is done. What one of them says does not stop the others; the error is
/// one of the stores or of the request.
pub async fn copy(
    context: &Context,
    copy: Copy,
    mut tell: impl FnMut(&Snapshot, &Result<Copied>),
) -> Result<()> {
    let from = Store::open(context, &copy.from).await?;
    let copied = match Store::open(context, &copy.to).await {
        Ok(to) => {
            let copied = copy_all(context, &copy, (&from, &to), &mut tell);
            to.use_and_close(context, Box::pin(copied)).await
        }
        Err(error) => Err(error),
    };
    from.close(context).await;
    copied
}

async fn copy_all(
    context: &Context,
    copy: &Copy,
    (from, to): (&Store, &Store),
    tell: &mut impl FnMut(&Snapshot, &Result<Copied>),
) -> Result<()> {
    let one = match &copy.wanted {
        Wanted::One(which) => Some(pick(from, which).await?.id),
        Wanted::All(_) => None,
    };
    let is_wanted = |snapshot: &Snapshot| match (&copy.wanted, &one) {
        (Wanted::All(filter), _) => filter.passes(snapshot),
        (Wanted::One(_), id) => id.as_ref() == Some(&snapshot.id),
    };
    let there = listed(to).await?;
    let mut wanted = Vec::new();
    for known in listed(from).await? {
        let snapshot =
            Snapshot::try_from(known.clone()).map_err(|error| error.of(from.subject()))?;
        if is_wanted(&snapshot) {
            wanted.push((snapshot, known));
        }
    }
    wanted.sort_by_key(|(snapshot, _)| snapshot.time);
    for (snapshot, known) in wanted {
        let copied = if there.iter().any(|other| is_copy(other, &known)) {
            Ok(Copied::Present)
        } else {
            let limit = copy.from.limits.output;
            copy_one(context, (from, to), known, limit)
                .await
                .map(Copied::New)
        };
        tell(&snapshot, &copied);
    }
    Ok(())
}

async fn copy_one(
    context: &Context,
    (from, to): (&Store, &Store),
    known: Known,
    limit: Option<u64>,
) -> Result<Receipt> {
    let selection = Selection {
        snapshot: known.id,
        paths: Vec::new(),
    };
    let reader = from.read(selection, limit).await?;
    let draft = Draft {
        time: known.time,
        hostname: known.hostname,
        username: known.username,
        tags: known.tags,
        paths: known.paths,
        dry_run: false,
        force: false,
    };
    let of_target = |error: Error| error.of(to.subject());
    let writer = to.begin(draft).await.map_err(of_target)?;
    let mut moved = transfer(reader, vec![writer], &*context.events).await?;
    moved.receipts.remove(0).map_err(of_target)
}

/// Whether two snapshots are of the same thing at the same time.
fn is_copy(one: &Known, other: &Known) -> bool {
    let time = |known: &Known| (known.time.seconds, known.time.nanoseconds);
    let sorted = |texts: &[String]| {
        let mut texts = texts.to_vec();
        texts.sort();
        texts
    };
    time(one) == time(other)
        && one.hostname == other.hostname
        && one.username == other.username
        && sorted(&one.tags) == sorted(&other.tags)
        && sorted(&one.paths) == sorted(&other.paths)
}
