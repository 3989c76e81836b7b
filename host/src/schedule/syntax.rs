//! Parses the syntaxes of a schedule into patterns of croner with seconds.

use jiff::tz::TimeZone;

/// Weekdays in systemd's order.
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Midnight, in the order of a pattern: second, minute, hour.
const MIDNIGHT: &str = "0 0 0";

/// The pattern that a text means, and the time zone that stands behind it. The error says what is
/// wrong.
pub(super) fn translate(text: &str) -> Result<(String, Option<TimeZone>), String> {
    let mut words: Vec<_> = text.split_whitespace().collect();
    let zone = match words.last() {
        Some(last) if names_a_zone(last) => {
            let zone = zone(last)?;
            words.pop();
            Some(zone)
        }
        _ => None,
    };
    let pattern = match words.as_slice() {
        [] => Err("it is empty".into()),
        // croner knows these.
        [nickname] if nickname.starts_with('@') => Ok((*nickname).to_owned()),
        [_, _, _, _, _] => Ok(words.join(" ")),
        [word, rest @ ..] => match word.to_ascii_lowercase().as_str() {
            "hourly" => hourly(rest),
            "daily" => daily(rest),
            "weekly" => weekly(rest),
            "monthly" => monthly(rest),
            _ => calendar(&words),
        },
    };
    Ok((pattern?, zone))
}

/// The time zone of this name.
pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        format!("this machine knows no time zone {name}; Debian's package tzdata holds them")
    })
}

/// Whether a word can only be a time zone. Weekdays can have a step: `MON-FRI/2`.
fn names_a_zone(word: &str) -> bool {
    let begins_with_letter = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
    word.eq_ignore_ascii_case("UTC")
        || word
            .rsplit_once('/')
            .is_some_and(|(area, place)| begins_with_letter(area) && begins_with_letter(place))
}

fn hourly(rest: &[&str]) -> Result<String, String> {
    end(rest)?;
    Ok("0 0 * * * *".into())
}

fn daily(rest: &[&str]) -> Result<String, String> {
    Ok(format!("{} * * *", only_time(rest)?))
}

fn weekly(rest: &[&str]) -> Result<String, String> {
    let (day, rest) = match rest {
        [day, rest @ ..] if !day.contains(':') => (weekdays(day)?, rest),
        _ => ("1".into(), rest),
    };
    Ok(format!("{} * * {day}", only_time(rest)?))
}

fn monthly(rest: &[&str]) -> Result<String, String> {
    let (day, rest) = match rest {
        [day, rest @ ..] if !day.contains(':') => (field(day, 31)?, rest),
        _ => ("1".into(), rest),
    };
    Ok(format!("{} {day} * *", only_time(rest)?))
}

/// A calendar event of systemd: weekdays, a date and a time, each of which can be left out.
fn calendar(words: &[&str]) -> Result<String, String> {
    let mut rest = words;
    let mut take = |fits: fn(&str) -> bool| match rest {
        [word, others @ ..] if fits(word) => {
            rest = others;
            Some(*word)
        }
        _ => None,
    };
    let days = take(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
    let date = take(|word| !word.contains(':'));
    let clock = take(|_| true);
    end(rest)?;
    let weekdays = days.map(weekdays).transpose()?;
    let (month, day) = date
        .map(month_and_day)
        .transpose()?
        .unwrap_or(("*".into(), "*".into()));
    let time = clock.map(time).transpose()?.unwrap_or(MIDNIGHT.into());
    // Both have to fit, which is a plus sign for croner.
    let both = if weekdays.is_some() && day != "*" {
        "+"
    } else {
        ""
    };
    let weekdays = weekdays.unwrap_or("*".into());
    Ok(format!("{time} {day} {month} {both}{weekdays}"))
}

fn only_time(words: &[&str]) -> Result<String, String> {
    match words {
        [] => Ok(MIDNIGHT.into()),
        [clock, rest @ ..] => {
            end(rest)?;
            time(clock)
        }
    }
}

fn end(rest: &[&str]) -> Result<(), String> {
    match rest.first() {
        Some(word) => Err(format!("\"{word}\" is not understood")),
        None => Ok(()),
    }
}

/// Second, minute and hour of `HOUR:MINUTE` or `HOUR:MINUTE:SECOND`.
fn time(text: &str) -> Result<String, String> {
    let parts: Vec<_> = text.split(':').collect();
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] => (hour, minute, &"0"),
        [hour, minute, second] => (hour, minute, second),
        _ => return Err(format!("\"{text}\" is not a time; write for example 02:00")),
    };
    Ok(format!(
        "{} {} {}",
        field(second, 59)?,
        field(minute, 59)?,
        field(hour, 23)?
    ))
}

