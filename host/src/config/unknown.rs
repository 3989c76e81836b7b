//! Variables that look like variables of this program or of restic, and have no effect.

use super::Environment;

/// How their names begin.
const OURS: [&str; 2] = ["TTHOST_*", "RESTIC_*"];

/// Those that are read.
const KNOWN: [&str; 14] = [
    "RESTIC_CACERT",
    "RESTIC_HOST",
    "RESTIC_OFFSITE_PASSWORD",
    "RESTIC_OFFSITE_PASSWORD_FILE",
    "RESTIC_OFFSITE_REPOSITORY",
    "RESTIC_PASSWORD",
    "RESTIC_PASSWORD_COMMAND",
    "RESTIC_PASSWORD_FILE",
    "RESTIC_REPOSITORY",
    "RESTIC_REPOSITORY_FILE",
    "TTHOST_CACHE_DIR",
    "TTHOST_CONFIG",
    "TTHOST_ENV_FILE",
    "TTHOST_STATE_DIR",
];

/// The names of those that are set. What the text of the configuration mentions is read because of that.
pub(super) fn unknown(environment: &Environment, text: &str) -> Vec<String> {
    if OURS.iter().any(|all| text.contains(all)) {
        return Vec::new();
    }
    let set = OURS.iter().flat_map(|ours| environment.matching(ours));
    let unknown = set.filter(|(name, value)| {
        !value.is_empty() && !KNOWN.contains(name) && !text.contains(*name)
    });
    unknown.map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_nothing_reads_is_found_unless_the_configuration_speaks_of_it() {
        let names = [
            "RESTIC_COMPRESSION",
            "RESTIC_HOST",
            "RESTIC_EMPTY",
            "TTHOST_STATEDIR",
            "PATH",
        ];
        let value = |name: &str| if name == "RESTIC_EMPTY" { "" } else { "x" };
        let environment: Environment = names
            .iter()
            .map(|name| ((*name).to_owned(), value(name).to_owned()))
            .collect();
        assert_eq!(
            unknown(&environment, ""),
            ["TTHOST_STATEDIR", "RESTIC_COMPRESSION"]
        );
        let mentioned = "env = \"RESTIC_COMPRESSION\"";
        assert_eq!(unknown(&environment, mentioned), ["TTHOST_STATEDIR"]);
    }
}
