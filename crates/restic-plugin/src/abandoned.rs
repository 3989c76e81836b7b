//! What was under way when its owner was given up.
//!
//! A destructor may not wait, and to end a call of the host that is under way is to wait for it. So a destructor leaves such
//! calls here, and the end of the use of the store ends them.

use std::any::Any;
use std::cell::RefCell;

thread_local! {
    static DEFERRED: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Leaves something whose calls of the host are still under way.
pub(crate) fn defer(owner: impl Any) {
    DEFERRED.with_borrow_mut(|deferred| deferred.push(Box::new(owner)));
}

/// Ends all that was left. It may wait.
pub(crate) fn end() {
    drop(DEFERRED.take());
}