/// Month and day of `YEAR-MONTH-DAY` or `MONTH-DAY`.
fn month_and_day(text: &str) -> Result<(String, String), String> {
    let parts: Vec<_> = text.split('-').collect();
    let (month, day) = match parts.as_slice() {
        [month, day] | ["*", month, day] => (month, day),
        [_, _, _] => return Err("the year has to be *".into()),
        _ => {
            return Err(format!(
                "\"{text}\" is not a date; write for example *-*-01"
            ));
        }
    };
    Ok((field(month, 12)?, field(day, 31)?))
}

/// A field of systemd's, as a field of cron: `A..B` is `A-B`, and `A/N` begins at `A`.
fn field(text: &str, most: u8) -> Result<String, String> {
    let item = |item: &str| {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, format!("/{step}")),
            None => (item, String::new()),
        };
        let range = match range.split_once("..") {
            Some((first, last)) => format!("{}-{}", number(first)?, number(last)?),
            None if range == "*" => "*".into(),
            None if step.is_empty() => number(range)?.to_string(),
            None => format!("{}-{most}", number(range)?),
        };
        Ok(range + &step)
    };
    let items: Result<Vec<_>, String> = text.split(',').map(item).collect();
    Ok(items?.join(","))
}

fn number(text: &str) -> Result<u8, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is not a number that fits here"))
}

/// A list of weekdays and of ranges of them, as numbers in which Sunday is 7.
fn weekdays(text: &str) -> Result<String, String> {
    let mut numbers = Vec::new();
    for item in text.split(',') {
        let ends = item.split_once("..").or_else(|| item.split_once('-'));
        let (first, last) = ends.unwrap_or((item, item));
        let (first, last) = (weekday(first)?, weekday(last)?);
        if first > last {
            return Err(format!("\"{item}\" goes backwards: weeks begin on Monday"));
        }
        numbers.extend((first..=last).map(|number| number.to_string()));
    }
    Ok(numbers.join(","))
}

fn weekday(text: &str) -> Result<usize, String> {
    let lower = text.to_ascii_lowercase();
    let position = WEEKDAYS
        .iter()
        .position(|day| *day == lower || day[..3] == lower);
    position
        .map(|position| position + 1)
        .ok_or_else(|| format!("\"{text}\" is not a weekday"))
}

#[cfg(test)]
mod tests {
    use crate::schedule::Schedule;

    #[test]
    fn what_means_nothing_is_told() {
        for (text, why) in [
            ("", "it is empty"),
            ("sometimes", "\"sometimes\" is not a weekday"),
            ("daily at two", "\"two\" is not understood"),
            ("daily 25:00", "is not a schedule"),
            ("daily 02:00 03:00", "\"03:00\" is not understood"),
            ("hourly 5", "\"5\" is not understood"),
            ("Fri..Mon 01:00", "goes backwards"),
            ("2026-01-01 00:00", "the year has to be *"),
            ("*-*~1 00:00", "is not a number"),
            ("0 0 30 2 *", "there is no such day"),
            ("0 0 L * *", "L, W and # are not understood"),
            ("* * * *", "is not understood"),
            ("@reboot", "is not a schedule"),
            ("61 * * * *", "is not a schedule"),
        ] {
            let error = Schedule::parse(text).expect_err(text);
            assert!(error.message().contains(why), "{text}: {error}");
            assert!(error.next_step().is_some(), "{text}");
        }
    }

    #[test]
    fn a_schedule_may_hold_anything() {
        let after = "2026-01-07T10:20:30Z".parse().expect("it is a time");
        tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "schedule", &[], |bytes| {
            let text = String::from_utf8_lossy(bytes);
            if let Ok(schedule) = Schedule::parse(&text) {
                let _ = schedule.next(after);
            }
        });
    }
}
