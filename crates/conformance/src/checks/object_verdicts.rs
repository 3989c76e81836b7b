//! Incomplete objects are not stored, whether a call fails or the instance ends.

use std::time::Duration;

use futures::future::{Either, join_all, select};

use super::checks;
use crate::host::{Given, Objects, Then};
use crate::lab::{Lab, ensure, fail, skip};
use crate::model::{Access, Case, Existing};
use crate::objects::{body, expect_list, expect_nothing, expect_object, put};
use crate::suite::Verdict;

checks! { ObjectVerdicts:
    "a-failing-verdict-stores-no-object" failing, "store.wit: objects.put",
        "an error, and the name holds what it held before";
    "a-missing-verdict-stores-no-object" unsaid, "store.wit: objects.put",
        "an error, and the name holds what it held before";
    "a-cut-stream-stores-no-object" cut, "store.wit: objects.put",
        "an error, and the name holds what it held before";
    "killed-in-a-put-stores-no-object" killed, "store.wit: objects.put",
        "a new instance finds what the name held before, and stores there";
    "a-get-can-be-given-up" given_up, "store.wit: objects.get",
        "the store goes on after a stream that nobody read to its end";
    "several-objects-at-once-keep-apart" apart, "store.wit: objects",
        "8 objects are stored and read at a time";
    "a-store-tells-no-secret" no_secret, "host.wit: log.log",
        "no secret is in a message or on a standard stream, also when something fails";
}

/// The length of what does not come whole.
const LENGTH: u64 = 700_000;

/// What does not come whole is stored under a name that is free, and one that is not, and leaves both as they were.
async fn expect_unstored(lab: &Lab<'_>, sent: u64, then: Then) -> Verdict {
    let (fixture, store) = lab.objects().await?;
    put(&*store, "data/old", body(1, 1000)).await?;
    for name in ["data/old", "data/new"] {
        let contents = Given {
            body: body(2, LENGTH),
            sent,
            then,
        };
        if store.put(name, Existing::Replaced, contents).await.is_ok() {
            return fail(format!("it says that it stored {name}"));
        }
    }
    expect_unchanged(&*store).await?;
    store.close().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    expect_unchanged(&*store).await?;
    expect_use(&*store).await
}

/// Fails unless only what is old is there.
async fn expect_unchanged(store: &dyn Objects) -> Verdict {
    expect_nothing(store, "data/new").await?;
    expect_object(store, "data/old", body(1, 1000)).await?;
    expect_list(store, "", &[("data/old", 1000)]).await
}

/// Fails unless both names can be stored under.
async fn expect_use(store: &dyn Objects) -> Verdict {
    for (seed, name) in [(3, "data/old"), (4, "data/new")] {
        put(store, name, body(seed, 2000)).await?;
        expect_object(store, name, body(seed, 2000)).await?;
    }
    Ok(())
}

async fn failing(lab: &Lab<'_>) -> Verdict {
    expect_unstored(lab, LENGTH, Then::Fails).await
}

async fn unsaid(lab: &Lab<'_>) -> Verdict {
    expect_unstored(lab, LENGTH, Then::Unsaid).await
}

async fn cut(lab: &Lab<'_>) -> Verdict {
    expect_unstored(lab, LENGTH / 2, Then::Fails).await
}

async fn killed(lab: &Lab<'_>) -> Verdict {
    let (fixture, store) = lab.objects().await?;
    put(&*store, "data/old", body(1, 1000)).await?;
    store.close().await?;
    for name in ["data/old", "data/new"] {
        let store = fixture.open(Access::ReadWrite).await?;
        let contents = Given {
            body: body(2, LENGTH),
            sent: LENGTH / 2,
            then: Then::Stalls,
        };
        let put = store.put(name, Existing::Replaced, contents);
        let some_time = lab.host.sleep(Duration::from_millis(200));
        if let Either::Left((Ok(()), _)) = select(put, some_time).await {
            return fail("`put` answered before its stream came to an end");
        }
        store.kill();
        drop(store);
        let store = fixture.open(Access::ReadWrite).await?;
        expect_unchanged(&*store).await?;
        store.close().await?;
    }
    let store = fixture.open(Access::ReadWrite).await?;
    expect_use(&*store).await
}

async fn given_up(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    put(&*store, "data/a", body(1, 8 << 20)).await?;
    for _ in 0..3 {
        match store.get("data/a", None, &mut |_| false).await {
            Err(error) if error.case != Case::Cancelled => return Err(error.into()),
            _ => {}
        }
    }
    put(&*store, "data/b", body(2, 1000)).await?;
    expect_object(&*store, "data/b", body(2, 1000)).await?;
    expect_object(&*store, "data/a", body(1, 8 << 20)).await
}

async fn apart(lab: &Lab<'_>) -> Verdict {
    let (_place, store) = lab.objects().await?;
    let names: Vec<_> = (1..=8)
        .map(|number| (number, format!("data/{number}")))
        .collect();
    let object = |number: u64| body(number, 100_000 + number);
    let puts = names
        .iter()
        .map(|(number, name)| put(&*store, name, object(*number)));
    for put in join_all(puts).await {
        put?;
    }
    let gets = names
        .iter()
        .map(|(number, name)| expect_object(&*store, name, object(*number)));
    for got in join_all(gets).await {
        got?;
    }
    Ok(())
}

/// Shorter ones are somewhere by chance.
const SHORTEST: usize = 6;

async fn no_secret(lab: &Lab<'_>) -> Verdict {
    let secrets = lab.host.secrets().into_iter();
    let secrets: Vec<_> = secrets.filter(|secret| secret.len() >= SHORTEST).collect();
    if secrets.is_empty() {
        return skip("it was granted no secret");
    }
    let (_place, store) = lab.objects().await?;
    put(&*store, "config", body(1, 155)).await?;
    expect_object(&*store, "config", body(1, 155)).await?;
    let mut said = String::new();
    // Something fails as well.
    if let Err(error) = store.get("data/nothing", None, &mut |_| true).await {
        said += &error.text;
    }
    let contents = Given::whole(body(2, 155));
    if let Err(error) = store.put("config", Existing::Kept, contents).await {
        said += &error.text;
    }
    store.close().await?;
    let plugin_output = lab.host.plugin_output() + &said;
    for secret in secrets {
        let mut windows = plugin_output.as_bytes().windows(secret.len());
        ensure(!windows.any(|said| said == secret), || {
            "a secret is in what it said".into()
        })?;
    }
    Ok(())
}
