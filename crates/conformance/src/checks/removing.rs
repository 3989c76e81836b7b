//! Removing snapshots and their data.

use std::time::Instant;

use futures::future::select;

use super::checks;
use crate::host::StoreFixture;
use crate::lab::{Lab, ensure, expect_files, fail, files};
use crate::model::{Access, Case, Reclaimed};
use crate::suite::{Stop, Verdict};
use crate::tree::{Body, Node, Tree, usual};

checks! { Removing:
    "forget-removes-exactly-the-named" exactly, "sink.wit: repository.forget",
        "the named snapshots are not listed any more, and all others are";
    "forget-leaves-the-rest-readable" rest_readable, "sink.wit: repository.forget",
        "snapshots that share contents with a forgotten one give their whole trees";
    "forget-of-an-unknown-changes-nothing" unknown, "sink.wit: repository.forget",
        "an error, and no snapshot is removed, also of those that are there";
    "forget-may-remove-all" all, "sink.wit: repository.forget",
        "the list is empty, and the store can be used";
    "reclaim-frees-space" frees, "sink.wit: repository.reclaim",
        "what only a forgotten snapshot needed is removed, and counted";
    "reclaim-keeps-what-is-needed" keeps, "sink.wit: repository.reclaim",
        "all snapshots that are listed give their whole trees";
    "reclaim-without-waste-removes-no-snapshot" no_waste, "sink.wit: repository.reclaim",
        "where nothing was forgotten, all stays readable";
    "a-dry-reclaim-changes-nothing" dry_changes_nothing, "sink.wit: repository.reclaim",
        "nothing is removed";
    "a-dry-reclaim-says-the-same" dry_says_the_same, "sink.wit: sink.reclaim-options",
        "with a snapshot that is taken for forgotten, it says what is then removed";
    "a-reclaim-that-is-cut-off-harms-nothing" cut_off, "sink.wit: repository.reclaim",
        "wherever the instance ends, all that is listed is whole, and the next reclaim works";
}

/// Three trees with contents of their own, and some that they share.
fn three() -> [Tree; 3] {
    [1, 2, 3].map(|own| {
        let body = |seed, length| Body { seed, length };
        Tree::of(vec![
            Node::file("large", body(own * 10, 1_500_000)),
            Node::file("own", body(own * 10 + 1, 2000)),
            Node::directory(
                "shared",
                vec![
                    Node::file("a", body(100, 3000)),
                    Node::file("b", body(101, 800_000)),
                ],
            ),
        ])
    })
}

async fn forget(fixture: &dyn StoreFixture, ids: &[String]) -> Result<(), Stop> {
    let store = fixture.open(Access::ReadWrite).await?;
    store.forget(ids.to_vec()).await?;
    store.close().await?;
    Ok(())
}

async fn reclaim(fixture: &dyn StoreFixture) -> Result<Reclaimed, Stop> {
    let store = fixture.open(Access::ReadWrite).await?;
    let reclaimed = store.reclaim(Vec::new(), false).await?;
    store.close().await?;
    Ok(reclaimed)
}

async fn exactly(lab: &Lab<'_>) -> Verdict {
    let trees = [usual(1), usual(2), usual(3), usual(4)];
    let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
    forget(&*fixture, &ids[1..3]).await?;
    lab.expect_ids(&*fixture, &[ids[0].clone(), ids[3].clone()])
        .await
}

async fn rest_readable(lab: &Lab<'_>) -> Verdict {
    let trees = three();
    let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
    forget(&*fixture, &ids[..1]).await?;
    for (id, tree) in ids.iter().zip(&trees).skip(1) {
        lab.expect_tree(&*fixture, id, tree).await?;
    }
    Ok(())
}

async fn unknown(lab: &Lab<'_>) -> Verdict {
    let (fixture, ids) = lab.store_of(&[&usual(1), &usual(2)]).await?;
    let other: String = ids[0].chars().rev().chain(['0']).collect();
    for named in [vec![other.clone()], vec![ids[0].clone(), other]] {
        let store = fixture.open(Access::ReadWrite).await?;
        match store.forget(named).await {
            Ok(()) => return fail("it answered `ok` for a snapshot that is not there"),
            Err(error) if error.case == Case::Broken => return Err(error.into()),
            Err(_) => store.close().await?,
        }
        lab.expect_ids(&*fixture, &ids).await?;
    }
    Ok(())
}

