//! Schedules: their syntax, and the times that they mean.
//!
//! | module | holds |
//! |---|---|
//! | parses the syntaxes of a schedule |
//! | a schedule in the syntax of systemd and crontab |

mod render;
mod syntax;

use std::fmt;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{DateTime, Time, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Kind, Result};

/// The times at which something happens, again and again.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// As it was written.
    text: String,
    cron: Cron,
    /// None for the machine's own.
    zone: Option<TimeZone>,
}

/// Clocks go back by no more than that once a year.
const MAX_CLOCK_CHANGE: Duration = Duration::from_hours(1);

/// When a job runs: its schedule, and how much later it may begin, so that not all machines begin at
/// once.
#[derive(Clone, Debug)]
pub struct Timing {
    /// When it is due.
    pub schedule: Schedule,
    /// It begins at most that much later.
    pub jitter: Option<Duration>,
}

impl Schedule {
    /// Reads a schedule: `daily 02:00`, `weekly Sun 03:00`, the five fields of cron, or a calendar
    /// event of systemd. A time zone can stand behind it.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: String| {
            Error::new(Kind::Config, format!("\"{text}\" is not a schedule: {why}")).help(
                "write for example \"daily 02:00\", \"weekly Sun 03:00\", \"Mon..Fri 22:30\", or the five fields of cron",
            )
        };
        let (pattern, zone) = syntax::translate(text).map_err(wrong)?;
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(&pattern).map_err(|cause| {
            // In words that go on with ours.
            let why = cause.to_string();
            let why = why.strip_prefix("Component error: ").unwrap_or(&why);
            wrong(why.trim_end_matches('.').to_lowercase())
        })?;
        let schedule = Self {
            text: text.trim().to_owned(),
            cron,
            zone,
        };
        let pattern = &schedule.cron.pattern;
        if pattern.days.has_modifiers() || pattern.days_of_week.has_modifiers() {
            return Err(wrong("L, W and # are not understood".into()));
        }
        if schedule.next(Timestamp::UNIX_EPOCH).is_none() {
            return Err(wrong("there is no such day".into()));
        }
        Ok(schedule)
    }

    /// The same in a time zone of the IANA's list, for example `Europe/Berlin`.
    pub fn in_zone(self, name: &str) -> Result<Self> {
        if self.zone.is_some() {
            let text = format!("\"{self}\" names a time zone already");
            return Err(Error::new(Kind::Config, text).help("remove `time-zone`"));
        }
        let zone = syntax::zone(name).map_err(|why| Error::new(Kind::Config, why))?;
        Ok(Self {
            text: format!("{self} {name}"),
            zone: Some(zone),
            ..self
        })
    }

    /// The first time after this one.
    ///
    /// Where clocks go forward, a time that they skip comes as much later as they skip. Where they
    /// go back, a time that they show twice comes once, unless it comes every hour.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let zone = self.zone.clone().unwrap_or_else(TimeZone::system);
        let start = after.to_zoned(zone.clone());
        if self.cron.pattern.hours.values().len() == 24 {
            let next = self.cron.find_next_occurrence(&start, false).ok()?;
            return Some(next.timestamp());
        }
        let mut shown = start.datetime();
        loop {
            shown = self.cron.find_next_occurrence(&shown, false).ok()?;
            let next = shown.to_zoned(zone.clone()).ok()?.timestamp();
            if next > after {
                return Some(next);
            }
        }
    }

    /// The longest time from one to the next, by a clock that is never changed.
    pub fn longest_gap(&self) -> Duration {
        let times = self.times_of_a_day();
        let gaps = times.windows(2).map(|two| two[1].duration_since(two[0]));
        let within_a_day = gaps.max().unwrap_or(SignedDuration::ZERO);
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            return Duration::ZERO;
        };
        let mut longest = within_a_day;
        // Nine years have a leap day, and every day of the month on every day of the week.
        let end = date(2009, 1, 1);
        let mut day = self.first_after(date(2000, 1, 1).to_datetime(Time::midnight()));
        while let Some(this) = day
            && this.date() < end
        {
            let last = this.date().to_datetime(*last);
            day = self.first_after(last);
            if let Some(next) = day {
                let first = next.date().to_datetime(*first);
                longest = longest.max(first.duration_since(last));
            }
        }
        longest.try_into().unwrap_or(Duration::ZERO)
    }

    fn first_after(&self, shown: DateTime) -> Option<DateTime> {
        self.cron.find_next_occurrence(&shown, false).ok()
    }

    /// The times of each day that has any, in their order.
    fn times_of_a_day(&self) -> Vec<Time> {
        let pattern = &self.cron.pattern;
        let small = |values: Vec<u16>| -> Vec<i8> {
            values
                .into_iter()
                .filter_map(|value| value.try_into().ok())
                .collect()
        };
        let [hours, minutes, seconds] =
            [&pattern.hours, &pattern.minutes, &pattern.seconds].map(|field| small(field.values()));
        let mut times = Vec::new();
        for &hour in &hours {
            for &minute in &minutes {
                let of_minute = |&second: &i8| Time::new(hour, minute, second, 0).ok();
                times.extend(seconds.iter().filter_map(of_minute));
            }
        }
        times
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Timing {
    /// The longest time from one start to the next that has a reason in the schedule: also where clocks
    /// change.
    pub fn longest_wait(&self) -> Duration {
        self.schedule.longest_gap() + self.jitter.unwrap_or_default() + MAX_CLOCK_CHANGE
    }

    /// How much later than its schedule something begins: always the same for the same seed, which
    /// names the machine and the job.
    pub fn delay(&self, seed: &str) -> SignedDuration {
        let digest = Sha256::digest(seed);
        let mut number = [0; 8];
        number.copy_from_slice(&digest[..8]);
        match self.jitter.unwrap_or_default().as_secs() {
            0 => SignedDuration::ZERO,
            jitter => {
                let seconds = u64::from_be_bytes(number) % jitter;
                SignedDuration::from_secs(seconds.try_into().unwrap_or(0))
            }
        }
    }
}

/// Fails unless units and files can be named after this job.
pub fn check_name(job: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !job.starts_with('.') && !job.is_empty() && job.len() <= 100 && job.chars().all(plain) {
        return Ok(());
    }
    let text = format!("the job {job:?} cannot be scheduled under this name");
    Err(Error::new(Kind::Config, text)
        .help("name it with letters, digits, `-`, `_` and `.`, and not with a `.` first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> Schedule {
        Schedule::parse(text).expect(text)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    /// The next times, in the zone of the schedule.
    fn next(text: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = schedule(text);
        let zone = schedule.zone.clone().expect("tests name a zone");
        let mut time = at(after);
        let mut times = Vec::new();
        for _ in 0..count {
            time = schedule.next(time).expect("there is always another");
            let shown = time.to_zoned(zone.clone());
            times.push(shown.strftime("%a %m-%d %H:%M %z").to_string());
        }
        times
    }

    #[test]
    fn a_time_that_clocks_skip_comes_once_and_an_hour_later() {
        for text in ["daily 02:30 Europe/Berlin", "30 2,14 * * * Europe/Berlin"] {
            let times = next(text, "2026-03-28T14:00:00Z", 2);
            assert_eq!(times[0], "Sun 03-29 03:30 +0200", "{text}");
            assert_ne!(times[1], "Sun 03-29 03:30 +0200", "{text}");
        }
    }

    #[test]
    fn a_time_that_clocks_show_twice_comes_once_unless_it_comes_every_hour() {
        let daily = next("daily 02:30 Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(daily, ["Sun 10-25 02:30 +0200", "Mon 10-26 02:30 +0100"]);
        let between = next("daily 02:30 Europe/Berlin", "2026-10-25T00:45:00Z", 1);
        assert_eq!(between, ["Mon 10-26 02:30 +0100"]);
        let hourly = next("hourly Europe/Berlin", "2026-10-24T23:30:00Z", 3);
        assert_eq!(
            hourly,
            [
                "Sun 10-25 02:00 +0200",
                "Sun 10-25 02:00 +0100",
                "Sun 10-25 03:00 +0100"
            ]
        );
    }

    #[test]
    fn the_longest_gap_is_the_longest_wait_for_the_next_time() {
        let hours = |hours| Duration::from_hours(hours);
        for (text, gap) in [
            ("daily 02:00", hours(24)),
            ("hourly", hours(1)),
            ("*:0/15", Duration::from_mins(15)),
            ("weekly Sun 03:00", hours(7 * 24)),
            ("monthly", hours(31 * 24)),
            ("Mon..Fri 22:30", hours(3 * 24)),
            ("0 9-17 * * 1-5", hours(2 * 24 + 16)),
            ("0 3,15 * * *", hours(12)),
            ("0 0 29 2 *", hours((4 * 365 + 1) * 24)),
        ] {
            assert_eq!(schedule(text).longest_gap(), gap, "{text}");
        }
    }

    #[test]
    fn a_zone_is_named_once_and_exists() {
        let berlin = schedule("daily 02:00")
            .in_zone("Europe/Berlin")
            .expect("it is there");
        assert_eq!(berlin.to_string(), "daily 02:00 Europe/Berlin");
        assert_eq!(
            berlin.next(at("2026-07-01T12:00:00Z")),
            Some(at("2026-07-02T00:00:00Z"))
        );
        assert!(berlin.in_zone("UTC").is_err());
        let error = Schedule::parse("daily 02:00 Europe/Berln").expect_err("there is none");
        assert!(
            error.message().contains("no time zone Europe/Berln"),
            "{error}"
        );
    }

    #[test]
    fn a_machine_always_delays_a_job_by_the_same_time() {
        let timing = Timing {
            schedule: schedule("daily"),
            jitter: Some(Duration::from_mins(30)),
        };
        let delays: Vec<_> = (0..20)
            .map(|job| timing.delay(&format!("machine {job}")))
            .collect();
        assert!(
            delays
                .iter()
                .all(|delay| *delay < SignedDuration::from_mins(30))
        );
        assert!(delays.iter().any(|delay| *delay != delays[0]), "{delays:?}");
        assert_eq!(timing.delay("machine 7"), delays[7]);
    }

    #[test]
    fn units_and_files_are_named_after_plain_names_alone() {
        for name in ["nightly", "db-1", "shop.example_2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "../x", ".x", "a b", "nächtlich", "a@b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
