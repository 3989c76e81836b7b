//! Calls that were pending when their owner was dropped.
//!
//! A destructor cannot await, and a pending host call can only be ended by awaiting it. So a destructor leaves such calls
//! here, and closing the store ends them.

use std::any::Any;
use std::cell::RefCell;

thread_local! {
    static DEFERRED: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Leaves a value with pending host calls.
pub(crate) fn defer(owner: impl Any) {
    DEFERRED.with_borrow_mut(|deferred| deferred.push(Box::new(owner)));
}

/// Ends all pending calls.
pub(crate) fn end() {
    drop(DEFERRED.take());
}
