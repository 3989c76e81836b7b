//! A tree that goes nowhere.

use std::collections::HashSet;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::{Contents, Small, Writer};
use crate::error::Result;
use crate::operation::Receipt;
use crate::plugin::bindings::types::{Completeness, Entry};

/// Takes a tree without asking for any contents, to see what there is.
pub(crate) struct Rehearsal;

impl Writer for Rehearsal {
    fn offer(&mut self, _: Arc<[Entry]>) -> BoxFuture<'_, Result<HashSet<u64>>> {
        std::future::ready(Ok(HashSet::new())).boxed()
    }

    fn put_small(&mut self, _: Vec<Small>) -> BoxFuture<'_, Result<()>> {
        std::future::ready(Ok(())).boxed()
    }

    fn put(&mut self, _: u64, _: Contents) -> BoxFuture<'_, Result<()>> {
        std::future::ready(Ok(())).boxed()
    }

    fn commit(self: Box<Self>, _: Completeness) -> BoxFuture<'static, Result<Receipt>> {
        std::future::ready(Ok(Receipt::default())).boxed()
    }
}
