//! Putting trees back.

use wit_bindgen::{FutureReader, StreamReader};

use crate::bindings::exports::tthost::backup::source;
use crate::bindings::exports::tthost::backup::transfer::{GuestWriter, Receipt, Writer};
use crate::bindings::tthost::backup::types::{Completeness, Ending, Entry, Error, Small};

/// Puts trees back.
pub(crate) struct Restoration;

impl Restoration {
    pub(crate) async fn begin(_: source::Restoration) -> Result<Self, Error> {
        Err(Error::Unsupported("not yet".into()))
    }
}

impl GuestWriter for Restoration {
    async fn offer(&self, _: Vec<Entry>) -> Result<Vec<u64>, Error> {
        todo!()
    }

    async fn put_small(&self, _: Vec<Small>) -> Result<(), Error> {
        todo!()
    }

    async fn put(
        &self,
        _: u64,
        _: StreamReader<u8>,
        _: FutureReader<Result<Ending, Error>>,
    ) -> Result<(), Error> {
        todo!()
    }

    async fn commit(_: Writer, _: Completeness) -> Result<Receipt, Error> {
        todo!()
    }
}
