//! Uncommitted snapshots leave nothing behind, whether a call fails or the instance ends.

use std::time::{Duration, Instant};

use futures::future::{Either, select};

use super::checks;
use crate::host::{Given, StoreFixture, Then, Writer};
use crate::lab::{Lab, draft, ensure, fail, send, small_of, whole};
use crate::model::{Access, Case, Completeness, Ending, Kind, Small};
use crate::suite::{Stop, Verdict};
use crate::tree::{Body, Node, Tree, usual};

/// How long a plugin may take to tidy up.
const GRACE: Duration = Duration::from_secs(10);

checks! { Verdicts:
    "a-failing-verdict-fails-the-file" failing, "transfer.wit: writer.put",
        "`put` answers an error when the verdict is one";
    "a-missing-verdict-fails-the-file" unsaid, "transfer.wit: writer.put",
        "`put` answers an error when the verdict never comes";
    "a-cut-stream-leaves-nothing" cut_stream, "transfer.wit: writer.put",
        "after a stream that ended early with a bad verdict there is no trace of a snapshot";
    "given-up-after-begin-leaves-nothing" after_begin, "transfer.wit: transfer.writer",
        "no trace of a snapshot within 10 seconds, and the next one works";
    "given-up-after-an-offer-leaves-nothing" after_offer, "transfer.wit: transfer.writer",
        "no trace of a snapshot within 10 seconds, and the next one works";
    "given-up-before-the-commit-leaves-nothing" before_commit, "transfer.wit: transfer.writer",
        "no trace of a snapshot within 10 seconds, and the next one works";
    "given-up-in-the-middle-of-a-file-leaves-nothing" in_a_file, "transfer.wit: writer.put",
        "no trace of a snapshot within 10 seconds, and the next one works";
    "closed-without-a-commit-leaves-nothing" closed, "sink.wit: repository.close",
        "a writer that is dropped with its store leaves no trace of a snapshot";
    "killed-after-begin-leaves-nothing" killed_after_begin, "sink.wit: repository.begin",
        "an instance that ends leaves no trace of a snapshot, and the next one works";
    "killed-after-an-offer-leaves-nothing" killed_after_offer, "transfer.wit: writer.offer",
        "an instance that ends leaves no trace of a snapshot, and the next one works";
    "killed-after-small-files-leaves-nothing" killed_after_small, "transfer.wit: writer.put-small",
        "an instance that ends leaves no trace of a snapshot, and the next one works";
    "killed-in-the-middle-of-a-file-leaves-nothing" killed_in_a_file, "transfer.wit: writer.put",
        "an instance that ends leaves no trace of a snapshot, and the next one works";
    "killed-before-the-commit-leaves-nothing" killed_before_commit, "transfer.wit: writer.commit",
        "an instance that ends leaves no trace of a snapshot, and the next one works";
    "killed-in-the-commit-leaves-all-or-nothing" killed_in_commit, "transfer.wit: writer.commit",
        "the snapshot is whole or not there, and the next one works";
    "an-omitted-small-file-drops-its-entry-only" omitted_small, "transfer.wit: writer.put-small",
        "the entry of omitted contents is not there, and all others are";
    "an-omitted-large-file-drops-its-entry-only" omitted_large, "types.wit: types.ending",
        "what the stream of an omitted file carried counts for nothing, and all other entries are there";
    "changed-contents-are-what-came" changed, "types.wit: types.ending",
        "a file that changed while it was read has the bytes that came, however many were announced";
}

/// Where a writer is given up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Begun,
    Offered,
    SmallPut,
    /// In the middle of a large file.
    InAFile,
    /// All of it came.
    AllPut,
}

/// The large file of the usual tree.
const LARGE: &[u8] = b"/large.bin";

/// Brings a writer to a phase.
async fn send_tree(writer: &mut dyn Writer, tree: &Tree, phase: Phase) -> Result<(), Stop> {
    if phase == Phase::AllPut {
        send(writer, tree).await?;
    } else if phase != Phase::Begun {
        let asked = writer.offer(tree.entries.clone()).await?;
        if phase != Phase::Offered {
            let large = tree.find(LARGE).id;
            let small = asked.into_iter().filter(|id| *id != large);
            let small = small.map(|id| small_of(id, tree.bodies[&id]));
            writer.put_small(small.collect()).await?;
        }
    }
    Ok(())
}

/// A large file whose second half never comes.
fn half(tree: &Tree) -> (u64, Given) {
    let id = tree.find(LARGE).id;
    let body = tree.bodies[&id];
    let given = Given {
        body,
        sent: body.length / 2,
        then: Then::Stalls,
    };
    (id, given)
}

