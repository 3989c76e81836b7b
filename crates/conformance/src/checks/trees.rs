//! A restored tree equals the stored one.

use super::checks;
use crate::lab::{Lab, ensure};
use crate::model::{Instant, Kind};
use crate::suite::Verdict;
use crate::tree::{Body, Node, Tree};

checks! { Trees:
    "names-are-bytes" names, "types.wit: entry.name",
        "names that are not text, and names like options or controls, come back";
    "a-deep-tree-comes-back" deep, "types.wit: types.entry",
        "500 levels come back";
    "a-wide-directory-comes-back" wide, "types.wit: types.entry",
        "a directory of several batches comes back";
    "empty-things-come-back" empty, "types.wit: types.kind",
        "files without bytes and directories without entries come back";
    "holes-come-back" holes, "types.wit: types.kind",
        "a file of zeros, and zeros among bytes, come back";
    "symbolic-links-come-back" symlinks, "types.wit: types.kind",
        "their targets come back as bytes, and nobody follows them";
    "hard-links-come-back" hard_links, "types.wit: metadata.links",
        "entries of one file have equal `device`, `inode` and `links`";
    "special-files-come-back" special, "types.wit: types.kind",
        "pipes, sockets and devices come back with their numbers";
    "attributes-come-back" xattrs, "types.wit: metadata.xattrs",
        "extended attributes come back in their order, whatever bytes they are";
    "times-come-back" times, "types.wit: types.instant",
        "nanoseconds, times before 1970 and far ahead come back";
    "rights-and-owners-come-back" rights, "types.wit: metadata.mode",
        "all permission bits, large numbers and names of owners come back";
    "sizes-around-the-limits-come-back" sizes, "transfer.wit: reader.read-small",
        "files just below, at and above the sizes at which hosts and formats cut come back";
    "equal-contents-come-back" equal, "types.wit: types.small",
        "several files of the same contents come back, each in its place";
    "a-file-of-unknown-size-comes-back" unannounced, "types.wit: types.kind",
        "a file that announces no size comes back";
    "a-large-file-comes-back" large, "transfer.wit: writer.put",
        "a file of 8 MiB comes back; with --full, of 1 GiB";
    "many-entries-come-back" many, "transfer.wit: writer.offer",
        "a tree of 3,000 entries comes back; with --full, of 20,000";
}

async fn comes_back(lab: &Lab<'_>, tree: &Tree) -> Verdict {
    let (fixture, ids) = lab.store_of(&[tree]).await?;
    lab.expect_tree(&*fixture, &ids[0], tree).await?;
    Ok(())
}

fn body(seed: u64, length: u64) -> Body {
    Body { seed, length }
}

async fn names(lab: &Lab<'_>) -> Verdict {
    let long = vec![b'x'; 255];
    let names: [&[u8]; 12] = [
        b"\xff\xfe",
        b"-rf",
        b" ",
        b"a\nb",
        b"\x1b[2J",
        b"...",
        "\u{fc}".as_bytes(),
        "u\u{308}".as_bytes(),
        b"A",
        b"a",
        b"con:*?\"<>|\\",
        &long,
    ];
    let files = (1..).zip(names);
    let files = files.map(|(seed, name)| Node::file(name, body(seed, 10 + seed)));
    let directory = Node::directory(b"\x80dir".to_vec(), files.collect());
    comes_back(lab, &Tree::of(vec![directory])).await
}

async fn deep(lab: &Lab<'_>) -> Verdict {
    let mut node = Node::file("bottom", body(1, 10));
    for level in 0..500 {
        node = Node::directory(format!("d{level}"), vec![node]);
    }
    comes_back(lab, &Tree::of(vec![node])).await
}

async fn wide(lab: &Lab<'_>) -> Verdict {
    let directories = (0..1500).map(|number| Node::directory(format!("{number}"), Vec::new()));
    let links = (0..1000)
        .map(|number| Node::other(format!("link{number}"), Kind::Symlink(b"target".to_vec())));
    let wide = Node::directory("wide", directories.chain(links).collect());
    comes_back(lab, &Tree::of(vec![wide, Node::file("z", body(1, 1))])).await
}

async fn empty(lab: &Lab<'_>) -> Verdict {
    let tree = Tree::of(vec![
        Node::directory("a", Vec::new()),
        Node::directory("b", vec![Node::directory("c", Vec::new())]),
        Node::file("d", body(1, 0)),
        Node::directory("e", vec![Node::file("f", body(1, 0))]),
    ]);
    comes_back(lab, &tree).await
}

async fn holes(lab: &Lab<'_>) -> Verdict {
    let tree = Tree::of(vec![
        Node::file("large", body(0, 6 << 20)),
        Node::file("small", body(0, 5000)),
        Node::file("some", body(1, 5000)),
    ]);
    comes_back(lab, &tree).await
}

async fn symlinks(lab: &Lab<'_>) -> Verdict {
    let long = vec![b'x'; 4095];
    let targets: [&[u8]; 6] = [b"/etc/passwd", b"..", b"\xff\xfe", b"a", b"self", &long];
    let links = ["absolute", "above", "bytes", "other", "self", "long"];
    let links = links.into_iter().zip(targets);
    let links = links.map(|(name, target)| Node::other(name, Kind::Symlink(target.to_vec())));
    comes_back(lab, &Tree::of(links.collect())).await
}

