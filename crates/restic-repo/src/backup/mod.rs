//! Writes a tree into the repository: cuts contents into blobs, packs the blobs, stores directories when they are
//! complete, and the snapshot last.

mod packer;
mod parent;
mod writer;

pub use writer::{Completeness, Contents, Counts, Draft, Ending, Receipt, Writer};

use std::cell::RefCell;
use std::rc::Rc;

use crate::core::Core;
use crate::{Access, FileKind, Id, Platform, Result};

/// Packs that no index names yet. If their work is not finished they are removed, so that a failed
/// backup leaves the repository as it was.
#[derive(Clone, Default)]
pub(crate) struct Cleanup(Rc<RefCell<Vec<Id>>>);

impl Cleanup {
    pub(crate) fn add(&self, pack: Id) {
        self.0.borrow_mut().push(pack);
    }

    pub(crate) fn forget(&self) {
        self.0.borrow_mut().clear();
    }

    /// Removes the packs of unfinished work, where anything can be removed.
    pub(crate) async fn run<P: Platform>(&self, core: &Core<P>) -> Result<()> {
        let packs = self.0.take();
        if core.platform.access() != Access::Full {
            return Ok(());
        }
        for pack in packs {
            core.platform.remove(FileKind::Pack, pack).await?;
        }
        Ok(())
    }
}
