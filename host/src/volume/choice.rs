//! Which of the volumes that there are a grant means.

use globset::Glob;

use super::engine::Volume;
use crate::error::{Error, Kind, Result};
use crate::grant::{Choice, Volumes};

/// The volumes that are meant, in the order of their names. None only where one may be made.
pub(super) fn choose(wanted: &Volumes, there: &[Volume]) -> Result<Vec<Volume>> {
    let is_meant: Box<dyn Fn(&Volume) -> bool> = match &wanted.choice {
        Choice::Name(name) => Box::new(move |volume| volume.name == *name),
        Choice::Label(label) => Box::new(move |volume| has_label(volume, label)),
        Choice::Pattern(pattern) => {
            let glob = Glob::new(pattern).map_err(|cause| {
                Error::new(
                    Kind::Config,
                    format!("\"{pattern}\" is not a valid pattern: {cause}"),
                )
            })?;
            let matcher = glob.compile_matcher();
            Box::new(move |volume| matcher.is_match(&volume.name))
        }
    };
    let mut meant: Vec<_> = there
        .iter()
        .filter(|volume| is_meant(volume))
        .cloned()
        .collect();
    meant.sort_by(|a, b| a.name.cmp(&b.name));
    if meant.is_empty() && !wanted.create {
        let error = Error::new(
            Kind::NotFound,
            format!("there is no volume {}", shown(&wanted.choice)),
        );
        return Err(error.help(match there {
            [] => "the engine has no volumes at all".to_owned(),
            there => format!("there are: {}", names(there)),
        }));
    }
    if meant.len() > 1 && !wanted.many {
        return Err(Error::new(
            Kind::Config,
            format!(
                "{} volumes are {}: {}",
                meant.len(),
                shown(&wanted.choice),
                names(&meant)
            ),
        )
        .help("name one of them, or take them all with many = true"));
    }
    Ok(meant)
}

fn has_label(volume: &Volume, label: &str) -> bool {
    match label.split_once('=') {
        Some((key, value)) => volume.labels.get(key).is_some_and(|found| found == value),
        None => volume.labels.contains_key(label),
    }
}

fn shown(choice: &Choice) -> String {
    match choice {
        Choice::Name(name) => name.clone(),
        Choice::Label(label) => format!("labelled {label}"),
        Choice::Pattern(pattern) => format!("like {pattern}"),
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
    use crate::grant::{Access, Containers};

    fn choose_names(choice: Choice, many: bool) -> Result<Vec<String>> {
        let there = ["shop_uploads", "shop_db", "blog_uploads"].map(|name| Volume {
            name: name.into(),
            mountpoint: "/nowhere".into(),
            labels: [("app".to_owned(), name[..4].to_owned())].into(),
        });
        let wanted = Volumes {
            choice,
            many,
            create: false,
            containers: Containers::Run,
            before: None,
            after: None,
            engines: Vec::new(),
            access: Access::ReadOnly,
        };
        let chosen = choose(&wanted, &there)?;
        Ok(chosen.into_iter().map(|volume| volume.name).collect())
    }

    #[test]
    fn a_volume_is_chosen_by_name_label_or_pattern() {
        let one = |choice| choose_names(choice, false).expect("there is one");
        assert_eq!(one(Choice::Name("shop_db".into())), ["shop_db"]);
        assert_eq!(one(Choice::Label("app=blog".into())), ["blog_uploads"]);
        assert_eq!(one(Choice::Pattern("blog*".into())), ["blog_uploads"]);
    }

    #[test]
    fn several_are_an_error_unless_many_are_wanted() {
        let uploads = || Choice::Pattern("*_uploads".into());
        let error = choose_names(uploads(), false).expect_err("there are two");
        assert_eq!(
            error.message(),
            "2 volumes are like *_uploads: blog_uploads, shop_uploads"
        );
        let both = choose_names(uploads(), true).expect("there are two");
        assert_eq!(both, ["blog_uploads", "shop_uploads"]);
    }

    #[test]
    fn one_that_is_not_there_is_answered_with_those_that_are() {
        let error = choose_names(Choice::Name("shop".into()), true).expect_err("there is none");
        assert_eq!(error.message(), "there is no volume shop");
        assert_eq!(
            error.next_step(),
            Some("there are: blog_uploads, shop_db, shop_uploads")
        );
    }
}
