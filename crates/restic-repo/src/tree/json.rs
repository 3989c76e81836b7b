//! JSON in the form of Go's `encoding/json`, so that equal trees have equal ids for every program.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

/// The value as JSON, with Go's additional escapes.
pub(crate) fn to_vec(value: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, GoFormatter);
    value
        .serialize(&mut serializer)
        .expect("the format's types are all JSON");
    json
}

/// Go escapes what could end a script in HTML, and two line ends of JavaScript.
struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(position) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (before, from) = rest.split_at(position);
            CompactFormatter.write_string_fragment(writer, before)?;
            let c = from.chars().next().unwrap_or_default();
            write!(writer, "\\u{:04x}", u32::from(c))?;
            rest = &from[c.len_utf8()..];
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_escapes_what_go_escapes() {
        let json = super::to_vec(&["a<b>&\u{2028}", "ü\"\\\n"]);
        assert_eq!(
            String::from_utf8(json).as_deref(),
            Ok(r#"["a\u003cb\u003e\u0026\u2028","ü\"\\\n"]"#)
        );
    }
}
