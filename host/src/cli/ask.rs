//! Questions to the operator: before something is overwritten, and which of several things is meant.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::standard;
use crate::config::Question;
use crate::error::{Error, Kind, Result};

/// Asks, and takes nothing but a clear yes. Without a terminal there is nobody to ask, and
/// then nothing is done.
pub(super) fn confirm(question: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(Error::new(
            Kind::Config,
            format!("{question} There is no terminal to ask on, so nothing was done"),
        )
        .help("give --yes to overwrite without this question"));
    }
    let answer = ask(&format!("{question} Continue? [y/N] "))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::new(Kind::Cancelled, "nothing was done")),
    }
}

/// Asks for the number of one of several things. Without a terminal, an option has to say it.
pub(super) fn choose(question: &Question) -> Result<usize> {
    let Question {
        what,
        choices,
        option,
    } = question;
    let several = format!("{} {what}", choices.len());
    if !io::stdin().is_terminal() {
        let text = format!("{several}: {}", choices.join(", "));
        return Err(Error::new(Kind::Config, text).help(format!("name one with {option}")));
    }
    let list = (1..).zip(choices);
    let list: Vec<_> = list
        .map(|(number, choice)| format!("  {number}  {choice}\n"))
        .collect();
    let list = list.concat();
    let answer = ask(&format!(
        "{several}:\n{list}Which one? [1-{}] ",
        choices.len()
    ))?;
    let number = answer.trim().parse::<usize>().ok();
    match number.and_then(|number| number.checked_sub(1)) {
        Some(index) if index < choices.len() => Ok(index),
        _ => Err(Error::new(Kind::Cancelled, "nothing was done")),
    }
}

fn ask(question: &str) -> Result<String> {
    let failed =
        |cause: io::Error| Error::new(Kind::Other, "the answer cannot be read").caused_by(cause);
    let mut terminal = standard::errors().map_err(failed)?;
    write!(terminal, "{question}")
        .and_then(|()| terminal.flush())
        .map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(answer)
}
