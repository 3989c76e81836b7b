//! The promises of a commit.

use std::collections::BTreeSet;

use super::checks;
use crate::lab::{Lab, draft, ensure, expect_files, files, read_all, send, whole, write};
use crate::model::{Access, Completeness, Kind};
use crate::suite::Verdict;
use crate::tree::{Body, Node, Tree, usual};

checks! { Storing:
    "commit-names-a-new-snapshot" names_a_new, "transfer.wit: writer.commit",
        "the receipt names a snapshot that was not there, and a new instance lists it";
    "commit-names-another-each-time" names_another, "sink.wit: snapshot.id",
        "storing the same tree twice makes two snapshots";
    "snapshot-says-what-its-draft-said" says_what_its_draft_said, "sink.wit: sink.draft",
        "time, host, user, tags and paths are those of the draft";
    "receipt-counts-the-tree" counts_the_tree, "transfer.wit: transfer.receipt",
        "files and bytes are those of the tree, or 0 where the plugin does not count";
    "an-empty-tree-is-stored" empty_tree, "transfer.wit: writer.commit",
        "a snapshot of nothing is listed, and holds nothing";
    "snapshots-stand-alone" stand_alone, "transfer.wit: writer.commit",
        "each of several snapshots gives the tree that it was made of";
    "a-changed-file-is-seen" changed_file, "transfer.wit: writer.offer",
        "a file of the same name and size with another time of change has its new contents";
    "an-unchanged-file-stays" unchanged_file, "transfer.wit: writer.offer",
        "a snapshot of an unchanged tree gives all of it";
    "force-asks-for-everything" force, "sink.wit: draft.force",
        "all files that have contents are asked for";
    "dry-run-changes-nothing" dry_run, "sink.wit: draft.dry-run",
        "all of it is done, nothing is stored, and the receipt names no snapshot";
    "dry-run-counts-the-same" dry_run_counts, "sink.wit: draft.dry-run",
        "the receipt has the numbers of the real run";
    "an-incomplete-tree-says-so" incomplete, "transfer.wit: writer.commit",
        "the tags or the reader's verdict of a snapshot tell that something is missing";
    "a-complete-tree-says-so" complete, "transfer.wit: reader.finish",
        "the reader's verdict is `complete`, and no tag is new";
}

async fn names_a_new(lab: &Lab<'_>) -> Verdict {
    let fixture = lab.store().await?;
    let mut known = Vec::new();
    for number in 0..2 {
        let id = lab
            .add(&*fixture, number, &usual(u64::from(number) + 1))
            .await?;
        ensure(!known.contains(&id), || {
            format!("it names {id}, which was there before")
        })?;
        known.push(id);
        lab.expect_ids(&*fixture, &known).await?;
    }
    Ok(())
}

async fn names_another(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let fixture = lab.store().await?;
    let mut ids = Vec::new();
    for number in [0, 0, 1] {
        ids.push(lab.add(&*fixture, number, &tree).await?);
    }
    ensure(
        ids.iter().collect::<BTreeSet<_>>().len() == ids.len(),
        || format!("it named {}", ids.join(", ")),
    )?;
    lab.expect_ids(&*fixture, &ids).await
}

async fn says_what_its_draft_said(lab: &Lab<'_>) -> Verdict {
    let fixture = lab.store().await?;
    let mut said = draft(7);
    said.hostname = "höst-1".into();
    said.username = "ada lovelace".into();
    said.tags = vec!["shop".into(), "täg 2".into()];
    said.paths = vec!["/srv/shop".into(), "/srv/ü".into()];
    let store = fixture.open(Access::ReadWrite).await?;
    write(&*store, said.clone(), &usual(1)).await?;
    store.close().await?;
    let listed = lab.list(&*fixture).await?;
    ensure(listed.len() == 1, || {
        format!("it lists {} snapshots", listed.len())
    })?;
    let snapshot = &listed[0];
    let apart = snapshot.time.seconds.abs_diff(said.time.seconds);
    ensure(apart == 0, || {
        format!(
            "its time is {:?}, and was to be {:?}",
            snapshot.time, said.time
        )
    })?;
    for (what, listed, given) in [
        ("host", &snapshot.hostname, &said.hostname),
        ("user", &snapshot.username, &said.username),
        ("tags", &snapshot.tags.join(", "), &said.tags.join(", ")),
        ("paths", &snapshot.paths.join(", "), &said.paths.join(", ")),
    ] {
        ensure(listed == given, || {
            format!("{what}: {listed}, and was to be {given}")
        })?;
    }
    Ok(())
}

async fn counts_the_tree(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let fixture = lab.store().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let receipt = write(&*store, draft(0), &tree).await?;
    store.close().await?;
    let regular = tree.bodies.len() as u64;
    let bytes: u64 = tree.bodies.values().map(|body| body.length).sum();
    let directories = tree.entries.iter();
    let directories = directories.filter(|entry| entry.kind == Kind::Directory);
    let most = (tree.entries.len() - directories.count()) as u64;
    ensure(
        receipt.files == 0 || (regular..=most).contains(&receipt.files),
        || format!("it counts {} files, of {regular}", receipt.files),
    )?;
    ensure(receipt.bytes == 0 || receipt.bytes == bytes, || {
        format!("it counts {} bytes, of {bytes}", receipt.bytes)
    })
}

