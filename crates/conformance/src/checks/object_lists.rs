//! Listings of objects, and the location of a store.

use std::time::{Duration, Instant};

use super::checks;
use crate::files::Files;
use crate::host::ObjectStoreFixture;
use crate::lab::{Lab, ensure, fail};
use crate::model::Access;
use crate::objects::{body, expect_list, expect_object, list, put};
use crate::suite::{Stop, Verdict};

checks! { ObjectLists:
    "opening-needs-no-place" no_place, "store.wit: store.open",
        "`open` is `ok` where nothing was made yet, for reading as well";
    "an-empty-place-lists-nothing" empty, "store.wit: objects.list",
        "the list of a new place is empty, and that below a name that nothing has too";
    "making-the-place-again-is-fine" again, "store.wit: store.create",
        "a second `create` is `ok`, and the objects stay";
    "a-list-has-each-object-once" complete, "store.wit: objects.list",
        "every object is on one of the pages, with its size; 60 objects, with --full 2500";
    "a-list-ends-at-its-prefix" prefix, "store.wit: objects.list",
        "it has the objects whose names begin with the prefix and a `/`, and no others";
    "a-size-is-that-of-the-object" sizes, "store.wit: objects.object-stat",
        "`list` and `stat` say how many bytes were stored";
    "instances-see-the-same" the_same, "store.wit: objects.stat",
        "what one instance stores, replaces and removes, another sees that was open before";
    "reading-changes-no-object" reading, "store.wit: store.open",
        "with `read-only` access, everything can be read and nothing changes";
    "a-store-closes-in-time" close_in_time, "store.wit: store.close",
        "`close` is `ok` within 10 seconds";
}

async fn no_place(lab: &Lab<'_>) -> Verdict {
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let fixture = lab.host.object_store_fixture().await?;
        fixture.open(access).await?.close().await?;
    }
    Ok(())
}

async fn empty(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    expect_list(&*store, "", &[]).await?;
    expect_list(&*store, "snapshots", &[]).await?;
    put(&*store, "data/a", body(1, 1)).await?;
    expect_list(&*store, "snapshots", &[]).await?;
    store.remove("data/a").await?;
    expect_list(&*store, "data", &[]).await?;
    expect_list(&*store, "", &[]).await
}

async fn again(lab: &Lab<'_>) -> Verdict {
    let (fixture, store) = lab.objects().await?;
    put(&*store, "config", body(1, 155)).await?;
    store.create().await?;
    store.close().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    store.create().await?;
    expect_object(&*store, "config", body(1, 155)).await
}

async fn complete(lab: &Lab<'_>) -> Verdict {
    let (fixture, store) = lab.objects().await?;
    let count = if lab.full { 2500 } else { 60 };
    let name = |number: u64| match number % 3 {
        0 => format!("data/{:02x}/{number:04}", number % 7),
        1 => format!("index/{number:04}"),
        _ => format!("snapshots/{number:04}"),
    };
    let names: Vec<_> = (1..=count).map(|number| (name(number), number)).collect();
    for (name, number) in &names {
        put(&*store, name, body(*number, *number)).await?;
    }
    let all: Vec<_> = names
        .iter()
        .map(|(name, number)| (name.as_str(), *number))
        .collect();
    expect_list(&*store, "", &all).await?;
    store.close().await?;
    let store = fixture.open(Access::ReadOnly).await?;
    expect_list(&*store, "", &all).await?;
    for prefix in ["data", "index", "snapshots"] {
        let below = all.iter().filter(|(name, _)| name.starts_with(prefix));
        expect_list(&*store, prefix, &below.copied().collect::<Vec<_>>()).await?;
    }
    Ok(store.close().await?)
}

async fn prefix(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    let all = [
        ("config", 1),
        ("data/0a/1", 2),
        ("data/0a/2", 3),
        ("data/0ab", 4),
        ("data-old/1", 5),
    ];
    for (name, size) in all {
        put(&*store, name, body(size, size)).await?;
    }
    for (prefix, below) in [
        ("", &all[..]),
        ("data", &all[1..4]),
        ("data/0a", &all[1..3]),
        ("data-old", &all[4..]),
        ("dat", &[]),
        ("data/0", &[]),
        // An object leads to no others.
        ("config", &[]),
        ("data/0ab", &[]),
    ] {
        expect_list(&*store, prefix, below).await?;
    }
    Ok(())
}

async fn sizes(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    for size in [0, 1, 4095, 4096, 1_500_000] {
        let name = format!("data/{size}");
        put(&*store, &name, body(7, size)).await?;
        let said = store.stat(&name).await?;
        let listed = list(&*store, "data").await?.get(&name).copied();
        ensure(said == Some(size) && listed == Some(size), || {
            format!("`stat` says {said:?} and `list` {listed:?} of an object of {size} bytes")
        })?;
    }
    Ok(())
}

async fn the_same(lab: &Lab<'_>) -> Verdict {
    let (fixture, one) = lab.objects().await?;
    put(&*one, "index/a", body(1, 10)).await?;
    let other = fixture.open(Access::ReadWrite).await?;
    // It has looked before anything changes.
    expect_list(&*other, "", &[("index/a", 10)]).await?;
    expect_object(&*other, "index/a", body(1, 10)).await?;
    put(&*one, "index/a", body(2, 20)).await?;
    put(&*one, "index/b", body(3, 30)).await?;
    for (name, size) in [("index/a", Some(20)), ("index/b", Some(30))] {
        let said = other.stat(name).await?;
        ensure(said == size, || {
            format!("another instance says {said:?} of {name}, which has {size:?} bytes")
        })?;
    }
    expect_object(&*other, "index/a", body(2, 20)).await?;
    expect_list(&*other, "", &[("index/a", 20), ("index/b", 30)]).await?;
    other.remove("index/a").await?;
    ensure(one.stat("index/a").await?.is_none(), || {
        "an instance knows of an object that another has removed".into()
    })?;
    expect_list(&*one, "", &[("index/b", 30)]).await?;
    other.close().await?;
    Ok(one.close().await?)
}

/// All files of a fixture, where it has a directory.
fn files(fixture: &dyn ObjectStoreFixture) -> Result<Option<Files>, Stop> {
    Ok(fixture.directory().map(Files::of).transpose()?)
}

async fn reading(lab: &Lab<'_>) -> Verdict {
    let (fixture, store) = lab.objects().await?;
    put(&*store, "data/a", body(1, 1000)).await?;
    store.close().await?;
    let before = files(&*fixture)?;
    let store = fixture.open(Access::ReadOnly).await?;
    expect_list(&*store, "", &[("data/a", 1000)]).await?;
    expect_object(&*store, "data/a", body(1, 1000)).await?;
    store.stat("data/a").await?;
    store.close().await?;
    let difference = before.zip(files(&*fixture)?);
    match difference.and_then(|(before, now)| before.difference(&now)) {
        Some(difference) => fail(format!("after reading: {difference}")),
        None => Ok(()),
    }
}

async fn close_in_time(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    put(&*store, "config", body(1, 155)).await?;
    let start = Instant::now();
    store.close().await?;
    let time = start.elapsed();
    ensure(time < Duration::from_secs(10), || {
        format!("it took {:.1} s", time.as_secs_f64())
    })
}
