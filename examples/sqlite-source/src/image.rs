//! Whether the file of a database is whole: its first bytes say how long it is.

use tthost_plugin::source::Check;
use tthost_plugin::{Error, Result};

/// What such a file begins with (<https://www.sqlite.org/fileformat.html>).
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Bytes of the header of which something is needed.
const HEADER: usize = 32;

/// The file of a database that goes by.
#[derive(Default)]
pub struct Image {
    header: Vec<u8>,
    length: u64,
}

impl Check for Image {
    fn follow(&mut self, bytes: &[u8]) {
        let missing = HEADER.saturating_sub(self.header.len()).min(bytes.len());
        self.header.extend_from_slice(&bytes[..missing]);
        self.length += bytes.len() as u64;
    }

    fn finish(&mut self) -> Result<()> {
        let rest = self.header.strip_prefix(MAGIC);
        let numbers = rest.and_then(|rest| rest.first_chunk().zip(rest.get(12..)?.first_chunk()));
        let Some((&page, &pages)) = numbers else {
            return Err(Error::Other("sqlite3 made no copy of the database".into()));
        };
        let page = match u16::from_be_bytes(page) {
            1 => 65536,
            page => u64::from(page),
        };
        let expected = page * u64::from(u32::from_be_bytes(pages));
        if self.length != expected {
            return Err(Error::Other(format!(
                "the copy of the database has {} bytes and should have {expected}: give the program more room (scratch)",
                self.length
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(page: u16, pages: u32, length: usize) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(page.to_be_bytes());
        bytes.extend([0; 10]);
        bytes.extend(pages.to_be_bytes());
        bytes.resize(length, 0);
        let mut image = Image::default();
        for piece in bytes.chunks(7) {
            image.follow(piece);
        }
        image.finish()
    }

    #[test]
    fn a_copy_is_as_long_as_its_header_says() {
        assert!(image(4096, 2, 8192).is_ok());
        assert!(image(1, 1, 65536).is_ok());
        for (page, pages, length) in [(4096, 2, 8191), (4096, 2, 4096), (4096, 2, 12288)] {
            let error = image(page, pages, length).expect_err("it is not whole");
            assert!(error.to_string().contains("should have"), "{error}");
        }
        assert!(image(4096, 2, 20).is_err());
        assert!(Image::default().finish().is_err());
    }
}
