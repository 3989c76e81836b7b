//! The report in `JUnit`'s format.

use std::fmt::Write as _;

use tthost_conformance::Status;

use super::Report;

pub(super) fn junit(report: &Report) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let seconds: f64 = report.checks.iter().map(|check| check.seconds).sum();
    let _ = writeln!(
        text,
        "<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\">",
        escaped(&report.plugin),
        report.checks.len(),
        report.failed,
        report.skipped,
    );
    for check in &report.checks {
        let _ = write!(
            text,
            "  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
            escaped(check.rule),
            escaped(check.name),
            check.seconds,
        );
        let seen = escaped(check.seen.as_deref().unwrap_or_default());
        let _ = match check.status {
            Status::Passed => writeln!(text, "/>"),
            Status::Skipped => writeln!(text, "><skipped message=\"{seen}\"/></testcase>"),
            Status::Failed => writeln!(
                text,
                "><failure message=\"{seen}\">expected: {}</failure></testcase>",
                escaped(check.expected)
            ),
        };
    }
    text + "</testsuite>\n"
}

/// Text in XML, which knows no control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            character if character.is_control() => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_plugin_says_the_document_stays_one() {
        let text = escaped("<a b=\"c\">&\u{1b}[2J\n\u{ffff}");
        assert_eq!(
            text,
            "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}[2J&#10;\u{fffd}"
        );
    }
}
