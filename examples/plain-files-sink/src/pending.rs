//! A snapshot that is written: beside its place, until all of it is there.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};

use sha2::{Digest as _, Sha256};
use tthost_plugin::snapshots::{self, Draft, Ending, Paths};
use tthost_plugin::tree::{Completeness, Contents, Counts, Entry, Receipt};
use tthost_plugin::{Error, Result, leftovers};

use crate::layout::{self, Description, failed, path};
use crate::record::{Record, RecordKind};

pub struct Pending {
    id: String,
    draft: Draft,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    paths: Paths,
    /// Entries, in their order, behind one whose contents have not come.
    waiting: VecDeque<Waiting>,
    /// None in a dry run.
    lists: Option<Lists>,
    directories: Vec<String>,
    files: u64,
    bytes: u64,
}

struct Waiting {
    number: u64,
    record: Record,
    is_settled: bool,
}

struct Lists {
    entries: List,
    sums: List,
}

/// A file to which lines are written, and its checksum.
struct List {
    name: String,
    file: BufWriter<File>,
    hasher: Sha256,
}

impl List {
    fn create(name: String) -> Result<Self> {
        let file = File::create(path(&name)).map_err(|cause| failed(&name, &cause))?;
        Ok(Self {
            name,
            file: BufWriter::new(file),
            hasher: Sha256::new(),
        })
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        self.hasher.update(&line);
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|cause| failed(&self.name, &cause))
    }

    fn finish(self) -> Result<String> {
        let written = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        let synced = written.and_then(|file| file.sync_all());
        synced.map_err(|cause| failed(&self.name, &cause))?;
        Ok(layout::hex(self.hasher))
    }
}

impl Pending {
    pub fn begin(id: String, draft: Draft) -> Result<Self> {
        let pending = Self {
            id,
            draft,
            state: RefCell::default(),
        };
        if !pending.draft.dry_run {
            let directory = pending.place("files");
            fs::create_dir_all(path(&directory)).map_err(|cause| failed(&directory, &cause))?;
            let mut state = pending.state.borrow_mut();
            state.directories.push(directory);
            state.lists = Some(Lists {
                entries: List::create(pending.place("entries.jsonl"))?,
                sums: List::create(pending.place("SHA256SUMS"))?,
            });
        }
        Ok(pending)
    }

    /// The name of something of this snapshot.
    fn place(&self, name: &str) -> String {
        format!("partial/{}/{name}", self.id)
    }

    /// Writes contents to their place, and answers their size, checksum and ending.
    async fn store(&self, stored: &str, mut contents: Contents) -> Result<(u64, String, Ending)> {
        let mut file = None;
        let failed = |cause| failed(stored, &cause);
        if !self.draft.dry_run {
            file = Some(File::create(path(stored)).map_err(failed)?);
        }
        let (mut size, mut hasher) = (0, Sha256::new());
        while let Some(piece) = contents.next().await {
            size += piece.len() as u64;
            hasher.update(&piece);
            if let Some(file) = &mut file {
                file.write_all(&piece).map_err(failed)?;
            }
        }
        let ending = contents.finish().await?;
        match (file, ending) {
            (Some(_), Ending::Omitted) => fs::remove_file(path(stored)).map_err(failed)?,
            (Some(file), _) => file.sync_all().map_err(failed)?,
            (None, _) => {}
        }
        Ok((size, layout::hex(hasher), ending))
    }
}

impl State {
    fn add(&mut self, number: u64, record: Record, is_settled: bool) -> Result<()> {
        self.waiting.push_back(Waiting {
            number,
            record,
            is_settled,
        });
        self.write_settled()
    }

    /// Writes down what nothing waits for any more.
    fn write_settled(&mut self) -> Result<()> {
        while self.waiting.front().is_some_and(|entry| entry.is_settled)
            && let Some(Waiting { record, .. }) = self.waiting.pop_front()
        {
            let Some(Lists { entries, sums }) = &mut self.lists else {
                continue;
            };
            let line =
                serde_json::to_string(&record).map_err(|cause| Error::Other(cause.to_string()))?;
            entries.add(&line)?;
            if let RecordKind::File { sha256, .. } = &record.kind {
                sums.add(&format!("{sha256}  {}", record.stored()))?;
            }
        }
        Ok(())
    }
}

