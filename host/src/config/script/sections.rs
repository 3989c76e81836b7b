//! The sections of the file for the script's sources and jobs.

use std::path::Path;

use super::database::PasswordLocation;
use super::{PostgresLocation, Script};
use crate::config::init::SCHEDULE;
use crate::grant::Secret;
use crate::text::printable;

/// The programs that postgres-source runs.
const PROGRAMS: [&str; 4] = ["pg_dump", "psql", "pg_restore", "pg_dumpall"];

impl Script {
    /// A password that no variable has by itself, for a file of its own.
    pub fn database_password(&self) -> Option<&Secret> {
        match &self.database.password {
            PasswordLocation::Address(password) => Some(password),
            PasswordLocation::None
            | PasswordLocation::Variable(_)
            | PasswordLocation::Inside(_) => None,
        }
    }

    /// The sources, which carry on what the script has stored. The password of the database is in `password_file`, if it has
    /// to be in one.
    pub(in crate::config) fn sources(&self, password_file: &Path) -> String {
        self.database_source(password_file) + &self.uploads_source()
    }

    /// The jobs, called by the script's words.
    pub(in crate::config) fn jobs(&self, local: &str, offsite: Option<&str>) -> String {
        let all: &[&str] = match self.uploads {
            Some(_) => &["db", "uploads"],
            None => &["db"],
        };
        let every_night: Vec<_> = std::iter::once(local).chain(offsite).collect();
        let job = |name: &str, sources: &[&str], sinks: &[&str]| {
            let (sources, sinks) = (list(sources), list(sinks));
            format!("[jobs.{name}]\nsources = {sources}\nsinks = {sinks}\n")
        };
        let comment =
            "\n# Jobs: sources and sinks that run together with `tthost run --job NAME`.\n";
        let full = comment.to_owned() + &job("full", all, &every_night) + SCHEDULE;
        let hint = match offsite {
            Some(offsite) => format!("\n# These store in {offsite} too with `--offsite`."),
            None => String::new(),
        };
        let single = all.iter().map(|source| job(source, &[source], &[local]));
        let single: Vec<_> = single.collect();
        full + &hint + "\n" + &single.join("\n")
    }

    fn database_source(&self, password_file: &Path) -> String {
        let commands = PROGRAMS.map(|program| self.command(program, password_file));
        format!(
            r#"
# The database. Tag and file name are the script's, so that its snapshots go on with these.
[sources.db]
plugin = "postgres-source"
tags = ["db"]
config = {{ databases = {}, file = "database.sql", clean = true }}

{}{}"#,
            list(&[&self.database.name]),
            self.comment(),
            commands.join("\n")
        )
    }

    /// What is to be known of the programs.
    fn comment(&self) -> String {
        let PostgresLocation::Container {
            container,
            has_compose,
        } = &self.location
        else {
            return String::new();
        };
        let mut comment = "# The programs run in the container of the database.\n".to_owned();
        comment += match self.database.password {
            PasswordLocation::None => "",
            PasswordLocation::Inside(_) => {
                "# They take the password from a variable of the container.\n"
            }
            PasswordLocation::Variable(_) | PasswordLocation::Address(_) => {
                "# The password is in no argument, where every user of this machine could read it: docker takes a\n\
                 # variable without a value from its own.\n"
            }
        };
        if let (false, Some(compose)) = (has_compose, &container.compose) {
            let files = compose.files.iter();
            let files: Vec<_> = files.map(|file| format!("-f {}", file.display())).collect();
            comment += &printable(&format!(
                "# Where docker has its plugin compose, `docker compose {} exec -T` and the service {} do the same",
                files.join(" "),
                compose.service
            ));
            comment += "\n# as `docker exec -i` and the container, whatever that is called.\n";
        }
        comment
    }

    /// The grant of a program.
    fn command(&self, program: &str, password_file: &Path) -> String {
        let argv = list(&self.argv(program));
        let env = self.env(password_file);
        let inherited: &[&str] = match self.location {
            PostgresLocation::Container { .. } => &["DOCKER_*", "HOME"],
            PostgresLocation::Local => &["HOME"],
        };
        format!(
            "[sources.db.grants.commands.{program}]\nargv = {argv}\n{}inherit = {}\n",
            env.map(|env| format!("env = {env}\n")).unwrap_or_default(),
            list(inherited)
        )
    }

