//! Checks that every command makes before it begins: what the machine must have, and settings that would mislead tthost.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::{Error, Kind, Result};

/// What the names of variables begin with that a command goes by.
const HEEDED: [&str; 8] = [
    "AWS_", "BACKUP_", "DOCKER_", "PG", "RESTIC_", "TTHOST_", "TZ", "XDG_",
];

/// What the names of secrets end with. One may be any bytes as long as nobody asks for it, and whoever does is told.
const SECRET: [&str; 4] = ["KEY", "PASSWORD", "SECRET", "TOKEN"];

/// What a file of a time zone begins with.
const TZIF: &[u8; 4] = b"TZif";

/// Refuses to begin where nothing could come of it.
pub(super) fn check() -> Result<()> {
    if !Path::new("/proc/self/exe").exists() {
        let text =
            "/proc is not mounted, and without it no plugin can be compiled and no program started";
        return Err(Error::new(Kind::Config, text).help("`mount -t proc proc /proc` mounts it"));
    }
    check_clock(SystemTime::now())?;
    check_variables(std::env::vars_os())?;
    match std::env::var("TZ") {
        Ok(zone) if !zone.is_empty() && !is_zone(&zone) => {
            let text = format!("TZ={zone} is not a time zone that this machine knows");
            Err(Error::new(Kind::Config, text)
                .help("set TZ to a name like Europe/Berlin, or unset it"))
        }
        _ => Ok(()),
    }
}

/// Refuses a clock that is so wrong that nothing can be dated.
fn check_clock(now: SystemTime) -> Result<()> {
    let is_after = now.duration_since(SystemTime::UNIX_EPOCH).is_ok();
    if is_after && Timestamp::try_from(now).is_ok() {
        return Ok(());
    }
    let text = "the clock of this machine is before the year 1970 or after the year 9999";
    Err(Error::new(Kind::Other, text).help("set it, for example with `timedatectl set-time`"))
}

/// Refuses a variable that would be passed over although somebody has set it.
fn check_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<()> {
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        let is_heeded = HEEDED.iter().any(|prefix| name.starts_with(prefix))
            && !SECRET.iter().any(|suffix| name.ends_with(suffix));
        if is_heeded && value.to_str().is_none() {
            let text = format!("the variable {name} is not UTF-8");
            let help = "set it to a text in UTF-8, or unset it";
            return Err(Error::new(Kind::Config, text).help(help));
        }
    }
    Ok(())
}

/// Whether times can be told in this zone. A file is looked at first, since one that is none could hold everything up.
fn is_zone(zone: &str) -> bool {
    let name = zone.strip_prefix(':').unwrap_or(zone);
    if name.starts_with('/') {
        let mut first = [0; 4];
        let is_file = Path::new(name).is_file();
        return is_file
            && File::open(name).is_ok_and(|mut file| file.read_exact(&mut first).is_ok())
            && first == *TZIF;
    }
    TimeZone::get(name).is_ok() || TimeZone::posix(name).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_of_another_age_is_refused() {
        let after = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert!(check_clock(after(0)).is_ok() && check_clock(after(4_000_000_000)).is_ok());
        assert!(check_clock(before).is_err() && check_clock(after(300_000_000_000)).is_err());
    }

    #[test]
    fn a_variable_that_is_no_text_is_refused_where_it_would_be_passed_over() {
        let check = |name: &str| {
            let value = OsString::from_vec(b"/x/\xff".to_vec());
            check_variables([
                (OsString::from("HOME"), value.clone()),
                (name.into(), value),
            ])
        };
        for name in ["TTHOST_STATE_DIR", "BACKUP_KEEP_DAILY", "PGHOST", "TZ"] {
            let error = check(name).expect_err("it would be passed over");
            assert!(error.message().contains(name), "{error}");
        }
        for name in [
            "RESTIC_PASSWORD",
            "PGPASSWORD",
            "AWS_SECRET_ACCESS_KEY",
            "PATH",
        ] {
            check(name).expect("it may be anything");
        }
    }

    #[test]
    fn a_zone_is_a_name_a_rule_or_a_file() {
        for zone in [
            "UTC",
            "Europe/Berlin",
            ":Europe/Berlin",
            "CET-1CEST,M3.5.0,M10.5.0/3",
        ] {
            assert!(is_zone(zone), "{zone}");
        }
        for zone in [
            "Nowhere/City",
            "garbage!",
            ":/etc/passwd",
            ":/dev/zero",
            "/nowhere",
        ] {
            assert!(!is_zone(zone), "{zone}");
        }
    }
}
