//! Sizes and durations in the configuration.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// A size: a number and a unit, `512 MiB`, `2 GB`, `1000`. The error says what is expected.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is not a size; write for example \"512 MiB\"");
    let digits = text
        .trim()
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.trim().len());
    let (number, unit) = text.trim().split_at(digits);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|size| *size > 0)
        .ok_or_else(wrong)
}

/// A duration: `30s`, `1h 30m`, `7d`. A day has 24 hours. The error says what is expected.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Option<Span> = text.parse().ok();
    parsed
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            format!("\"{text}\" is not a duration; write for example \"30s\" or \"1h 30m\"")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_a_thousand_and_of_1024() {
        for (text, bytes) in [
            ("512 MiB", 512 << 20),
            ("2GB", 2_000_000_000),
            (" 7 ", 7),
            ("1g", 1 << 30),
            ("3 kib", 3072),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "MiB",
            "-1",
            "1.5 GiB",
            "5 parsecs",
            "0",
            "99999999999 TiB",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_those_of_people() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        for text in ["", "soon", "0s", "-5s", "10"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
