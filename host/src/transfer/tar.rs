//! Entries as blocks of a tar archive, in GNU's format: names are bytes of any length. What GNU's headers have no
//! place for goes into a header of POSIX in front
//! (<https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html>): fractions of seconds, times before 1970,
//! extended attributes.

use tokio_tar::{EntryType, Header};

use crate::contract::{Entry, EntryKind, Instant, Metadata};

/// What an archive is made of.
const BLOCK: usize = 512;

/// Two blocks of zeros.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The blocks in front of an entry's contents. `link` is the name of the same file that came before. None for
/// what an archive cannot hold: sockets.
pub(super) fn header(path: &[u8], entry: &Entry, link: Option<&[u8]>) -> Option<Vec<u8>> {
    let metadata = &entry.metadata;
    let mut header = Header::new_gnu();
    let (kind, target) = match (&entry.kind, link) {
        (EntryKind::Socket, _) => return None,
        (_, Some(first)) => (EntryType::Link, first),
        (EntryKind::File(_), None) => (EntryType::Regular, &[][..]),
        (EntryKind::Directory, None) => (EntryType::Directory, &[][..]),
        (EntryKind::Symlink(target), None) => (EntryType::Symlink, target.as_c_str().to_bytes()),
        (EntryKind::Fifo, None) => (EntryType::Fifo, &[][..]),
        (EntryKind::CharacterDevice(_), None) => (EntryType::Char, &[][..]),
        (EntryKind::BlockDevice(_), None) => (EntryType::Block, &[][..]),
    };
    header.set_entry_type(kind);
    header.set_mode(metadata.permissions.bits());
    header.set_uid(metadata.uid.get().into());
    header.set_gid(metadata.gid.get().into());
    header.set_mtime(metadata.modified.seconds().try_into().unwrap_or_default());
    match entry.kind {
        EntryKind::File(Some(size)) if link.is_none() => header.set_size(size),
        EntryKind::CharacterDevice(device) | EntryKind::BlockDevice(device) => {
            // A GNU header has these fields.
            let _ = header.set_device_major(rustix::fs::major(device));
            let _ = header.set_device_minor(rustix::fs::minor(device));
        }
        _ => {}
    }
    // A name that is too long for its field is omitted: the number identifies the owner too.
    if let Some(user) = &metadata.user {
        let _ = header.set_username(user.as_str());
    }
    if let Some(group) = &metadata.group {
        let _ = header.set_groupname(group.as_str());
    }
    let mut path = path.to_vec();
    if kind == EntryType::Directory {
        path.push(b'/');
    }
    let mut blocks = Vec::new();
    let records = records(metadata);
    if !records.is_empty() {
        blocks.extend(extension(EntryType::XHeader, b"././@PaxHeader", &records));
    }
    for (long, kind) in [
        (target, EntryType::GNULongLink),
        (&path, EntryType::GNULongName),
    ] {
        if long.len() > header.as_old().name.len() {
            let terminated = [long, &[0]].concat();
            blocks.extend(extension(kind, b"././@LongLink", &terminated));
        }
    }
    let old = header.as_old_mut();
    fill(&mut old.name, &path);
    fill(&mut old.linkname, target);
    header.set_cksum();
    blocks.extend(header.as_bytes());
    Some(blocks)
}

/// What follows so many bytes of contents, to the end of their last block.
pub(super) fn padding(length: u64) -> &'static [u8] {
    let missing = length.next_multiple_of(BLOCK as u64) - length;
    &END[..usize::try_from(missing).unwrap_or_default()]
}

/// An entry that describes the next one.
fn extension(kind: EntryType, name: &[u8], contents: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(contents.len() as u64);
    fill(&mut header.as_old_mut().name, name);
    header.set_cksum();
    let header = header.as_bytes();
    [&header[..], contents, padding(contents.len() as u64)].concat()
}

/// As much of a value as a field holds.
fn fill(field: &mut [u8], value: &[u8]) {
    let length = value.len().min(field.len());
    field[..length].copy_from_slice(&value[..length]);
}

/// The attributes that do not fit in a header.
fn records(metadata: &Metadata) -> Vec<u8> {
    let mut records = Vec::new();
    let modified = metadata.modified;
    if modified.seconds() < 0 || modified.nanoseconds() > 0 {
        records.extend(record(b"mtime", decimal(modified).as_bytes()));
    }
    for xattr in &metadata.xattrs {
        let key = [b"SCHILY.xattr.", xattr.name().to_bytes()].concat();
        records.extend(record(&key, xattr.value()));
    }
    records
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// Seconds since 1970, with a fraction that has the sign of the whole.
fn decimal(time: Instant) -> String {
    let nanoseconds = i128::from(time.seconds()) * 1_000_000_000 + i128::from(time.nanoseconds());
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let size = nanoseconds.unsigned_abs();
    format!("{sign}{}.{:09}", size / 1_000_000_000, size % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Xattr, entry};

    #[test]
    fn the_length_of_a_record_counts_itself() {
        assert_eq!(record(b"mtime", b"1.5"), b"13 mtime=1.5\n");
        // With one digit fewer it would fit into one digit fewer.
        assert_eq!(record(b"k", &[b'v'; 4]), b"9 k=vvvv\n");
        assert_eq!(record(b"k", &[b'v'; 5]), b"11 k=vvvvv\n");
        let long = record(b"k", &[b'v'; 100]);
        assert!(long.starts_with(b"107 k=v") && long.len() == 107);
    }

    #[test]
    fn times_before_1970_count_backwards() {
        for (seconds, nanoseconds, text) in [
            (1, 500_000_000, "1.500000000"),
            (-1, 500_000_000, "-0.500000000"),
            (-2, 1, "-1.999999999"),
            (-5, 0, "-5.000000000"),
        ] {
            let time = Instant::new(seconds, nanoseconds).expect(text);
            assert_eq!(decimal(time), text);
        }
    }

    #[test]
    fn every_entry_is_whole_blocks_and_a_socket_is_none() {
        let mut file = entry(1, 0, "file", EntryKind::File(Some(5)));
        file.metadata.xattrs = vec![Xattr::new("user.a", vec![0xff; 700]).expect("it is one")];
        for path in [&b"file"[..], &[b'x'; 100], &[0xff; 101], &[b'y'; 4000]] {
            let blocks = header(path, &file, None).expect("it can be held");
            assert_eq!(blocks.len() % BLOCK, 0, "{}", path.len());
        }
        let socket = entry(1, 0, "socket", EntryKind::Socket);
        assert_eq!(header(b"socket", &socket, None), None);
        assert_eq!(
            (padding(0).len(), padding(1).len(), padding(512).len()),
            (0, 511, 0)
        );
    }
}
