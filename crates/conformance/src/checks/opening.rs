//! Creating, opening and closing a store.

use std::time::{Duration, Instant};

use super::checks;
use crate::lab::{Lab, draft, ensure, expect_files, fail, files, write};
use crate::model::{Access, Case};
use crate::suite::Verdict;
use crate::tree::usual;

checks! { Opening:
    "open-on-nothing-is-not-found" on_nothing, "sink.wit: repository.open",
        "`not-found`, and nothing is made";
    "create-makes-a-store" makes_a_store, "sink.wit: repository.create",
        "a new instance opens it, and it has no snapshots";
    "create-twice-is-refused" create_twice, "sink.wit: repository.create",
        "`exists`, and the store that is there stays as it is";
    "identity-stays" identity_stays, "sink.wit: repository.identity",
        "each instance says the same of a store, and something else of another";
    "looking-changes-nothing" looking, "sink.wit: repository.open",
        "with `read-only` access, nothing that is stored changes";
    "two-may-look-at-once" two_may_look, "sink.wit: repository.open",
        "two instances list and read the same store at once";
    "two-may-write-at-once-or-are-told" two_may_write, "sink.wit: repository.begin",
        "a second writer works or is told that the store is `locked`, and all that is committed is there";
    "close-answers-in-time" close_in_time, "sink.wit: repository.close",
        "`close` answers within 10 seconds";
    "a-store-that-was-cut-off-opens" cut_off, "sink.wit: sink.repository",
        "after the end of an instance that did not close, the store can be used";
    "locks-can-be-removed" locks_can_be_removed, "sink.wit: maintenance.unlock",
        "after `unlock`, a store that was cut off can be written to";
}

async fn on_nothing(lab: &Lab<'_>) -> Verdict {
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let fixture = lab.host.store_fixture().await?;
        let before = files(&*fixture)?;
        match fixture.open(access).await {
            Ok(_) => return fail("it opened a store where there is none"),
            Err(error) if error.case == Case::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        expect_files(&*fixture, before.as_ref(), "after `open`")?;
    }
    Ok(())
}

async fn makes_a_store(lab: &Lab<'_>) -> Verdict {
    let fixture = lab.host.store_fixture().await?;
    fixture.create().await?.close().await?;
    lab.expect_ids(&*fixture, &[]).await
}

async fn create_twice(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let (fixture, ids) = lab.store_of(&[&tree]).await?;
    let before = files(&*fixture)?;
    match fixture.create().await {
        Ok(_) => return fail("it made a second store in place of the first"),
        Err(error) if error.case == Case::Exists => {}
        Err(error) => return Err(error.into()),
    }
    expect_files(&*fixture, before.as_ref(), "after the second `create`")?;
    lab.expect_ids(&*fixture, &ids).await
}

async fn identity_stays(lab: &Lab<'_>) -> Verdict {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let fixture = lab.host.store_fixture().await?;
        let store = fixture.create().await?;
        let made = store.identity().await?;
        store.close().await?;
        ensure(!made.id.is_empty(), || {
            "the id of the store is empty".into()
        })?;
        for access in [Access::ReadWrite, Access::ReadOnly] {
            let store = fixture.open(access).await?;
            let opened = store.identity().await?;
            store.close().await?;
            ensure(made == opened, || {
                format!("it said {made:?} when it was made, and {opened:?} later")
            })?;
        }
        ids.push(made.id);
    }
    ensure(ids[0] != ids[1], || {
        format!("two stores have the id {}", ids[0])
    })
}

async fn looking(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let (fixture, ids) = lab.store_of(&[&tree]).await?;
    let before = files(&*fixture)?;
    lab.expect_tree(&*fixture, &ids[0], &tree).await?;
    lab.expect_ids(&*fixture, &ids).await?;
    expect_files(&*fixture, before.as_ref(), "after looking")
}

async fn two_may_look(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let (fixture, ids) = lab.store_of(&[&tree]).await?;
    let first = fixture.open(Access::ReadOnly).await?;
    lab.expect_tree(&*fixture, &ids[0], &tree).await?;
    let listed = first.snapshots().await?;
    first.close().await?;
    ensure(listed.len() == 1, || {
        format!("the first instance lists {} snapshots", listed.len())
    })
}

async fn two_may_write(lab: &Lab<'_>) -> Verdict {
    let trees = [usual(1), usual(2)];
    let fixture = lab.store().await?;
    let first = fixture.open(Access::ReadWrite).await?;
    let writer = first.begin(draft(0)).await?;
    let mut stored = Vec::new();
    let second = async {
        let second = fixture.open(Access::ReadWrite).await?;
        let receipt = write(&*second, draft(1), &trees[1]).await;
        second.close().await?;
        receipt
    };
    match second.await {
        Ok(receipt) => stored.extend(receipt.snapshot),
        Err(error) if error.case == Case::Locked => {}
        Err(error) => return Err(error.into()),
    }
    let mut writer = writer;
    crate::lab::send(&mut *writer, &trees[0]).await?;
    let receipt = writer.commit(crate::model::Completeness::Complete).await?;
    first.close().await?;
    stored.extend(receipt.snapshot);
    lab.expect_ids(&*fixture, &stored).await
}

async fn close_in_time(lab: &Lab<'_>) -> Verdict {
    let fixture = lab.store().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    write(&*store, draft(0), &usual(1)).await?;
    let start = Instant::now();
    store.close().await?;
    let time = start.elapsed();
    ensure(time < Duration::from_secs(10), || {
        format!("it took {:.1} s", time.as_secs_f64())
    })
}

async fn cut_off(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let (fixture, ids) = lab.store_of(&[&tree]).await?;
    let store = fixture.open(Access::ReadWrite).await?;
    store.snapshots().await?;
    store.kill();
    drop(store);
    lab.expect_use(&*fixture, &ids).await
}

async fn locks_can_be_removed(lab: &Lab<'_>) -> Verdict {
    let fixture = lab.store().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let writer = store.begin(draft(0)).await?;
    store.kill();
    drop((writer, store));
    if fixture.unlock().await?.is_none() {
        return crate::lab::skip("it does not export `maintenance`");
    }
    lab.expect_use(&*fixture, &[]).await
}
