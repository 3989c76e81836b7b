//! Which paths of a tree are meant, in the manner of `.gitignore`
//! (<https://git-scm.com/docs/gitignore>).

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// What is left out of a tree and what is taken, by its path below the top.
#[derive(Clone, Debug)]
pub struct Patterns {
    exclude: Gitignore,
    /// None where everything is taken that is not left out.
    include: Option<Gitignore>,
}

/// A pattern that is none.
#[derive(Debug, thiserror::Error)]
#[error("{list} has \"{pattern}\", which is no pattern: {cause}")]
pub struct PatternError {
    list: &'static str,
    pattern: String,
    cause: ignore::Error,
}

impl Patterns {
    /// What these patterns mean. When there are any to include, only what matches one of them,
    /// or lies below what does, is taken.
    pub fn new(exclude: &[String], include: &[String]) -> Result<Self, PatternError> {
        Ok(Self {
            exclude: compile("exclude", exclude)?,
            include: (!include.is_empty())
                .then(|| compile("include", include))
                .transpose()?,
        })
    }

    /// Whether only a part is taken, so that a directory on the way to it is not taken itself.
    pub fn are_selective(&self) -> bool {
        self.include.is_some()
    }

    /// Whether this is left out, with all below it.
    pub fn exclude(&self, path: &[u8], is_directory: bool) -> bool {
        matches(&self.exclude, path, is_directory)
    }

    /// Whether this is taken, with all below it.
    pub fn include(&self, path: &[u8], is_directory: bool) -> bool {
        let include = self.include.as_ref();
        include.is_none_or(|include| matches(include, path, is_directory))
    }
}

fn matches(patterns: &Gitignore, path: &[u8], is_directory: bool) -> bool {
    if patterns.is_empty() {
        return false;
    }
    // A pattern is text; names that are not can still be matched by what is text in them.
    let path = String::from_utf8_lossy(path);
    patterns
        .matched(Path::new(&*path), is_directory)
        .is_ignore()
}

fn compile(list: &'static str, patterns: &[String]) -> Result<Gitignore, PatternError> {
    let wrong = |pattern: &str, cause| PatternError {
        list,
        pattern: pattern.to_owned(),
        cause,
    };
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        let added = builder.add_line(None, pattern);
        added.map_err(|cause| wrong(pattern, cause))?;
    }
    builder.build().map_err(|cause| wrong("", cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(exclude: &[&str], include: &[&str]) -> Result<Patterns, PatternError> {
        let owned = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        Patterns::new(&owned(exclude), &owned(include))
    }

    #[test]
    fn a_pattern_means_what_it_means_to_git() {
        let patterns =
            patterns(&["*.tmp", "!kept.tmp", "/cache/", "a/**/z"], &[]).expect("they are patterns");
        for (path, is_directory, excluded) in [
            ("b/x.tmp", false, true),
            ("b/kept.tmp", false, false),
            ("cache", true, true),
            ("cache", false, false),
            ("b/cache", true, false),
            ("a/b/c/z", false, true),
            ("z", false, false),
        ] {
            let found = patterns.exclude(path.as_bytes(), is_directory);
            assert_eq!(found, excluded, "{path}");
        }
        assert!(patterns.exclude(b"not \xff text.tmp", false));
        assert!(patterns.include(b"anything", false));
    }

    #[test]
    fn includes_choose() {
        let patterns = patterns(&[], &["/photos", "*.pdf"]).expect("they are patterns");
        assert!(patterns.include(b"photos", true));
        assert!(patterns.include(b"letters/a.pdf", false));
        assert!(!patterns.include(b"letters", true));
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        let error = patterns(&["fine", "a{b"], &[]).expect_err("it is no pattern");
        assert!(error.to_string().contains("\"a{b\""), "{error}");
    }
}
