//! Finds out which bytes of an object an answer contains.
//!
//! A server may answer a request for a range with the range (206), with the whole object (200), or, as `rclone serve
//! s3` does, with the range and status 200. The answer's own `Content-Range` decides (RFC 9110, section 14.4).
//! Without it, the answer is the whole object. Only a [`Part`] returns bytes, so that no caller can slice a range
//! twice.

use crate::fault::Fault;
use tthost_plugin::http::Answer;

/// Bytes of an object, and where in it they are.
#[derive(Debug)]
pub(crate) struct Part {
    offset: u64,
    /// The length of the whole object, where the answer tells.
    complete: Option<u64>,
    bytes: Vec<u8>,
}

impl Part {
    /// The part of this object that a successful answer holds.
    pub(crate) fn of(key: &str, answer: Answer) -> Result<Self, Fault> {
        let range = answer.header("content-range").map(str::to_owned);
        Self::new(answer.status, range.as_deref(), answer.body)
            .map_err(|why| Fault::Passing(format!("{key}: {why}")))
    }

    fn new(status: u16, content_range: Option<&str>, bytes: Vec<u8>) -> Result<Self, String> {
        let length = bytes.len() as u64;
        let Some(text) = content_range else {
            if status == 206 {
                return Err("the server sends a part and does not say which".into());
            }
            return Ok(Self {
                offset: 0,
                complete: Some(length),
                bytes,
            });
        };
        let (first, last, complete) = parse(text)
            .ok_or_else(|| format!("the server sends an impossible Content-Range: {text}"))?;
        // It is not empty: the last byte is not before the first.
        if last - first != length.wrapping_sub(1) {
            return Err(format!(
                "the server announces the bytes {first} to {last} and sends {length} bytes"
            ));
        }
        Ok(Self {
            offset: first,
            complete,
            bytes,
        })
    }

    /// The whole object.
    pub(crate) fn whole(self, key: &str) -> Result<Vec<u8>, Fault> {
        let length = self.bytes.len() as u64;
        if self.offset == 0 && self.complete.is_none_or(|complete| complete == length) {
            return Ok(self.bytes);
        }
        Err(Fault::Passing(format!(
            "{key}: the server sends a part where it was asked for the whole"
        )))
    }

    /// `length` bytes from `offset` on; fewer where the object ends before that.
    pub(crate) fn range(self, key: &str, offset: u64, length: u64) -> Result<Vec<u8>, Fault> {
        let end = self.offset + self.bytes.len() as u64;
        let reaches_end = self.complete.is_some_and(|complete| end >= complete);
        let wanted_end = offset.saturating_add(length);
        if offset < self.offset || (wanted_end > end && !reaches_end) {
            return Err(Fault::Passing(format!(
                "{key}: the server sends the bytes {} to {end} where it was asked for {offset} to {wanted_end}",
                self.offset
            )));
        }
        let place = |position: u64| {
            let place = position.min(end) - self.offset;
            usize::try_from(place).unwrap_or(self.bytes.len())
        };
        let (start, stop) = (place(offset), place(wanted_end));
        let mut bytes = self.bytes;
        bytes.truncate(stop);
        bytes.drain(..start);
        Ok(bytes)
    }
}

/// The first and the last byte of a range, and the length of the whole where it is told.
fn parse(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, complete) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let complete = match complete.trim() {
        "*" => None,
        complete => Some(complete.parse().ok()?),
    };
    let fits = first <= last && complete.is_none_or(|complete| last < complete);
    fits.then_some((first, last, complete))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &[u8] = b"0123456789";

    fn range(status: u16, header: Option<&str>, body: &[u8]) -> Result<Vec<u8>, String> {
        let part = Part::new(status, header, body.to_vec())?;
        part.range("object", 4, 3)
            .map_err(|fault| format!("{fault:?}"))
    }

    #[test]
    fn the_same_range_comes_out_however_the_server_answers() {
        for (status, header, body) in [
            (206, Some("bytes 4-6/10"), &OBJECT[4..7]),
            (206, Some("bytes 4-6/*"), &OBJECT[4..7]),
            (200, Some("bytes 4-6/10"), &OBJECT[4..7]),
            (200, None, OBJECT),
            (200, Some("bytes 0-9/10"), OBJECT),
            (206, Some("bytes 2-8/10"), &OBJECT[2..9]),
        ] {
            assert_eq!(
                range(status, header, body).as_deref(),
                Ok(&b"456"[..]),
                "{status} {header:?}"
            );
        }
    }

    #[test]
    fn an_answer_that_is_not_what_was_asked_for_is_refused() {
        for (status, header, body) in [
            (206, None, &OBJECT[4..7]),
            (206, Some("bytes 5-7/10"), &OBJECT[5..8]),
            (206, Some("bytes 4-5/10"), &OBJECT[4..6]),
            (206, Some("bytes 4-5/*"), &OBJECT[4..6]),
            (206, Some("bytes 4-6/10"), OBJECT),
            (206, Some("bytes 4-6/10"), b""),
            (206, Some("bytes 6-4/10"), &OBJECT[4..7]),
            (206, Some("bytes 4-6/5"), &OBJECT[4..7]),
            (206, Some("items 4-6/10"), &OBJECT[4..7]),
            (206, Some("bytes */10"), b""),
        ] {
            range(status, header, body).expect_err(&format!("{status} {header:?}"));
        }
    }

    #[test]
    fn a_range_ends_with_its_object() {
        let part = |header, body: &[u8]| Part::new(206, Some(header), body.to_vec()).expect(header);
        let end = part("bytes 8-9/10", &OBJECT[8..]).range("object", 8, 100);
        assert_eq!(end.expect("the object ends there"), b"89");
        let beyond = Part::new(200, None, OBJECT.to_vec())
            .expect("it is whole")
            .range("object", 20, 5);
        assert_eq!(beyond.expect("there is nothing"), b"");
    }

    #[test]
    fn a_whole_object_is_whole() {
        let whole = |status, header: Option<&str>, body: &[u8]| {
            let part = Part::new(status, header, body.to_vec()).expect("it is a part");
            part.whole("object").ok()
        };
        assert_eq!(whole(200, None, OBJECT).as_deref(), Some(OBJECT));
        assert_eq!(
            whole(200, Some("bytes 0-9/10"), OBJECT).as_deref(),
            Some(OBJECT)
        );
        assert_eq!(whole(206, Some("bytes 0-4/10"), &OBJECT[..5]), None);
        assert_eq!(whole(200, Some("bytes 5-9/10"), &OBJECT[5..]), None);
    }
}
