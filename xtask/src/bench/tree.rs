//! Directories full of files, the same for the same size.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::random::Random;
use super::text::Rows;

/// Goes up when the files change.
pub(crate) const VERSION: u32 = 1;

const FILES_IN_A_DIRECTORY: u64 = 1000;

/// Sizes of the mixed files in bytes, and how many of each come for one of the largest: about as
/// many bytes in every class.
const CLASSES: [(usize, u64); 5] = [
    (64 << 20, 1),
    (8 << 20, 8),
    (1 << 20, 64),
    (128 << 10, 512),
    (16 << 10, 2048),
];

/// So many files of so many bytes each. Half of every file is random, the other half repeats.
pub(crate) fn write_small(top: &Path, files: u64, bytes: usize) -> Result<()> {
    let mut random = Random(0x0073_6d61_6c6c);
    let mut contents = vec![0; bytes];
    for number in 0..files {
        let directory = top.join((number / FILES_IN_A_DIRECTORY).to_string());
        if number % FILES_IN_A_DIRECTORY == 0 {
            fs::create_dir_all(&directory)?;
        }
        random.fill(&mut contents[..bytes / 2]);
        write(&directory.join(format!("{number}.bin")), &contents)?;
    }
    sync(top)
}

/// So many files of so many random bytes each, others for each seed.
pub(crate) fn write_random(top: &Path, seed: u64, files: u64, bytes: usize) -> Result<()> {
    let mut random = Random(seed ^ 0x7261_6e64_6f6d);
    let mut contents = vec![0; bytes];
    for number in 0..files {
        let directory = top.join((number / FILES_IN_A_DIRECTORY).to_string());
        if number % FILES_IN_A_DIRECTORY == 0 {
            fs::create_dir_all(&directory)?;
        }
        random.fill(&mut contents);
        write(&directory.join(number.to_string()), &contents)?;
    }
    sync(top)
}

/// At least so many bytes in files of 16 KiB to 64 MiB, text and random ones by turns.
pub(crate) fn write_mixed(top: &Path, bytes: u64) -> Result<()> {
    let mut random = Random(0x006d_6978_6564);
    let mut rows = Rows::new();
    let mut text = Vec::new();
    let (mut written, mut set, mut number) = (0, 0, 0_u64);
    while written < bytes {
        for (size, count) in CLASSES {
            let directory = top.join(format!("{set}/{} KiB", size >> 10));
            fs::create_dir_all(&directory)?;
            for _ in 0..count {
                number += 1;
                let name = directory.join(number.to_string());
                let mut contents = vec![0; size];
                if number.is_multiple_of(2) {
                    random.fill(&mut contents);
                } else {
                    while text.len() < size {
                        text.extend_from_slice(rows.table()?.as_bytes());
                    }
                    contents.copy_from_slice(&text[..size]);
                    text.drain(..size);
                }
                write(&name, &contents)?;
                written += size as u64;
            }
        }
        set += 1;
    }
    sync(top)
}

fn write(path: &Path, contents: &[u8]) -> Result<()> {
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}

/// What is still on its way to the disk would be paid for by the first who reads.
fn sync(top: &Path) -> Result<()> {
    let directory = fs::File::open(top)?;
    nix::unistd::syncfs(directory).context("cannot wait for the disk")
}
