//! The plugin's idea of where psql finds its own commands, compared with the real psql's: scripts made at random, and
//! whenever one is let through, psql runs no command of its own.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use psql_script::Script;
use tthost_tests::command::{self, Outcome};
use tthost_tests::postgres::Postgres;

/// Times that psql reads something, for each sort of script.
const RUNS: usize = 60;

/// Scripts that are let through one by one, and read by psql in one go.
const TOGETHER: usize = 40;

/// A variable that repeats a run.
const SEED: &str = "TTHOST_SEED";

/// Commands of psql. Each would leave a file or write to standard output.
const COMMANDS: [&str; 7] = [
    "\\! touch ran",
    "\\echo ran",
    "\\o ran",
    "\\g ran",
    "\\w ran",
    "\\copy (select 1) to ran",
    "\\set x `touch ran`",
];

/// What may begin or end something wherever it is.
const FRAGMENTS: [&str; 37] = [
    "'",
    "''",
    "\\'",
    "\\\\",
    "\\",
    "\\.",
    "$$",
    "$a$",
    "$",
    "\"",
    "/*",
    "*/",
    "/",
    "*",
    "--",
    "-",
    ";",
    ":",
    "::",
    "(",
    ")",
    "E'",
    ":e'",
    ":x",
    "N'",
    "U&'",
    "x",
    "1",
    "$1",
    "é",
    " ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\n\\.\n",
    "\r\n\\.\r\n",
];

/// Words that psql looks at, and such that touch what follows them.
const WORDS: [&str; 26] = [
    "select",
    "create",
    "or",
    "replace",
    "function",
    "procedure",
    "begin",
    "atomic",
    "case",
    "end",
    "end if",
    "copy",
    "COPY",
    "FROM",
    "stdin",
    "x",
    "a$b",
    "é$é",
    "1",
    "1e5",
    "1.5",
    ".5",
    "$1",
    ":x",
    ":=",
    "x[1:2]",
];

/// Tags of dollar quotes.
const TAGS: [&str; 5] = ["", "a", "aB", "_1", "é"];