async fn hard_links(lab: &Lab<'_>) -> Verdict {
    let link = |name: &str| {
        Node::file(name, body(1, 700)).with(|metadata| {
            metadata.device = 2049;
            metadata.inode = 1_234_567;
            metadata.links = 3;
        })
    };
    let tree = Tree::of(vec![
        link("a"),
        Node::directory("d", vec![link("b")]),
        link("e"),
        Node::file("other", body(2, 700)),
    ]);
    comes_back(lab, &tree).await
}

async fn special(lab: &Lab<'_>) -> Verdict {
    let tree = Tree::of(vec![
        Node::other("block", Kind::BlockDevice(0x801)),
        Node::other("character", Kind::CharacterDevice(0x103)),
        Node::other("far", Kind::CharacterDevice(0x0fff_0000_00ff)),
        Node::other("pipe", Kind::Fifo),
        Node::other("socket", Kind::Socket),
    ]);
    comes_back(lab, &tree).await
}

async fn xattrs(lab: &Lab<'_>) -> Verdict {
    let some = |names: &[(&[u8], Vec<u8>)]| {
        let names = names.iter();
        names
            .map(|(name, value)| (name.to_vec(), value.clone()))
            .collect::<Vec<_>>()
    };
    let odd = some(&[
        (b"user.zulu", b"1".to_vec()),
        (b"user.alpha", vec![0, 255, 10, 13]),
        (b"security.capability", vec![1; 20]),
        (b"user.empty", Vec::new()),
        (b"user.large", body(1, 60_000).whole()),
    ]);
    let acl = some(&[(b"system.posix_acl_access", vec![2, 0, 0, 0])]);
    let tree = Tree::of(vec![
        Node::directory("d", Vec::new()).with(|metadata| metadata.xattrs = acl),
        Node::file("f", body(1, 10)).with(|metadata| metadata.xattrs = odd),
    ]);
    comes_back(lab, &tree).await
}

async fn times(lab: &Lab<'_>) -> Verdict {
    let times = [
        (0, 0),
        (0, 1),
        (-1, 999_999_999),
        (-1, 1),
        (-2_208_988_800, 500_000_000),
        (1_600_000_000, 999_999_999),
        (4_102_444_800, 7),
        (16_725_225_600, 0),
    ];
    let files = (1..).zip(times).map(|(seed, (seconds, nanoseconds))| {
        Node::file(format!("f{seed}"), body(seed, 10)).with(|metadata| {
            let time = Instant {
                seconds,
                nanoseconds,
            };
            metadata.modified = time;
            metadata.accessed = Some(time);
            metadata.changed = Some(time);
        })
    });
    comes_back(lab, &Tree::of(files.collect())).await
}

async fn rights(lab: &Lab<'_>) -> Verdict {
    let modes = [0, 0o400, 0o644, 0o777, 0o1777, 0o2755, 0o4755, 0o7777];
    let files = (1..).zip(modes).map(|(seed, mode)| {
        Node::file(format!("f{seed}"), body(seed, 10)).with(|metadata| metadata.mode = mode)
    });
    let owned = Node::directory("owned", Vec::new()).with(|metadata| {
        metadata.mode = 0o3770;
        metadata.uid = 4_294_967_294;
        metadata.gid = 2_000_000_000;
        metadata.user = Some("jos\u{e9}".into());
        metadata.group = Some("domain users".into());
    });
    let root = Node::file("root", body(20, 10)).with(|metadata| {
        metadata.uid = 0;
        metadata.gid = 0;
        metadata.user = Some("root".into());
        metadata.group = Some("root".into());
    });
    comes_back(lab, &Tree::of(files.chain([owned, root]).collect())).await
}

async fn sizes(lab: &Lab<'_>) -> Verdict {
    let around = [1_u64, 4096, 64 << 10, 256 << 10, 512 << 10, 1 << 20];
    let sizes = around
        .into_iter()
        .flat_map(|size| [size - 1, size, size + 1]);
    let files = (1..).zip(sizes);
    let files = files.map(|(seed, size)| Node::file(format!("f{seed:02}"), body(seed, size)));
    comes_back(lab, &Tree::of(files.collect())).await
}

async fn equal(lab: &Lab<'_>) -> Verdict {
    let copies = |length: u64| {
        (0..3).map(move |number| Node::file(format!("{length}-{number}"), body(1, length)))
    };
    let tree = Tree::of(vec![
        Node::directory("a", copies(1000).chain(copies(600_000)).collect()),
        Node::directory("b", copies(1000).collect()),
    ]);
    comes_back(lab, &tree).await
}

async fn unannounced(lab: &Lab<'_>) -> Verdict {
    let tree = Tree::of(vec![
        Node::file("dump.sql", body(1, 1_500_000)),
        Node::file("none.sql", body(2, 0)),
    ]);
    let tree = tree.unannounced(b"/dump.sql").unannounced(b"/none.sql");
    comes_back(lab, &tree).await
}

async fn large(lab: &Lab<'_>) -> Verdict {
    let length = if lab.full { 1 << 30 } else { 8 << 20 };
    comes_back(
        lab,
        &Tree::of(vec![Node::file("large", body(1, length + 1))]),
    )
    .await
}

async fn many(lab: &Lab<'_>) -> Verdict {
    let directories = if lab.full { 100 } else { 15 };
    let directories = (0..directories).map(|number| {
        let files = (0..199).map(|file| {
            Node::file(
                format!("f{file}"),
                body(number * 1000 + file + 1, file % 50),
            )
        });
        Node::directory(format!("d{number}"), files.collect())
    });
    let tree = Tree::of(directories.collect());
    ensure(tree.entries.len() >= 3000, || {
        "the sample is too small".into()
    })?;
    comes_back(lab, &tree).await
}