    /// A program with the arguments that make it run where the database is.
    fn argv(&self, program: &str) -> Vec<String> {
        let PostgresLocation::Container {
            container,
            has_compose,
        } = &self.location
        else {
            return vec![program.to_owned()];
        };
        let mut argv = vec!["docker".to_owned()];
        let mut push = |words: &[&str]| argv.extend(words.iter().map(|word| (*word).to_owned()));
        let name = match &container.compose {
            Some(compose) if *has_compose => {
                push(&["compose", "--project-name", &compose.project]);
                for file in &compose.variables {
                    push(&["--env-file", &file.to_string_lossy()]);
                }
                for file in &compose.files {
                    push(&["-f", &file.to_string_lossy()]);
                }
                push(&["exec", "-T"]);
                &compose.service
            }
            _ => {
                push(&["exec", "-i"]);
                &container.name
            }
        };
        push(&[
            "-e",
            "PGHOST=localhost",
            "-e",
            &format!("PGUSER={}", self.database.user),
        ]);
        match self.database.password {
            PasswordLocation::Variable(_) | PasswordLocation::Address(_) => {
                push(&["-e", "PGPASSWORD", name]);
            }
            PasswordLocation::Inside(variable) => {
                let script = format!("PGPASSWORD=\"${variable}\" exec \"$0\" \"$@\"");
                push(&[name, "sh", "-c", &script]);
            }
            PasswordLocation::None => push(&[name]),
        }
        push(&[program]);
        argv
    }

    /// The variables of the program on this machine, as a table.
    fn env(&self, password_file: &Path) -> Option<String> {
        let mut variables = Vec::new();
        let database = &self.database;
        if let (PostgresLocation::Local, Some(host)) = (&self.location, &database.host) {
            variables.push(format!("PGHOST = {}", text(host)));
            let port = database.port.map(|port| format!("PGPORT = \"{port}\""));
            variables.extend(port);
            variables.push(format!("PGUSER = {}", text(&database.user)));
        }
        match &database.password {
            PasswordLocation::Variable(variable) => {
                variables.push(format!("PGPASSWORD = {{ env = \"{variable}\" }}"));
            }
            PasswordLocation::Address(_) => {
                let file = text(&password_file.to_string_lossy());
                variables.push(format!("PGPASSWORD = {{ file = {file} }}"));
            }
            PasswordLocation::Inside(_) | PasswordLocation::None => {}
        }
        (!variables.is_empty()).then(|| format!("{{ {} }}", variables.join(", ")))
    }

    fn uploads_source(&self) -> String {
        let Some(uploads) = &self.uploads else {
            return String::new();
        };
        let volume = match &uploads.pattern {
            Some(pattern) => format!("volume-pattern = {}", text(pattern)),
            None => format!("volume = {}", text(&uploads.volume)),
        };
        format!(
            r#"
# The files of the volume. Tag and path are the script's.
[sources.uploads]
plugin = "volume-source"
tags = ["uploads"]
grants.trees.files = {{ {volume}, stored-as = "/data" }}
# The script's snapshots name another host each time. They grow old together with the new ones.
retention.group-by = []
"#
        )
    }
}

