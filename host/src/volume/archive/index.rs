//! The first pass over an archive: its entries and their positions.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio_tar::Archive;
use tokio_util::io::StreamReader;

use super::entry::{ParsedKind, parse};
use super::fingerprint::Fingerprint;
use super::malformed;
use crate::contract::{EntryKind, Metadata};

/// Bytes of contents that are taken at a time.
pub(super) const PIECE: usize = 256 << 10;

/// Everything in a volume, in the order of its archive.
#[derive(Debug)]
pub(super) struct Index {
    /// The first is the top.
    nodes: Vec<Node>,
}

/// Something in a volume.
#[derive(Debug)]
pub(super) struct Node {
    /// From the top of the volume.
    pub(super) path: Box<[u8]>,
    pub(super) kind: EntryKind,
    pub(super) metadata: Metadata,
    /// The number of the one that has its contents: itself, or the one that it is a link to.
    pub(super) first: usize,
    children: BTreeMap<CString, usize>,
}

impl Index {
    /// Takes in a whole archive, and tells from time to time how many bytes of contents went by.
    pub(super) async fn read(
        archive: impl Stream<Item = io::Result<Bytes>> + Send + Unpin,
        progress: impl Fn(u64),
    ) -> io::Result<Self> {
        let mut index = Self { nodes: Vec::new() };
        let mut archive = Archive::new(StreamReader::new(archive));
        let mut entries = archive.entries()?;
        let mut buffer = vec![0; PIECE];
        let mut bytes = 0;
        while let Some(entry) = entries.next().await {
            let mut entry = entry?;
            let Some(mut found) = parse(&mut entry).await? else {
                continue;
            };
            let kind = match found.kind {
                ParsedKind::Link(target) => {
                    index.link(found.path, &target)?;
                    continue;
                }
                ParsedKind::Kind(kind) => kind,
            };
            if matches!(kind, EntryKind::File(_)) {
                let mut fingerprint = Fingerprint::of(&found.path);
                loop {
                    let read = entry.read(&mut buffer).await?;
                    if read == 0 {
                        break;
                    }
                    fingerprint.update(&buffer[..read]);
                    bytes += read as u64;
                    progress(bytes);
                }
                found.metadata.inode = fingerprint.inode();
            }
            let first = index.nodes.len();
            index.add(found.path, kind, found.metadata, first)?;
        }
        if index.nodes.is_empty() {
            return Err(malformed("there is nothing in it"));
        }
        index.count_links();
        Ok(index)
    }

    /// The number of what is at a path.
    pub(super) fn find(&self, path: &[u8]) -> Option<usize> {
        let mut found = 0;
        for name in path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            let name = CString::new(name).ok()?;
            found = self.child(found, &name)?;
        }
        (found < self.nodes.len()).then_some(found)
    }

    /// The entry with a number.
    pub(super) fn node(&self, number: usize) -> &Node {
        &self.nodes[number]
    }

    /// The number of what has this name in a directory.
    pub(super) fn child(&self, directory: usize, name: &CStr) -> Option<usize> {
        self.nodes.get(directory)?.children.get(name).copied()
    }

    /// The names in a directory, in byte order.
    pub(super) fn names(&self, directory: usize) -> impl Iterator<Item = &CString> {
        self.nodes[directory].children.keys()
    }

    fn link(&mut self, path: Vec<u8>, target: &[u8]) -> io::Result<()> {
        let first = self
            .find(target)
            .filter(|target| matches!(self.nodes[*target].kind, EntryKind::File(_)))
            .ok_or_else(|| malformed("a link leads to no file"))?;
        let Node { kind, metadata, .. } = &self.nodes[first];
        self.add(path, kind.clone(), metadata.clone(), first)
    }

    /// Lets all names of a file tell how many there are.
    fn count_links(&mut self) {
        let mut links = vec![0; self.nodes.len()];
        for node in &self.nodes {
            links[node.first] += 1;
        }
        for node in &mut self.nodes {
            node.metadata.links = links[node.first];
        }
    }

    fn add(
        &mut self,
        path: Vec<u8>,
        kind: EntryKind,
        metadata: Metadata,
        first: usize,
    ) -> io::Result<()> {
        let number = self.nodes.len();
        if let Some((above, name)) = split(&path) {
            let parent = self
                .find(above)
                .filter(|parent| matches!(self.nodes[*parent].kind, EntryKind::Directory))
                .ok_or_else(|| malformed("something comes before its directory"))?;
            let name = CString::new(name)?;
            if self.nodes[parent].children.insert(name, number).is_some() {
                return Err(malformed("something comes twice"));
            }
        } else if number != 0 || !matches!(kind, EntryKind::Directory) {
            return Err(malformed("its top comes late, or is not a directory"));
        }
        self.nodes.push(Node {
            path: path.into(),
            kind,
            metadata,
            first,
            children: BTreeMap::new(),
        });
        Ok(())
    }
}

/// The directory and the name of a path; none for the top.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => Some((&path[..slash], &path[slash + 1..])),
        None => Some((b"", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a block of an archive.
    const BLOCK: usize = 512;

    /// Where the checksum of a header stands in it.
    const CHECKSUM: std::ops::Range<usize> = 148..156;

    /// Where the size of what follows stands in it.
    const SIZE: std::ops::Range<usize> = 124..136;

    /// Makes the checksums of all headers right, without which nothing else of them is looked at.
    fn with_checksums(mut archive: Vec<u8>) -> Vec<u8> {
        let mut at = 0;
        while let Some(header) = archive.get_mut(at..at + BLOCK) {
            header[CHECKSUM].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            let size = String::from_utf8_lossy(&header[SIZE]);
            let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8);
            let blocks = size.unwrap_or_default().div_ceil(BLOCK);
            at = blocks.saturating_mul(BLOCK).saturating_add(at + BLOCK);
        }
        archive
    }

    #[test]
    fn an_archive_of_a_volume_may_hold_anything() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("there is a runtime");
        tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "volume-archive", &[], |bytes| {
            let archive = with_checksums(bytes.to_vec());
            let pieces = archive
                .chunks(1000)
                .map(|piece| Ok(Bytes::from(piece.to_vec())));
            let pieces: Vec<io::Result<Bytes>> = pieces.collect();
            let index = runtime.block_on(Index::read(futures::stream::iter(pieces), |_| {}));
            let Ok(index) = index else {
                return;
            };
            for number in 0..index.nodes.len() {
                let node = index.node(number);
                assert_eq!(index.find(&node.path), Some(number), "{:?}", node.path);
                assert!(
                    index
                        .names(number)
                        .all(|name| !name.to_bytes().contains(&b'/'))
                );
            }
        });
    }
}
