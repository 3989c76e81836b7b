//! The maximum age of a snapshot.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::{SignedDuration, Span, Timestamp, Zoned};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An age in years, months, days and hours, at least an hour: `1y5m7d2h`, as restic has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Age {
    years: u32,
    months: u32,
    days: u32,
    hours: u32,
}

impl Age {
    /// The time that was so long before this one; nothing when there is no such time.
    ///
    /// As in restic, a day that the month does not have is counted on into the next one: a month
    /// before the 31st of March is the 3rd of March, or the 2nd in a leap year.
    pub(super) fn before(self, time: &Zoned) -> Option<Timestamp> {
        let months = i64::from(self.years) * 12 + i64::from(self.months);
        let month = i64::from(time.year()) * 12 + i64::from(time.month()) - 1 - months;
        let year = i16::try_from(month.div_euclid(12)).ok()?;
        let month = i8::try_from(month.rem_euclid(12)).ok()? + 1;
        let days = i64::from(time.day()) - 1 - i64::from(self.days);
        let date = Date::new(year, month, 1)
            .ok()?
            .checked_add(Span::new().try_days(days).ok()?)
            .ok()?;
        let moved = date.to_datetime(time.time());
        let moved = moved.to_zoned(time.time_zone().clone()).ok()?;
        moved
            .timestamp()
            .checked_sub(SignedDuration::from_hours(self.hours.into()))
            .ok()
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not an age; write for example \"30d\" or \"1y6m\"");
        let mut age = Self::default();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (number, unit) = rest.split_at(digits);
            let number = number.parse().map_err(|_| wrong())?;
            let mut unit = unit.chars();
            match unit.next() {
                Some('y') => age.years = number,
                Some('m') => age.months = number,
                Some('d') => age.days = number,
                Some('h') => age.hours = number,
                _ => return Err(wrong()),
            }
            rest = unit.as_str();
        }
        if age == Self::default() {
            return Err(wrong());
        }
        Ok(age)
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, unit) in [
            (self.years, 'y'),
            (self.months, 'm'),
            (self.days, 'd'),
            (self.hours, 'h'),
        ] {
            if number != 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Age {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Age> for String {
    fn from(age: Age) -> Self {
        age.to_string()
    }
}

impl JsonSchema for Age {
    fn schema_name() -> Cow<'static, str> {
        "Age".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Years, months, days and hours, for example `1y5m7d2h` or `30d`.",
            "type": "string",
            "pattern": "^([0-9]+[ymdh])+$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(age: &str, time: &str) -> String {
        let time: Zoned = time.parse().expect("it is a time");
        let age: Age = age.parse().expect("it is an age");
        age.before(&time).expect("there is such a time").to_string()
    }

    #[test]
    fn an_age_is_written_in_years_months_days_and_hours() {
        for text in ["1y5m7d2h", "30d", "9999y"] {
            let age: Age = text.parse().expect(text);
            assert_eq!(age.to_string(), text);
        }
        assert_eq!("1y1d1m".parse::<Age>(), "1y1m1d".parse());
        for wrong in ["", "0d", "7", "d", "-1d", "1w", "1d 2", "99999999999y"] {
            assert!(wrong.parse::<Age>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_age_is_counted_in_the_calendar() {
        let time = "2016-03-31T12:00:00[UTC]";
        assert_eq!(before("1y1m1d1h", time), "2015-03-02T11:00:00Z");
        // There is no 31st of February.
        assert_eq!(before("1m", time), "2016-03-02T12:00:00Z");
        assert_eq!(
            before("13m", "2015-01-01T00:00:00[UTC]"),
            "2013-12-01T00:00:00Z"
        );
        // A day has 23 hours where the clock is put forward.
        let summer = "2026-03-29T12:00:00[Europe/Berlin]";
        assert_eq!(before("1d", summer), "2026-03-28T11:00:00Z");
        assert_eq!(before("24h", summer), "2026-03-28T10:00:00Z");
    }

    #[test]
    fn what_is_older_than_the_calendar_has_no_time() {
        let time: Zoned = "2016-03-31T12:00:00[UTC]".parse().expect("it is a time");
        for age in ["99999y", "4294967295d", "4294967295y4294967295m"] {
            let age: Age = age.parse().expect("it is an age");
            assert_eq!(age.before(&time), None);
        }
    }
}
