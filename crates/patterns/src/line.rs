//! A line of a `.gitignore`, as git's `dir.c` reads it.

use gix_glob::wildmatch::Mode;

use crate::sets;

/// Runs of stars in one pattern that gix-glob can follow; git has no such limit.
const MAX_STARS: usize = 63;

/// A line that says something about paths.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The rest of the line, without what the other fields describe.
    glob: Vec<u8>,
    is_negative: bool,
    only_directories: bool,
    /// It is matched against the path from the top, not against the name alone.
    is_anchored: bool,
}

/// Why a line is none.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("each line is a pattern of its own")]
    Lines,
    #[error("no name holds a NUL")]
    Nul,
    #[error("it has stars in more than {MAX_STARS} places")]
    Stars,
}

impl Line {
    /// None where the line is empty or a comment.
    pub(crate) fn parse(line: &str) -> Result<Option<Self>, Flaw> {
        // Neither can get into a line of a file, so git has no meaning for them.
        if line.contains('\n') {
            return Err(Flaw::Lines);
        }
        if line.contains('\0') {
            return Err(Flaw::Nul);
        }
        if line.starts_with('#') {
            return Ok(None);
        }
        // A line of a file can end with a carriage return, too.
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = without_trailing_spaces(line.as_bytes());
        let (line, is_negative) = stripped(line, line.strip_prefix(b"!"));
        let (line, only_directories) = stripped(line, line.strip_suffix(b"/"));
        let is_anchored = line.contains(&b'/');
        let glob = line.strip_prefix(b"/").unwrap_or(line);
        if runs_of_stars(glob) > MAX_STARS {
            return Err(Flaw::Stars);
        }
        Ok((!glob.is_empty()).then(|| Self {
            glob: sets::escaped(glob),
            is_negative,
            only_directories,
            is_anchored,
        }))
    }

    /// Whether the line negates earlier matches.
    pub(crate) fn is_negative(&self) -> bool {
        self.is_negative
    }

    /// Whether it says something about this path, which has no slash at either end.
    pub(crate) fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        if self.only_directories && !is_directory {
            return false;
        }
        let (subject, mode) = if self.is_anchored {
            (path, Mode::NO_MATCH_SLASH_LITERAL)
        } else {
            let name = path.rsplit(|byte| *byte == b'/').next();
            (name.unwrap_or(path), Mode::empty())
        };
        gix_glob::wildmatch(self.glob.as_slice().into(), subject.into(), mode)
    }
}

fn stripped<'a>(line: &'a [u8], rest: Option<&'a [u8]>) -> (&'a [u8], bool) {
    (rest.unwrap_or(line), rest.is_some())
}

/// Up to the spaces at the end, of which the first can be escaped.
fn without_trailing_spaces(line: &[u8]) -> &[u8] {
    let mut kept = 0;
    let mut bytes = line.iter().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b' ' => {}
            b'\\' if bytes.next().is_some() => kept = index + 2,
            // A trailing backslash escapes nothing. git keeps such a line unchanged.
            b'\\' => return line,
            _ => kept = index + 1,
        }
    }
    &line[..kept]
}

fn runs_of_stars(glob: &[u8]) -> usize {
    let runs = glob.chunk_by(|one, next| one == next);
    runs.filter(|run| run.starts_with(b"*")).count()
}
