//! Selects the volumes of a grant.

use globset::Glob;

use super::engine::Volume;
use crate::error::{Error, Kind, Result};
use crate::grant::{Choice, VolumePattern};

/// The volumes that are meant, in the order of their names. None only where one may be made.
pub(super) fn choose(choice: &Choice, there: &[Volume]) -> Result<Vec<Volume>> {
    let is_meant: Matcher<'_> = match choice {
        Choice::Existing(name) | Choice::Ensured(name) => {
            Box::new(move |volume| volume.name == *name)
        }
        Choice::One(pattern) | Choice::All(pattern) => matcher(pattern)?,
    };
    let mut meant: Vec<_> = there
        .iter()
        .filter(|volume| is_meant(volume))
        .cloned()
        .collect();
    meant.sort_by(|a, b| a.name.cmp(&b.name));
    match choice {
        Choice::Existing(name) if meant.is_empty() => Err(missing(name, there)),
        Choice::One(pattern) | Choice::All(pattern) if meant.is_empty() => {
            Err(missing(&shown(pattern), there))
        }
        Choice::One(pattern) if meant.len() > 1 => Err(Error::new(
            Kind::Config,
            format!(
                "{} volumes are {}: {}",
                meant.len(),
                shown(pattern),
                names(&meant)
            ),
        )
        .help("name one of them, or take them all with many = true")),
        _ => Ok(meant),
    }
}

type Matcher<'a> = Box<dyn Fn(&Volume) -> bool + 'a>;

fn matcher(pattern: &VolumePattern) -> Result<Matcher<'_>> {
    Ok(match pattern {
        VolumePattern::Label(label) => Box::new(move |volume| has_label(volume, label)),
        VolumePattern::Name(pattern) => {
            let glob = Glob::new(pattern).map_err(|cause| {
                Error::new(
                    Kind::Config,
                    format!("\"{pattern}\" is not a valid pattern"),
                )
                .caused_by(cause)
            })?;
            let matcher = glob.compile_matcher();
            Box::new(move |volume| matcher.is_match(&volume.name))
        }
    })
}

fn missing(what: &str, there: &[Volume]) -> Error {
    Error::new(Kind::NotFound, format!("there is no volume {what}")).help(match there {
        [] => "the engine has no volumes at all".to_owned(),
        there => format!("there are: {}", names(there)),
    })
}

fn has_label(volume: &Volume, label: &str) -> bool {
    match label.split_once('=') {
        Some((key, value)) => volume.labels.get(key).is_some_and(|found| found == value),
        None => volume.labels.contains_key(label),
    }
}

fn shown(pattern: &VolumePattern) -> String {
    match pattern {
        VolumePattern::Label(label) => format!("labelled {label}"),
        VolumePattern::Name(pattern) => format!("like {pattern}"),
    }
}

fn names(volumes: &[Volume]) -> String {
    let mut names: Vec<_> = volumes.iter().map(|volume| volume.name.as_str()).collect();
    names.sort_unstable();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose_names(choice: &Choice) -> Result<Vec<String>> {
        let there = ["shop_uploads", "shop_db", "blog_uploads"].map(|name| Volume {
            name: name.into(),
            mountpoint: "/nowhere".into(),
            labels: [("app".to_owned(), name[..4].to_owned())].into(),
        });
        let chosen = choose(choice, &there)?;
        Ok(chosen.into_iter().map(|volume| volume.name).collect())
    }

    #[test]
    fn a_volume_is_chosen_by_name_label_or_pattern() {
        let one = |choice| choose_names(&choice).expect("there is one");
        assert_eq!(one(Choice::Existing("shop_db".into())), ["shop_db"]);
        let label = VolumePattern::Label("app=blog".into());
        assert_eq!(one(Choice::One(label)), ["blog_uploads"]);
        let pattern = VolumePattern::Name("blog*".into());
        assert_eq!(one(Choice::One(pattern)), ["blog_uploads"]);
    }

    #[test]
    fn several_are_an_error_unless_all_are_wanted() {
        let uploads = VolumePattern::Name("*_uploads".into());
        let error = choose_names(&Choice::One(uploads.clone())).expect_err("there are two");
        assert_eq!(
            error.message(),
            "2 volumes are like *_uploads: blog_uploads, shop_uploads"
        );
        let both = choose_names(&Choice::All(uploads)).expect("there are two");
        assert_eq!(both, ["blog_uploads", "shop_uploads"]);
    }

    #[test]
    fn one_that_is_not_there_is_answered_with_those_that_are() {
        let error = choose_names(&Choice::Existing("shop".into())).expect_err("there is none");
        assert_eq!(error.message(), "there is no volume shop");
        assert_eq!(
            error.next_step(),
            Some("there are: blog_uploads, shop_db, shop_uploads")
        );
        let none = choose_names(&Choice::Ensured("shop".into())).expect("it can be made");
        assert!(none.is_empty());
    }
}
