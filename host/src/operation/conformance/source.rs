//! A source. The suite reads it and never restores to it.

use futures::FutureExt as _;
use tempfile::TempDir;
use tthost_conformance::host::{self, CallFuture, Programs};

use super::calls;
use super::reader::Reader;
use crate::grant::Command;
use crate::operation::Context;
use crate::plugin::{self, Spec};

/// Ends with a failure after some output of a program, however the program ends.
const FAILING: &str = r#"bytes=$1; shift; "$@" | head -c "$bytes"; exit 3"#;

/// A source whose programs are as a check wants them.
pub(super) struct Source {
    context: Context,
    spec: Spec,
    _root: TempDir,
}

impl Source {
    pub(super) fn new(context: Context, mut spec: Spec, root: TempDir, programs: Programs) -> Self {
        for command in spec.grants.commands.values_mut() {
            match programs {
                Programs::Granted => {}
                Programs::Missing => "/nonexistent/program".clone_into(&mut command.program),
                Programs::Failing(bytes) => fail_after(command, bytes),
            }
        }
        Self {
            context,
            spec,
            _root: root,
        }
    }
}

fn fail_after(command: &mut Command, bytes: u64) {
    let program = std::mem::replace(&mut command.program, "/bin/sh".into());
    let before = ["-c", FAILING, "sh", &bytes.to_string(), &program];
    let before = before.map(str::to_owned);
    command.arguments.splice(..0, before);
}

impl host::Source for Source {
    fn open(&self) -> CallFuture<'_, (Vec<String>, Box<dyn host::Reader>)> {
        let opening = async {
            let opening = plugin::open(&self.context, &self.spec);
            self.context.unless_cancelled(opening).await
        };
        let opened = opening.map(|capture| {
            let capture = capture?;
            let reader = Reader::new(capture.reader);
            Ok((capture.paths, Box::new(reader) as Box<dyn host::Reader>))
        });
        calls::traced("open", "", opened)
    }

    fn programs(&self) -> Vec<String> {
        self.spec.grants.commands.keys().cloned().collect()
    }
}