/// Gives a writer up in this phase.
async fn give_up(lab: &Lab<'_>, phase: Phase) -> Verdict {
    let tree = usual(2);
    let (fixture, ids) = lab.store_of(&[&usual(1)]).await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut writer = store.begin(draft(1)).await?;
    send_tree(&mut *writer, &tree, phase).await?;
    if phase == Phase::InAFile {
        let (id, given) = half(&tree);
        let put = writer.put(id, given);
        let some_time = lab.host.sleep(Duration::from_millis(100));
        if let Either::Left((Ok(()), _)) = select(put, some_time).await {
            return fail("`put` answered before its stream came to an end");
        }
    }
    let time = writer.give_up().await;
    ensure(time < GRACE, || {
        format!("it took {:.0} s to clean up", time.as_secs_f64())
    })?;
    store.close().await?;
    lab.expect_ids(&*fixture, &ids).await?;
    lab.expect_use(&*fixture, &ids).await
}

async fn after_begin(lab: &Lab<'_>) -> Verdict {
    give_up(lab, Phase::Begun).await
}

async fn after_offer(lab: &Lab<'_>) -> Verdict {
    give_up(lab, Phase::Offered).await
}

async fn before_commit(lab: &Lab<'_>) -> Verdict {
    give_up(lab, Phase::AllPut).await
}

async fn in_a_file(lab: &Lab<'_>) -> Verdict {
    give_up(lab, Phase::InAFile).await
}

async fn closed(lab: &Lab<'_>) -> Verdict {
    let (fixture, ids) = lab.store_of(&[&usual(1)]).await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut writer = store.begin(draft(1)).await?;
    send(&mut *writer, &usual(2)).await?;
    drop(writer);
    store.close().await?;
    lab.expect_ids(&*fixture, &ids).await?;
    lab.expect_use(&*fixture, &ids).await
}

/// Ends the instance in this phase.
async fn kill(lab: &Lab<'_>, phase: Phase) -> Verdict {
    let tree = usual(2);
    let (fixture, ids) = lab.store_of(&[&usual(1)]).await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut writer = store.begin(draft(1)).await?;
    send_tree(&mut *writer, &tree, phase).await?;
    if phase == Phase::InAFile {
        let (id, given) = half(&tree);
        let put = writer.put(id, given);
        let some_time = lab.host.sleep(Duration::from_millis(50));
        let under_way = select(put, some_time).await;
        store.kill();
        drop(under_way);
    }
    store.kill();
    drop((writer, store));
    lab.expect_ids(&*fixture, &ids).await?;
    lab.expect_use(&*fixture, &ids).await
}

async fn killed_after_begin(lab: &Lab<'_>) -> Verdict {
    kill(lab, Phase::Begun).await
}

async fn killed_after_offer(lab: &Lab<'_>) -> Verdict {
    kill(lab, Phase::Offered).await
}

async fn killed_after_small(lab: &Lab<'_>) -> Verdict {
    kill(lab, Phase::SmallPut).await
}

async fn killed_in_a_file(lab: &Lab<'_>) -> Verdict {
    kill(lab, Phase::InAFile).await
}

async fn killed_before_commit(lab: &Lab<'_>) -> Verdict {
    kill(lab, Phase::AllPut).await
}

async fn killed_in_commit(lab: &Lab<'_>) -> Verdict {
    /// Into how many parts the time of a whole one is divided.
    const PARTS: u32 = 4;
    let trees = [usual(1), usual(2)];
    let whole = {
        let (fixture, _) = lab.store_of(&[&trees[0]]).await?;
        let store = fixture.open(Access::ReadWrite).await?;
        let mut writer = store.begin(draft(1)).await?;
        send(&mut *writer, &trees[1]).await?;
        let start = Instant::now();
        writer.commit(Completeness::Complete).await?;
        let whole = start.elapsed();
        store.close().await?;
        whole
    };
    for part in 0..PARTS {
        let (fixture, mut ids) = lab.store_of(&[&trees[0]]).await?;
        let store = fixture.open(Access::ReadWrite).await?;
        let mut writer = store.begin(draft(1)).await?;
        send(&mut *writer, &trees[1]).await?;
        let commit = writer.commit(Completeness::Complete);
        let some_time = lab.host.sleep(whole * part / PARTS);
        let under_way = select(commit, some_time).await;
        store.kill();
        drop(under_way);
        drop(store);
        for id in lab.ids(&*fixture).await? {
            if !ids.contains(&id) {
                lab.expect_tree(&*fixture, &id, &trees[1]).await?;
                ids.push(id);
            }
        }
        lab.expect_tree(&*fixture, &ids[0], &trees[0]).await?;
        lab.expect_use(&*fixture, &ids).await?;
    }
    Ok(())
}

/// Puts a file so, and fails if the plugin says that it has it, or leaves a trace of a snapshot.
async fn bad_end(lab: &Lab<'_>, given: impl Fn(Body) -> Given) -> Verdict {
    let tree = usual(2);
    let (fixture, ids) = lab.store_of(&[&usual(1)]).await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut writer = store.begin(draft(1)).await?;
    send_tree(&mut *writer, &tree, Phase::SmallPut).await?;
    let id = tree.find(LARGE).id;
    let given = given(tree.bodies[&id]);
    match writer.put(id, given).await {
        Ok(()) => return fail("`put` answered `ok`"),
        Err(error) if error.case == Case::Broken => return Err(error.into()),
        Err(_) => {}
    }
    writer.give_up().await;
    store.close().await?;
    lab.expect_ids(&*fixture, &ids).await?;
    lab.expect_use(&*fixture, &ids).await
}

