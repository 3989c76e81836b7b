//! Confirms what a sink claims. An instance that took no part lists the snapshots, so that the operator learns at
//! once if the sink did not store or remove one.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{Instrument as _, debug, warn};

use super::{Context, Receipt, Snapshot};
use crate::error::{Error, Kind, Result};
use crate::grant::Access;
use crate::plugin::{Origin, Repository, Spec};

/// How exactly a store has to keep the time of a snapshot.
const PRECISION: Duration = Duration::from_secs(1);

/// The snapshots that a new instance of a sink lists, without changing anything.
pub(super) async fn listed(context: &Context, sink: &Spec) -> Result<Vec<Snapshot>> {
    let listed = async {
        let repository = Repository::open(context, sink, Access::ReadOnly).await?;
        let listing = repository.snapshots();
        repository.use_and_close(context, listing).await
    };
    listed.instrument(sink.span()).await
}

/// The receipt of a sink that stored a snapshot with this time, unless that is not there.
pub(super) async fn confirm(
    context: &Context,
    sink: &Spec,
    receipt: Receipt,
    time: Timestamp,
) -> Result<Receipt> {
    let listed = match listed(context, sink).await {
        Ok(listed) => listed,
        // What is stored is stored, and the interruption is told elsewhere.
        Err(error) if error.kind() == Kind::Cancelled => return Ok(receipt),
        Err(error) if matches!(error.kind(), Kind::Denied | Kind::Unsupported) => {
            unseen(sink, &error);
            return Ok(receipt);
        }
        Err(error) => return Err(error),
    };
    check(&receipt, time, &listed).map_err(|error| error.of(sink.subject()))?;
    Ok(receipt)
}

/// Whether the snapshot of a receipt is among these, and has this time.
pub(super) fn check(receipt: &Receipt, time: Timestamp, listed: &[Snapshot]) -> Result<()> {
    let fault = |text: String| Err(Error::new(Kind::Plugin, text));
    let Some(id) = &receipt.snapshot else {
        return fault("it said that it stored a snapshot, and does not name it".into());
    };
    let Some(snapshot) = listed.iter().find(|snapshot| snapshot.id == *id) else {
        return fault(format!(
            "it said that it stored the snapshot {id}, and does not list it"
        ));
    };
    if snapshot.time.duration_since(time).unsigned_abs() >= PRECISION {
        return fault(format!(
            "it said that it stored the snapshot {id}, which has another time"
        ));
    }
    Ok(())
}

/// Tells that nobody could look, as with credentials for writing alone. Our own sinks look at each object instead.
fn unseen(sink: &Spec, error: &Error) {
    let subject = sink.subject();
    let text = format!(
        "nobody can look whether its snapshot is there: {}",
        error.message()
    );
    match sink.origin {
        Origin::Bundled(_) => debug!(subject, "{text}"),
        Origin::File { .. } => warn!(subject, "{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::SnapshotId;
    use crate::snapshot::sample;

    #[test]
    fn a_receipt_holds_for_a_snapshot_that_is_listed_with_its_time_alone() {
        let time = "2026-01-31T02:00:00.5Z";
        let listed = [sample(time)];
        let time: Timestamp = time.parse().expect("it is one");
        let receipt = |id: Option<&str>| Receipt {
            snapshot: id.map(|id| SnapshotId::new(id).expect("it is one")),
            ..Receipt::default()
        };
        let own = receipt(Some("2026-01-31T02:00:00.5Z"));
        check(&own, time, &listed).expect("it is there");
        check(&own, time + PRECISION, &listed).expect_err("it is an older one");
        check(&receipt(Some("other")), time, &listed).expect_err("it is not there");
        check(&receipt(None), time, &listed).expect_err("it has no name");
    }
}
