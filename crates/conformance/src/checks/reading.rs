//! The results of a reader.

use std::collections::BTreeSet;
use std::time::Duration;

use super::checks;
use crate::host::{Reader, Store, StoreFixture};
use crate::lab::{BATCH, Lab, ensure, expect_large, fail, skip, whole};
use crate::model::{Access, Case, Completeness, Entry, Error, Range, Selection};
use crate::suite::{Stop, Verdict};
use crate::tree::{Body, Node, Tree, paths, shown, usual};

checks! { Reading:
    "a-reader-gives-a-tree" gives_a_tree, "types.wit: types.entry",
        "entries come depth first, numbered from 1, in byte order, each after its directory";
    "next-gives-no-more-than-was-asked-for" next_at_most, "transfer.wit: reader.next",
        "batches of at most `max` entries, all of them together the whole tree";
    "contents-of-the-last-two-batches-can-be-read" last_two, "transfer.wit: transfer.reader",
        "the contents of a batch can be read after the next batch was given";
    "one-file-can-be-selected" one_file, "sink.wit: sink.selection",
        "the file and the directories that lead to it, and nothing else";
    "one-directory-can-be-selected" one_directory, "sink.wit: sink.selection",
        "the directory with all below it and the directories that lead to it, and nothing else";
    "several-paths-can-be-selected" several, "sink.wit: sink.selection",
        "what is at or below any of the paths, in the order of the tree";
    "paths-are-bytes" paths_are_bytes, "sink.wit: selection.paths",
        "a path that is not text selects its file";
    "levels-end-the-tree" levels, "sink.wit: selection.levels",
        "so many levels below the paths, and nothing deeper";
    "a-part-of-a-file-can-be-read" part, "transfer.wit: transfer.range",
        "exactly these bytes of a small and a large file; a part beyond the end ends there";
    "a-prefix-names-a-snapshot" prefix, "sink.wit: snapshot.id",
        "every unique prefix of an id names its snapshot";
    "an-unknown-snapshot-is-not-found" unknown, "sink.wit: repository.read",
        "`not-found` for an id that is not there";
    "equal-directories-have-equal-names" subtrees, "types.wit: entry.subtree",
        "directories that hold the same have the same name in all snapshots, and others another";
    "a-reader-can-be-given-up" given_up, "transfer.wit: transfer.reader",
        "in the middle of a file, within 10 seconds, and the store goes on";
}

/// Opens a store of this tree for reading. The fixture has to outlive it.
async fn stored(
    lab: &Lab<'_>,
    tree: &Tree,
) -> Result<(Box<dyn StoreFixture>, Box<dyn Store>, String), Stop> {
    let (fixture, mut ids) = lab.store_of(&[tree]).await?;
    let store = fixture.open(Access::ReadOnly).await?;
    Ok((fixture, store, ids.remove(0)))
}

/// All entries of a reader, without their contents.
async fn entries(reader: &mut dyn Reader) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    loop {
        let batch = reader.next(BATCH).await?;
        if batch.is_empty() {
            return Ok(entries);
        }
        entries.extend(batch);
    }
}

/// Fails unless these entries are at these paths, in this order.
fn expect_paths(entries: &[Entry], expected: &[&[u8]]) -> Verdict {
    let found = paths(entries);
    let found: Vec<_> = found.values().map(Vec::as_slice).collect();
    let words = |paths: &[&[u8]]| {
        let paths: Vec<_> = paths.iter().map(|path| shown(path)).collect();
        paths.join(" ")
    };
    ensure(found == expected, || {
        format!("it gave {}, and not {}", words(&found), words(expected))
    })
}

async fn gives_a_tree(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let (_place, store, id) = stored(lab, &tree).await?;
    let mut reader = store.read(whole(&id)).await?;
    let given = entries(&mut *reader).await?;
    reader.finish().await?;
    store.close().await?;
    for (given, stored) in given.iter().zip(&tree.entries) {
        let same =
            (given.id, given.parent, &given.name) == (stored.id, stored.parent, &stored.name);
        ensure(same, || {
            format!(
                "entry {} in {} is {}, and {} in {} was stored as {}",
                given.id,
                given.parent,
                shown(&given.name),
                stored.id,
                stored.parent,
                shown(&stored.name)
            )
        })?;
    }
    ensure(given.len() == tree.entries.len(), || {
        format!("it gave {} entries of {}", given.len(), tree.entries.len())
    })
}

async fn next_at_most(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let (_place, store, id) = stored(lab, &tree).await?;
    for max in [1, 3] {
        let mut reader = store.read(whole(&id)).await?;
        let mut count = 0;
        loop {
            let batch = reader.next(max).await?;
            if batch.is_empty() {
                break;
            }
            ensure(batch.len() <= max as usize, || {
                format!("it gave {} entries where {max} were asked for", batch.len())
            })?;
            count += batch.len();
        }
        reader.finish().await?;
        ensure(count == tree.entries.len(), || {
            format!("it gave {count} entries of {}", tree.entries.len())
        })?;
    }
    store.close().await?;
    Ok(())
}