async fn all(lab: &Lab<'_>) -> Verdict {
    let (fixture, ids) = lab.store_of(&[&usual(1), &usual(2)]).await?;
    forget(&*fixture, &ids).await?;
    reclaim(&*fixture).await?;
    lab.expect_ids(&*fixture, &[]).await?;
    lab.expect_use(&*fixture, &[]).await
}

async fn frees(lab: &Lab<'_>) -> Verdict {
    let trees = three();
    let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
    let before = files(&*fixture)?.map(|files| files.bytes());
    forget(&*fixture, &ids[..2]).await?;
    let reclaimed = reclaim(&*fixture).await?;
    ensure(reclaimed.bytes_removed > 0, || {
        "it says that it removed nothing".into()
    })?;
    let after = files(&*fixture)?.map(|files| files.bytes());
    let (Some(before), Some(after)) = (before, after) else {
        return Ok(());
    };
    // Two large files of contents that nothing compresses.
    ensure(after + 2_500_000 < before, || {
        format!("the store had {before} bytes and has {after}")
    })
}

async fn keeps(lab: &Lab<'_>) -> Verdict {
    let trees = three();
    let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
    forget(&*fixture, &ids[1..2]).await?;
    reclaim(&*fixture).await?;
    for at in [0, 2] {
        lab.expect_tree(&*fixture, &ids[at], &trees[at]).await?;
    }
    lab.expect_ids(&*fixture, &[ids[0].clone(), ids[2].clone()])
        .await?;
    lab.expect_use(&*fixture, &[ids[0].clone(), ids[2].clone()])
        .await
}

async fn no_waste(lab: &Lab<'_>) -> Verdict {
    let trees = three();
    let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
    reclaim(&*fixture).await?;
    lab.expect_ids(&*fixture, &ids).await?;
    for (id, tree) in ids.iter().zip(&trees) {
        lab.expect_tree(&*fixture, id, tree).await?;
    }
    Ok(())
}

async fn dry_changes_nothing(lab: &Lab<'_>) -> Verdict {
    let trees = three();
    let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
    forget(&*fixture, &ids[..1]).await?;
    let before = files(&*fixture)?;
    let store = fixture.open(Access::ReadOnly).await?;
    store.reclaim(vec![ids[1].clone()], true).await?;
    store.close().await?;
    expect_files(&*fixture, before.as_ref(), "after a dry run")?;
    lab.expect_ids(&*fixture, &ids[1..]).await?;
    for (id, tree) in ids.iter().zip(&trees).skip(1) {
        lab.expect_tree(&*fixture, id, tree).await?;
    }
    Ok(())
}

async fn dry_says_the_same(lab: &Lab<'_>) -> Verdict {
    let trees = three();
    let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
    let store = fixture.open(Access::ReadOnly).await?;
    let said = store.reclaim(vec![ids[1].clone()], true).await?;
    store.close().await?;
    forget(&*fixture, &ids[1..2]).await?;
    let done = reclaim(&*fixture).await?;
    ensure(said == done, || {
        format!("it said {said:?}, and did {done:?}")
    })
}

async fn cut_off(lab: &Lab<'_>) -> Verdict {
    /// Into how many parts the time of a whole one is divided.
    const PARTS: u32 = 4;
    let trees = three();
    let whole = {
        let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
        forget(&*fixture, &ids[1..2]).await?;
        let store = fixture.open(Access::ReadWrite).await?;
        let start = Instant::now();
        store.reclaim(Vec::new(), false).await?;
        let whole = start.elapsed();
        store.close().await?;
        whole
    };
    for part in 0..PARTS {
        let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
        forget(&*fixture, &ids[1..2]).await?;
        let store = fixture.open(Access::ReadWrite).await?;
        let under_way = select(
            store.reclaim(Vec::new(), false),
            lab.host.sleep(whole * part / PARTS),
        );
        let ended = under_way.await;
        store.kill();
        drop(ended);
        drop(store);
        for at in [0, 2] {
            lab.expect_tree(&*fixture, &ids[at], &trees[at]).await?;
        }
        reclaim(&*fixture).await?;
        for at in [0, 2] {
            lab.expect_tree(&*fixture, &ids[at], &trees[at]).await?;
        }
    }
    Ok(())
}
