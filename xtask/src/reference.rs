//! `docs/contract.md`: the contract as a page, made from the WIT files. They are the source of every word of it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell;

/// The files, in the order in which a reader meets what they declare.
const FILES: [&str; 9] = [
    "world", "types", "plugin", "transfer", "source", "sink", "store", "host", "trees",
];

/// Where the page is.
const PAGE: &str = "docs/contract.md";

/// What stands at its top.
const HEAD: &str = "\
<!-- Made from wit/ by `cargo xtask reference`. Change the WIT files, and not this page. -->

# The contract

All that plugins and tthost say to each other, as [`wit/`](../wit) has it. The [author's guide](plugin-author.md) shows how to begin, and
[Versions](contract-versions.md) what stays as it is.

";

/// Writes the page anew.
pub(crate) fn write() -> Result<()> {
    fs::write(shell::root().join(PAGE), page(&shell::root().join("wit"))?)?;
    println!("wrote {PAGE}");
    Ok(())
}

/// The page.
fn page(wit: &Path) -> Result<String> {
    let mut files = Vec::new();
    for name in FILES {
        let path = wit.join(name).with_extension("wit");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        files.push(items(&text).with_context(|| path.display().to_string())?);
    }
    let mut page = HEAD.to_owned();
    for item in files.iter().flatten() {
        if !item.below.is_empty() && item.declaration.starts_with("interface ") {
            let name = item.name();
            let _ = writeln!(
                page,
                "- [`{name}`](#{name}): {}",
                first_sentence(&item.about)
            );
        }
    }
    page.push('\n');
    for item in files.iter().flatten() {
        show_top(&mut page, item);
    }
    Ok(page.trim_end().to_owned() + "\n")
}

/// Something that is declared, with what is said of it.
#[derive(Debug, Default)]
struct Item {
    /// Its documentation, a line each.
    about: Vec<String>,
    /// As it stands in the file, without what is in its braces.
    declaration: String,
    /// What is in its braces.
    below: Vec<Item>,
}

impl Item {
    /// The name that is declared.
    fn name(&self) -> &str {
        let declaration = self.declaration.as_str();
        let words = declaration.split_whitespace().collect::<Vec<_>>();
        let word = match words.as_slice() {
            [kind, name, ..] if KINDS.contains(kind) => name,
            [name, ..] => name,
            [] => "",
        };
        let end = word.find([':', ',', '(', ';', '{']).unwrap_or(word.len());
        word[..end].trim_start_matches('%')
    }

    /// The word before the name; none for functions and fields.
    fn kind(&self) -> Option<&str> {
        let (word, _) = self.declaration.split_once(' ')?;
        KINDS.contains(&word).then_some(word)
    }

    /// What stands behind the name and a colon, or in brackets.
    fn rest(&self) -> &str {
        let declaration = self.declaration.trim_start_matches('%');
        let rest = declaration[self.name().len()..].trim_end_matches([',', ';']);
        rest.trim_start_matches(':').trim()
    }
}

/// What begins a declaration that has a name of its own.
const KINDS: [&str; 8] = [
    "package",
    "interface",
    "world",
    "record",
    "variant",
    "enum",
    "resource",
    "type",
];

/// What a file declares, one in another.
fn items(text: &str) -> Result<Vec<Item>> {
    let mut open = vec![Item::default()];
    let mut about = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let Some(current) = open.last_mut() else {
            bail!("a brace too many is closed");
        };
        if let Some(said) = line.strip_prefix("///") {
            about.push(said.strip_prefix(' ').unwrap_or(said).to_owned());
        } else if line == "}" {
            let closed = open.pop().context("a brace is closed that is not open")?;
            let outer = open.last_mut();
            outer
                .context("a brace too many is closed")?
                .below
                .push(closed);
        } else if let Some(declaration) = line.strip_suffix('{') {
            open.push(Item {
                about: std::mem::take(&mut about),
                declaration: declaration.trim().to_owned(),
                below: Vec::new(),
            });
        } else if !line.is_empty() && !line.starts_with("//") && !line.starts_with("@since") {
            current.below.push(Item {
                about: std::mem::take(&mut about),
                declaration: line.to_owned(),
                below: Vec::new(),
            });
        }
    }
    match open.as_mut_slice() {
        [file] => Ok(std::mem::take(&mut file.below)),
        _ => bail!("a brace is not closed"),
    }
}

