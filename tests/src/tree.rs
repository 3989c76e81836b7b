//! All that can be said of what is in a directory, and the comparison of two.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use sha2::{Digest as _, Sha256};

/// A file of more bytes that takes less than half of them on disk is called sparse.
const MAYBE_SPARSE: u64 = 1 << 20;

/// Everything in a directory by its path in it. The directory itself is not described.
pub type Tree = BTreeMap<PathBuf, Node>;

/// Something in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// With the bits of its kind.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Seconds since 1970 and nanoseconds of the last modification.
    pub modified: (i64, i64),
    /// Extended attributes, ACLs among them.
    pub attributes: BTreeMap<String, Vec<u8>>,
    /// What it is.
    pub kind: NodeKind,
}

/// What something in a directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File {
        /// In bytes.
        size: u64,
        /// Of its contents.
        sha256: String,
        /// Whether it has holes.
        is_sparse: bool,
        /// The first path of the same file.
        first: PathBuf,
        /// All of its paths, in whichever directory.
        links: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link, and where it leads.
    Symlink(PathBuf),
    /// A device, and its number.
    Device(u64),
    /// A pipe or a socket.
    Other,
}

/// Looks at everything in a directory.
pub fn examine(top: &Path) -> Result<Tree> {
    let mut found = BTreeMap::new();
    let mut names: BTreeMap<(u64, u64), PathBuf> = BTreeMap::new();
    let mut directories = vec![top.to_owned()];
    while let Some(directory) = directories.pop() {
        let mut entries: Vec<_> = fs::read_dir(&directory)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let below = path.strip_prefix(top)?.to_owned();
            let metadata = path.symlink_metadata()?;
            let file_type = metadata.file_type();
            let kind = if file_type.is_file() {
                // A name that comes first stands for whether the same names are of one file.
                let first = names
                    .entry((metadata.dev(), metadata.ino()))
                    .or_insert_with(|| below.clone());
                NodeKind::File {
                    size: metadata.len(),
                    sha256: sha256(&path)?,
                    is_sparse: metadata.len() > MAYBE_SPARSE
                        && metadata.blocks() * 512 < metadata.len() / 2,
                    first: first.clone(),
                    links: metadata.nlink(),
                }
            } else if file_type.is_dir() {
                directories.push(path.clone());
                NodeKind::Directory
            } else if file_type.is_symlink() {
                NodeKind::Symlink(fs::read_link(&path)?)
            } else if file_type.is_char_device() || file_type.is_block_device() {
                NodeKind::Device(metadata.rdev())
            } else {
                NodeKind::Other
            };
            let node = Node {
                mode: metadata.mode(),
                owner: (metadata.uid(), metadata.gid()),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                attributes: attributes(&path)?,
                kind,
            };
            found.insert(below, node);
        }
    }
    Ok(found)
}

/// Fails unless both are the same.
pub fn expect_same(expected: &Tree, found: &Tree) -> Result<()> {
    for (path, node) in expected {
        match found.get(path) {
            Some(found) if found == node => {}
            found => {
                let path = path.display();
                bail!("{path} should be {node:?}, and is {found:?}")
            }
        }
    }
    let more = found.keys().find(|path| !expected.contains_key(*path));
    ensure!(more.is_none(), "there is more than there was: {more:?}");
    Ok(())
}

/// Lets all files pass for files without holes: restic restores the contents of holes, and not
/// the holes.
pub fn without_holes(mut tree: Tree) -> Tree {
    for node in tree.values_mut() {
        if let NodeKind::File { is_sparse, .. } = &mut node.kind {
            *is_sparse = false;
        }
    }
    tree
}

fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
    }
    Ok(hex::encode(digest.finalize()))
}

fn attributes(path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names)?;
    names.truncate(length);
    let mut found = BTreeMap::new();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 4096];
        let length = rustix::fs::lgetxattr(path, name, &mut value)?;
        value.truncate(length);
        found.insert(String::from_utf8_lossy(name).into_owned(), value);
    }
    Ok(found)
}
