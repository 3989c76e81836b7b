//! Entries in a user's crontab, each between two comments. All other lines stay unchanged.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Entry, Scheduled, is_on_path};
use crate::error::{Error, Kind, Result};

/// The first words of the comments before and after an entry.
const BEGIN: &str = "# BEGIN tthost ";
const END: &str = "# END tthost ";

/// cron cuts off what is longer, at least Debian's.
const MAX_COMMAND_LENGTH: usize = 990;

/// Whether there is a crontab to write to.
pub(super) fn is_there() -> bool {
    is_on_path("crontab")
}

/// The comments and the line of a job.
pub(super) fn block(entry: &Entry) -> Result<String> {
    let Scheduled {
        job,
        timing,
        config,
        ..
    } = &entry.scheduled;
    let times = timing.schedule.crontab()?;
    if timing.jitter.is_some() {
        let error =
            Error::new(Kind::Unsupported, "crontab cannot delay a job").of(format!("job {job}"));
        return Err(error.help("remove `jitter`, or run `tthost daemon`"));
    }
    let mut words = Vec::new();
    if let Some(directory) = config.parent().and_then(Path::to_str) {
        words.extend(["cd".into(), quoted(directory)?, "&&".into()]);
    }
    for (name, value) in &entry.environment {
        words.push(format!("{name}={}", quoted(value)?));
    }
    for word in &entry.command {
        words.push(quoted(word)?);
    }
    // cron sends what is printed by mail: only what went wrong.
    words.push("--quiet".into());
    // A percent sign is a new line there.
    let command = words.join(" ").replace('%', "\\%");
    if command.len() > MAX_COMMAND_LENGTH {
        let text = format!(
            "the line for crontab would have {} bytes, and cron takes {MAX_COMMAND_LENGTH}",
            command.len()
        );
        return Err(
            Error::new(Kind::Unsupported, text).help("shorten PATH, or run `tthost daemon`")
        );
    }
    let name = name(job, config);
    Ok(format!("{BEGIN}{name}\n{times} {command}\n{END}{name}\n"))
}

/// Puts the entries of jobs into the crontab, in the place of earlier ones.
pub(super) fn install(entries: &[Entry]) -> Result<()> {
    let before = read()?;
    let mut after = before.clone();
    for entry in entries {
        after = without(&after, &name(&entry.scheduled.job, &entry.scheduled.config));
        if !after.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        after += &block(entry)?;
    }
    if after == before {
        Ok(())
    } else {
        write(&after)
    }
}

/// Removes entries, and answers of which jobs.
pub(super) fn remove(config: &Path, jobs: &[String]) -> Result<Vec<String>> {
    let before = read()?;
    let suffix = name("", config);
    let names = before
        .lines()
        .filter_map(|line| line.strip_prefix(BEGIN)?.strip_suffix(&suffix));
    let removed: Vec<_> = names
        .filter(|job| jobs.is_empty() || jobs.iter().any(|named| named == job))
        .map(str::to_owned)
        .collect();
    let without = |text: String, job: &String| without(&text, &name(job, config));
    let after = removed.iter().fold(before.clone(), without);
    if after != before {
        write(&after)?;
    }
    Ok(removed)
}

/// Whether the job has an entry in this crontab, and if so, whether that has its schedule.
pub(super) fn has(crontab: &str, scheduled: &Scheduled) -> Option<bool> {
    let begin = format!("{BEGIN}{}", name(&scheduled.job, &scheduled.config));
    let line = crontab.lines().skip_while(|line| *line != begin).nth(1)?;
    let times = scheduled.timing.schedule.crontab();
    Some(times.is_ok_and(|times| line.starts_with(&format!("{times} "))))
}

/// The user's crontab; nothing where there is none.
pub(super) fn read() -> Result<String> {
    if !is_there() {
        return Ok(String::new());
    }
    let output = Command::new("crontab")
        .arg("-l")
        .env("LC_ALL", "C")
        .output();
    let output = output.map_err(|cause| failed("read").caused_by(cause))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => String::from_utf8(output.stdout).map_err(|cause| failed("read").caused_by(cause)),
        false if said.contains("no crontab for") => Ok(String::new()),
        false => Err(failed("read").caused_by(said.trim())),
    }
}

