//! Captures of a source. The suite never restores to it.

use std::time::{Duration, Instant};

use super::checks;
use crate::host::{Programs, Reader};
use crate::lab::{BATCH, Lab, SMALL, ensure, fail, skip};
use crate::model::{Case, Completeness, Ending, Entry, Error, Kind, Range};
use crate::suite::{Stop, Verdict};
use crate::tree::{paths, shown};

checks! { Capturing:
    "opening-is-cheap" cheap, "source.wit: source.open",
        "`open` answers within a second";
    "opening-starts-no-program" starts_no_program, "source.wit: source.open",
        "`open` works where no granted program can be started";
    "a-capture-has-paths" has_paths, "source.wit: capture.paths",
        "at least one path, each absolute, none twice";
    "a-capture-is-a-tree" is_a_tree, "types.wit: types.entry",
        "entries come depth first, numbered from 1, in byte order, at most as many as were asked for";
    "announced-sizes-hold" sizes_hold, "types.wit: types.kind",
        "contents are as long as was announced, or say that they changed";
    "every-verdict-is-given" every_verdict, "transfer.wit: reader.read",
        "each file ends with a verdict, and so does the whole";
    "the-end-stays-the-end" stays_the_end, "transfer.wit: reader.next",
        "after the last entry, each batch is empty";
    "two-captures-are-alike" alike, "source.wit: source.capture",
        "two captures of the same thing have the same paths and entries";
    "parts-are-right-or-unsupported" parts, "transfer.wit: reader.read",
        "a part of a file is that part, or `unsupported`";
    "a-failing-program-is-no-success" failing_program, "transfer.wit: reader.read",
        "where a granted program fails after some output, not every verdict is `ok`";
    "a-program-that-fails-at-once-is-no-success" failing_at_once, "transfer.wit: reader.read",
        "where a granted program fails before any output, not every verdict is `ok`";
    "a-missing-program-is-no-success" missing_program, "transfer.wit: reader.finish",
        "where a granted program cannot be started, not every verdict is `ok`";
    "a-capture-can-be-given-up" given_up, "transfer.wit: transfer.reader",
        "before and in the middle of a file, within 10 seconds";
    "a-source-tells-no-secret" no_secret, "host.wit: log.log",
        "no secret is in a message, on a standard stream or in an error";
}

/// Bytes of a file that are read where time counts.
const QUICK_BYTES: u64 = 64 << 20;

/// What a capture came to.
struct Captured {
    paths: Vec<String>,
    entries: Vec<Entry>,
    verdict: Completeness,
}

/// Reads all of a source, as a host does.
async fn capture(lab: &Lab<'_>, programs: Programs) -> Result<Captured, Error> {
    let source = lab.host.source(programs).await?;
    let (paths, mut reader) = source.open().await?;
    let mut entries = Vec::new();
    loop {
        let batch = reader.next(BATCH).await?;
        if batch.is_empty() {
            break;
        }
        read_contents(&mut *reader, &batch).await?;
        entries.extend(batch);
    }
    let verdict = reader.finish().await?;
    Ok(Captured {
        paths,
        entries,
        verdict,
    })
}

