//! The contents that a writer asks for.

use futures::future::join;

use super::checks;
use crate::host::Given;
use crate::lab::{BATCH, Lab, draft, ensure, skip};
use crate::model::{Access, Completeness, Kind};
use crate::suite::Verdict;
use crate::tree::{Body, Node, Tree, usual};

checks! { Offers:
    "offers-are-answered-in-order" in_order, "transfer.wit: writer.offer",
        "the numbers of regular files of this batch, each once, in their order";
    "new-contents-are-asked-for" new_contents, "transfer.wit: writer.offer",
        "all files with contents are asked for in a store that has none";
    "several-contents-at-once-keep-apart" at_once, "transfer.wit: writer.concurrency",
        "files that are put at the same time come back, each as itself";
}

async fn in_order(lab: &Lab<'_>) -> Verdict {
    let files = (0..1500).map(|number| {
        let body = Body {
            seed: number + 1,
            length: 1,
        };
        Node::file(format!("{number:04}"), body)
    });
    let links = (0..100)
        .map(|number| Node::other(format!("{number:04}-link"), Kind::Symlink(b"0000".to_vec())));
    let tree = Tree::of(files.chain(links).collect());
    let fixture = lab.store().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut writer = store.begin(draft(0)).await?;
    for batch in tree.entries.chunks(BATCH as usize) {
        let asked = writer.offer(batch.to_vec()).await?;
        ensure(asked.is_sorted_by(|one, other| one < other), || {
            "the numbers are out of order, or some come twice".into()
        })?;
        for id in &asked {
            let of_batch = batch.iter().find(|entry| entry.id == *id);
            let is_file = of_batch.is_some_and(|entry| matches!(entry.kind, Kind::File(_)));
            ensure(is_file, || {
                format!("it asks for the contents of entry {id}, which is not a file of the batch")
            })?;
        }
        let small = asked
            .iter()
            .map(|id| crate::lab::small_of(*id, tree.bodies[id]));
        let small: Vec<_> = small.collect();
        if !small.is_empty() {
            writer.put_small(small).await?;
        }
    }
    writer.give_up().await;
    store.close().await?;
    Ok(())
}

async fn new_contents(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let fixture = lab.store().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut writer = store.begin(draft(0)).await?;
    let asked = writer.offer(tree.entries.clone()).await?;
    writer.give_up().await;
    store.close().await?;
    let bodies = tree.bodies.iter().filter(|(_, body)| body.length > 0);
    let missing = bodies.filter(|(id, _)| !asked.contains(id)).count();
    ensure(missing == 0, || {
        format!("it did not ask for {missing} files that it cannot know")
    })
}

async fn at_once(lab: &Lab<'_>) -> Verdict {
    let body = |seed| Body {
        seed,
        length: 3 << 20,
    };
    let tree = Tree::of(vec![
        Node::file("a", body(1)),
        Node::file("b", body(2)),
        Node::file("c", body(3)),
    ]);
    let fixture = lab.store().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut writer = store.begin(draft(0)).await?;
    if writer.concurrency(2).await? < 2 {
        writer.give_up().await;
        store.close().await?;
        return skip("it says that it takes one file at a time");
    }
    writer.offer(tree.entries.clone()).await?;
    let put = |id: u64| writer.put(id, Given::whole(tree.bodies[&id]));
    let (first, second) = join(put(1), put(2)).await;
    first?;
    second?;
    put(3).await?;
    let receipt = writer.commit(Completeness::Complete).await?;
    store.close().await?;
    let id = receipt.snapshot.unwrap_or_default();
    lab.expect_tree(&*fixture, &id, &tree).await?;
    Ok(())
}
