//! Describes what a restore changes: as a question before, and as a report after it.

use super::format::{bytes, count, short, time};
use crate::operation::restore::Destination;
use crate::operation::{Fate, Loss, Place, Replaced};

/// The question before a restoration.
pub(super) fn question(loss: &Loss) -> String {
    let Loss {
        snapshot,
        replaced,
        removed,
    } = loss;
    let what = match replaced {
        Replaced::Files(path) => format!("will overwrite files in {}.", path.display()),
        Replaced::Source {
            name,
            places: Some(places),
            ..
        } if !places.is_empty() => intentions(name, places),
        Replaced::Source {
            name, destination, ..
        } => match destination {
            Destination::Original => format!("will replace the data in source {name}."),
            Destination::Named(place) | Destination::Granted(place) => {
                format!("will replace the data in {place} of source {name}.")
            }
        },
    };
    let removed = match removed {
        None => String::new(),
        Some(0) => " Nothing will be removed.".to_owned(),
        Some(removed) => format!(
            " {} that the snapshot does not have will be REMOVED.",
            count(*removed, "file or directory", "files and directories")
        ),
    };
    format!(
        "Snapshot {} of {} {what}{removed}",
        short(&snapshot.id),
        time(snapshot.time)
    )
}

fn intentions(source: &str, places: &[Place]) -> String {
    let intentions: Vec<_> = places.iter().map(intention).collect();
    let mut sentences = vec![format!(
        "will {} of source {source}.",
        intentions.join(" and ")
    )];
    sentences.extend(places.iter().filter_map(|place| match &place.fate {
        Fate::Exchanged { kept } => Some(format!("The old {} stays as {}.", place.name, kept.name)),
        Fate::Created | Fate::Filled | Fate::Changed => None,
    }));
    sentences.join(" ")
}

fn intention(place: &Place) -> String {
    let what = described(place);
    match place.fate {
        Fate::Created => format!("create {what}"),
        Fate::Filled => format!("fill the empty {what}"),
        Fate::Changed => format!("change, where it is, {what}"),
        Fate::Exchanged { .. } => format!("replace {what}"),
    }
}

/// The result for each place, or the planned result: a line each.
pub(super) fn outcome(places: &[Place], dry_run: bool) -> String {
    let mut text = String::new();
    for place in places {
        text.push('\n');
        text += &if dry_run { planned(place) } else { done(place) };
    }
    text
}

fn planned(place: &Place) -> String {
    let what = described(place);
    match &place.fate {
        Fate::Created => format!("would be created: {what}"),
        Fate::Filled => format!("would be filled: {what}, which is empty"),
        Fate::Changed => format!("would be changed in place: {what}"),
        Fate::Exchanged { kept } => {
            let kept = &kept.name;
            format!("would be replaced: {what}; the old one would stay as {kept}")
        }
    }
}

fn done(place: &Place) -> String {
    let name = &place.name;
    match &place.fate {
        Fate::Created => format!("created: {name}"),
        Fate::Filled => format!("filled: {name}"),
        Fate::Changed => format!("changed in place: {name}"),
        Fate::Exchanged { kept } => format!(
            "replaced: {name}; the old one stays as {} until you remove it: {}",
            kept.name, kept.removal
        ),
    }
}

/// A place, and what is there.
fn described(place: &Place) -> String {
    let mut holds = place.holds.clone();
    if let Some(size) = place.bytes {
        holds.insert(holds.len().min(2), bytes(size));
    }
    if holds.is_empty() {
        place.name.clone()
    } else {
        format!("{} ({})", place.name, holds.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Kept;

    fn shop(fate: Fate) -> Place {
        Place {
            name: "database shop".into(),
            holds: vec![
                "12 tables".into(),
                "about 34,000 rows".into(),
                "3 connections".into(),
            ],
            bytes: Some(25 << 20),
            fate,
        }
    }

    fn exchanged() -> Place {
        shop(Fate::Exchanged {
            kept: Kept {
                name: "shop_before".into(),
                removal: "DROP DATABASE \"shop_before\"".into(),
            },
        })
    }

    #[test]
    fn the_question_says_what_is_there_and_what_becomes_of_it() {
        let new = Place {
            name: "database blog".into(),
            holds: Vec::new(),
            bytes: None,
            fate: Fate::Created,
        };
        assert_eq!(
            intentions("db", &[exchanged(), new]),
            "will replace database shop (12 tables, about 34,000 rows, 25.0 MiB, 3 connections) and create database \
             blog of source db. The old database shop stays as shop_before."
        );
        assert_eq!(
            intentions("db", &[shop(Fate::Changed)]),
            "will change, where it is, database shop (12 tables, about 34,000 rows, 25.0 MiB, 3 connections) of source db."
        );
    }

    #[test]
    fn the_report_says_how_to_be_rid_of_what_was_there() {
        assert_eq!(
            outcome(&[exchanged()], false),
            "\nreplaced: database shop; the old one stays as shop_before until you remove it: DROP DATABASE \"shop_before\""
        );
        assert!(outcome(&[exchanged()], true).contains("would stay as shop_before"));
        assert_eq!(outcome(&[], true), "");
    }
}
