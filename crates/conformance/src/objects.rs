//! What checks of object stores share: a fixture, storing an object, reading it back, listing.

use std::collections::BTreeMap;

use crate::host::{Given, ObjectStoreFixture, Objects};
use crate::lab::{Lab, ensure, fail};
use crate::model::{Access, Case, Error, Existing, Range};
use crate::suite::{Stop, Verdict};
use crate::tree::Body;

impl Lab<'_> {
    /// A new fixture, and an instance that has it open.
    pub(crate) async fn objects(
        &self,
    ) -> Result<(Box<dyn ObjectStoreFixture>, Box<dyn Objects>), Stop> {
        let fixture = self.host.object_store_fixture().await?;
        let store = fixture.open(Access::ReadWrite).await?;
        store.create().await?;
        Ok((fixture, store))
    }
}

/// Contents of so many bytes. Those of another seed are others.
pub(crate) fn body(seed: u64, length: u64) -> Body {
    Body { seed, length }
}

/// Stores an object, and replaces another of that name.
pub(crate) async fn put(store: &dyn Objects, name: &str, body: Body) -> Result<(), Error> {
    let contents = Given::whole(body);
    store.put(name, Existing::Replaced, contents).await
}

/// All bytes of an object, or of a part of it.
pub(crate) async fn get(
    store: &dyn Objects,
    name: &str,
    part: Option<Range>,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut take = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        true
    };
    store.get(name, part, &mut take).await?;
    Ok(bytes)
}

/// Fails unless an object has these contents.
pub(crate) async fn expect_object(store: &dyn Objects, name: &str, body: Body) -> Verdict {
    let bytes = get(store, name, None).await?;
    ensure(bytes == body.whole(), || {
        format!(
            "{name} has other contents than were stored: {} bytes, where it had {}",
            bytes.len(),
            body.length
        )
    })
}

/// Fails unless there is no object of this name, whoever is asked.
pub(crate) async fn expect_nothing(store: &dyn Objects, name: &str) -> Verdict {
    match get(store, name, None).await {
        Ok(bytes) => {
            return fail(format!(
                "{name} has {} bytes, and is not there",
                bytes.len()
            ));
        }
        Err(error) if error.case == Case::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    if let Some(size) = store.stat(name).await? {
        return fail(format!(
            "{name} is not there, and has a size of {size} bytes"
        ));
    }
    ensure(!list(store, "").await?.contains_key(name), || {
        format!("{name} is listed, and is not there")
    })
}

/// Names and sizes below a prefix, from all pages.
pub(crate) async fn list(store: &dyn Objects, prefix: &str) -> Result<BTreeMap<String, u64>, Stop> {
    let mut all = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.list(prefix, after).await?;
        for (name, size) in page.objects {
            if all.insert(name.clone(), size).is_some() {
                return fail(format!("{name} is listed twice"));
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// Fails unless exactly these objects are listed below a prefix.
pub(crate) async fn expect_list(
    store: &dyn Objects,
    prefix: &str,
    expected: &[(&str, u64)],
) -> Verdict {
    let listed = list(store, prefix).await?;
    let expected = expected
        .iter()
        .map(|(name, size)| ((*name).to_owned(), *size));
    let expected: BTreeMap<_, _> = expected.collect();
    let missing = expected
        .iter()
        .find(|(name, _)| !listed.contains_key(*name));
    if let Some((name, _)) = missing {
        return fail(format!("{name} is not listed below \"{prefix}\""));
    }
    let other = listed
        .iter()
        .find(|(name, _)| !expected.contains_key(*name));
    if let Some((name, _)) = other {
        return fail(format!(
            "{name} is listed below \"{prefix}\", and should not be"
        ));
    }
    let wrong = listed.iter().find(|(name, size)| expected[*name] != **size);
    match wrong {
        Some((name, size)) => fail(format!(
            "{name} is listed with {size} bytes, and has {}",
            expected[name]
        )),
        None => Ok(()),
    }
}
