//! Cleans up the leftovers of processes that died.

use tracing::warn;

use super::Context;
use crate::error::{Error, Kind, Result};
use crate::journal::{Abandoned, JournalLock, Leftover};
use crate::tree;
use crate::volume;

/// Undoes what processes of this machine have left that are gone, and only that. What cannot be undone is told, and
/// is left for the next time. What belongs to a plugin, that undoes when it runs.
pub async fn recover(context: &Context) {
    let recovered = context.unless_cancelled(undo_all(context)).await;
    if let Err(error) = recovered
        && error.kind() != Kind::Cancelled
    {
        let text = "what an interrupted run has left cannot be undone";
        warn!(help = error.next_step(), "{text}: {}", error.message());
    }
}

async fn undo_all(context: &Context) -> Result<()> {
    let failed = |cause| Error::of_system("the state directory cannot be used", cause);
    let is_ours = |(_, leftover): &(_, _)| !matches!(leftover, Leftover::OfPlugin { .. });
    let has_ours = |journal: &Abandoned| journal.outstanding().iter().any(is_ours);
    let journals = context.journal.abandoned().map_err(failed)?;
    if !journals.iter().any(has_ours) {
        return Ok(());
    }
    drop(journals);
    let lock = context.journal.lock().await.map_err(failed)?;
    // The process that had the lock before may have undone a part of it.
    for mut journal in context.journal.abandoned().map_err(failed)? {
        undo(context, &mut journal, &lock).await;
    }
    Ok(())
}

async fn undo(context: &Context, journal: &mut Abandoned, lock: &JournalLock) {
    for (note, leftover) in journal.outstanding() {
        let undone = match &leftover {
            Leftover::OfPlugin { .. } => continue,
            Leftover::Files { root, prefix } => tree::remove_partial(root, prefix)
                .map(|removed| match removed {
                    0 => None,
                    _ => Some(format!(
                        "{removed} incomplete files below {} are removed",
                        root.display()
                    )),
                })
                .map_err(|cause| {
                    let text = format!(
                        "incomplete files below {} cannot be removed",
                        root.display()
                    );
                    Error::of_system(text, cause)
                }),
            Leftover::Container(_) | Leftover::Helper { .. } | Leftover::Image { .. } => {
                volume::undo(&context.journal, &leftover, lock).await
            }
        };
        match undone {
            Ok(what) => {
                if let Some(what) = what {
                    warn!("a run that was cut off had not cleaned_up up: {what}");
                }
                if let Err(cause) = journal.clear(note) {
                    warn!("the state directory cannot be written to: {cause}");
                }
            }
            Err(error) => warn!(
                help = error.next_step(),
                "what an interrupted run has left cannot be undone: {}",
                error.message()
            ),
        }
    }
}
