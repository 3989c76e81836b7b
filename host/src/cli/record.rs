//! Records commands in the history.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::Session;
use crate::error::Result;
use crate::history::{Account, Line, PlannedRun};
use crate::notify::Watch;

/// So many lines of a command are kept, the last ones.
const LINES: usize = 1000;

/// So many bytes of them are kept.
const BYTES: usize = 256 * 1024;

impl Session<'_> {
    /// Does the work, records how it went, and tells those who want to know. Without a planned run it only
    /// does the work.
    pub(super) async fn record<R: Account>(
        &self,
        planned: Option<PlannedRun>,
        work: impl Future<Output = Result<R>>,
    ) -> Result<R> {
        let Some(planned) = planned else {
            return work.await;
        };
        let (watching, errors) = self.config.watching();
        for error in errors {
            self.output
                .warning(&format!("{error:#}"), error.next_step());
        }
        let watch = Watch::begin(watching, planned);
        let result = work.await;
        Box::pin(watch.end(&result, self.screen.transcript().take())).await;
        result
    }
}

/// The last of what a command showed.
#[derive(Default)]
pub(super) struct Transcript(Mutex<VecDeque<Line>>);

impl Transcript {
    /// Adds something that is shown now.
    pub(super) fn add(&self, message: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(Line {
            time: Timestamp::now(),
            message: message.to_owned(),
        });
        let bytes = |lines: &VecDeque<Line>| lines.iter().map(|line| line.message.len()).sum();
        let mut left: usize = bytes(&lines);
        while lines.len() > LINES || left > BYTES {
            let Some(first) = lines.pop_front() else {
                break;
            };
            left -= first.message.len();
        }
    }

    fn take(&self) -> Vec<Line> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *lines).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let transcript = Transcript::default();
        for number in 0..LINES + 5 {
            transcript.add(&number.to_string());
        }
        let lines = transcript.take();
        assert_eq!((lines.len(), lines[0].message.as_str()), (LINES, "5"));
        transcript.add("first");
        transcript.add(&"x".repeat(BYTES));
        assert_eq!(transcript.take().len(), 1);
    }
}
