//! Files of variables, read as `docker compose` reads its `.env`
//! (<https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax>).
//!
//! The known crates refuse a whole file for one unquoted value with a space, and do not support `${NAME:-default}`. Both are
//! common in files for compose. Here, an invalid line is an error of its own, and the other lines are used.

use std::collections::BTreeMap;

/// A line that was left out. It holds nothing of the line, which may be a secret, except a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line's number, from 1.
    pub(super) line: usize,
    /// The variable that it is to set, as far as that can be told.
    pub(super) name: Option<String>,
    /// The fault.
    pub(super) what: String,
}

/// The variables of a file, and what is wrong with its other lines. A value can refer to variables above it; one of
/// `known` comes first. The last of several values counts.
pub(super) fn parse(
    text: &str,
    known: impl Fn(&str) -> Option<String>,
) -> (BTreeMap<String, String>, Vec<Fault>) {
    let mut variables = BTreeMap::new();
    let mut faults = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<_> = text.lines().collect();
    let mut next = 0;
    while let Some(line) = lines.get(next) {
        let number = next + 1;
        next += 1;
        let statement = match Statement::parse(line, &lines[next..]) {
            Ok(Some(statement)) => statement,
            Ok(None) => continue,
            Err(what) => {
                faults.push(Fault {
                    line: number,
                    name: name_of(line),
                    what,
                });
                continue;
            }
        };
        next += statement.more_lines;
        let lookup = |name: &str| known(name).or_else(|| variables.get(name).cloned());
        match statement.value.resolve(&lookup) {
            Ok(value) => drop(variables.insert(statement.name.to_owned(), value)),
            Err(what) => faults.push(Fault {
                line: number,
                name: Some(statement.name.to_owned()),
                what: format!("{}: {what}", statement.name),
            }),
        }
    }
    (variables, faults)
}

/// `NAME=VALUE`.
struct Statement<'a> {
    name: &'a str,
    value: Value,
    /// How many further lines a quoted value takes.
    more_lines: usize,
}

/// A value as it is written.
enum Value {
    /// In single quotes: nothing in it means anything else.
    Literal(String),
    /// Without quotes, or in double quotes, where a backslash means something.
    Text { text: String, escapes: bool },
}

impl<'a> Statement<'a> {
    /// Reads a line, and those that follow if a quote is still open at its end. None for a line that sets nothing.
    fn parse(line: &'a str, following: &[&str]) -> Result<Option<Self>, String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        if line.contains(char::REPLACEMENT_CHARACTER) {
            return Err("it is not UTF-8".into());
        }
        let exported = line
            .strip_prefix("export")
            .filter(|rest| rest.starts_with([' ', '\t']));
        let line = exported.unwrap_or(line).trim_start();
        let Some((name, value)) = line.split_once(['=', ':']) else {
            // A name alone stands for the variable of the environment, which counts anyway.
            return if is_name(line) {
                Ok(None)
            } else {
                Err("it is not NAME=VALUE".into())
            };
        };
        let name = name.trim_end();
        if !is_name(name) {
            return Err("it is not NAME=VALUE".into());
        }
        let of_name = |what: &str| format!("{name}: {what}");
        let start = value.trim_start();
        let (value, more_lines) = if let Some(quote @ ('"' | '\'')) = start.chars().next() {
            let (text, more_lines) = quoted(&start[1..], quote, following).map_err(of_name)?;
            let value = match quote {
                '"' => Value::Text {
                    text,
                    escapes: true,
                },
                _ => Value::Literal(text.replace("\\'", "'")),
            };
            (value, more_lines)
        } else {
            let text = without_comment(value).trim().to_owned();
            let escapes = false;
            (Value::Text { text, escapes }, 0)
        };
        Ok(Some(Self {
            name,
            value,
            more_lines,
        }))
    }
}

/// The variable that a line is to set, which need not make sense otherwise.
fn name_of(line: &str) -> Option<String> {
    let (name, _) = line.split_once('=')?;
    let name = name.trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim_start();
    is_name(name).then(|| name.to_owned())
}

fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_first)
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// What is in front of a `#` that white space precedes.
fn without_comment(text: &str) -> &str {
    let mut previous = None;
    for (at, c) in text.char_indices() {
        if c == '#' && previous.is_some_and(char::is_whitespace) {
            return &text[..at];
        }
        previous = Some(c);
    }
    text
}

/// What stands before the closing quote, and how many of the following lines it takes.
fn quoted(first: &str, quote: char, following: &[&str]) -> Result<(String, usize), &'static str> {
    let mut text = String::new();
    for (more_lines, line) in std::iter::once(&first).chain(following).enumerate() {
        if more_lines > 0 {
            text.push('\n');
        }
        let Some(end) = closing(line, quote) else {
            text.push_str(line);
            continue;
        };
        text.push_str(&line[..end]);
        let rest = line[end + 1..].trim_start();
        if rest.is_empty() || rest.starts_with('#') {
            return Ok((text, more_lines));
        }
        return Err("there is more behind the closing quote");
    }
    Err("its quote is never closed")
}

/// Where the quote is that no backslash precedes.
fn closing(line: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// Looks a variable up.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Value {
    fn resolve(self, lookup: Lookup<'_>) -> Result<String, String> {
        match self {
            Self::Literal(text) => Ok(text),
            Self::Text { text, escapes } => expand(&text, escapes, lookup),
        }
    }
}