/// A package, a world or an interface.
fn show_top(page: &mut String, item: &Item) {
    match item.kind() {
        Some("package") => {
            let _ = writeln!(page, "{}\n", item.about.join("\n"));
            page.push_str("## Worlds\n\n");
        }
        Some("world") => {
            let _ = writeln!(page, "### `{}`\n\n{}\n", item.name(), item.about.join("\n"));
            for verb in ["include", "import", "export"] {
                let names = item.below.iter().filter_map(|part| {
                    let name = part.declaration.strip_prefix(verb)?.trim_end_matches(';');
                    Some(format!("`{}`", name.trim()))
                });
                let names: Vec<_> = names.collect();
                if !names.is_empty() {
                    let _ = writeln!(page, "- {verb}s {}", names.join(", "));
                }
            }
            page.push('\n');
        }
        _ => {
            let _ = writeln!(page, "## {}\n\n{}\n", item.name(), item.about.join("\n"));
            for part in &item.below {
                if !part.declaration.starts_with("use ") {
                    show(page, part);
                }
            }
        }
    }
}

/// A type or a function of an interface.
fn show(page: &mut String, item: &Item) {
    let about = item.about.join("\n");
    let name = item.name();
    match item.kind() {
        Some(kind @ ("record" | "variant" | "enum")) => {
            let _ = writeln!(page, "### {kind} `{name}`\n");
            if !about.is_empty() {
                let _ = writeln!(page, "{about}\n");
            }
            let has_types = item.below.iter().any(|part| !part.rest().is_empty());
            let (what, rule) = match (kind, has_types) {
                ("record", _) => ("field | type", "---|---"),
                (_, true) => ("case | holds", "---|---"),
                (_, false) => ("case", "---"),
            };
            let _ = writeln!(page, "| {what} | meaning |\n|{rule}|---|");
            for part in &item.below {
                let said = part.about.join(" ").replace('|', "\\|");
                let _ = match (part.rest().trim_matches(['(', ')']), has_types) {
                    (_, false) => writeln!(page, "| `{}` | {said} |", part.name()),
                    ("", true) => writeln!(page, "| `{}` | | {said} |", part.name()),
                    (held, true) => writeln!(page, "| `{}` | `{held}` | {said} |", part.name()),
                };
            }
            page.push('\n');
        }
        Some("resource") => {
            let _ = writeln!(page, "### resource `{name}`\n\n{about}\n");
            for part in &item.below {
                show_function(page, &format!("{name}."), part);
            }
        }
        Some("type") => {
            let declaration = item.declaration.trim_end_matches(';');
            let _ = writeln!(page, "### `{declaration}`\n\n{about}\n");
        }
        _ => show_function(page, "", item),
    }
}

fn show_function(page: &mut String, before: &str, function: &Item) {
    let _ = writeln!(
        page,
        "### `{before}{}`\n\n```wit\n{}\n```\n\n{}\n",
        function.name(),
        function.declaration,
        function.about.join("\n")
    );
}

/// The first sentence of a documentation.
fn first_sentence(about: &[String]) -> String {
    let text = about.join(" ");
    match text.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_that_of_the_contract() {
        let root = shell::root();
        let made = page(&root.join("wit")).expect("the contract can be read");
        let kept = fs::read_to_string(root.join(PAGE)).expect("the page is there");
        assert!(
            made == kept,
            "{PAGE} is not what wit/ says: `cargo xtask reference` writes it anew"
        );
    }

    #[test]
    fn everything_that_is_declared_is_on_the_page() {
        let wit = shell::root().join("wit");
        let page = page(&wit).expect("the contract can be read");
        for file in fs::read_dir(&wit).expect("it is there").flatten() {
            let text = fs::read_to_string(file.path()).expect("it is there");
            let items = items(&text).expect("it can be read").into_iter();
            // What a world names is declared elsewhere.
            for item in items.filter(|item| item.kind() == Some("interface")) {
                for part in &item.below {
                    let name = part.name();
                    let is_shown = page.contains(&format!("`{name}`"))
                        || page.contains(&format!("`type {name} "));
                    assert!(
                        is_shown || part.declaration.starts_with("use "),
                        "{name} of {} is not on the page",
                        file.path().display()
                    );
                    for below in &part.below {
                        let name = below.name();
                        assert!(
                            page.contains(&format!("`{name}`"))
                                || page.contains(&format!(".{name}`")),
                            "{name} is not on the page"
                        );
                    }
                }
            }
        }
    }
}
