//! Reports a command line that cannot be parsed.

use std::io::{ErrorKind, Write as _};

use clap::error::ErrorKind as ClapErrorKind;

use super::output::print;
use super::{document, foreign, standard};
use crate::error::{Error, Kind};

/// Answers a command line that asks for nothing that there is, or for help, with the exit code.
pub(super) fn refuse(refused: clap::Error) -> u8 {
    let refused = foreign::explain(refused);
    if !refused.use_stderr() {
        let printed = standard::output().and_then(|_| refused.print());
        return match printed {
            Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
                // Help that somebody has asked for and does not get is a failure.
                let text = format!("error: standard output cannot be written: {cause}\n");
                let _ = standard::errors().and_then(|mut errors| errors.write_all(text.as_bytes()));
                Kind::Other.exit_code()
            }
            // Who closed the pipe has seen enough.
            _ => 0,
        };
    }
    // Whoever has closed standard error gets the exit code.
    let _ = standard::errors().and_then(|_| refused.print());
    if asks_for_json() {
        let _ = print(&document::of_error(None, &error(&refused)));
    }
    Kind::Usage.exit_code()
}

/// Whether a document is asked for, as far as that can be told.
fn asks_for_json() -> bool {
    let arguments = std::env::args_os().skip(1);
    let mut options = arguments.take_while(|argument| argument != "--");
    options.any(|argument| argument == "--json")
}

fn error(refused: &clap::Error) -> Error {
    if refused.kind() == ClapErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::new(Kind::Usage, "a command is missing").help("`--help` lists the commands");
    }
    let text = refused.to_string();
    let (sentence, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let sentence = sentence.trim();
    let sentence = sentence.strip_prefix("error: ").unwrap_or(sentence);
    Error::new(Kind::Usage, sentence).help(rest.trim())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::Cli;

    #[test]
    fn what_is_wrong_is_the_message_and_the_rest_is_help() {
        let of = |arguments: &[&str]| {
            let matches = Cli::command().try_get_matches_from(arguments);
            error(&matches.expect_err("it is wrong"))
        };
        let mistyped = of(&["tthost", "snapshot"]);
        assert_eq!(mistyped.message(), "unrecognized subcommand 'snapshot'");
        let help = mistyped.next_step().expect("there is a next step");
        assert!(help.contains("'snapshots'"), "{help}");
        assert_eq!(of(&["tthost", "plugin"]).message(), "a command is missing");
    }
}