/// Puts the values of variables in their places.
fn expand(text: &str, escapes: bool, lookup: Lookup<'_>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\\']) {
        expanded.push_str(&rest[..at]);
        let special = &rest[at..];
        let behind = &special[1..];
        rest = if special.starts_with('\\') {
            let Some(next) = behind.chars().next().filter(|_| escapes) else {
                expanded.push('\\');
                rest = behind;
                continue;
            };
            match next {
                'n' => expanded.push('\n'),
                'r' => expanded.push('\r'),
                't' => expanded.push('\t'),
                '\\' | '"' | '$' => expanded.push(next),
                _ => expanded.extend(['\\', next]),
            }
            &behind[next.len_utf8()..]
        } else if let Some(behind) = behind.strip_prefix('$') {
            expanded.push('$');
            behind
        } else if let Some(inside) = behind.strip_prefix('{') {
            let end = closing_brace(inside).ok_or("a ${ is never closed")?;
            expanded.push_str(&braced(&inside[..end], escapes, lookup)?);
            &inside[end + 1..]
        } else {
            let end = behind
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(behind.len());
            let name = &behind[..end];
            if is_name(name) {
                expanded.push_str(&lookup(name).unwrap_or_default());
            } else {
                expanded.push('$');
                expanded.push_str(name);
            }
            &behind[end..]
        };
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Where the brace is that closes this one.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            '{' if text[..at].ends_with('$') => depth += 1,
            _ => {}
        }
    }
    None
}

/// What `${…}` stands for: a name, and possibly what to take without it.
fn braced(inside: &str, escapes: bool, lookup: Lookup<'_>) -> Result<String, String> {
    let end = inside
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(inside.len());
    let (name, operation) = inside.split_at(end);
    if !is_name(name) {
        return Err("a ${ does not name a variable".into());
    }
    let (operation, empty_counts) = match operation.strip_prefix(':') {
        Some(operation) => (operation, false),
        None => (operation, true),
    };
    let value = lookup(name).filter(|value| empty_counts || !value.is_empty());
    let mut characters = operation.chars();
    match (characters.next(), value) {
        (None, value) if empty_counts => Ok(value.unwrap_or_default()),
        (Some('-' | '?'), Some(value)) => Ok(value),
        (Some('-'), None) | (Some('+'), Some(_)) => expand(characters.as_str(), escapes, lookup),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => Err(format!("{name} is required, and not set")),
        _ => Err("a ${ has something unknown behind its name".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (BTreeMap<String, String>, Vec<Fault>) {
        let known = |name: &str| match name {
            "SHELL_ONLY" => Some("from the shell".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        parse(text, known)
    }

    /// The value that a line of its own gives to `X`.
    fn value(written: &str) -> String {
        let (mut variables, faults) = read(&format!("A=one\nX={written}\n"));
        assert_eq!(faults, [], "{written}");
        variables.remove("X").expect("it is set")
    }

    #[test]
    fn values_are_what_compose_takes_them_for() {
        for (written, expected) in [
            ("plain", "plain"),
            ("two words", "two words"),
            (" trimmed  ", "trimmed"),
            ("", ""),
            (" # only a comment", ""),
            ("value # comment", "value"),
            ("value#no-comment", "value#no-comment"),
            ("#fff", "#fff"),
            ("a=b==", "a=b=="),
            ("https://host:9000", "https://host:9000"),
            (r"back\slash\n", r"back\slash\n"),
            (
                r#""in quotes # and more" # comment"#,
                "in quotes # and more",
            ),
            (r#""a \"b\" \\ \n \x \$A""#, "a \"b\" \\ \n \\x $A"),
            (r"'$A ${A} \n'", r"$A ${A} \n"),
            (r"'let\'s go'", "let's go"),
            ("\"first\nsecond\"", "first\nsecond"),
            ("it's", "it's"),
            ("pa$$word", "pa$word"),
            ("costs $5 or $", "costs $5 or $"),
            ("$A/$B/${A}s", "one//ones"),
            ("${B:-two}", "two"),
            ("${B-two}", "two"),
            ("${EMPTY:-two}", "two"),
            ("${EMPTY-two}", ""),
            ("${A:-two}", "one"),
            ("${A:?no message}", "one"),
            ("${A:+three}${B+four}", "three"),
            ("${B:-${C:-$A}}!", "one!"),
            ("${B:-}", ""),
            ("$SHELL_ONLY", "from the shell"),
        ] {
            assert_eq!(value(written), expected, "{written}");
        }
    }

    #[test]
    fn a_file_can_have_exports_comments_windows_line_ends_and_a_byte_order_mark() {
        let text =
            "\u{feff}# comment\r\nexport A=1\r\n\r\n  B : 2\r\nexport\tC\r\nexportD=4\r\nA=5\r\n";
        let (variables, faults) = read(text);
        let found: Vec<_> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(found, ["A=5", "B=2", "exportD=4"]);
        assert_eq!(faults, []);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_numbered_and_not_shown_and_the_others_count() {
        let text = "A=1\nhunter2 hunter2\nB=\"hunter2\" x\nC='hunter2\nD=${B:?hunter2}\nE=${hunter2!}\n\
                    F=${hunter2\n=hunter2\nG=7\n";
        let (variables, faults) = read(text);
        assert_eq!(variables.into_keys().collect::<String>(), "AG");
        let lines: Vec<_> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8]);
        let told: Vec<_> = faults.into_iter().map(|fault| fault.what).collect();
        assert_eq!(told[3], "D: B is required, and not set");
        assert!(told[2].starts_with("C: "), "{told:?}");
    }

    #[test]
    fn an_env_file_may_hold_anything() {
        tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "env-file", &[], |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let (_, faults) = read(&text);
            let lines = text.lines().count();
            assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line)));
        });
    }
}
