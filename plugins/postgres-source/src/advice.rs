//! Advice on server errors that happen when a dump is restored on another server.

use crate::config::Format;

/// Advice for a message of `psql` or `pg_restore`. `None` for unknown messages, and for servers with another language.
pub(crate) fn advice(said: &str, format: Format) -> Option<String> {
    // Only pg_restore can omit owners. In SQL they are present or not.
    let without = match format {
        Format::Plain => {
            "dump again with no-owner = true and no-privileges = true in the source's config"
        }
        Format::Custom | Format::Tar => {
            "set no-owner = true and no-privileges = true in the source's config"
        }
    };
    let says = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    if said.contains("role \"") && said.contains("\" does not exist") {
        Some(format!(
            "the server lacks a role that the dump names: create it (globals = true dumps roles), or {without}"
        ))
    } else if says(&[
        "must be owner of",
        "must be member of role",
        "must be able to SET ROLE",
        "must be superuser",
        "permission denied",
    ]) {
        Some(format!(
            "the role that restores lacks a right: restore as the owner or a superuser (--role, restore-role), or {without}"
        ))
    } else if says(&["unrecognized configuration parameter"]) {
        Some("the server is older than the dump: restore into a server of the dump's version or a later one".into())
    } else if says(&["unsupported version (", "unrecognized archive format"]) {
        Some("the archive is newer than pg_restore: grant a pg_restore of the version of pg_dump or a later one".into())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_another_server_gets_advice_that_names_the_option() {
        for (said, names) in [
            (r#"ERROR:  role "alice" does not exist"#, "globals = true"),
            (r#"ERROR:  role "alice" does not exist"#, "no-owner = true"),
            (
                r#"ERROR:  must be able to SET ROLE "alice""#,
                "no-owner = true",
            ),
            ("ERROR:  must be owner of table t", "superuser"),
            (
                "ERROR:  permission denied for schema public",
                "no-privileges = true",
            ),
            (
                r#"ERROR:  unrecognized configuration parameter "transaction_timeout""#,
                "older than the dump",
            ),
            (
                "pg_restore: error: unsupported version (1.16) in file header",
                "a later one",
            ),
        ] {
            for format in Format::ALL {
                let advice = advice(said, format).expect(said);
                assert!(advice.contains(names), "{said}: {advice}");
            }
        }
        let missing = advice(r#"role "a" does not exist"#, Format::Plain).expect("it is known");
        assert!(missing.contains("dump again"), "{missing}");
        assert_eq!(
            advice("ERROR:  relation \"t\" already exists", Format::Plain),
            None
        );
    }
}
