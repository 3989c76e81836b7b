//! Objects, and their names.

use super::checks;
use crate::host::Given;
use crate::lab::{Lab, ensure, fail};
use crate::model::{Access, Case, Existing, Range};
use crate::objects::{body, expect_list, expect_nothing, expect_object, get, put};
use crate::suite::Verdict;

checks! { Objects:
    "an-object-comes-back" comes_back, "store.wit: objects.put",
        "a new instance reads objects of 0 bytes to 3 MiB as they were stored";
    "an-object-is-there-at-once" at_once, "store.wit: objects.put",
        "what was stored can be read, is listed and has its size at once";
    "each-name-holds-an-object-of-its-own" names, "store.wit: objects",
        "names of all characters, of 200 bytes, of many parts, and alike but for one character hold an object each";
    "a-part-is-exactly-what-was-asked-for" parts, "store.wit: objects.part",
        "the first byte, the last one, some in the middle and all of them";
    "a-part-beyond-the-end-is-corrupt" beyond, "store.wit: objects.get",
        "`corrupt`, where the part goes beyond the end of the object";
    "a-missing-object-is-not-found" missing, "store.wit: objects.get",
        "`not-found`, and `stat` knows nothing of it";
    "what-leads-to-objects-is-none" leads, "store.wit: objects",
        "a name that other names go on from is not found and not listed";
    "an-object-is-replaced" replaced, "store.wit: existing.replaced",
        "a longer and a shorter object take the place of another, with their own sizes";
    "an-object-is-kept" kept, "store.wit: existing.kept",
        "`exists`, and what is there stays; where nothing is, the object is stored";
    "a-removed-object-is-gone" removed, "store.wit: objects.remove",
        "it is not found and not listed, its neighbours are, and another can be stored there";
    "removing-nothing-is-fine" removing_nothing, "store.wit: objects.remove",
        "`ok`, where no object has the name";
}

const MIB: u64 = 1 << 20;

async fn comes_back(lab: &Lab<'_>) -> Verdict {
    let (fixture, store) = lab.objects().await?;
    let sizes = [0, 1, (64 << 10) - 1, (64 << 10) + 1, MIB, 3 * MIB + 17];
    let names = (1..).map(|number| format!("data/0{number}"));
    let objects: Vec<_> = names.zip(sizes).collect();
    for (seed, (name, size)) in (1..).zip(&objects) {
        put(&*store, name, body(seed, *size)).await?;
    }
    store.close().await?;
    let store = fixture.open(Access::ReadOnly).await?;
    for (seed, (name, size)) in (1..).zip(&objects) {
        expect_object(&*store, name, body(seed, *size)).await?;
    }
    Ok(store.close().await?)
}

async fn at_once(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    put(&*store, "keys/5f2c", body(1, 467)).await?;
    expect_object(&*store, "keys/5f2c", body(1, 467)).await?;
    expect_list(&*store, "keys", &[("keys/5f2c", 467)]).await?;
    let size = store.stat("keys/5f2c").await?;
    ensure(size == Some(467), || {
        format!("`stat` says {size:?} of an object of 467 bytes")
    })
}

/// Names of which any could be taken for another, or for something else.
fn odd_names() -> Vec<String> {
    let part = "x".repeat(100);
    let longest = format!("{}/{}", "y".repeat(100), "z".repeat(99));
    let deep = ["d"; 40].join("/");
    let all = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    let names = [
        all, "a.b", "a-b", "a_b", "ab", "a..b", "a.", "-a", "_a", "--", "0", "dir/a", "dir/b",
        "dir.a", "dir-a", "con", "config", &part, &longest, &deep,
    ];
    names.map(str::to_owned).to_vec()
}

async fn names(lab: &Lab<'_>) -> Verdict {
    let (fixture, store) = lab.objects().await?;
    let names = odd_names();
    let sizes = || (1..).zip(&names);
    for (number, name) in sizes() {
        put(&*store, name, body(number, number)).await?;
    }
    store.close().await?;
    let store = fixture.open(Access::ReadOnly).await?;
    for (number, name) in sizes() {
        expect_object(&*store, name, body(number, number)).await?;
    }
    let all: Vec<_> = sizes()
        .map(|(number, name)| (name.as_str(), number))
        .collect();
    expect_list(&*store, "", &all).await?;
    Ok(store.close().await?)
}

