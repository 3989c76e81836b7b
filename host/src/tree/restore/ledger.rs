//! Collects the results of several threads.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{error, warn};

use super::item::{Item, Made};
use super::place::Place;
use super::proof::Proofs;
use crate::contract::Receipt;
use crate::error::{Error, Kind, Result};
use crate::tree::metadata::Shortfall;
use crate::tree::target_dir::{Previous, TargetDir};

/// Counts, what was not permitted, and the error after which nothing else can be made.
pub(super) struct Ledger {
    /// Where the root is, for messages.
    path: PathBuf,
    /// Nothing is to be made any more.
    is_over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    receipt: Receipt,
    proofs: Proofs,
    told: Shortfall,
    fatal: Option<Error>,
}

impl Ledger {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            is_over: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves it whole: every change is made in one go.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the counts.
    pub(super) fn count(&self, change: impl FnOnce(&mut Receipt)) {
        change(&mut self.state().receipt);
    }

    /// Something took its name.
    pub(super) fn note(&self, made: &Made) {
        self.count_created(made.before);
        self.record_shortfall(made.shortfall);
    }

    /// Something took its name, which something else may have had.
    pub(super) fn count_created(&self, before: Previous) {
        self.count(|receipt| match before {
            Previous::Absent => receipt.files_new += 1,
            Previous::Present => receipt.files_changed += 1,
        });
    }

    /// A file holds what has this digest.
    pub(super) fn prove(&self, place: &Place, digest: [u8; 32]) {
        self.state().proofs.add(place, digest);
    }

    /// Says what was not permitted, once.
    pub(super) fn record_shortfall(&self, shortfall: Shortfall) {
        if shortfall == Shortfall::default() {
            return;
        }
        let mut state = self.state();
        let told = &mut state.told;
        if shortfall.owner && !std::mem::replace(&mut told.owner, true) {
            let text = "files belong to you and not to their owners: only root may set owners";
            warn!(subject = "restore", "{text}");
        }
        if shortfall.existence && !std::mem::replace(&mut told.existence, true) {
            let text = "devices were left out: only root may create them";
            warn!(subject = "restore", "{text}");
        }
        if shortfall.attributes && !std::mem::replace(&mut told.attributes, true) {
            let text = "some extended attributes were left out: the system or the file system does not permit them";
            warn!(subject = "restore", "{text}");
        }
    }

    /// Goes on without something that cannot be restored, and says so; an error where nothing else can be either.
    pub(super) fn omit(&self, item: &Item, cause: &io::Error) -> Result<()> {
        let error = self.failed(&item.at.path(), cause);
        if matches!(error.kind(), Kind::NoSpace | Kind::ReadOnly) {
            return Err(error);
        }
        self.count(|receipt| receipt.failed += 1);
        error!(subject = "restore", help = error.next_step(), "{error:#}");
        Ok(())
    }

    /// The error of something that cannot be restored and has this path below the root.
    pub(super) fn failed(&self, path: &Path, cause: &io::Error) -> Error {
        failed(&self.path.join(path), cause)
    }

    /// Nothing is to be made any more, because of this.
    pub(super) fn end(&self, error: Error) {
        self.state().fatal.get_or_insert(error);
        self.give_up();
    }

    /// Nothing is to be made any more.
    pub(super) fn give_up(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether nothing is to be made any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// The error after which nothing else could be made, told once.
    pub(super) fn check(&self) -> Result<()> {
        if !self.is_over() {
            return Ok(());
        }
        self.state().fatal.take().map_or(Ok(()), Err)
    }

    /// All was made: reads back what is to be, and answers what was counted.
    pub(super) fn close(&self, root: &TargetDir) -> Result<Receipt> {
        let state = std::mem::take(&mut *self.state());
        if let Some((path, cause)) = state.proofs.refute(root) {
            let path = self.path.join(path);
            let text = format!("{} cannot be verified", path.display());
            return Err(Error::new(Kind::Corrupt, text).caused_by(cause));
        }
        Ok(state.receipt)
    }
}

/// The error of something that cannot be restored.
pub(crate) fn failed(path: &Path, cause: &io::Error) -> Error {
    let text = format!("{} cannot be restored", path.display());
    // Several things can have the same error, which cannot be cloned.
    let kept = io::Error::new(cause.kind(), cause.to_string());
    let error = Error::of_system(text, kept);
    match cause.kind() {
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => error
            .help("--delete removes what stands in the way, and everything else that is not in the snapshot"),
        _ => error,
    }
}
