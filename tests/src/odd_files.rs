//! A directory with all that makes a backup of files hard.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

/// Bytes of the file that is nearly all hole.
const SPARSE: u64 = 64 << 20;

/// `system.posix_acl_access`: the owner and user 1000 may read and write, nobody else.
/// (Linux's `posix_acl_xattr.h`: a version, then tag, permissions and id of each entry.)
const ACL: [(u16, u16, u32); 5] = [
    (0x01, 6, u32::MAX),
    (0x02, 6, 1000),
    (0x04, 0, u32::MAX),
    (0x10, 6, u32::MAX),
    (0x20, 0, u32::MAX),
];

/// Makes such a directory at this path. Needs root.
pub fn create(top: &Path) -> Result<()> {
    let path = |name: &[u8]| top.join(OsStr::from_bytes(name));
    fs::create_dir_all(top.join("deep").join("d/".repeat(100)))?;
    fs::create_dir(path(b"empty"))?;
    for name in [
        &b"plain"[..],
        b"with\nnewline",
        b"not \xff Unicode",
        b"-rf *",
        b".tthost-partial",
    ] {
        fs::write(path(name), name)?;
    }
    fs::write(path(b"nothing"), "")?;
    fs::write(path(b"large"), "0123456789abcdef".repeat(200_000))?;

    make_sparse(&path(b"sparse"), SPARSE)?;

    fs::write(path(b"linked"), "one file")?;
    fs::hard_link(path(b"linked"), path(b"deep/linked"))?;
    fs::hard_link(path(b"linked"), path(b"zlinked"))?;

    symlink("../../outside", path(b"out of the tree"))?;
    symlink("/etc/passwd", path(b"absolute"))?;
    symlink("nowhere", path(b"dangling"))?;

    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
    for (name, kind, device) in [
        ("pipe", FileType::Fifo, 0_u64),
        ("null", FileType::CharacterDevice, 0x103),
        ("disk", FileType::BlockDevice, 0x700),
    ] {
        rustix::fs::mknodat(CWD, top.join(name), kind, mode, device)?;
    }

    let noted = path(b"noted");
    fs::write(&noted, "with attributes")?;
    let set = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(&noted, name, value, XattrFlags::empty())
            .with_context(|| format!("cannot set {name}"))
    };
    set("user.note", b"bytes \xff\0")?;
    set("user.empty", b"")?;
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in ACL {
        acl.extend(tag.to_le_bytes());
        acl.extend(permissions.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    set("system.posix_acl_access", &acl)?;

    for (name, mode) in [
        ("plain", 0o4755),
        ("large", 0o2750),
        ("empty", 0o1777),
        ("nothing", 0),
    ] {
        let (uid, gid) = (Uid::from_raw(1234), Gid::from_raw(4321));
        rustix::fs::chown(top.join(name), Some(uid), Some(gid))?;
        rustix::fs::chmod(top.join(name), Mode::from_raw_mode(mode))?;
    }
    for (name, seconds, nanoseconds) in [
        ("nothing", -1_234_567_890, 123_456_789),
        ("plain", 1_000_000_000, 1),
        ("dangling", 999_999_999, 999_999_999),
        ("pipe", -1, 1),
        ("deep/d", 86_400, 42),
        ("empty", 0, 0),
    ] {
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::utimensat(CWD, top.join(name), &times, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Makes a file of so many bytes that is nearly all hole.
pub fn make_sparse(path: &Path, size: u64) -> Result<()> {
    let sparse = File::create(path)?;
    sparse.set_len(size)?;
    Ok(sparse.write_all_at(b"in the middle", size / 2)?)
}
