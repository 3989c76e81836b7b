//! What is stored, and whether it is what it was.

use std::fs;
use std::io::ErrorKind;

use tthost_plugin::Result;
use tthost_plugin::snapshots::{Depth, Findings, Subset, Usage};

use crate::layout::{self, Description, failed, path};
use crate::reading::{Records, Stored};
use crate::record::RecordKind;

/// Goes through all files of all snapshots. What cannot be gone through is given with the id of its snapshot.
fn each_file(
    mut file: impl FnMut(&str, Stored) -> Result<()>,
    mut fault: impl FnMut(&str, String),
) -> Result<()> {
    for id in layout::names("snapshots")? {
        let mut go = || -> Result<()> {
            let directory = format!("snapshots/{id}");
            let description = Description::of(&id)?;
            let mut records = Records::of(&directory, &description)?;
            while let Some(record) = records.next()? {
                let stored = record.stored();
                let is_directory = matches!(record.kind, RecordKind::Directory);
                if is_directory
                    && !fs::metadata(path(&format!("{directory}/{stored}")))
                        .is_ok_and(|found| found.is_dir())
                {
                    fault(&id, format!("the directory {stored} is missing"));
                }
                if let Some(stored) = Stored::of(&directory, &record)
                    && let Err(error) = file(&id, stored)
                {
                    fault(&id, layout::text(error));
                }
            }
            let sums = format!("{directory}/SHA256SUMS");
            let found = fs::read(path(&sums)).map_err(|cause| failed(&sums, &cause))?;
            if layout::digest(&found) != description.sums {
                fault(&id, format!("{sums} is damaged"));
            }
            Ok(())
        };
        if let Err(error) = go() {
            fault(&id, layout::text(error));
        }
    }
    Ok(())
}

pub fn usage(subset: Subset) -> Result<Usage> {
    let mut usage = Usage {
        objects: 0,
        bytes: 0,
    };
    let count = |_: &str, stored: Stored| {
        if subset.holds(stored.name.as_bytes()) {
            usage.objects += 1;
            usage.bytes += stored.size;
        }
        Ok(())
    };
    each_file(count, |_, _| ())?;
    Ok(usage)
}

pub fn check(depth: Depth) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut faults = Vec::new();
    let (mut objects, mut bytes_read) = (0, 0);
    let look = |_: &str, stored: Stored| {
        objects += 1;
        match depth {
            Depth::Data(subset) if subset.holds(stored.name.as_bytes()) => {
                let mut contents = stored.open()?;
                loop {
                    let piece = contents.next()?;
                    if piece.is_empty() {
                        return contents.verify();
                    }
                    bytes_read += piece.len() as u64;
                }
            }
            Depth::Data(_) | Depth::Structure => stored.is_there(),
        }
    };
    each_file(look, |id, what| faults.push((id.to_owned(), what)))?;
    for (id, what) in faults {
        findings.error(what, &[&id]);
    }
    match fs::read(path("README.txt")) {
        Ok(text) if text == layout::README.as_bytes() => {}
        Ok(_) => findings.error("README.txt was changed".into(), &[]),
        Err(cause) => findings.error(layout::text(failed("README.txt", &cause)), &[]),
    }
    findings.snapshots = layout::names("snapshots")?.len() as u64;
    findings.objects = objects;
    findings.bytes_read = bytes_read;
    Ok(findings)
}

/// The files below a directory, and their bytes; none where a removal was cut off.
pub fn size(directory: &str) -> Result<(u64, u64)> {
    let failed = |cause| failed(directory, &cause);
    let (mut files, mut bytes) = (0, 0);
    let entries = match fs::read_dir(path(directory)) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok((0, 0)),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let metadata = entry.metadata().map_err(failed)?;
        if metadata.is_dir() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let (more_files, more_bytes) = size(&format!("{directory}/{name}"))?;
            files += more_files;
            bytes += more_bytes;
        } else {
            files += 1;
            bytes += metadata.len();
        }
    }
    Ok((files, bytes))
}