/// Numbers at random, the same ones for each seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// Mostly without what would end it early.
    fn text(&mut self, end: &str, instead: &str) -> String {
        let mut text = String::new();
        for _ in 0..self.below(5) {
            let piece = match self.below(3) {
                0 => self.pick(&COMMANDS),
                1 => self.pick(&["\n", "\r\n", "\r", " "]),
                _ => self.pick(&FRAGMENTS),
            };
            text.push_str(piece);
        }
        if self.percent(85) {
            text.replace(end, instead)
        } else {
            text
        }
    }

    /// A string, with escapes or not.
    fn string(&mut self) -> String {
        if self.percent(40) {
            let mut text = self.text("'", "\\'");
            if text.ends_with('\\') && self.percent(85) {
                text.push('\\');
            }
            let prefix = self.pick(&["E", "e", "E", "aE", "1E", "$1e", ":xE"]);
            let mut string = format!("{prefix}'{text}'");
            if self.percent(25) {
                // It goes on behind white space.
                let space = self.pick(&["", "\n", "\r\n", " ", " -- x\n"]);
                let more = self.text("'", "\\'");
                write!(string, "{space}'{more}'").expect("a string takes everything");
            }
            return string;
        }
        let prefix = self.pick(&["", "", "", "N", "B", "x", "U&"]);
        format!("{prefix}'{}'", self.text("'", "''"))
    }

    fn dollar_string(&mut self) -> String {
        let (tag, before) = (self.pick(&TAGS), self.pick(&["", "", "", "x", "1", "é"]));
        let delimiter = format!("${tag}$");
        let text = self.text(&delimiter, "");
        format!("{before}{delimiter}{text}{delimiter}")
    }

    fn comment(&mut self) -> String {
        match self.below(3) {
            0 => format!("/*{}*/", self.text("*/", "").replace("/*", "")),
            1 => format!("/* /*{}*/{}*/", self.text("*/", ""), self.text("*/", "")),
            _ => {
                let line = self.text("\n", "").replace('\r', "");
                format!("--{line}{}", self.pick(&["\n", "\r\n", "\r"]))
            }
        }
    }

    /// A few fragments again and again, so that they meet in all ways, and commands between them.
    fn soup(&mut self) -> String {
        let kinds = 3 + self.below(4);
        let some: Vec<_> = (0..kinds)
            .map(|_| {
                if self.percent(80) {
                    self.pick(&FRAGMENTS)
                } else {
                    self.pick(&WORDS)
                }
            })
            .collect();
        let mut script = String::new();
        for _ in 0..3 + self.below(12) {
            match self.below(6) {
                0 => script.push_str(self.pick(&COMMANDS)),
                1 => script.push_str(self.pick(&["\n", " ", ";", "\r\n"])),
                _ => script.push_str(self.pick(&some)),
            }
        }
        script
    }

    /// Whole strings, comments and words, one after the other.
    fn tokens(&mut self) -> String {
        let mut script = String::new();
        for _ in 0..2 + self.below(9) {
            let piece = match self.below(12) {
                0..=2 => self.string(),
                3..=4 => self.dollar_string(),
                5..=6 => self.comment(),
                7 => format!("\"{}\"", self.text("\"", "\"\"")),
                8 => self.pick(&WORDS).to_owned() + " ",
                9 => self
                    .pick(&[" ", "\n", "\r\n", "\t", "(", ")", ","])
                    .to_owned(),
                10 => self.pick(&[";", ";\n", ";\r\n"]).to_owned(),
                _ if self.percent(50) => format!("\n{}\n", self.pick(&COMMANDS)),
                _ => self.pick(&FRAGMENTS).to_owned(),
            };
            script.push_str(&piece);
        }
        script
    }

    /// Scripts that are let through one by one and together.
    fn globals(&mut self) -> Result<String> {
        let mut whole = String::new();
        for _ in 0..TOGETHER {
            let script = self.let_through(Mode::Globals, |random| {
                if random.percent(70) {
                    random.soup()
                } else {
                    random.tokens()
                }
            })?;
            let longer = format!("{whole}{script}\n;\n");
            if Mode::Globals.lets_through(&longer)? {
                whole = longer;
            }
        }
        Ok(whole)
    }

    /// A script with a command in it that is let through all the same.
    fn let_through(&mut self, mode: Mode, make: impl Fn(&mut Self) -> String) -> Result<String> {
        loop {
            let script = make(self);
            if COMMANDS.iter().any(|command| script.contains(command))
                && mode.lets_through(&script)?
            {
                return Ok(script);
            }
        }
    }

    /// Statements that are mostly right, and rows.
    fn dump(&mut self) -> String {
        let mut script = String::new();
        for _ in 0..=self.below(6) {
            let end = self.pick(&["\n", "\n", "\r\n"]);
            let piece = match self.below(10) {
                0 => self.comment(),
                1 => format!("SELECT {};", self.string()),
                2 => format!("SELECT {};", self.dollar_string()),
                3 => format!("COMMENT ON TABLE t IS '{}';", self.text("'", "''")),
                4 => "CREATE OR REPLACE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql \
                      BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;"
                    .to_owned(),
                5 => self.pick(&COMMANDS).to_owned(),
                6 => self
                    .pick(&["SELECT 1;", "SELECT (1;", "SELECT 1);"])
                    .to_owned(),
                7 if self.percent(40) => {
                    let words = [
                        "create ",
                        "function ",
                        "f() ",
                        "begin ",
                        "end ",
                        "(",
                        ")",
                        ";",
                    ];
                    (0..6).map(|_| self.pick(&words)).collect()
                }
                _ => self.rows(end),
            };
            script.push_str(&piece);
            script.push_str(end);
        }
        if self.percent(40) {
            // Something where it does not belong.
            let mut places = script.char_indices().map(|(place, _)| place);
            let place = places.nth(self.below(script.len())).unwrap_or_default();
            script.insert_str(
                place,
                self.pick(&["(", ")", ";", "'", "E", "$", "/*", "--", "\r", "\\"]),
            );
        }
        script
    }

    fn rows(&mut self, end: &str) -> String {
        let source = match self.below(5) {
            0 => "FROM '/dev/null' WHERE a IS DISTINCT FROM stdin",
            _ => "FROM stdin",
        };
        let mut text = format!("COPY t (a) {source};{end}");
        for _ in 0..self.below(4) {
            let row = match self.below(3) {
                0 => self.pick(&COMMANDS),
                1 => self.pick(&["\\\\.", "'", "$$", "/*", "--", "\\N", "x;", "(", ""]),
                _ => self.pick(&FRAGMENTS).trim_end_matches(['\r', '\n', '\t']),
            };
            text.push_str(row);
            text.push_str(end);
        }
        text + "\\."
    }
}