/// Replaces the user's crontab. Nothing is none.
fn write(text: &str) -> Result<()> {
    let option = if text.is_empty() { "-r" } else { "-" };
    let told = || -> io::Result<_> {
        let mut crontab = Command::new("crontab")
            .arg(option)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = crontab.stdin.take() {
            stdin.write_all(text.as_bytes())?;
        }
        crontab.wait_with_output()
    };
    let output = told().map_err(|cause| failed("written").caused_by(cause))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed("written").caused_by(said))
}

fn failed(done: &str) -> Error {
    Error::new(Kind::Other, format!("the crontab cannot be {done}"))
}

/// How an entry is told from others.
fn name(job: &str, config: &Path) -> String {
    format!("{job} ({})", config.display())
}

/// The text without this entry.
fn without(crontab: &str, name: &str) -> String {
    let (begin, end) = (format!("{BEGIN}{name}"), format!("{END}{name}"));
    let mut inside = false;
    let mut kept = String::new();
    for line in crontab.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        inside |= bare == begin;
        if !inside {
            kept += line;
        }
        inside &= bare != end;
    }
    // Without an end mark, tthost cannot recognise its own lines.
    if inside { crontab.to_owned() } else { kept }
}

/// A word for the shell.
fn quoted(word: &str) -> Result<String> {
    let quoted = shlex::try_quote(word);
    let quoted = quoted
        .map_err(|cause| Error::new(Kind::Config, "crontab cannot hold a path").caused_by(cause))?;
    Ok(quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::operation::scheduled::Memory;
    use crate::schedule::{Schedule, Timing};

    fn entry(schedule: &str) -> Entry {
        Entry {
            scheduled: Scheduled {
                job: "nightly".into(),
                timing: Timing {
                    schedule: Schedule::parse(schedule).expect(schedule),
                    jitter: None,
                },
                says_when: true,
                memory: Memory::new("/var/lib/tthost".as_ref(), "/etc/tthost.toml"),
                config: "/etc/tt host/100%.toml".into(),
            },
            command: ["/bin/tthost", "--config", "/etc/tt host/100%.toml"]
                .map(str::to_owned)
                .to_vec(),
            environment: [("PATH".to_owned(), "/bin".to_owned())].into(),
            writable: BTreeSet::new(),
            uses_temporary: false,
            missing: BTreeSet::new(),
        }
    }

    #[test]
    fn an_entry_stands_between_comments_with_what_the_shell_and_cron_would_change_quoted() {
        assert_eq!(
            block(&entry("daily 02:00")).expect("cron can say that"),
            "# BEGIN tthost nightly (/etc/tt host/100%.toml)\n\
             0 2 * * * cd '/etc/tt host' && PATH=/bin /bin/tthost --config '/etc/tt host/100\\%.toml' --quiet\n\
             # END tthost nightly (/etc/tt host/100%.toml)\n"
        );
    }

    #[test]
    fn what_cron_cannot_do_is_told() {
        let mut delayed = entry("daily");
        delayed.scheduled.timing.jitter = Some(std::time::Duration::from_mins(1));
        assert!(block(&delayed).is_err());
        let mut long = entry("daily");
        long.environment = [("PATH".to_owned(), "/bin:".repeat(200))].into();
        assert!(block(&long).is_err());
    }

    #[test]
    fn an_entry_goes_and_all_other_lines_stay() {
        let entry = entry("daily 02:00");
        let others =
            "MAILTO=me\n\n# BEGIN tthost other (/x)\n* * * * * true\n# END tthost other (/x)\n";
        let all = format!("{}{others}last", block(&entry).expect("cron can say that"));
        assert_eq!(has(&all, &entry.scheduled), Some(true));
        assert_eq!(has(&all, &self::entry("hourly").scheduled), Some(false));
        assert_eq!(has(others, &entry.scheduled), None);
        assert_eq!(
            without(&all, &name("nightly", &entry.scheduled.config)),
            format!("{others}last")
        );
        let broken = all.replace("# END tthost nightly", "# tthost nightly");
        assert_eq!(
            without(&broken, &name("nightly", &entry.scheduled.config)),
            broken
        );
    }
}
