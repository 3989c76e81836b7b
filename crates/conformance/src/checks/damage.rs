//! Damage is detected, and never returned as valid data.

use std::fs;
use std::path::{Path, PathBuf};

use super::checks;
use crate::files::Files;
use crate::host::StoreFixture;
use crate::lab::{Lab, Mismatch, directory, ensure, expect_files, fail, files, read_some, whole};
use crate::model::{Access, Case, Completeness, Depth, Error, Findings, Selection, Subset};
use crate::suite::{Stop, Verdict};
use crate::tree::{Tree, usual};

/// Files that are damaged where time counts.
const QUICK_FILES: usize = 12;

checks! { Damage:
    "a-sound-store-has-no-findings" sound, "sink.wit: repository.check",
        "no errors among the findings of a check of structure and of data";
    "check-changes-nothing" changes_nothing, "sink.wit: repository.check",
        "nothing that is stored changes";
    "check-reads-what-it-says" reads, "sink.wit: findings.bytes-read",
        "bytes are read back for data, and none for the structure";
    "subsets-are-parts-of-the-whole" subsets, "sink.wit: sink.subset",
        "two halves have as many objects and bytes as everything, in `usage` and in `check`";
    "usage-is-what-check-reads" usage, "sink.wit: repository.usage",
        "a check of everything reads the bytes that `usage` announced";
    "a-flipped-byte-is-found" flipped, "sink.wit: sink.depth",
        "a check of data, or already the opening, tells of a changed byte in whatever file";
    "a-missing-file-is-found" missing, "sink.wit: sink.depth",
        "a check, the opening or the list of snapshots tells of whatever file is gone";
    "damage-is-never-read-for-the-truth" never_read, "sink.wit: repository.read",
        "a snapshot of a damaged store gives what was stored, or an error";
    "what-is-damaged-can-be-skipped" skipped, "sink.wit: selection.skip-damaged",
        "what comes is right, and the verdict is `incomplete` where something is left out";
}

async fn check(fixture: &dyn StoreFixture, depth: Depth) -> Result<Findings, Error> {
    let store = fixture.open(Access::ReadOnly).await?;
    let findings = store.check(depth).await?;
    store.close().await?;
    Ok(findings)
}

const ALL: Depth = Depth::Data(Subset::ALL);

async fn sound(lab: &Lab<'_>) -> Verdict {
    let (fixture, _) = lab.store_of(&[&usual(1), &usual(2)]).await?;
    for depth in [Depth::Structure, ALL] {
        let findings = check(&*fixture, depth).await?;
        ensure(findings.errors.is_empty(), || {
            format!("it found: {}", findings.errors.join("; "))
        })?;
    }
    Ok(())
}

async fn changes_nothing(lab: &Lab<'_>) -> Verdict {
    let (fixture, _) = lab.store_of(&[&usual(1)]).await?;
    let before = files(&*fixture)?;
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let store = fixture.open(access).await?;
        store.check(ALL).await?;
        store.close().await?;
        expect_files(&*fixture, before.as_ref(), "after a check")?;
    }
    Ok(())
}

async fn reads(lab: &Lab<'_>) -> Verdict {
    let (fixture, _) = lab.store_of(&[&usual(1)]).await?;
    let structure = check(&*fixture, Depth::Structure).await?.bytes_read;
    ensure(structure == 0, || {
        format!("it read {structure} bytes for the structure")
    })?;
    let data = check(&*fixture, ALL).await?.bytes_read;
    // The contents that were stored, which nothing compresses.
    ensure(data >= 770_000, || {
        format!("it read {data} bytes, of more than 770000")
    })
}

const HALVES: [Subset; 2] = [
    Subset {
        first: 0,
        last: u32::MAX / 2,
    },
    Subset {
        first: u32::MAX / 2 + 1,
        last: u32::MAX,
    },
];

async fn subsets(lab: &Lab<'_>) -> Verdict {
    let (fixture, _) = lab.store_of(&[&usual(1), &usual(2), &usual(3)]).await?;
    let store = fixture.open(Access::ReadOnly).await?;
    let mut of_all = (store.usage(Subset::ALL).await?, 0);
    of_all.1 = store.check(ALL).await?.bytes_read;
    let mut of_halves = ((0, 0), 0);
    // The same halves, once with a range that goes on at the lowest place.
    for half in HALVES {
        let usage = store.usage(half).await?;
        of_halves.0.0 += usage.objects;
        of_halves.0.1 += usage.bytes;
        of_halves.1 += store.check(Depth::Data(half)).await?.bytes_read;
    }
    let around = Subset {
        first: u32::MAX / 2 + 1,
        last: u32::MAX / 2,
    };
    let usage_around = store.usage(around).await?;
    store.close().await?;
    ensure(usage_around == of_all.0, || {
        format!(
            "{:?} from the middle on, and {:?} in all",
            usage_around, of_all.0
        )
    })?;
    ensure((of_all.0.objects, of_all.0.bytes) == of_halves.0, || {
        format!(
            "the halves have {:?}, and all is {:?}",
            of_halves.0, of_all.0
        )
    })?;
    ensure(of_all.1 == of_halves.1, || {
        format!(
            "{} bytes are read of the halves, and {} of all",
            of_halves.1, of_all.1
        )
    })
}

