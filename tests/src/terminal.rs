//! A terminal for programs that ask.

use std::process::Command;

use anyhow::Result;

use crate::command::{self, Outcome, command_line};

/// Runs a program on a terminal, where somebody types `input`. What it writes is all in `stdout`.
pub fn run(command: &Command, input: &str) -> Result<Outcome> {
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--command", &command_line(command)])
        .arg("/dev/null")
        .env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            script.env(name, value);
        }
    }
    if let Some(directory) = command.get_current_dir() {
        script.current_dir(directory);
    }
    command::run_with_input(&mut script, input.as_bytes())
}
