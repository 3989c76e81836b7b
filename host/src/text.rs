//! Makes texts of plugins and programs safe for a terminal and a log.

use std::borrow::Cow;

/// Longer texts are cut to this many bytes.
const MAX_LENGTH: usize = 8 * 1024;

/// The text with control characters made visible and an excess cut off, so that it
/// can neither move a cursor nor fake another line.
pub(crate) fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(MAX_LENGTH));
    for character in text.chars() {
        if clean.len() >= MAX_LENGTH {
            clean.push_str(" [cut]");
            break;
        }
        match character {
            '\t' => clean.push(' '),
            c if c.is_control() || is_direction_mark(c) => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
    }
    clean
}

/// The bytes that this text has at most when it is [`printable`].
pub(crate) fn printable_length(text: &str) -> usize {
    /// Of one character that is made visible, and of what is cut.
    const VISIBLE: usize = 10;
    let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let odd = text.bytes().filter(|byte| !is_plain(*byte)).count();
    (text.len() + odd * VISIBLE).min(MAX_LENGTH + 2 * VISIBLE)
}

/// Several lines with control characters made visible in each. Names that somebody else has chosen are among them.
pub(crate) fn printable_lines(text: &str) -> Cow<'_, str> {
    let is_odd = |c: char| c != '\n' && (c.is_control() || is_direction_mark(c));
    if !text.contains(is_odd) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if is_odd(character) {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
    }
    Cow::Owned(clean)
}

/// Marks that reorder the text around them on a terminal.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\td"), "a\\u{1b}[2Jb\\nc d");
        assert_eq!(printable("\u{202e}gnp.exe"), "\\u{202e}gnp.exe");
        assert_eq!(printable("Grüße, 世界"), "Grüße, 世界");
    }

    #[test]
    fn a_length_is_known_beforehand() {
        for text in [
            "",
            "text",
            "a\u{1b}[2J\u{202e}\u{9b}ü",
            &"\u{7f}".repeat(MAX_LENGTH),
        ] {
            assert!(printable(text).len() <= printable_length(text), "{text:?}");
        }
        assert_eq!(printable_length("some text"), 9);
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(
            printable_lines("a\u{1b}[2J\nb\tc\n"),
            "a\\u{1b}[2J\nb\\tc\n"
        );
        assert!(matches!(printable_lines("a\nb"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_flood_is_cut() {
        let text = printable(&"x".repeat(1 << 20));
        assert!(text.len() < MAX_LENGTH + 16 && text.ends_with("[cut]"));
    }

    #[test]
    fn a_text_may_hold_anything() {
        let samples = ["a\u{1b}[2Jb\nc\td\u{202e}Grüße\u{9b}\r".into()];
        tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "text", &samples, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            for shown in [printable(&text), printable_lines(&text).into_owned()] {
                let is_safe = |char: char| char == '\n' || !char.is_control();
                assert!(shown.chars().all(is_safe), "{shown:?}");
            }
        });
    }
}