impl snapshots::Pending for Pending {
    async fn entry(&self, entry: Entry) -> Result<bool> {
        let mut state = self.state.borrow_mut();
        let number = entry.id;
        let path = state.paths.enter(&entry);
        let record = Record::new(path, entry);
        let is_file = matches!(record.kind, RecordKind::File { .. });
        if matches!(record.kind, RecordKind::Directory) {
            let directory = self.place(&record.stored());
            if !self.draft.dry_run {
                let made = fs::create_dir(layout::path(&directory));
                made.map_err(|cause| failed(&directory, &cause))?;
            }
            state.directories.push(directory);
        }
        state.add(number, record, !is_file)?;
        Ok(is_file)
    }

    async fn contents(&self, file: u64, contents: Contents) -> Result<()> {
        let unknown = || Error::Other(format!("contents came for entry {file}, which needs none"));
        let is_it = |entry: &Waiting| entry.number == file && !entry.is_settled;
        let stored = {
            let state = self.state.borrow();
            let entry = state.waiting.iter().find(|entry| is_it(entry));
            self.place(&entry.ok_or_else(unknown)?.record.stored())
        };
        let (size, sha256, ending) = self.store(&stored, contents).await?;
        let mut state = self.state.borrow_mut();
        let position = state.waiting.iter().position(is_it).ok_or_else(unknown)?;
        if ending == Ending::Omitted {
            state.waiting.remove(position);
        } else {
            let entry = &mut state.waiting[position];
            entry.record.kind = RecordKind::File { size, sha256 };
            entry.is_settled = true;
            state.files += 1;
            state.bytes += size;
        }
        state.write_settled()
    }

    async fn commit(self, completeness: Completeness) -> Result<Receipt> {
        let State {
            waiting,
            lists,
            directories,
            files,
            bytes,
            ..
        } = self.state.take();
        if let Some(entry) = waiting.front() {
            let stored = entry.record.stored();
            return Err(Error::Other(format!("the contents of {stored} never came")));
        }
        let new = |new| Counts {
            new,
            ..Counts::default()
        };
        let mut receipt = Receipt {
            files: new(files),
            directories: new(directories
                .iter()
                .filter(|name| !name.ends_with("/files"))
                .count() as u64),
            objects_added: files,
            bytes_added: bytes,
            bytes_stored: bytes,
            bytes_total: bytes,
            ..Receipt::default()
        };
        let Some(Lists { entries, mut sums }) = lists else {
            return Ok(receipt);
        };
        let entries = entries.finish()?;
        sums.add(&format!("{entries}  entries.jsonl"))?;
        let description = Description {
            time: (self.draft.time.seconds, self.draft.time.nanoseconds),
            hostname: self.draft.hostname.clone(),
            username: self.draft.username.clone(),
            tags: self.draft.tags.clone(),
            paths: self.draft.paths.clone(),
            complete: completeness == Completeness::Complete,
            files,
            bytes,
            entries,
            sums: sums.finish()?,
        };
        layout::write(&self.place("snapshot.json"), &layout::sealed(&description)?)?;
        for directory in directories.iter().rev() {
            layout::sync(directory)?;
        }
        layout::sync(&format!("partial/{}", self.id))?;
        let (from, to) = (
            format!("partial/{}", self.id),
            format!("snapshots/{}", self.id),
        );
        fs::rename(path(&from), path(&to)).map_err(|cause| failed(&to, &cause))?;
        layout::sync("snapshots")?;
        leftovers::clear(self.id.clone()).await?;
        receipt.snapshot = Some(self.id.clone());
        Ok(receipt)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.draft.dry_run {
            // It is not there any more once it was committed. What stays, the next opening removes.
            let _ = layout::remove(&format!("partial/{}", self.id));
        }
    }
}
