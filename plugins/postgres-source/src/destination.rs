//! The database that a dump is restored into. It is always named: libpq's default is the database with the user's
//! name, which is hardly ever meant.

use tthost_plugin::Error;

use crate::arguments;
use crate::capture::psql_lines;
use crate::config::{Config, Databases};

/// The destination of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// This database.
    Named(String),
    /// The database that the granted programs connect to by their environment. Dumps without a database name come from it.
    Connected,
}

impl Destination {
    /// The destination for the dump of this database. `None` for a file that names no database. The error is a
    /// sentence for the operator.
    pub(crate) fn of(
        database: Option<&str>,
        config: &Config,
        target: Option<&str>,
    ) -> Result<Self, String> {
        if let Some(target) = target {
            return Ok(Self::Named(target.to_owned()));
        }
        match (&config.databases, database) {
            (Databases::Named(names), Some(database))
                if names.iter().any(|name| name == database) =>
            {
                Ok(Self::Named(database.to_owned()))
            }
            // Another program or an earlier configuration has named the file differently.
            (Databases::Named(names), _) => match names.as_slice() {
                [only] => Ok(Self::Named(only.clone())),
                names => Err(format!(
                    "the source has several databases: name the one to restore into with --target ({})",
                    names.join(", ")
                )),
            },
            (Databases::Default | Databases::All, Some(database)) => {
                Ok(Self::Named(database.to_owned()))
            }
            (Databases::Default, None) => Ok(Self::Connected),
            (Databases::All, None) => {
                Err("it names no database: name the one to restore into with --target".into())
            }
        }
    }

    /// The name of the database.
    pub(crate) async fn name(&self) -> Result<String, Error> {
        match self {
            Self::Named(name) => Ok(name.clone()),
            Self::Connected => connected().await,
        }
    }
}

/// Asks the server.
async fn connected() -> Result<String, Error> {
    let answer = psql_lines(arguments::connected()).await;
    let answer = answer.map_err(|error| match error {
        Error::Denied(text) => Error::Denied(format!(
            "{text}; without it, name the database to restore into with --target"
        )),
        Error::Other(text) => Error::Other(format!(
            "{text}; name the database to restore into with --target if it is missing"
        )),
        error => error,
    })?;
    chosen(&answer)
}

/// The database of this answer, unless it is only libpq's default.
fn chosen(answer: &[String]) -> Result<String, Error> {
    match answer {
        [named, database, role] if named == "TRUE" || database != role => Ok(database.clone()),
        [_, database, _] => Err(Error::Config(format!(
            "nothing names the database to restore into, and psql would take {database} because its user is called so: name \
             it with --target, in databases of the source, or with PGDATABASE"
        ))),
        _ => Err(Error::Other(
            "psql does not tell which database it is connected to".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(
        json: &str,
        database: Option<&str>,
        target: Option<&str>,
    ) -> Result<Destination, String> {
        let config = Config::parse(json).expect("it is a config");
        Destination::of(database, &config, target)
    }

    #[test]
    fn a_dump_goes_where_the_target_the_source_or_its_own_name_says() {
        let named = |name: &str| Ok(Destination::Named(name.to_owned()));
        let one = r#"{"databases": ["shop"]}"#;
        let two = r#"{"databases": ["shop", "blog"]}"#;
        let all = r#"{"databases": "all"}"#;
        for (json, database, target, expected) in [
            (one, Some("shop"), None, named("shop")),
            (one, None, None, named("shop")),
            (one, Some("timetiles"), None, named("shop")),
            (one, None, Some("copy"), named("copy")),
            (two, Some("blog"), None, named("blog")),
            (two, None, Some("copy"), named("copy")),
            (all, Some("blog"), None, named("blog")),
            ("{}", Some("blog"), None, named("blog")),
            ("{}", None, None, Ok(Destination::Connected)),
            ("{}", None, Some("copy"), named("copy")),
        ] {
            assert_eq!(
                destination(json, database, target),
                expected,
                "{json} {database:?}"
            );
        }
    }

    #[test]
    fn where_it_cannot_be_told_the_error_lists_what_there_is() {
        for database in [None, Some("timetiles")] {
            let error = destination(r#"{"databases": ["shop", "blog"]}"#, database, None);
            let error = error.expect_err("there are two");
            assert!(error.contains("--target (shop, blog)"), "{error}");
        }
    }

    #[test]
    fn a_database_that_is_only_called_like_the_user_was_chosen_by_nobody() {
        let answer = |lines: [&str; 3]| chosen(&lines.map(str::to_owned));
        assert!(matches!(answer(["TRUE", "shop", "shop"]), Ok(name) if name == "shop"));
        assert!(matches!(answer(["FALSE", "shop", "clerk"]), Ok(name) if name == "shop"));
        let Err(Error::Config(text)) = answer(["FALSE", "shop", "shop"]) else {
            panic!("nobody chose it");
        };
        assert!(text.contains("--target"), "{text}");
    }
}
