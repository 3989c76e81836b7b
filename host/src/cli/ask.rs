//! Questions to the operator: confirmations and choices.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::standard;
use crate::config::Question;
use crate::error::{Error, Kind, Result};
use crate::text::printable_lines;

/// Asks, and takes nothing but a clear yes. Without a terminal there is nobody to ask, and
/// then nothing is done.
pub(super) fn confirm(question: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(nobody(question).help("give --yes to overwrite without this question"));
    }
    agree(&format!("{question} Continue?"))
}

/// Refuses to go on where there is nobody to ask, with what else can be done.
pub(super) fn expect_terminal(help: &str) -> Result<()> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    Err(nobody("You have to agree.").help(help))
}

fn nobody(question: &str) -> Error {
    Error::new(
        Kind::Config,
        format!("{question} There is no terminal to ask on, so nothing was done"),
    )
}

/// Asks a question on a terminal, and takes nothing but a clear yes.
pub(super) fn agree(question: &str) -> Result<()> {
    let answer = ask(&format!("{question} [y/N] "))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::new(Kind::Cancelled, "nothing was done")),
    }
}

/// Asks for a text on a terminal. Without one, nothing is done.
pub(super) fn question(question: &str) -> Result<String> {
    let answer = ask(question)?;
    if answer.trim().is_empty() {
        return Err(Error::new(Kind::Cancelled, "nothing was done"));
    }
    Ok(answer)
}

/// Shows the subject of a question.
pub(super) fn tell(text: &str) -> Result<()> {
    let text = printable_lines(text);
    let failed = |cause: io::Error| Error::of_system("the terminal cannot be written", cause);
    let mut terminal = standard::errors().map_err(failed)?;
    writeln!(terminal, "{text}").map_err(failed)
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
    let failed = |cause: io::Error| Error::of_system("the answer cannot be read", cause);
    let mut terminal = standard::errors().map_err(failed)?;
    write!(terminal, "{}", printable_lines(question))
        .and_then(|()| terminal.flush())
        .map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(answer)
}
