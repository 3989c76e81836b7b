//! Writes a part of a tree to a stream: a file unchanged, a directory as a tar archive.
//!
//! Unlike the writers of [`super::transfer`], an archive needs contents in the order of the tree, a large file before the small
//! file that follows it. So it calls the reader itself.

use std::collections::HashMap;
use std::io::Write;

use tracing::info;

use super::output::Output;
use super::{GROUP, Reader, SMALL, tar};
use crate::contract::{Ending, Entry, EntryKind, SmallFile};
use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::pipe;
use crate::text::printable;

/// Entries that are moved at a time. Their small files are in memory together, 32 MiB at most.
const BATCH: u32 = 64;

/// The result of a dump.
pub(crate) struct Dumped {
    /// Files that came.
    pub(crate) files: u64,
    /// Bytes of contents that came.
    pub(crate) bytes: u64,
}

/// Writes what the reader's one selected path names, or all of it where that is the top. Of the names that lead there,
/// the first `hidden` are not in the archive.
pub(crate) async fn dump(
    mut reader: Box<dyn Reader>,
    (hidden, depth): (usize, usize),
    stream: Box<dyn Write + Send>,
    events: &dyn Events,
) -> Result<Dumped> {
    let mut dump = Dump {
        hidden,
        depth,
        output: Output::new(stream),
        is_archive: depth == 0,
        open: Vec::new(),
        linked: HashMap::new(),
        files: 0,
    };
    loop {
        let batch = reader.next(BATCH).await?;
        if batch.is_empty() {
            break;
        }
        let mut parts = Vec::new();
        for entry in batch.iter() {
            parts.extend(dump.take(entry)?);
        }
        let mut small = read_small(&mut *reader, &parts).await?;
        for part in parts {
            dump.write(&*reader, &part, small.remove(&part.entry.id))
                .await?;
            events.transferred(dump.files, reader.bytes());
        }
    }
    let bytes = reader.bytes();
    reader.finish().await?;
    if dump.is_archive {
        dump.output.write(tar::END).await?;
    }
    dump.output.flush().await?;
    Ok(Dumped {
        files: dump.files,
        bytes,
    })
}

struct Dump {
    hidden: usize,
    /// The depth of the selected entry in the reader's tree.
    depth: usize,
    output: Output,
    is_archive: bool,
    /// The directories that hold what comes next, outermost first: their numbers, and paths in the archive.
    open: Vec<(u64, Vec<u8>)>,
    /// Where the first name of each file with several is, by its device and inode.
    linked: HashMap<(u64, u64), Vec<u8>>,
    files: u64,
}

/// Something that is written.
struct Part<'a> {
    entry: &'a Entry,
    /// Its path in the archive.
    path: Vec<u8>,
    /// The path of the same file, which came before.
    first: Option<Vec<u8>>,
}

impl Part<'_> {
    /// The size of the contents that belong to it.
    fn size(&self) -> Option<u64> {
        match self.entry.kind {
            EntryKind::File(size) if self.first.is_none() => size,
            _ => None,
        }
    }
}

