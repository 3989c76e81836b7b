//! File names in restic's trees: bytes in Go's quoted form, without the quotes.
//!
//! Source: `strconv.Quote` and `strconv.Unquote` of Go's standard library.

use std::fmt::Write as _;

/// The name as text that any bytes can be read back from.
pub(super) fn quote(name: &[u8]) -> String {
    let mut quoted = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        chunk
            .valid()
            .chars()
            .for_each(|c| quote_char(&mut quoted, c));
        for byte in chunk.invalid() {
            write_escape(&mut quoted, format_args!("\\x{byte:02x}"));
        }
    }
    quoted
}

fn quote_char(quoted: &mut String, c: char) {
    match c {
        '"' | '\\' => {
            quoted.push('\\');
            quoted.push(c);
        }
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        c if is_printable(c) => quoted.push(c),
        c if u32::from(c) < 0x80 => write_escape(quoted, format_args!("\\x{:02x}", u32::from(c))),
        c if u32::from(c) < 0x1_0000 => {
            write_escape(quoted, format_args!("\\u{:04x}", u32::from(c)));
        }
        c => write_escape(quoted, format_args!("\\U{:08x}", u32::from(c))),
    }
}

fn write_escape(text: &mut String, escape: std::fmt::Arguments<'_>) {
    text.write_fmt(escape).expect("a String takes everything");
}

/// What neither Go nor Rust escapes. Rust escapes a combining character where it begins a
/// string, so something goes before it.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~')
        || (!c.is_ascii()
            && ["x", c.encode_utf8(&mut [0; 4])]
                .concat()
                .escape_debug()
                .count()
                == 2)
}

/// The bytes of a quoted name; none when the text is not in that form.
pub(super) fn unquote(quoted: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some(position) = rest.find(['\\', '"', '\n']) {
        name.extend_from_slice(&rest.as_bytes()[..position]);
        rest = rest[position..].strip_prefix('\\')?;
        let escape = rest.chars().next()?;
        rest = &rest[escape.len_utf8()..];
        match escape {
            'a' => name.push(0x07),
            'b' => name.push(0x08),
            'f' => name.push(0x0c),
            'n' => name.push(b'\n'),
            'r' => name.push(b'\r'),
            't' => name.push(b'\t'),
            'v' => name.push(0x0b),
            '\\' | '"' => name.push(u8::try_from(escape).ok()?),
            'x' => name.push(u8::try_from(take(&mut rest, 2, 16)?).ok()?),
            'u' => push_char(&mut name, take(&mut rest, 4, 16)?)?,
            'U' => push_char(&mut name, take(&mut rest, 8, 16)?)?,
            first @ '0'..='7' => {
                let high = first.to_digit(8)?;
                name.push(u8::try_from(high * 64 + take(&mut rest, 2, 8)?).ok()?);
            }
            _ => return None,
        }
    }
    name.extend_from_slice(rest.as_bytes());
    Some(name)
}

fn take(rest: &mut &str, digits: usize, radix: u32) -> Option<u32> {
    let (number, after) = rest.split_at_checked(digits)?;
    *rest = after;
    if number.starts_with('+') {
        None
    } else {
        u32::from_str_radix(number, radix).ok()
    }
}

fn push_char(name: &mut Vec<u8>, code: u32) -> Option<()> {
    name.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_go_does() {
        for (name, quoted) in [
            (&b"plain name.txt"[..], "plain name.txt"),
            (b"a\"b\\c", "a\\\"b\\\\c"),
            (b"line\nbreak\ttab\x01\x7f", "line\\nbreak\\ttab\\x01\\x7f"),
            ("Grüße 世界 🦀".as_bytes(), "Grüße 世界 🦀"),
            (b"caf\xe9", "caf\\xe9"),
            ("nbsp\u{a0}e\u{301}".as_bytes(), "nbsp\\u00a0e\u{301}"),
            ("\u{e000}\u{e0001}".as_bytes(), "\\ue000\\U000e0001"),
        ] {
            assert_eq!(quote(name), quoted);
            assert_eq!(unquote(quoted).as_deref(), Some(name), "{quoted}");
        }
        assert_eq!(unquote("\\101").as_deref(), Some(&b"A"[..]));
    }

    #[test]
    fn what_is_not_quoted_is_refused() {
        for bad in [
            "\\", "\\x1", "\\q", "\"", "\\u12", "\\ud800", "\\x+1", "\\8", "a\nb", "\\xé",
        ] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }
}
