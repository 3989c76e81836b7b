//! Starts a granted program, confined as its grant says.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tracing::warn;

use crate::confine::{Refusal, Running, kernel, start};
use crate::error::{Error, Kind};
use crate::grant;
use crate::plugin::bindings::types;
use crate::plugin::convert::to_contract;

/// Starts the program with the operator's arguments and then the plugin's.
pub(super) async fn spawn(
    name: &str,
    command: &grant::Command,
    arguments: &[String],
    with_stdin: bool,
) -> Result<Running, types::Error> {
    let program = &command.program;
    for gap in kernel().await.gaps(&command.confinement) {
        if !command.confinement.required && is_news(&gap) {
            warn!(
                help = "`confine = \"required\"` in grants.commands refuses to run a program that is not confined",
                "granted programs such as {program} are not confined as documented: {gap}"
            );
        }
    }
    let refused = |refusal| {
        let text = |why: String| format!("the command {name} ({program}) {why}");
        match refusal {
            Refusal::NotEnforced(gaps) => types::Error::Denied(text(format!(
                "is not started: its grant says confine = \"required\", and on this machine it has {}",
                gaps.join("; and ")
            ))),
            Refusal::NotConfined(what, cause) => {
                types::Error::Other(text(format!("cannot be confined: {what}: {cause}")))
            }
            Refusal::Program(cause) => {
                let text = text(format!("cannot be started: {cause}"));
                to_contract(&Error::new(Kind::of_system(&cause), text))
            }
        }
    };
    start(command, arguments, with_stdin).await.map_err(refused)
}

/// Whether nobody has been told of it yet.
fn is_news(gap: &str) -> bool {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    told.insert(gap.to_owned())
}
