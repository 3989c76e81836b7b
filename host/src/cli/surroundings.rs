//! What commands cannot do without on this machine, and what would mislead them.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use jiff::tz::TimeZone;

use crate::error::{Error, Kind, Result};

/// What a file of a time zone begins with.
const TZIF: &[u8; 4] = b"TZif";

/// Refuses to begin where nothing could come of it.
pub(super) fn check() -> Result<()> {
    if !Path::new("/proc/self/exe").exists() {
        let text =
            "/proc is not mounted, and without it no plugin can be compiled and no program started";
        return Err(Error::new(Kind::Config, text).help("`mount -t proc proc /proc` mounts it"));
    }
    match std::env::var("TZ") {
        Ok(zone) if !zone.is_empty() && !is_zone(&zone) => {
            let text = format!("TZ={zone} is no time zone that this machine knows");
            Err(Error::new(Kind::Config, text)
                .help("set TZ to a name like Europe/Berlin, or unset it"))
        }
        _ => Ok(()),
    }
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
    use super::*;

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
