//! Which parts of a tree are wanted.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::bindings::tthost::backup::types::Error;
use crate::config::Config;

/// What is left out and what is taken, by its path in the tree.
pub(crate) struct Patterns {
    exclude: Gitignore,
    /// None where everything is taken that is not left out.
    include: Option<Gitignore>,
}

impl Patterns {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let include = &config.include;
        Ok(Self {
            exclude: compile("exclude", &config.exclude)?,
            include: (!include.is_empty())
                .then(|| compile("include", include))
                .transpose()?,
        })
    }

    /// Whether only a part is taken.
    pub(crate) fn are_selective(&self) -> bool {
        self.include.is_some()
    }

    /// Whether this is left out, with all below it.
    pub(crate) fn exclude(&self, path: &[u8], is_directory: bool) -> bool {
        // A pattern is text; names that are not can still be matched by what is text in them.
        let path = String::from_utf8_lossy(path);
        self.exclude
            .matched(Path::new(&*path), is_directory)
            .is_ignore()
    }

    /// Whether this is taken, with all below it.
    pub(crate) fn include(&self, path: &[u8], is_directory: bool) -> bool {
        let path = String::from_utf8_lossy(path);
        self.include.as_ref().is_none_or(|include| {
            include.matched(Path::new(&*path), is_directory).is_ignore()
        })
    }
}

fn compile(what: &str, patterns: &[String]) -> Result<Gitignore, Error> {
    let mut builder = GitignoreBuilder::new("");
    let wrong = |pattern: &str, cause: &ignore::Error| {
        Error::Config(format!("{what} has the pattern \"{pattern}\", which is none: {cause}"))
    };
    for pattern in patterns {
        builder
            .add_line(None, pattern)
            .map_err(|cause| wrong(pattern, &cause))?;
    }
    builder.build().map_err(|cause| wrong("", &cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(exclude: &[&str], include: &[&str]) -> Patterns {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let config = Config {
            exclude: owned(exclude),
            include: owned(include),
            ..Config::default()
        };
        Patterns::new(&config).expect("they are patterns")
    }

    #[test]
    fn a_pattern_means_what_it_means_to_git() {
        let patterns = patterns(&["*.tmp", "!kept.tmp", "/cache/", "a/**/z"], &[]);
        for (path, is_directory, excluded) in [
            ("b/x.tmp", false, true),
            ("b/kept.tmp", false, false),
            ("cache", true, true),
            ("cache", false, false),
            ("b/cache", true, false),
            ("a/b/c/z", false, true),
            ("z", false, false),
        ] {
            assert_eq!(patterns.exclude(path.as_bytes(), is_directory), excluded, "{path}");
        }
        assert!(patterns.exclude(b"not \xff text.tmp", false));
        assert!(patterns.include(b"anything", false));
    }

    #[test]
    fn includes_choose() {
        let patterns = patterns(&[], &["/photos", "*.pdf"]);
        assert!(patterns.include(b"photos", true));
        assert!(patterns.include(b"letters/a.pdf", false));
        assert!(!patterns.include(b"letters", true));
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        let config = Config {
            exclude: vec!["[".into()],
            ..Config::default()
        };
        let Err(Error::Config(text)) = Patterns::new(&config) else {
            panic!("it is no pattern")
        };
        assert!(text.contains("\"[\""), "{text}");
    }
}