impl Dump {
    /// The part of an entry that the dump writes; `None` for a directory on the way to it.
    fn take<'a>(&mut self, entry: &'a Entry) -> Result<Option<Part<'a>>> {
        while self.open.pop_if(|(id, _)| *id != entry.parent).is_some() {}
        let depth = self.open.len() + 1;
        let mut path = match self.open.last() {
            Some((_, above)) if !above.is_empty() => [above, &b"/"[..]].concat(),
            _ => Vec::new(),
        };
        if depth > self.hidden {
            path.extend_from_slice(entry.name.as_bytes());
        }
        let is_directory = matches!(entry.kind, EntryKind::Directory);
        let shown = || printable(&String::from_utf8_lossy(entry.name.as_bytes()));
        if (depth < self.depth || depth <= self.hidden) && !is_directory {
            let text = format!("{} is not a directory of the snapshot", shown());
            return Err(Error::new(Kind::NotFound, text));
        }
        if depth == self.depth {
            match entry.kind {
                EntryKind::Directory => self.is_archive = true,
                EntryKind::File(_) => {}
                _ => {
                    let text = format!("{} is neither a file nor a directory", shown());
                    return Err(Error::new(Kind::Unsupported, text)
                        .help("dump the directory that it is in"));
                }
            }
        }
        if is_directory {
            self.open.push((entry.id, path.clone()));
        }
        // A folder that is taken for the top has no name in the archive.
        if depth < self.depth || path.is_empty() {
            return Ok(None);
        }
        let first = self.first_name(entry, &path);
        Ok(Some(Part { entry, path, first }))
    }

    /// The name under which this file came before; if it is the first, it is kept in mind.
    fn first_name(&mut self, entry: &Entry, path: &[u8]) -> Option<Vec<u8>> {
        let metadata = &entry.metadata;
        let is_file = matches!(entry.kind, EntryKind::File(_));
        if !is_file || metadata.links < 2 || metadata.inode == 0 {
            return None;
        }
        let file = (metadata.device, metadata.inode);
        let first = self.linked.get(&file).cloned();
        if first.is_none() {
            self.linked.insert(file, path.to_vec());
        }
        first
    }

    /// Writes a part. Its contents may have been read already.
    async fn write(
        &mut self,
        reader: &dyn Reader,
        part: &Part<'_>,
        small: Option<SmallFile>,
    ) -> Result<()> {
        let is_file = matches!(part.entry.kind, EntryKind::File(_));
        self.files += u64::from(is_file);
        if self.is_archive {
            let Some(header) = tar::header(&part.path, part.entry, part.first.as_deref()) else {
                let path = printable(&String::from_utf8_lossy(&part.path));
                info!(subject = "dump", "{path} is a socket and was left out");
                return Ok(());
            };
            self.output.write(header).await?;
        }
        if !is_file || part.first.is_some() {
            return Ok(());
        }
        match small {
            Some(file) => {
                self.output
                    .write(file.contents().ok_or_else(omitted)?.clone())
                    .await?;
            }
            None => self.write_large(reader, part).await?,
        }
        if self.is_archive {
            self.output
                .write(tar::padding(part.size().unwrap_or_default()))
                .await?;
        }
        Ok(())
    }

    async fn write_large(&mut self, reader: &dyn Reader, part: &Part<'_>) -> Result<()> {
        if self.is_archive && part.size().is_none() {
            let text = format!("the size of {} is not known", part.entry.name);
            return Err(Error::new(Kind::Unsupported, text).help("dump the file alone"));
        }
        let (pipe, mut outputs) = pipe::pipe(1);
        let _guard = pipe.guard();
        let contents = outputs.remove(0);
        let verdict = reader.read(part.entry.id, part.size(), pipe).await?;
        while let Some(bytes) = contents.next().await {
            self.output.write(bytes).await?;
        }
        match verdict.await.map_err(|error| error.of(reader.subject()))? {
            Ending::Whole => Ok(()),
            // The archive states its length. The file may be longer or shorter by now.
            Ending::Changed | Ending::Omitted => Err(omitted()),
        }
    }
}

/// The contents of the small files among these parts, by their numbers.
async fn read_small(
    reader: &mut dyn Reader,
    parts: &[Part<'_>],
) -> Result<HashMap<u64, SmallFile>> {
    let mut read = HashMap::new();
    let mut group = Vec::new();
    let mut bytes = 0;
    let wanted = parts
        .iter()
        .filter_map(|part| Some((part.entry.id, part.size()?)));
    for (id, size) in wanted.filter(|(_, size)| *size <= SMALL) {
        group.push((id, size));
        bytes += size;
        if bytes >= GROUP {
            bytes = 0;
            let files = reader.read_small(std::mem::take(&mut group)).await?;
            read.extend(files.into_iter().map(|file| (file.id, file)));
        }
    }
    if !group.is_empty() {
        let files = reader.read_small(group).await?;
        read.extend(files.into_iter().map(|file| (file.id, file)));
    }
    Ok(read)
}

fn omitted() -> Error {
    Error::new(Kind::NotFound, "the contents of a file are missing")
}
