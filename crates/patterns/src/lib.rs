//! Selects paths of a tree by patterns with the meaning of `.gitignore` (<https://git-scm.com/docs/gitignore>).

mod line;
mod sets;
#[cfg(test)]
mod tests;

use line::Line;

/// Decides by its path below the top whether a file is included.
#[derive(Clone, Debug)]
pub struct Patterns {
    exclude: Vec<Line>,
    /// None where everything is taken that is not left out.
    include: Option<Vec<Line>>,
}

/// A pattern that is none.
#[derive(Debug, thiserror::Error)]
#[error("{list} has {pattern:?}, which is not a pattern: {cause}")]
pub struct PatternError {
    list: &'static str,
    pattern: String,
    cause: line::Flaw,
}

impl Patterns {
    /// What these patterns mean, each of which is a line of a `.gitignore`. When there are any to
    /// include, only what matches one of them, or lies below what does, is taken.
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

    /// Whether this is left out, with all below it. The path has no slash at either end.
    pub fn exclude(&self, path: &[u8], is_directory: bool) -> bool {
        choose(&self.exclude, path, is_directory)
    }

    /// Whether this is taken, with all below it. The path has no slash at either end.
    pub fn include(&self, path: &[u8], is_directory: bool) -> bool {
        let include = self.include.as_ref();
        include.is_none_or(|include| choose(include, path, is_directory))
    }
}

/// The decision of the last matching line.
fn choose(lines: &[Line], path: &[u8], is_directory: bool) -> bool {
    let mut latest_first = lines.iter().rev();
    latest_first
        .find(|line| line.matches(path, is_directory))
        .is_some_and(|line| !line.is_negative())
}

fn compile(list: &'static str, patterns: &[String]) -> Result<Vec<Line>, PatternError> {
    let mut lines = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        let line = Line::parse(pattern).map_err(|cause| PatternError {
            list,
            pattern: pattern.clone(),
            cause,
        })?;
        lines.extend(line);
    }
    Ok(lines)
}
