//! Times in restic's format: RFC 3339 with as many digits as needed.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de};

use crate::Instant;

/// The first and the last second of the years that the format has, 0000 to 9999.
const YEARS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_207_200;

/// For serde's `with`.
pub(crate) fn serialize<S: Serializer>(
    instant: &Instant,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let seconds = instant.seconds.clamp(*YEARS.start(), *YEARS.end());
    let nanoseconds = i32::try_from(instant.nanoseconds).unwrap_or_default();
    let time = Timestamp::new(seconds, nanoseconds).unwrap_or_default();
    serializer.collect_str(&time)
}

/// For serde's `with`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
    let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
    let time = match text.parse::<Timestamp>() {
        // The last day of the format is a day more than can be computed with.
        Err(_) if text.starts_with("9999-12-3") => Timestamp::MAX,
        time => time.map_err(de::Error::custom)?,
    };
    let nanoseconds = time.as_nanosecond();
    let second = 1_000_000_000;
    Ok(Instant {
        seconds: i64::try_from(nanoseconds.div_euclid(second)).map_err(de::Error::custom)?,
        nanoseconds: u32::try_from(nanoseconds.rem_euclid(second)).map_err(de::Error::custom)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)]
    struct Wrapped(#[serde(with = "super")] Instant);

    fn instant(seconds: i64, nanoseconds: u32) -> Wrapped {
        Wrapped(Instant {
            seconds,
            nanoseconds,
        })
    }

    #[test]
    fn times_keep_every_nanosecond_before_1970_too() {
        for (value, text) in [
            (instant(0, 0), "\"1970-01-01T00:00:00Z\""),
            (
                instant(1_700_000_000, 120_000_000),
                "\"2023-11-14T22:13:20.12Z\"",
            ),
            (
                instant(-2, 999_999_999),
                "\"1969-12-31T23:59:58.999999999Z\"",
            ),
        ] {
            assert_eq!(serde_json::to_string(&value).expect("it is JSON"), text);
            assert_eq!(
                serde_json::from_str::<Wrapped>(text).expect("it is a time"),
                value
            );
        }
        let zoned = serde_json::from_str::<Wrapped>("\"2023-11-14T23:13:20.12+01:00\"")
            .expect("it is a time");
        assert_eq!(zoned, instant(1_700_000_000, 120_000_000));
        let last = serde_json::from_str::<Wrapped>("\"9999-12-31T23:59:59Z\"");
        assert_eq!(last.expect("it is a time").0.seconds, *YEARS.end());
        // Go's zero time, which restic writes where it knows none.
        serde_json::from_str::<Wrapped>("\"0001-01-01T00:00:00Z\"").expect("it is a time");
    }
}