/// A text of TOML.
fn text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A list of texts of TOML.
fn list(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<_> = texts.iter().map(|item| text(item.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::database::Database;
    use super::super::services::Uploads;
    use super::*;
    use crate::config::{Config, Environment};
    use crate::plugin::Role;
    use crate::volume::{ComposeService, RunningContainer};

    fn script(password: PasswordLocation, location: PostgresLocation) -> Script {
        let is_here = matches!(location, PostgresLocation::Local);
        Script {
            database: Database {
                name: "time\"tiles".into(),
                user: "tiles".into(),
                password,
                host: is_here.then(|| "db.example.com".into()),
                port: is_here.then_some(5433),
            },
            location,
            uploads: Some(Uploads {
                volume: "live_uploads".into(),
                pattern: Some("live*uploads*".into()),
            }),
        }
    }

    fn container(has_compose: bool) -> PostgresLocation {
        PostgresLocation::Container {
            container: RunningContainer {
                name: "live-postgres-1".into(),
                image: "postgres".into(),
                compose: Some(ComposeService {
                    project: "live".into(),
                    service: "postgres".into(),
                    files: vec!["/srv/my live/compose.yaml".into()],
                    variables: vec!["/srv/my live/.env.production".into()],
                }),
            },
            has_compose,
        }
    }

    /// How `pg_dump` is run, with the names of its variables.
    fn dump(script: &Script) -> (String, Vec<String>) {
        let directory = tempfile::tempdir().expect("there is room");
        let file = directory.path().join("password");
        std::fs::write(&file, "hunter2").expect("there is room");
        let local = "\n[sinks.restic-local]\nplugin = \"restic-sink\"\n";
        let text = script.sources(&file) + local + &script.jobs("restic-local", None);
        assert!(!text.contains("hunter2"), "{text}");
        let variables = [("POSTGRES_PASS".to_owned(), "hunter2".to_owned())];
        let environment: Environment = variables.into_iter().collect();
        let config = Config::parse(&text, None, environment).expect(&text);
        let spec = config.spec(Role::Source, "db").expect(&text);
        assert_eq!(spec.config["databases"][0], "time\"tiles");
        let command = &spec.grants.commands["pg_dump"];
        let words: Vec<_> = std::iter::once(&command.program)
            .chain(&command.arguments)
            .cloned()
            .collect();
        let names = command.env.keys().filter(|name| *name != "PATH");
        (words.join("|"), names.cloned().collect())
    }

    #[test]
    fn the_programs_run_where_the_database_is_and_no_argument_has_the_password() {
        let variable = || PasswordLocation::Variable("POSTGRES_PASS");
        let (argv, names) = dump(&script(variable(), container(true)));
        let expected = "docker|compose|--project-name|live|--env-file|/srv/my live/.env.production|\
                        -f|/srv/my live/compose.yaml|exec|-T|\
                        -e|PGHOST=localhost|-e|PGUSER=tiles|-e|PGPASSWORD|postgres|pg_dump";
        assert_eq!(
            (argv.as_str(), names),
            (expected, vec!["PGPASSWORD".to_owned()])
        );

        let (argv, names) = dump(&script(
            PasswordLocation::Inside("POSTGRES_PASS"),
            container(false),
        ));
        let expected = "docker|exec|-i|-e|PGHOST=localhost|-e|PGUSER=tiles|live-postgres-1|\
                        sh|-c|PGPASSWORD=\"$POSTGRES_PASS\" exec \"$0\" \"$@\"|pg_dump";
        assert_eq!((argv.as_str(), names.len()), (expected, 0));

        let password = PasswordLocation::Address(Secret::from("hunter2".to_owned()));
        let (argv, names) = dump(&script(password, PostgresLocation::Local));
        assert_eq!(argv, "pg_dump");
        assert_eq!(names, ["PGHOST", "PGPASSWORD", "PGPORT", "PGUSER"]);
    }

    #[test]
    fn a_job_has_the_scripts_word_and_the_one_of_every_night_stores_offsite() {
        let mut script = script(PasswordLocation::None, container(false));
        let jobs = script.jobs("local", Some("offsite"));
        let [full, db, uploads] = ["full", "db", "uploads"].map(|name| format!("[jobs.{name}]\n"));
        assert!(
            jobs.contains(
                &(full.clone()
                    + "sources = [\"db\", \"uploads\"]\nsinks = [\"local\", \"offsite\"]\n")
            ),
            "{jobs}"
        );
        assert!(
            jobs.contains(&(db + "sources = [\"db\"]\nsinks = [\"local\"]\n")),
            "{jobs}"
        );
        assert!(jobs.contains(&uploads), "{jobs}");
        script.uploads = None;
        let jobs = script.jobs("local", None);
        assert!(
            jobs.contains(&(full + "sources = [\"db\"]\nsinks = [\"local\"]\n")),
            "{jobs}"
        );
        assert!(!jobs.contains(&uploads), "{jobs}");
    }
}
