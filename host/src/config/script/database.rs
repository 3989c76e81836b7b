//! The database of a script and its credentials: from the variables of the file, then of the container, then from an
//! address.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::Environment;
use crate::error::{Error, Kind, Result};
use crate::grant::Secret;

const USER: &str = "POSTGRES_USER";
const PASSWORDS: [&str; 2] = ["POSTGRES_PASSWORD", "POSTGRES_PASS"];
const DATABASES: [&str; 3] = ["POSTGRES_DB", "POSTGRES_DBNAME", "POSTGRES_DB_NAME"];
/// Where applications have the address of their database.
const ADDRESSES: [&str; 3] = ["DATABASE_URL", "DATABASE_URI", "POSTGRES_URL"];

/// The role that every image of `PostgreSQL` makes unless it is told another.
const DEFAULT_USER: &str = "postgres";

/// A database, and who connects to it.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) name: String,
    pub(super) user: String,
    pub(super) password: PasswordLocation,
    /// Its server, unless that is in a container.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
}

/// Where the password is.
#[derive(Debug)]
pub(super) enum PasswordLocation {
    /// Nowhere; the server asks for none, or libpq finds it by itself.
    None,
    /// In this variable of the file.
    Variable(&'static str),
    /// In this variable of the container.
    Inside(&'static str),
    /// In the address, and nowhere by itself.
    Address(Secret),
}

/// Whether the variables name a database.
pub(super) fn is_named(environment: &Environment) -> bool {
    has_parts(environment) || any(environment, &ADDRESSES)
}

/// The host in the address of the database, where the variables have no more than that.
pub(super) fn host_of_address(environment: &Environment) -> Result<Option<String>> {
    Ok(Address::alone(environment)?.and_then(|address| address.host))
}

/// Whether the variables say by themselves what an address says.
fn has_parts(environment: &Environment) -> bool {
    any(environment, &DATABASES) || any(environment, &[USER])
}

fn any(environment: &Environment, names: &[&str]) -> bool {
    names.iter().any(|name| environment.get(name).is_some())
}

impl Database {
    /// The one in a container that has these variables.
    pub(super) fn in_container(
        environment: &Environment,
        inside: &HashMap<String, String>,
    ) -> Result<Self> {
        let address = Address::alone(environment)?.unwrap_or_default();
        let of_container = |name: &str| inside.get(name).filter(|value| !value.is_empty());
        let variable = PASSWORDS
            .into_iter()
            .find(|name| environment.get(name).is_some());
        let inner = PASSWORDS
            .into_iter()
            .find(|name| of_container(name).is_some());
        let by_variable = variable.map(PasswordLocation::Variable);
        let by_container = inner.map(PasswordLocation::Inside);
        // A password goes with the user that stands beside it.
        let (user, password) = match (environment.get(USER), of_container(USER), address.user) {
            (Some(user), _, _) => (user.to_owned(), by_variable.or(by_container)),
            (None, Some(user), _) => (user.clone(), by_container.or(by_variable)),
            (None, None, Some(user)) => (user, address.password.map(PasswordLocation::Address)),
            (None, None, None) => (DEFAULT_USER.to_owned(), by_variable.or(by_container)),
        };
        let name = DATABASES.iter().find_map(|name| environment.get(name));
        let inner = || {
            DATABASES
                .iter()
                .find_map(|name| of_container(name))
                .cloned()
        };
        Ok(Self {
            name: name
                .map(str::to_owned)
                .or_else(inner)
                .or(address.database)
                // So do the images.
                .unwrap_or_else(|| user.clone()),
            user,
            password: password.unwrap_or(PasswordLocation::None),
            host: None,
            port: None,
        })
    }

    /// The one at the address that a variable has.
    pub(super) fn at_address(environment: &Environment) -> Result<Option<Self>> {
        let Some(address) = Address::of(environment)? else {
            return Ok(None);
        };
        let user = address.user.unwrap_or_else(|| DEFAULT_USER.to_owned());
        Ok(Some(Self {
            name: address.database.unwrap_or_else(|| user.clone()),
            user,
            password: address
                .password
                .map_or(PasswordLocation::None, PasswordLocation::Address),
            host: Some(address.host.unwrap_or_else(|| "localhost".to_owned())),
            port: address.port,
        }))
    }
}

/// A libpq address: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.
#[derive(Default)]
struct Address {
    user: Option<String>,
    password: Option<Secret>,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
}

impl Address {
    /// The one that counts, because nothing else names a database.
    fn alone(environment: &Environment) -> Result<Option<Self>> {
        if has_parts(environment) {
            return Ok(None);
        }
        Self::of(environment)
    }

    /// The first that a variable has. What is wrong with one is told without showing it, because of its password.
    fn of(environment: &Environment) -> Result<Option<Self>> {
        let set = |variable| Some((variable, environment.get(variable)?));
        let Some((variable, text)) = ADDRESSES.into_iter().find_map(set) else {
            return Ok(None);
        };
        let wrong = || {
            Error::new(
                Kind::Config,
                format!("{variable} is not postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
            )
        };
        let url = Url::parse(text).map_err(|_| wrong())?;
        if !["postgresql", "postgres"].contains(&url.scheme()) {
            return Err(wrong());
        }
        let decoded = |text: &str| -> Result<Option<String>> {
            let text = percent_decode_str(text)
                .decode_utf8()
                .map_err(|_| wrong())?;
            Ok(Some(text.into_owned()).filter(|text| !text.is_empty()))
        };
        let password = url.password().map(decoded).transpose()?.flatten();
        Ok(Some(Self {
            user: decoded(url.username())?,
            password: password.map(Secret::from),
            host: url.host_str().map(decoded).transpose()?.flatten(),
            port: url.port(),
            database: decoded(url.path().trim_start_matches('/'))?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    fn shown(database: &Database) -> String {
        let Database {
            name,
            user,
            password,
            host,
            port,
        } = database;
        let password = match password {
            PasswordLocation::Address(secret) => {
                String::from_utf8_lossy(secret.expose()).into_owned()
            }
            location => format!("{location:?}"),
        };
        format!("{name} {user} {password} {host:?} {port:?}")
    }

    #[test]
    fn the_file_comes_before_the_container_and_the_container_before_an_address() {
        let url = (
            "DATABASE_URL",
            "postgresql://app:p%40ss@postgres:5433/from%20url?schema=public",
        );
        let container = [
            ("POSTGRES_USER", "inner"),
            ("POSTGRES_PASS", "x"),
            ("POSTGRES_DBNAME", "of_container"),
        ];
        let file = [
            ("POSTGRES_USER", "tiles"),
            ("POSTGRES_PASSWORD", "y"),
            ("POSTGRES_DB", "timetiles"),
        ];
        let inside = |variables: &[(&str, &str)]| {
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        for (given, container, expected) in [
            (
                &[file[0], file[1], file[2], url][..],
                &container[..],
                "timetiles tiles Variable(\"POSTGRES_PASSWORD\")",
            ),
            (
                &[file[0]],
                &container,
                "of_container tiles Inside(\"POSTGRES_PASS\")",
            ),
            (
                &[file[0], file[1]],
                &[],
                "tiles tiles Variable(\"POSTGRES_PASSWORD\")",
            ),
            (
                &[url],
                &container,
                "of_container inner Inside(\"POSTGRES_PASS\")",
            ),
            (
                &[file[0], ("DATABASE_URL", "mysql://x")],
                &[],
                "tiles tiles None",
            ),
            (&[url], &[], "from url app p@ss"),
            (&[], &[], "postgres postgres None"),
        ] {
            let database = Database::in_container(&environment(given), &inside(container));
            assert_eq!(
                shown(&database.expect("it is fine")),
                format!("{expected} None None")
            );
        }
        let database = Database::at_address(&environment(&[url])).expect("it is fine");
        let database = database.expect("there is one");
        assert_eq!(
            shown(&database),
            "from url app p@ss Some(\"postgres\") Some(5433)"
        );
        assert!(!format!("{database:?}").contains("p@ss"));
    }

    #[test]
    fn an_address_that_is_none_is_named_and_not_shown() {
        for wrong in [
            "mysql://me:hunter2@host/db",
            "hunter2",
            "postgresql://me:hunter2@host:port/db",
        ] {
            let variables = environment(&[("DATABASE_URL", wrong)]);
            let error = Database::at_address(&variables).expect_err("it is wrong");
            let text = format!("{error:#}");
            assert!(
                text.starts_with("DATABASE_URL is not ") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }
}