async fn failing(lab: &Lab<'_>) -> Verdict {
    bad_end(lab, |body| Given {
        body,
        sent: body.length,
        then: Then::Fails,
    })
    .await
}

async fn unsaid(lab: &Lab<'_>) -> Verdict {
    bad_end(lab, |body| Given {
        body,
        sent: body.length,
        then: Then::Unsaid,
    })
    .await
}

async fn cut_stream(lab: &Lab<'_>) -> Verdict {
    bad_end(lab, |body| Given {
        body,
        sent: body.length / 3,
        then: Then::Fails,
    })
    .await
}

async fn omitted_small(lab: &Lab<'_>) -> Verdict {
    let path = b"/docs/b.bin";
    let tree = usual(1);
    let fixture = lab.store().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut writer = store.begin(draft(0)).await?;
    let omitted = tree.find(path).id;
    let large = tree.find(LARGE).id;
    let asked = writer.offer(tree.entries.clone()).await?;
    let small = asked
        .into_iter()
        .filter(|id| ![omitted, large].contains(id));
    let small = small.map(|id| small_of(id, tree.bodies[&id]));
    let gone = Small {
        id: omitted,
        ending: Ending::Omitted,
        bytes: Vec::new(),
    };
    writer.put_small(small.chain([gone]).collect()).await?;
    writer.put(large, Given::whole(tree.bodies[&large])).await?;
    finish_without(lab, (&*fixture, store), writer, tree.without(path)).await
}

async fn omitted_large(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let fixture = lab.store().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut writer = store.begin(draft(0)).await?;
    send_tree(&mut *writer, &tree, Phase::SmallPut).await?;
    let id = tree.find(LARGE).id;
    let body = tree.bodies[&id];
    let omitted = Given {
        body,
        sent: body.length / 2,
        then: Then::Ends(Ending::Omitted),
    };
    writer.put(id, omitted).await?;
    finish_without(lab, (&*fixture, store), writer, tree.without(LARGE)).await
}

/// Commits, and fails unless the snapshot is this tree.
async fn finish_without(
    lab: &Lab<'_>,
    (fixture, store): (&dyn StoreFixture, Box<dyn crate::host::Store>),
    writer: Box<dyn Writer>,
    tree: Tree,
) -> Verdict {
    let receipt = writer.commit(Completeness::Incomplete).await?;
    store.close().await?;
    let id = receipt.snapshot.unwrap_or_default();
    lab.expect_tree(fixture, &id, &tree).await?;
    Ok(())
}

async fn changed(lab: &Lab<'_>) -> Verdict {
    let announced = [("small", 1000), ("large", 900_000)];
    let came = [
        Body {
            seed: 1,
            length: 1300,
        },
        Body {
            seed: 2,
            length: 700_000,
        },
    ];
    let nodes = announced
        .into_iter()
        .zip(came)
        .map(|((name, length), body)| Node::file(name, Body { length, ..body }));
    let tree = Tree::of(nodes.collect());
    let [large, small] = [1, 2];
    let fixture = lab.store().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut writer = store.begin(draft(0)).await?;
    writer.offer(tree.entries.clone()).await?;
    let bytes = came[0].whole();
    let ending = Ending::Changed;
    writer
        .put_small(vec![Small {
            id: small,
            ending,
            bytes,
        }])
        .await?;
    let given = Given {
        body: came[1],
        sent: came[1].length,
        then: Then::Ends(ending),
    };
    writer.put(large, given).await?;
    let receipt = writer.commit(Completeness::Incomplete).await?;
    store.close().await?;
    let store = fixture.open(Access::ReadOnly).await?;
    let id = receipt.snapshot.unwrap_or_default();
    let mut reader = store.read(whole(&id)).await?;
    let entries = reader.next(10).await?;
    ensure(entries.len() == 2, || {
        format!("it has {} entries", entries.len())
    })?;
    for (entry, body) in entries.iter().zip([came[1], came[0]]) {
        if let Kind::File(Some(size)) = entry.kind {
            ensure(size == body.length, || {
                format!(
                    "it says {size} bytes of a file of which {} came",
                    body.length
                )
            })?;
        }
        let mut bytes = Vec::new();
        let mut take = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            true
        };
        reader
            .read(entry.id, Some(body.length), None, &mut take)
            .await?;
        ensure(bytes == body.whole(), || {
            format!("it gives {} bytes, where {} came", bytes.len(), body.length)
        })?;
    }
    reader.finish().await?;
    store.close().await?;
    Ok(())
}