async fn empty_tree(lab: &Lab<'_>) -> Verdict {
    let nothing = Tree::default();
    let (fixture, ids) = lab.store_of(&[&nothing]).await?;
    lab.expect_ids(&*fixture, &ids).await?;
    lab.expect_tree(&*fixture, &ids[0], &nothing).await?;
    Ok(())
}

async fn stand_alone(lab: &Lab<'_>) -> Verdict {
    let trees = [usual(1), usual(2), usual(3)];
    let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
    for (id, tree) in ids.iter().zip(&trees) {
        lab.expect_tree(&*fixture, id, tree).await?;
    }
    Ok(())
}

async fn changed_file(lab: &Lab<'_>) -> Verdict {
    let tree = |seed, later| {
        let bodies = [40, 600_000].map(|length| Body { seed, length });
        let nodes = ["small", "large"].into_iter().zip(bodies);
        let nodes = nodes.map(|(name, body)| {
            Node::file(name, body).with(|metadata| metadata.modified.seconds += later)
        });
        Tree::of(nodes.collect())
    };
    let trees = [tree(1, 0), tree(2, 1)];
    let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
    for (id, tree) in ids.iter().zip(&trees) {
        lab.expect_tree(&*fixture, id, tree).await?;
    }
    Ok(())
}

async fn unchanged_file(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let (fixture, ids) = lab.store_of(&[&tree, &tree]).await?;
    for id in &ids {
        lab.expect_tree(&*fixture, id, &tree).await?;
    }
    Ok(())
}

async fn force(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let (fixture, ids) = lab.store_of(&[&tree]).await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut forced = draft(1);
    forced.force = true;
    let mut writer = store.begin(forced).await?;
    let asked = writer.offer(tree.entries.clone()).await?;
    writer.give_up().await;
    store.close().await?;
    let bodies = tree.bodies.iter().filter(|(_, body)| body.length > 0);
    let missing: Vec<_> = bodies.filter(|(id, _)| !asked.contains(id)).collect();
    ensure(missing.is_empty(), || {
        format!("it did not ask for {} files", missing.len())
    })?;
    lab.expect_ids(&*fixture, &ids).await
}

async fn dry_run(lab: &Lab<'_>) -> Verdict {
    let (fixture, ids) = lab.store_of(&[&usual(1)]).await?;
    let before = files(&*fixture)?;
    let store = fixture.open(Access::ReadOnly).await?;
    let mut dry = draft(1);
    dry.dry_run = true;
    let receipt = write(&*store, dry, &usual(2)).await?;
    store.close().await?;
    if let Some(id) = receipt.snapshot {
        return crate::lab::fail(format!("the receipt of a dry run names the snapshot {id}"));
    }
    expect_files(&*fixture, before.as_ref(), "after the dry run")?;
    lab.expect_ids(&*fixture, &ids).await
}

async fn dry_run_counts(lab: &Lab<'_>) -> Verdict {
    let tree = usual(2);
    let (fixture, _) = lab.store_of(&[&usual(1)]).await?;
    let store = fixture.open(Access::ReadOnly).await?;
    let mut dry = draft(1);
    dry.dry_run = true;
    let said = write(&*store, dry, &tree).await?;
    store.close().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let done = write(&*store, draft(1), &tree).await?;
    store.close().await?;
    ensure((said.files, said.bytes) == (done.files, done.bytes), || {
        format!(
            "{} files of {} bytes in the dry run, {} of {} in the real one",
            said.files, said.bytes, done.files, done.bytes
        )
    })
}

/// Stores a tree with this verdict, and answers what is told of it: by a tag, by the reader.
async fn told(lab: &Lab<'_>, verdict: Completeness) -> Result<(bool, Completeness), crate::Stop> {
    let tree = usual(1);
    let fixture = lab.store().await?;
    let store = fixture.open(Access::ReadWrite).await?;
    let mut writer = store.begin(draft(0)).await?;
    send(&mut *writer, &tree).await?;
    writer.commit(verdict).await?;
    store.close().await?;
    let store = fixture.open(Access::ReadOnly).await?;
    let listed = store.snapshots().await?;
    let Some(snapshot) = listed.first() else {
        return crate::lab::fail("it lists no snapshot");
    };
    let read = read_all(&*store, whole(&snapshot.id), &tree).await?;
    store.close().await?;
    Ok((snapshot.tags != draft(0).tags, read))
}

async fn incomplete(lab: &Lab<'_>) -> Verdict {
    let (is_tagged, read) = told(lab, Completeness::Incomplete).await?;
    ensure(is_tagged || read == Completeness::Incomplete, || {
        "neither its tags nor the verdict on its tree tell of it".into()
    })
}

async fn complete(lab: &Lab<'_>) -> Verdict {
    let (is_tagged, read) = told(lab, Completeness::Complete).await?;
    ensure(!is_tagged && read == Completeness::Complete, || {
        "a tag or the verdict tells that something is missing".into()
    })
}
