//! A snapshot that is read.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Lines, Read as _};

use sha2::{Digest as _, Sha256};
use tthost_plugin::snapshots::{Ending, Entries, Node};
use tthost_plugin::tree::{Completeness, Contents, Range, Reader};
use tthost_plugin::{Error, Result};

use crate::layout::{self, Description, failed, path};
use crate::record::{Record, RecordKind};

/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;

pub struct Reading {
    directory: String,
    description: Description,
    records: Option<Records>,
}

/// The contents of a file.
#[derive(Clone)]
pub struct Stored {
    pub name: String,
    pub size: u64,
    pub sha256: String,
}

/// The entries of a snapshot, one after the other.
pub struct Records {
    name: String,
    lines: Lines<BufReader<File>>,
}

impl Records {
    /// Those of a snapshot, if they are the ones that were stored.
    pub fn of(directory: &str, description: &Description) -> Result<Self> {
        let name = format!("{directory}/entries.jsonl");
        let failed = |cause| failed(&name, &cause);
        let mut file = BufReader::with_capacity(PIECE, File::open(path(&name)).map_err(failed)?);
        let mut hasher = Sha256::new();
        loop {
            let piece = file.fill_buf().map_err(failed)?;
            if piece.is_empty() {
                break;
            }
            hasher.update(piece);
            let length = piece.len();
            file.consume(length);
        }
        if layout::hex(hasher) != description.entries {
            return Err(Error::Corrupt(format!("{name} is damaged")));
        }
        let file = File::open(path(&name)).map_err(failed)?;
        let lines = BufReader::with_capacity(PIECE, file).lines();
        Ok(Self { name, lines })
    }

    pub fn next(&mut self) -> Result<Option<Record>> {
        let Some(line) = self.lines.next() else {
            return Ok(None);
        };
        let line = line.map_err(|cause| failed(&self.name, &cause))?;
        let damaged = |cause| Error::Corrupt(format!("{}: {cause}", self.name));
        serde_json::from_str(&line).map(Some).map_err(damaged)
    }
}

impl Reading {
    pub fn begin(id: &str) -> Result<Self> {
        let directory = format!("snapshots/{id}");
        let description = Description::of(id)?;
        Ok(Self {
            records: Some(Records::of(&directory, &description)?),
            directory,
            description,
        })
    }
}

impl Reader for Reading {
    type File = Stored;

    fn entries(&mut self) -> Entries<Stored> {
        let directory = self.directory.clone();
        Entries::found(self.records.take(), async move |records| {
            let Some(record) = records.as_mut().map(Records::next).transpose()?.flatten() else {
                return Ok(None);
            };
            let file = Stored::of(&directory, &record);
            let node = Node::new(record.path.0.clone(), record.kind());
            Ok(Some(node.with_metadata(record.metadata()).with_file(file)))
        })
    }

    async fn read(&self, file: &Stored) -> Result<Contents> {
        let file = file.clone();
        Ok(Contents::made(async move |mut output| {
            let mut contents = file.open()?;
            loop {
                let piece = contents.next()?;
                if piece.is_empty() {
                    contents.verify()?;
                    return Ok(Ending::Whole);
                }
                output.write(piece).await?;
            }
        }))
    }

    async fn read_part(&self, file: &Stored, part: Range) -> Result<Contents> {
        Ok(self.read(file).await?.part(part))
    }

    async fn finish(&self) -> Result<Completeness> {
        Ok(if self.description.complete {
            Completeness::Complete
        } else {
            Completeness::Incomplete
        })
    }
}

/// Contents that are read, and their checksum.
pub struct Open {
    stored: Stored,
    file: File,
    hasher: Sha256,
}

impl Stored {
    /// The contents of an entry below this directory, if it is a file.
    pub fn of(directory: &str, record: &Record) -> Option<Self> {
        match &record.kind {
            RecordKind::File { size, sha256 } => Some(Self {
                name: format!("{directory}/{}", record.stored()),
                size: *size,
                sha256: sha256.clone(),
            }),
            _ => None,
        }
    }

    /// Whether it is there, with the right size.
    pub fn is_there(&self) -> Result<()> {
        let found = fs::metadata(path(&self.name)).map_err(|cause| failed(&self.name, &cause))?;
        if found.is_file() && found.len() == self.size {
            return Ok(());
        }
        Err(Error::Corrupt(format!("{} has another size", self.name)))
    }

    pub fn open(self) -> Result<Open> {
        self.is_there()?;
        let file = File::open(path(&self.name)).map_err(|cause| failed(&self.name, &cause))?;
        Ok(Open {
            stored: self,
            file,
            hasher: Sha256::new(),
        })
    }
}

impl Open {
    /// The next bytes; none at the end.
    pub fn next(&mut self) -> Result<Vec<u8>> {
        let mut piece = Vec::with_capacity(PIECE);
        let read = (&self.file).take(PIECE as u64).read_to_end(&mut piece);
        read.map_err(|cause| failed(&self.stored.name, &cause))?;
        self.hasher.update(&piece);
        Ok(piece)
    }

    /// Whether they are what was stored.
    pub fn verify(self) -> Result<()> {
        if layout::hex(self.hasher) == self.stored.sha256 {
            return Ok(());
        }
        Err(Error::Corrupt(format!("{} is damaged", self.stored.name)))
    }
}
