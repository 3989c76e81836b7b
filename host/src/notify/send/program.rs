//! Programs that read a notice.

use std::time::Duration;

use tokio::time::timeout;

use crate::error::{Error, Kind, Result};
use crate::notify::Notice;
use crate::{grant, operator_program};

/// Runs a program with the notice as JSON on its standard input. What it writes to standard error is told.
pub(super) async fn run(
    alert: &str,
    command: &grant::Command,
    notice: &Notice,
    limit: Duration,
) -> Result<()> {
    let program = &command.program;
    let subject = format!("alert {alert}");
    let document = serde_json::to_vec(notice).unwrap_or_default();
    let ran = timeout(
        limit,
        operator_program::run(&subject, program, command, &document),
    )
    .await;
    ran.unwrap_or_else(|_| {
        let text = format!("{program} took longer than {} s", limit.as_secs());
        Err(Error::new(Kind::Other, text))
    })
}