async fn last_two(lab: &Lab<'_>) -> Verdict {
    let body = |seed| Body { seed, length: 900 };
    let files = (1..=60).map(|seed| Node::file(format!("{seed:02}"), body(seed)));
    let tree = Tree::of(files.collect());
    let (_place, store, id) = stored(lab, &tree).await?;
    let mut reader = store.read(whole(&id)).await?;
    let mut batch = reader.next(20).await?;
    while !batch.is_empty() {
        let next = reader.next(20).await?;
        let sizes = batch.iter().map(|entry| (entry.id, 900)).collect();
        for small in reader.read_small(sizes).await? {
            ensure(small.bytes == tree.bodies[&small.id].whole(), || {
                format!("entry {} has other contents than were stored", small.id)
            })?;
        }
        batch = next;
    }
    reader.finish().await?;
    store.close().await?;
    Ok(())
}

/// Paths and levels that are selected, and the paths of all entries that are then there.
type Selected<'a> = (&'a [&'a [u8]], Option<u32>, &'a [&'a [u8]]);

/// Fails unless selections have these entries.
async fn select(lab: &Lab<'_>, tree: &Tree, selections: &[Selected<'_>]) -> Verdict {
    let (_place, store, id) = stored(lab, tree).await?;
    for (selected, levels, expected) in selections {
        let selection = Selection {
            paths: selected.iter().map(|path| path.to_vec()).collect(),
            levels: *levels,
            ..whole(&id)
        };
        let mut reader = store.read(selection).await?;
        let given = entries(&mut *reader).await?;
        expect_paths(&given, expected)?;
        expect_bodies(&mut *reader, &given, tree).await?;
        let verdict = reader.finish().await?;
        ensure(verdict == Completeness::Complete, || {
            "its verdict on a selection is `incomplete`".into()
        })?;
    }
    store.close().await?;
    Ok(())
}

/// Fails unless the files among these entries have the contents that were stored.
async fn expect_bodies(reader: &mut dyn Reader, given: &[Entry], tree: &Tree) -> Verdict {
    let stored = paths(&tree.entries);
    for (id, path) in paths(given) {
        let of = stored.iter().find(|(_, stored)| **stored == path);
        if let Some(body) = of.and_then(|(id, _)| tree.bodies.get(id)) {
            let omitted = expect_large(reader, (id, Some(body.length)), *body, &path).await?;
            if let Some(path) = omitted {
                return fail(format!("the contents of {path} are omitted"));
            }
        }
    }
    Ok(())
}

async fn one_file(lab: &Lab<'_>) -> Verdict {
    select(
        lab,
        &usual(1),
        &[
            (&[b"/docs/b.bin"], None, &[b"/docs", b"/docs/b.bin"]),
            (&[b"/large.bin"], None, &[b"/large.bin"]),
            (&[b"/empty"], None, &[b"/empty"]),
            (
                &[b"/docs/deep/c"],
                None,
                &[b"/docs", b"/docs/deep", b"/docs/deep/c"],
            ),
        ],
    )
    .await
}

async fn one_directory(lab: &Lab<'_>) -> Verdict {
    select(
        lab,
        &usual(1),
        &[
            (
                &[b"/docs"],
                None,
                &[
                    b"/docs",
                    b"/docs/a.txt",
                    b"/docs/b.bin",
                    b"/docs/deep",
                    b"/docs/deep/c",
                ],
            ),
            (
                &[b"/docs/deep"],
                None,
                &[b"/docs", b"/docs/deep", b"/docs/deep/c"],
            ),
        ],
    )
    .await
}

async fn several(lab: &Lab<'_>) -> Verdict {
    select(
        lab,
        &usual(1),
        &[
            (
                &[b"/link", b"/docs/a.txt"],
                None,
                &[b"/docs", b"/docs/a.txt", b"/link"],
            ),
            (
                &[b"/docs/deep", b"/docs/deep/c", b"/empty"],
                None,
                &[b"/docs", b"/docs/deep", b"/docs/deep/c", b"/empty"],
            ),
        ],
    )
    .await
}

async fn paths_are_bytes(lab: &Lab<'_>) -> Verdict {
    let body = |seed| Body { seed, length: 100 };
    let tree = Tree::of(vec![Node::directory(
        b"\xff".to_vec(),
        vec![
            Node::file(b"\xfe\n".to_vec(), body(1)),
            Node::file(b"*".to_vec(), body(2)),
            Node::file(b"other".to_vec(), body(3)),
        ],
    )]);
    select(
        lab,
        &tree,
        &[
            (&[b"/\xff/\xfe\n"], None, &[b"/\xff", b"/\xff/\xfe\n"]),
            (&[b"/\xff/*"], None, &[b"/\xff", b"/\xff/*"]),
        ],
    )
    .await
}

async fn levels(lab: &Lab<'_>) -> Verdict {
    select(
        lab,
        &usual(1),
        &[
            (
                &[],
                Some(1),
                &[b"/docs", b"/empty", b"/large.bin", b"/link"],
            ),
            (
                &[b"/docs"],
                Some(1),
                &[b"/docs", b"/docs/a.txt", b"/docs/b.bin", b"/docs/deep"],
            ),
            (&[b"/docs"], Some(0), &[b"/docs"]),
        ],
    )
    .await
}

async fn part(lab: &Lab<'_>) -> Verdict {
    let tree = usual(1);
    let (_place, store, id) = stored(lab, &tree).await?;
    let mut reader = store.read(whole(&id)).await?;
    entries(&mut *reader).await?;
    for path in [&b"/large.bin"[..], b"/docs/a.txt"] {
        let file = tree.find(path).id;
        let body = tree.bodies[&file];
        for (offset, length) in [
            (0, 1),
            (10, 500),
            (body.length / 2, 100_000),
            (body.length - 1, 1),
            (body.length - 10, 5000),
            (body.length, 10),
        ] {
            let range = Range { offset, length };
            let mut bytes = Vec::new();
            let mut take = |piece: &[u8]| {
                bytes.extend_from_slice(piece);
                true
            };
            reader
                .read(file, Some(body.length), Some(range), &mut take)
                .await?;
            let most = usize::try_from(length).expect("it is small");
            ensure(bytes == body.bytes(offset, most), || {
                format!(
                    "{} bytes from {offset} of {} are not what was stored: {} bytes came",
                    length,
                    shown(path),
                    bytes.len()
                )
            })?;
        }
    }
    reader.finish().await?;
    store.close().await?;
    Ok(())
}

async fn prefix(lab: &Lab<'_>) -> Verdict {
    let trees = [usual(1), usual(2)];
    let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
    let store = fixture.open(Access::ReadOnly).await?;
    for (id, other, tree) in [(&ids[0], &ids[1], &trees[0]), (&ids[1], &ids[0], &trees[1])] {
        let common = id.bytes().zip(other.bytes());
        let common = common.take_while(|(one, other)| one == other).count();
        let Some(prefix) = id.get(..=common) else {
            return skip("one id is the beginning of the other");
        };
        crate::lab::read_all(&*store, whole(prefix), tree).await?;
    }
    store.close().await?;
    Ok(())
}

async fn unknown(lab: &Lab<'_>) -> Verdict {
    let (_place, store, id) = stored(lab, &usual(1)).await?;
    let other: String = id.chars().rev().chain(['0']).collect();
    let read = async {
        let mut reader = store.read(whole(&other)).await?;
        entries(&mut *reader).await
    };
    match read.await {
        Ok(entries) => fail(format!(
            "it gave {} entries of a snapshot that is not there",
            entries.len()
        )),
        Err(error) if error.case == Case::NotFound => {
            store.close().await?;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

async fn subtrees(lab: &Lab<'_>) -> Verdict {
    let body = |seed| Body { seed, length: 100 };
    let same = || Node::directory("same", vec![Node::file("f", body(1))]);
    let other = |seed| Node::directory("other", vec![Node::file("f", body(seed))]);
    let trees = [2, 3].map(|seed| Tree::of(vec![same(), other(seed)]));
    let (fixture, ids) = lab.store_of(&trees.each_ref()).await?;
    let store = fixture.open(Access::ReadOnly).await?;
    let mut names = Vec::new();
    for id in &ids {
        let mut reader = store.read(whole(id)).await?;
        let given = entries(&mut *reader).await?;
        reader.finish().await?;
        let of = |name: &[u8]| {
            let entry = given.iter().find(|entry| entry.name == name);
            entry.and_then(|entry| entry.subtree.clone())
        };
        names.push((of(b"same"), of(b"other")));
    }
    store.close().await?;
    if names
        .iter()
        .all(|(same, other)| same.is_none() && other.is_none())
    {
        return skip("it gives directories no names");
    }
    let (first, second) = (&names[0], &names[1]);
    ensure(first.0 == second.0, || {
        "a directory that holds the same has two names".into()
    })?;
    let different = [&first.0, &first.1, &second.1];
    let different: BTreeSet<_> = different.into_iter().flatten().collect();
    let given = [&first.0, &first.1, &second.1]
        .into_iter()
        .flatten()
        .count();
    ensure(different.len() == given, || {
        "directories that hold different things have the same name".into()
    })
}

async fn given_up(lab: &Lab<'_>) -> Verdict {
    let body = Body {
        seed: 1,
        length: 12 << 20,
    };
    let (_place, store, id) = stored(lab, &Tree::of(vec![Node::file("large", body)])).await?;
    let mut reader = store.read(whole(&id)).await?;
    entries(&mut *reader).await?;
    let mut pieces = 0;
    let mut take = |_: &[u8]| {
        pieces += 1;
        pieces < 3
    };
    // Whatever it says of contents that nobody takes any more.
    let _ = reader.read(1, Some(body.length), None, &mut take).await;
    let time = reader.give_up().await;
    ensure(time < Duration::from_secs(10), || {
        format!("it took {:.0} s to clean up", time.as_secs_f64())
    })?;
    let listed = store.snapshots().await?;
    store.close().await?;
    ensure(listed.len() == 1, || {
        format!("it lists {} snapshots after that", listed.len())
    })
}
