//! Snapshots of one store into another.

use super::snapshot::pick;
use super::{Context, Filter, Receipt, Snapshot, Which};
use crate::contract::{Draft, Selection};
use crate::error::{Error, Result};
use crate::plugin::{Repository, Spec};
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
    let from = Repository::open(context, &copy.from).await?;
    let copied = match Repository::open(context, &copy.to).await {
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
    (from, to): (&Repository, &Repository),
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
    let there = to.snapshots().await?;
    let mut wanted = from.snapshots().await?;
    wanted.retain(is_wanted);
    wanted.sort_by_key(|snapshot| snapshot.time);
    for snapshot in wanted {
        let is_there = |other: &Snapshot| is_copy(&other.recorded, &snapshot.recorded);
        let copied = if there.iter().any(is_there) {
            Ok(Copied::Present)
        } else {
            let copied = copy_one(context, (from, to), &snapshot).await;
            copied.map(Copied::New)
        };
        tell(&snapshot, &copied);
    }
    Ok(())
}

async fn copy_one(
    context: &Context,
    (from, to): (&Repository, &Repository),
    snapshot: &Snapshot,
) -> Result<Receipt> {
    let selection = Selection {
        snapshot: snapshot.id.clone(),
        paths: Vec::new(),
    };
    let reader = from.read(selection).await?;
    let of_target = |error: Error| error.of(to.subject());
    let writer = to
        .begin(snapshot.recorded.clone())
        .await
        .map_err(of_target)?;
    let writers = vec![Box::new(writer) as Box<_>];
    let mut moved = transfer(Box::new(reader), writers, &*context.events).await?;
    moved.receipts.remove(0).map_err(of_target)
}

/// Whether two snapshots are of the same thing at the same time.
fn is_copy(one: &Draft, other: &Draft) -> bool {
    let sorted = |texts: &[String]| {
        let mut texts = texts.to_vec();
        texts.sort();
        texts
    };
    one.time == other.time
        && one.hostname == other.hostname
        && one.username == other.username
        && sorted(&one.tags) == sorted(&other.tags)
        && sorted(&one.paths) == sorted(&other.paths)
}
