//! Reports what a restoration would change.

use tthost_plugin::Error;
use tthost_plugin::source::{Caller, Fate, Kept, Place, Restoration, Survey};

use crate::capture::Dumps;
use crate::config::Config;
use crate::exchange::removal;
use crate::placement::{Method, Placement};
use crate::plan::Plan;
use crate::server::DatabaseStats;

impl Survey for Dumps {
    async fn places(
        config: Config,
        _: Caller,
        wanted: Restoration,
        paths: Vec<String>,
    ) -> Result<Vec<Place>, Error> {
        let plan = Plan::new(config, wanted)?;
        let mut places = Vec::with_capacity(paths.len());
        for path in paths {
            let name = path.strip_prefix('/').unwrap_or(&path);
            let dump = plan.recognize(name.as_bytes())?;
            places.push(match plan.placement(&dump).await? {
                Some(placement) => place(&placement),
                None => server_wide(),
            });
        }
        Ok(places)
    }
}

fn place(placement: &Placement) -> Place {
    let is_empty = placement.stats.as_ref().is_some_and(|stats| stats.is_empty);
    let fate = match &placement.method {
        Method::Direct if is_empty => Fate::Filled,
        Method::Direct => Fate::Changed,
        Method::Exchange { kept: None, .. } | Method::Drill { .. } => Fate::Created,
        Method::Exchange {
            kept: Some(kept), ..
        } => Fate::Exchanged(Kept {
            name: kept.clone(),
            removal: removal(kept),
        }),
    };
    let figures = placement.stats.as_ref().filter(|stats| !stats.is_empty);
    Place {
        name: format!("database {}", placement.database),
        holds: figures.map_or_else(Vec::new, |stats| holds(stats, &fate)),
        bytes: figures.map(|stats| stats.bytes),
        fate,
    }
}

fn holds(stats: &DatabaseStats, fate: &Fate) -> Vec<String> {
    let mut holds = vec![
        count(stats.tables, "table"),
        format!("about {}", count(stats.rows, "row")),
    ];
    if stats.connections > 0 {
        let ended = match fate {
            Fate::Exchanged(_) => " that will be ended",
            _ => "",
        };
        holds.push(count(stats.connections, "connection") + ended);
    }
    holds
}

/// Where roles and tablespaces go.
fn server_wide() -> Place {
    Place {
        name: "roles and tablespaces of the server".into(),
        holds: Vec::new(),
        bytes: None,
        fate: Fate::Changed,
    }
}

fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number))
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_easy_to_read() {
        assert_eq!(count(1, "table"), "1 table");
        assert_eq!(count(0, "row"), "0 rows");
        assert_eq!(count(999, "row"), "999 rows");
        assert_eq!(count(34_000, "row"), "34,000 rows");
        assert_eq!(count(1_234_567, "row"), "1,234,567 rows");
    }

    #[test]
    fn connections_are_ended_by_an_exchange_alone() {
        let stats = DatabaseStats {
            tables: 12,
            rows: 34_000,
            bytes: 1,
            connections: 3,
            is_empty: false,
        };
        let mut placement = Placement {
            database: "shop".into(),
            stats: Some(stats),
            method: Method::Direct,
        };
        assert_eq!(place(&placement).holds[2], "3 connections");
        placement.method = Method::Exchange {
            new: "new".into(),
            kept: Some("old".into()),
        };
        let exchanged = place(&placement);
        assert_eq!(
            exchanged.holds,
            [
                "12 tables",
                "about 34,000 rows",
                "3 connections that will be ended"
            ]
        );
        assert!(
            matches!(exchanged.fate, Fate::Exchanged(kept) if kept.removal == "DROP DATABASE \"old\"")
        );
    }
}
