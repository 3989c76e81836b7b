//! A schedule in the syntax of systemd and cron.

use croner::CronComponent;
use jiff::tz::TimeZone;

use super::Schedule;
use crate::error::{Error, Kind, Result};

/// In croner's order.
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl Schedule {
    /// Calendar events of systemd: the schedule means each of them.
    pub fn on_calendar(&self) -> Vec<String> {
        let pattern = &self.cron.pattern;
        let [seconds, minutes, hours, months, days] = [
            &pattern.seconds,
            &pattern.minutes,
            &pattern.hours,
            &pattern.months,
            &pattern.days,
        ]
        .map(list);
        let weekdays: Vec<_> = pattern
            .days_of_week
            .values()
            .into_iter()
            .filter_map(|day| WEEKDAYS.get(usize::from(day)))
            .copied()
            .collect();
        let zone = self.zone.as_ref().and_then(TimeZone::iana_name);
        let event = |weekdays: &str, days: &str| {
            let words = [
                weekdays,
                &format!("*-{months}-{days}"),
                &format!("{hours}:{minutes}:{seconds}"),
                zone.unwrap_or(""),
            ];
            words
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let weekdays = weekdays.join(",");
        match (pattern.is_dom_wildcard(), pattern.is_dow_wildcard()) {
            (_, true) => vec![event("", &days)],
            (true, false) => vec![event(&weekdays, "*")],
            (false, false) if pattern.matches_dom_and_dow() => vec![event(&weekdays, &days)],
            // cron takes either.
            (false, false) => vec![event("", &days), event(&weekdays, "*")],
        }
    }

    /// The five fields of a line for crontab. It cannot say everything.
    pub fn crontab(&self) -> Result<String> {
        let pattern = &self.cron.pattern;
        let cannot = |what: &str| {
            let text = format!("crontab cannot say \"{self}\": {what}");
            Error::new(Kind::Unsupported, text)
                .help("write another schedule, or run `tthost daemon`")
        };
        if pattern.seconds.values() != [0] {
            return Err(cannot("it knows no seconds"));
        }
        if self
            .zone
            .as_ref()
            .is_some_and(|zone| *zone != TimeZone::system())
        {
            return Err(cannot("it knows no time zones"));
        }
        if pattern.matches_dom_and_dow() {
            return Err(cannot(
                "a day of the month and a weekday are either of them there",
            ));
        }
        // A step would look like a star to some crons, which then want both days to fit.
        let days = if pattern.is_dom_wildcard() {
            "*".into()
        } else {
            list(&pattern.days)
        };
        let weekdays = if pattern.is_dow_wildcard() {
            "*".into()
        } else {
            list(&pattern.days_of_week)
        };
        let [minutes, hours, months] =
            [&pattern.minutes, &pattern.hours, &pattern.months].map(list);
        Ok([minutes, hours, days, months, weekdays].join(" "))
    }
}

/// The values of a field; a star for all of them.
fn list(field: &CronComponent) -> String {
    let values = field.values();
    if values.len() == usize::from(field.max - field.min) + 1 {
        return "*".into();
    }
    let values: Vec<_> = values.iter().map(u16::to_string).collect();
    values.join(",")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use jiff::{Timestamp, civil};

    use super::*;

    fn schedule(text: &str) -> Schedule {
        Schedule::parse(text).expect(text)
    }

    /// What means the same to systemd as it is.
    const EVENTS: [&str; 10] = [
        "*-*-* 02:00",
        "04:00:30",
        "Mon..Fri 22:30",
        "Mon,Thu *-*-* 04:00:00",
        "Sat",
        "*-*-01 00:00",
        "*:0/15",
        "Mon *-*-1..7 05:00",
        "*-1,7-2/10 6..18/6:30:15",
        "12-24 18:00",
    ];

    /// What systemd makes of it: the first times after a time, in UTC.
    fn of_systemd(event: &str, after: Timestamp) -> Vec<Timestamp> {
        let output = Command::new("systemd-analyze")
            .args(["calendar", "--iterations=5", event])
            .arg(format!(
                "--base-time={}",
                after.strftime("%Y-%m-%d %H:%M:%S UTC")
            ))
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("Debian's package systemd is installed");
        let text = String::from_utf8(output.stdout).expect("it is text");
        let times = text.lines().filter_map(|line| {
            let (name, time) = line.split_once(": ")?;
            let time = time.trim().strip_suffix(" UTC")?;
            let is_time = name.contains("Next elapse") || name.contains("Iter. #");
            is_time.then(|| civil::DateTime::strptime("%a %Y-%m-%d %H:%M:%S", time).expect(time))
        });
        times
            .map(|time| {
                time.to_zoned(TimeZone::UTC)
                    .expect("UTC has all times")
                    .timestamp()
            })
            .collect()
    }

    fn ours(schedule: &Schedule, after: Timestamp, count: usize) -> Vec<Timestamp> {
        let next = |time: &Timestamp| schedule.next(*time);
        std::iter::successors(Some(after), next)
            .skip(1)
            .take(count)
            .collect()
    }

    #[test]
    fn systemd_and_tthost_mean_the_same_times() {
        let after: Timestamp = "2027-02-26T03:17:00Z".parse().expect("it is a time");
        for event in EVENTS {
            let event = format!("{event} UTC");
            let schedule = schedule(&event);
            let expected = of_systemd(&event, after);
            assert_eq!(expected.len(), 5, "{event}");
            assert_eq!(ours(&schedule, after, 5), expected, "{event}");
            let rendered = schedule.on_calendar();
            assert_eq!(rendered.len(), 1, "{event}");
            assert_eq!(
                of_systemd(&rendered[0], after),
                expected,
                "{event}: {rendered:?}"
            );
        }
    }

    #[test]
    fn a_day_of_the_month_or_a_weekday_is_two_events_for_systemd() {
        let events = schedule("30 4 1,15 * 5 Europe/Berlin").on_calendar();
        assert_eq!(
            events,
            [
                "*-*-1,15 4:30:0 Europe/Berlin",
                "Fri *-*-* 4:30:0 Europe/Berlin"
            ]
        );
    }

    #[test]
    fn crontab_gets_five_fields_or_nothing() {
        for (text, line) in [
            ("daily 02:00", "0 2 * * *"),
            ("hourly", "0 * * * *"),
            ("weekly Sun 03:00", "0 3 * * 0"),
            ("weekly", "0 0 * * 1"),
            ("monthly 15 04:30", "30 4 15 * *"),
            ("Mon..Fri 22:30", "30 22 * * 1,2,3,4,5"),
            ("*:0/15", "0,15,30,45 * * * *"),
            ("30 4 1,15 * 5", "30 4 1,15 * 5"),
            ("@daily", "0 0 * * *"),
        ] {
            let schedule = schedule(text);
            assert_eq!(schedule.crontab().expect(text), line, "{text}");
            // It means itself.
            let again = Schedule::parse(line).expect(line);
            assert_eq!(again.on_calendar(), schedule.on_calendar(), "{text}");
        }
        for text in ["*:*:30", "daily 02:00 Asia/Kathmandu", "Mon *-*-1..7 05:00"] {
            assert!(schedule(text).crontab().is_err(), "{text}");
        }
    }
}