async fn parts(lab: &Lab<'_>) -> Verdict {
    const LENGTH: u64 = 300_000;
    let (_place, store) = lab.objects().await?;
    let stored = body(1, LENGTH);
    put(&*store, "data/pack", stored).await?;
    for (offset, length) in [
        (0, 1),
        (LENGTH - 1, 1),
        (1, 7),
        (70_000, 150_000),
        (LENGTH - 5, 5),
        (0, LENGTH),
    ] {
        let part = Range { offset, length };
        let bytes = get(&*store, "data/pack", Some(part)).await?;
        let most = usize::try_from(length).unwrap_or(usize::MAX);
        ensure(bytes == stored.bytes(offset, most), || {
            format!("the {length} bytes from {offset} on are not what was stored there")
        })?;
    }
    Ok(())
}

async fn beyond(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    put(&*store, "data/pack", body(1, 1000)).await?;
    for (offset, length) in [(999, 2), (0, 1001), (1000, 1), (1 << 40, 1)] {
        let part = Range { offset, length };
        match get(&*store, "data/pack", Some(part)).await {
            Ok(bytes) => {
                return fail(format!(
                    "{} bytes came for the {length} from {offset} on of an object of 1000",
                    bytes.len()
                ));
            }
            Err(error) if error.case == Case::Corrupt => {}
            Err(error) => return Err(error.into()),
        }
    }
    expect_object(&*store, "data/pack", body(1, 1000)).await
}

async fn missing(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    put(&*store, "data/there", body(1, 10)).await?;
    for name in ["data/nothing", "nowhere/at/all", "config"] {
        expect_nothing(&*store, name).await?;
        let part = Range {
            offset: 0,
            length: 1,
        };
        match get(&*store, name, Some(part)).await {
            Err(error) if error.case == Case::NotFound => {}
            Ok(_) => return fail(format!("a part of {name} came, which is not there")),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn leads(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    put(&*store, "data/0a/pack", body(1, 10)).await?;
    expect_nothing(&*store, "data").await?;
    expect_nothing(&*store, "data/0a").await
}

async fn replaced(lab: &Lab<'_>) -> Verdict {
    let (fixture, store) = lab.objects().await?;
    for (seed, length) in [(1, 1000), (2, 70_000), (3, 10)] {
        put(&*store, "index/a", body(seed, length)).await?;
        expect_object(&*store, "index/a", body(seed, length)).await?;
        expect_list(&*store, "", &[("index/a", length)]).await?;
        let size = store.stat("index/a").await?;
        ensure(size == Some(length), || {
            format!("`stat` says {size:?} of an object that was replaced by {length} bytes")
        })?;
    }
    store.close().await?;
    let store = fixture.open(Access::ReadOnly).await?;
    expect_object(&*store, "index/a", body(3, 10)).await?;
    Ok(store.close().await?)
}

async fn kept(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    let kept = |seed, length| {
        let contents = Given::whole(body(seed, length));
        store.put("locks/a", Existing::Kept, contents)
    };
    kept(1, 100).await?;
    expect_object(&*store, "locks/a", body(1, 100)).await?;
    for length in [100, 70_000] {
        match kept(2, length).await {
            Ok(()) => return fail("it stored an object in the place of one that is kept"),
            Err(error) if error.case == Case::Exists => {}
            Err(error) => return Err(error.into()),
        }
        expect_object(&*store, "locks/a", body(1, 100)).await?;
    }
    Ok(())
}

async fn removed(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    for (seed, name) in [(1, "data/a"), (2, "data/ab"), (3, "data/b")] {
        put(&*store, name, body(seed, 10)).await?;
    }
    store.remove("data/a").await?;
    expect_nothing(&*store, "data/a").await?;
    expect_list(&*store, "data", &[("data/ab", 10), ("data/b", 10)]).await?;
    expect_object(&*store, "data/ab", body(2, 10)).await?;
    put(&*store, "data/a", body(4, 20)).await?;
    expect_object(&*store, "data/a", body(4, 20)).await
}

async fn removing_nothing(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    store.remove("nowhere/at/all").await?;
    put(&*store, "data/a", body(1, 10)).await?;
    store.remove("data/nothing").await?;
    store.remove("data/a").await?;
    store.remove("data/a").await?;
    expect_nothing(&*store, "data/a").await
}
