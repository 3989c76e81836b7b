//! An entry of an archive, with the extensions of POSIX
//! (<https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html>).

use std::io;

use tokio::io::AsyncRead;
use tokio_tar::{Entry, EntryType};

use super::malformed;
use crate::contract::{
    AccountName, EntryKind, Instant, Invalid, LinkTarget, Metadata, OwnerId, Permissions, Xattr,
};

/// The records of extended attributes begin with this.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// Something in an archive.
pub(super) struct Found {
    /// From the top of the volume, without a slash at either end; empty for the top itself.
    pub(super) path: Vec<u8>,
    pub(super) kind: ParsedKind,
    /// Without what an archive does not tell: times of change, devices, inodes, links.
    pub(super) metadata: Metadata,
}

pub(super) enum ParsedKind {
    Kind(EntryKind),
    /// Another name of the file at this path.
    Link(Vec<u8>),
}

/// Parses an entry. `None` for an entry that no tree has, such as a global header.
pub(super) async fn parse<R: AsyncRead + Unpin>(entry: &mut Entry<R>) -> io::Result<Option<Found>> {
    let path = normal(&entry.path_bytes()?)?;
    let header = entry.header();
    let device = || {
        let (major, minor) = (header.device_major()?, header.device_minor()?);
        io::Result::Ok(rustix::fs::makedev(
            major.unwrap_or_default(),
            minor.unwrap_or_default(),
        ))
    };
    let target = || {
        let target = entry.link_name_bytes()?;
        target
            .map(std::borrow::Cow::into_owned)
            .ok_or_else(|| malformed("a link has no target"))
    };
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => {
            ParsedKind::Kind(EntryKind::File(Some(entry.effective_size())))
        }
        EntryType::Directory => ParsedKind::Kind(EntryKind::Directory),
        EntryType::Symlink => ParsedKind::Kind(EntryKind::Symlink(
            LinkTarget::new(target()?).map_err(invalid)?,
        )),
        EntryType::Link => ParsedKind::Link(normal(&target()?)?),
        EntryType::Fifo => ParsedKind::Kind(EntryKind::Fifo),
        EntryType::Char => ParsedKind::Kind(EntryKind::CharacterDevice(device()?)),
        EntryType::Block => ParsedKind::Kind(EntryKind::BlockDevice(device()?)),
        EntryType::XGlobalHeader => return Ok(None),
        _ => return Err(malformed("an entry is of an unknown kind")),
    };
    let modified = modified(entry).await?;
    let header = entry.header();
    let id = |id: u64| {
        let id = u32::try_from(id).map_err(|_| malformed("an owner's number is too large"))?;
        OwnerId::new(id).map_err(invalid)
    };
    let account = |name: Option<&str>| {
        let name = name.filter(|name| !name.is_empty());
        name.map(AccountName::new).transpose().map_err(invalid)
    };
    let metadata = Metadata {
        permissions: Permissions::of_mode(header.mode()?),
        uid: id(header.uid()?)?,
        gid: id(header.gid()?)?,
        user: account(entry.username().unwrap_or_default())?,
        group: account(entry.groupname().unwrap_or_default())?,
        modified,
        accessed: None,
        changed: Some(modified),
        device: 0,
        inode: 0,
        links: 1,
        xattrs: xattrs(entry).await?,
    };
    Ok(Some(Found {
        path,
        kind,
        metadata,
    }))
}

/// The time of the last modification. The header's own has no fractions and no past before 1970.
pub(super) async fn modified<R: AsyncRead + Unpin>(entry: &mut Entry<R>) -> io::Result<Instant> {
    if let Some(records) = entry.pax_extensions().await? {
        for record in records {
            let record = record?;
            if record.key_bytes() == b"mtime" {
                return instant(record.value_bytes()).ok_or_else(|| malformed("a time is invalid"));
            }
        }
    }
    let seconds = i64::try_from(entry.header().mtime()?).map_err(io::Error::other)?;
    Instant::new(seconds, 0).map_err(invalid)
}

async fn xattrs<R: AsyncRead + Unpin>(entry: &mut Entry<R>) -> io::Result<Vec<Xattr>> {
    let mut xattrs = Vec::new();
    for record in entry.pax_extensions().await?.into_iter().flatten() {
        let record = record?;
        if let Some(name) = record.key_bytes().strip_prefix(XATTR) {
            let xattr = Xattr::new(name, record.value_bytes().to_vec());
            xattrs.push(xattr.map_err(invalid)?);
        }
    }
    Ok(xattrs)
}

/// Decimal seconds since 1970, `-1.25` for example.
fn instant(text: &[u8]) -> Option<Instant> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits = &fraction[..fraction.len().min(9)];
    let nanoseconds: u32 = format!("{digits:0<9}").parse().ok()?;
    // The fraction leads away from zero, the nanoseconds of an instant always to the future.
    let (seconds, nanoseconds) = match nanoseconds {
        1.. if whole.starts_with('-') => (seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds),
        nanoseconds => (seconds, nanoseconds),
    };
    Instant::new(seconds, nanoseconds).ok()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "errors are mapped by functions that take them over"
)]
fn invalid(invalid: Invalid) -> io::Error {
    malformed(&invalid.to_string())
}

/// A path without `.` and without slashes at its ends. One that leads elsewhere is refused.
fn normal(path: &[u8]) -> io::Result<Vec<u8>> {
    let names: Vec<_> = path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .collect();
    if path.starts_with(b"/") || names.contains(&&b".."[..]) || path.contains(&0) {
        return Err(malformed("a path leads out of it"));
    }
    Ok(names.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fractions_and_lie_before_1970() {
        let parsed = |text: &str| {
            let instant = instant(text.as_bytes())?;
            Some((instant.seconds(), instant.nanoseconds()))
        };
        assert_eq!(parsed("1795506378"), Some((1_795_506_378, 0)));
        assert_eq!(parsed("12.5"), Some((12, 500_000_000)));
        assert_eq!(parsed("12.1234567899"), Some((12, 123_456_789)));
        assert_eq!(parsed("-315619200"), Some((-315_619_200, 0)));
        assert_eq!(parsed("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(parsed("-0.25"), Some((-1, 750_000_000)));
        assert_eq!(parsed("1.-5"), None);
        assert_eq!(parsed(""), None);
    }

    #[test]
    fn a_path_stays_in_the_volume() {
        let normal = |path: &str| normal(path.as_bytes()).ok();
        assert_eq!(normal("./a//b/"), Some(b"a/b".to_vec()));
        assert_eq!(normal("./"), Some(Vec::new()));
        assert_eq!(normal("a/../../b"), None);
        assert_eq!(normal("/etc/passwd"), None);
    }
}