async fn usage(lab: &Lab<'_>) -> Verdict {
    let (fixture, _) = lab.store_of(&[&usual(1)]).await?;
    let store = fixture.open(Access::ReadOnly).await?;
    let usage = store.usage(Subset::ALL).await?;
    let read = store.check(ALL).await?.bytes_read;
    store.close().await?;
    ensure(usage.bytes == read && usage.objects > 0, || {
        format!("{usage:?} was announced, and {read} bytes were read")
    })
}

/// How a file of the store is damaged.
#[derive(Clone, Copy)]
enum Damage {
    Flip,
    Remove,
}

/// A store with one snapshot that is going to be damaged in one file after another.
struct Specimen {
    fixture: Box<dyn StoreFixture>,
    id: String,
    tree: Tree,
    directory: PathBuf,
    files: Files,
    victims: Vec<PathBuf>,
}

impl Specimen {
    async fn new(lab: &Lab<'_>) -> Result<Self, Stop> {
        let tree = usual(1);
        let (fixture, mut ids) = lab.store_of(&[&tree]).await?;
        let directory = directory(&*fixture)?.to_owned();
        let files = Files::of(&directory)?;
        let names = files.names();
        let step = if lab.full {
            1
        } else {
            names.len().div_ceil(QUICK_FILES).max(1)
        };
        let victims = names.iter().step_by(step).map(|path| path.to_path_buf());
        Ok(Self {
            victims: victims.collect(),
            id: ids.remove(0),
            tree,
            fixture,
            directory,
            files,
        })
    }

    /// The store as it was, with this file damaged.
    fn damage(&self, victim: &Path, damage: Damage) -> Result<(), Stop> {
        self.files.restore(&self.directory)?;
        match damage {
            Damage::Flip => self.files.flip(&self.directory, victim)?,
            Damage::Remove => fs::remove_file(self.directory.join(victim))?,
        }
        Ok(())
    }

    /// Whether the plugin tells of the damage by itself or in a check.
    async fn reports_damage(&self) -> bool {
        let listed = async {
            let store = self.fixture.open(Access::ReadOnly).await?;
            let snapshots = store.snapshots().await?;
            store.close().await?;
            Ok::<_, Error>(snapshots)
        };
        let is_listed_damaged = match listed.await {
            // One that is not listed any more is missed by whoever looks for it.
            Ok(snapshots) if snapshots.iter().all(|snapshot| snapshot.id != self.id) => {
                return true;
            }
            Ok(snapshots) => snapshots.iter().any(|snapshot| snapshot.damaged.is_some()),
            Err(error) => return error.case != Case::Broken,
        };
        match check(&*self.fixture, ALL).await {
            Ok(findings) => !findings.errors.is_empty() || is_listed_damaged,
            Err(error) => error.case != Case::Broken,
        }
    }
}

async fn found(lab: &Lab<'_>, damage: Damage) -> Verdict {
    let specimen = Specimen::new(lab).await?;
    for victim in &specimen.victims {
        specimen.damage(victim, damage)?;
        ensure(specimen.reports_damage().await, || {
            format!("it finds nothing wrong with {}", victim.display())
        })?;
    }
    Ok(())
}

async fn flipped(lab: &Lab<'_>) -> Verdict {
    found(lab, Damage::Flip).await
}

async fn missing(lab: &Lab<'_>) -> Verdict {
    found(lab, Damage::Remove).await
}

async fn never_read(lab: &Lab<'_>) -> Verdict {
    let specimen = Specimen::new(lab).await?;
    for damage in [Damage::Flip, Damage::Remove] {
        for victim in &specimen.victims {
            specimen.damage(victim, damage)?;
            let Specimen {
                fixture, id, tree, ..
            } = &specimen;
            let seen = match lab.expect_tree(&**fixture, id, tree).await {
                Err(Mismatch::Different(seen)) => seen,
                Err(Mismatch::Error(error)) if error.case == Case::Broken => error.to_string(),
                _ => continue,
            };
            return fail(format!("with {} damaged: {seen}", victim.display()));
        }
    }
    Ok(())
}

async fn skipped(lab: &Lab<'_>) -> Verdict {
    let specimen = Specimen::new(lab).await?;
    for victim in &specimen.victims {
        specimen.damage(victim, Damage::Flip)?;
        let Specimen {
            fixture, id, tree, ..
        } = &specimen;
        // Otherwise nothing can be read at all.
        let Ok(store) = fixture.open(Access::ReadOnly).await else {
            continue;
        };
        let selection = Selection {
            skip_damaged: true,
            ..whole(id)
        };
        let seen = match read_some(&*store, selection, tree).await {
            Ok((Completeness::Complete, Some(path))) => {
                format!("it says `complete`, and leaves out {path}")
            }
            Err(Mismatch::Different(seen)) => seen,
            _ => continue,
        };
        return fail(format!("with {} damaged: {seen}", victim.display()));
    }
    Ok(())
}