async fn read_contents(reader: &mut dyn Reader, batch: &[Entry]) -> Result<(), Error> {
    for entry in batch {
        match entry.kind {
            Kind::File(Some(size)) if size <= SMALL => {
                reader.read_small(vec![(entry.id, size)]).await?;
            }
            Kind::File(size) => {
                reader.read(entry.id, size, None, &mut |_| true).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

async fn cheap(lab: &Lab<'_>) -> Verdict {
    // The first time, it may have to be compiled.
    lab.host.describe().await?;
    let source = lab.host.source(Programs::Granted).await?;
    let start = Instant::now();
    let (_, reader) = source.open().await?;
    let time = start.elapsed();
    reader.give_up().await;
    ensure(time < Duration::from_secs(1), || {
        format!("it took {:.1} s", time.as_secs_f64())
    })
}

async fn starts_no_program(lab: &Lab<'_>) -> Verdict {
    let source = lab.host.source(Programs::Missing).await?;
    expect_programs(&source.programs())?;
    let (_, reader) = source.open().await?;
    reader.give_up().await;
    Ok(())
}

fn expect_programs(names: &[String]) -> Verdict {
    if names.is_empty() {
        return skip("it was granted no program");
    }
    Ok(())
}

async fn has_paths(lab: &Lab<'_>) -> Verdict {
    let source = lab.host.source(Programs::Granted).await?;
    let (paths, reader) = source.open().await?;
    reader.give_up().await;
    ensure(!paths.is_empty(), || "it names no path".into())?;
    for (at, path) in paths.iter().enumerate() {
        ensure(path.starts_with('/'), || {
            format!("the path {path} is not absolute")
        })?;
        ensure(!paths[..at].contains(path), || {
            format!("it names the path {path} twice")
        })?;
    }
    Ok(())
}

async fn is_a_tree(lab: &Lab<'_>) -> Verdict {
    for max in [1, 7, BATCH] {
        let source = lab.host.source(Programs::Granted).await?;
        let (_, mut reader) = source.open().await?;
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let batch = reader.next(max).await?;
            if batch.is_empty() || entries.len() > 5000 {
                break;
            }
            entries.extend(batch);
        }
        reader.give_up().await;
        ensure(!entries.is_empty(), || "it has no entries".into())?;
    }
    Ok(())
}

async fn sizes_hold(lab: &Lab<'_>) -> Verdict {
    let source = lab.host.source(Programs::Granted).await?;
    let (_, mut reader) = source.open().await?;
    let mut before: Vec<Entry> = Vec::new();
    loop {
        let batch = reader.next(BATCH).await?;
        if batch.is_empty() {
            break;
        }
        before.extend(batch.iter().cloned());
        for entry in &batch {
            let Kind::File(Some(size)) = entry.kind else {
                continue;
            };
            let mut length = 0;
            let ending = if size <= SMALL {
                let small = reader.read_small(vec![(entry.id, size)]).await?;
                let Some(small) = small.into_iter().next() else {
                    return fail("it gave no contents where some were asked for");
                };
                length = small.bytes.len() as u64;
                small.ending
            } else {
                let mut take = |piece: &[u8]| {
                    length += piece.len() as u64;
                    length < QUICK_BYTES || lab.full
                };
                match reader.read(entry.id, Some(size), None, &mut take).await {
                    Err(error) if error.case == Case::Cancelled && length >= QUICK_BYTES => {
                        continue;
                    }
                    ending => ending?,
                }
            };
            ensure(ending != Ending::Whole || length == size, || {
                let path = &paths(&before)[&entry.id];
                format!(
                    "{} has {length} bytes, and {size} were announced",
                    shown(path)
                )
            })?;
        }
    }
    reader.give_up().await;
    Ok(())
}

async fn every_verdict(lab: &Lab<'_>) -> Verdict {
    let captured = capture(lab, Programs::Granted).await?;
    ensure(captured.verdict == Completeness::Complete, || {
        "its verdict is `incomplete`; use a source of which all can be read".into()
    })
}

async fn stays_the_end(lab: &Lab<'_>) -> Verdict {
    let source = lab.host.source(Programs::Granted).await?;
    let (_, mut reader) = source.open().await?;
    while !reader.next(BATCH).await?.is_empty() {}
    for _ in 0..2 {
        let further = reader.next(BATCH).await?;
        ensure(further.is_empty(), || {
            format!("it gave {} entries after the end", further.len())
        })?;
    }
    reader.give_up().await;
    Ok(())
}

async fn alike(lab: &Lab<'_>) -> Verdict {
    let first = capture(lab, Programs::Granted).await?;
    let second = capture(lab, Programs::Granted).await?;
    ensure(first.paths == second.paths, || {
        format!("its paths are {:?} and {:?}", first.paths, second.paths)
    })?;
    let (first, second) = (paths(&first.entries), paths(&second.entries));
    ensure(first == second, || {
        format!("it has {} entries and then {}", first.len(), second.len())
    })
}

async fn parts(lab: &Lab<'_>) -> Verdict {
    let source = lab.host.source(Programs::Granted).await?;
    let (_, mut reader) = source.open().await?;
    let entries = reader.next(BATCH).await?;
    let of_size = |entry: &&Entry| matches!(entry.kind, Kind::File(Some(10..=SMALL)));
    let Some(entry) = entries.iter().find(of_size) else {
        reader.give_up().await;
        return skip("it has no small file of a known size at its beginning");
    };
    let Kind::File(Some(size)) = entry.kind else {
        return Ok(());
    };
    let whole = reader.read_small(vec![(entry.id, size)]).await?;
    let range = Range {
        offset: 3,
        length: 5,
    };
    let mut part = Vec::new();
    let mut take = |piece: &[u8]| {
        part.extend_from_slice(piece);
        true
    };
    let read = reader
        .read(entry.id, Some(size), Some(range), &mut take)
        .await;
    reader.give_up().await;
    match read {
        Err(error) if error.case == Case::Unsupported => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => {
            let is_part = whole
                .first()
                .is_some_and(|whole| whole.bytes.get(3..8) == Some(&part));
            ensure(is_part, || {
                format!("5 bytes were asked for, and {} others came", part.len())
            })
        }
    }
}

/// Fails if all verdicts are good although the programs are so.
async fn bad_programs(lab: &Lab<'_>, programs: Programs) -> Verdict {
    let source = lab.host.source(programs).await?;
    expect_programs(&source.programs())?;
    match capture(lab, programs).await {
        Ok(captured) => fail(format!(
            "all verdicts are good, of {} entries",
            captured.entries.len()
        )),
        Err(error) if error.case == Case::Broken => Err(error.into()),
        Err(_) => Ok(()),
    }
}

async fn failing_program(lab: &Lab<'_>) -> Verdict {
    bad_programs(lab, Programs::Failing(4096)).await
}

async fn failing_at_once(lab: &Lab<'_>) -> Verdict {
    bad_programs(lab, Programs::Failing(0)).await
}

async fn missing_program(lab: &Lab<'_>) -> Verdict {
    bad_programs(lab, Programs::Missing).await
}

async fn given_up(lab: &Lab<'_>) -> Verdict {
    let source = lab.host.source(Programs::Granted).await?;
    for in_a_file in [false, true] {
        let (_, mut reader) = source.open().await?;
        let entries = reader.next(BATCH).await?;
        let file = entries.iter().find(
            |entry| matches!(entry.kind, Kind::File(size) if size.is_none_or(|size| size > SMALL)),
        );
        if let (
            true,
            Some(Entry {
                id,
                kind: Kind::File(size),
                ..
            }),
        ) = (in_a_file, file)
        {
            // Whatever it says of contents that nobody takes any more.
            let _ = reader.read(*id, *size, None, &mut |_| false).await;
        }
        let time = reader.give_up().await;
        ensure(time < Duration::from_secs(10), || {
            format!("it took {:.0} s to end", time.as_secs_f64())
        })?;
    }
    Ok(())
}

async fn no_secret(lab: &Lab<'_>) -> Verdict {
    let secrets = lab.host.secrets();
    if secrets.is_empty() {
        return skip("it was granted no secret");
    }
    let mut said = String::new();
    for programs in [Programs::Granted, Programs::Missing] {
        if let Err(error) = capture(lab, programs).await {
            said += &error.text;
        }
    }
    said += &lab.host.plugin_output();
    for secret in secrets {
        let is_said = said
            .as_bytes()
            .windows(secret.len().max(1))
            .any(|said| said == secret);
        ensure(!is_said, || -> String {
            "a secret is in what it said".into()
        })?;
    }
    Ok::<(), Stop>(())
}