/// How a script is restored.
#[derive(Clone, Copy, Debug)]
enum Mode {
    /// In a transaction, up to the first error.
    Dump,
    /// Statement by statement, whatever fails.
    Globals,
}

impl Mode {
    fn generate(self, random: &mut Random) -> Result<String> {
        match self {
            Self::Dump => random.let_through(self, Random::dump),
            Self::Globals => random.globals(),
        }
    }

    /// Whether a script is let through, which must not depend on how it is cut.
    fn lets_through(self, script: &str) -> Result<bool> {
        let follow = |piece: usize| {
            let mut scanner = match self {
                Self::Dump => Script::in_transaction(),
                Self::Globals => Script::by_statements(),
            };
            let mut script = script.as_bytes().to_vec();
            script
                .chunks_mut(piece)
                .try_for_each(|bytes| scanner.follow(bytes))?;
            scanner.finish()
        };
        let whole: Result<(), String> = follow(script.len().max(1));
        let in_bytes = follow(1);
        ensure!(
            whole == in_bytes,
            "{whole:?} as a whole and {in_bytes:?} byte by byte: {script:?}"
        );
        Ok(whole.is_ok())
    }

    /// Runs psql as the plugin does, in this directory, but unrestricted: psql's own restriction would hide what the
    /// scanner lets through.
    fn run(self, postgres: &Postgres, directory: &Path, script: &str) -> Result<Outcome> {
        let mut psql = postgres.client("psql", "postgres");
        psql.current_dir(directory).args(["-X", "--quiet"]);
        let mut input = script.to_owned();
        if let Self::Dump = self {
            psql.args(["--set=ON_ERROR_STOP=1", "--command=BEGIN"]);
            psql.arg("--command=CREATE TABLE t (a text)");
            input.push_str("\nROLLBACK;\n");
        }
        psql.args(["--output=/dev/null", "--file=-"]);
        command::run_with_input(&mut psql, input.as_bytes())
    }
}

/// Whether psql has run a command of its own; removes what is left of it.
fn ran(outcome: &Outcome, directory: &Path) -> Result<bool> {
    let mut ran = !outcome.stdout.is_empty();
    for entry in fs::read_dir(directory)? {
        fs::remove_file(entry?.path())?;
        ran = true;
    }
    Ok(ran)
}

/// Lets psql read what is let through.
fn compare(mode: Mode) -> Result<()> {
    let seed = match env::var(SEED) {
        Ok(seed) => seed.parse().context(SEED)?,
        Err(_) => u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?,
    };
    let repeat = format!("repeat it with {SEED}={seed}");
    let mut random = Random(seed | 1);
    let postgres = Postgres::start()?;
    let directory = tempfile::tempdir()?;
    for command in COMMANDS {
        let script = format!("SELECT 1\n{command}\n");
        ensure!(!mode.lets_through(&script)?, "{script:?} is let through");
        let outcome = mode.run(&postgres, directory.path(), &script)?;
        // Otherwise what comes next would prove nothing.
        ensure!(
            ran(&outcome, directory.path())?,
            "psql does not run {script:?}"
        );
    }
    for _ in 0..RUNS {
        let script = mode.generate(&mut random).context(repeat.clone())?;
        let outcome = mode.run(&postgres, directory.path(), &script)?;
        ensure!(
            !ran(&outcome, directory.path())?,
            "psql runs a command of {script:?}; {repeat}: {}",
            outcome.describe()
        );
    }
    Ok(())
}

#[test]
fn psql_runs_no_command_of_a_dump_that_is_let_through() -> Result<()> {
    compare(Mode::Dump)
}

#[test]
fn psql_runs_no_command_of_a_script_that_is_let_through() -> Result<()> {
    compare(Mode::Globals)
}
