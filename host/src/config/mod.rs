//! The configuration: `tthost.toml` and the environment, made into plugin specs.
//!
//! | module | holds |
//! |---|---|
//! | `file` | the file as it is written |
//! | `alert` | whom to tell, as it is written, and from there to alerts |
//! | `retention` | retention policies |
//! | `quantity` | sizes and durations as people write them |
//! | `environment` | the variables that are looked at |
//! | `dotenv` | files of variables |
//! | `builtin` | what exists without a file |
//! | `offsite` | the sink in S3 that exists without a file |
//! | `places` | where state and copies are kept |
//! | `lower` | from the file's words to grants and secrets |
//! | `plan` | from a request, by names of the configuration, to the plan of an operation |
//! | `watch` | what the history and the alerts have to know |
//! | `init` | a first configuration |
//! | `script` | the sources and jobs of a shell script, for a first configuration |

mod alert;
mod builtin;
mod dotenv;
mod environment;
mod file;
mod init;
mod lower;
mod offsite;
mod places;
mod plan;
mod quantity;
mod retention;
mod script;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::grant::Grants;
use crate::plugin::{Origin, Role, Spec, bundled};

use builtin::Builtin;
pub use environment::Environment;
pub use file::{File, Job};
pub use init::InitRequest;
pub use lower::parse_pin;
pub use plan::{
    BackupRequest, CheckRequest, CopyRequest, FilterRequest, ForgetRequest, PruneRequest,
    ReadRequest, ReadSubset, RestoreRequest, RestoreTarget, RunRequest, SinkRequest, TimerRequest,
    Work,
};
pub use retention::Retention;
pub use script::{Overrides, Question, Script};

/// Where the configuration is looked for when nobody names a file.
const PLACES: [&str; 2] = ["tthost.toml", "/etc/tthost/tthost.toml"];

/// The configuration as it applies.
#[derive(Debug)]
pub struct Config {
    file: File,
    /// What relative paths are relative to.
    base: PathBuf,
    /// The file that it came from; none without one.
    pub path: Option<PathBuf>,
    environment: Environment,
    builtin: Builtin,
}

impl Config {
    /// Reads the named file, else the first that is there of `TTHOST_CONFIG`,
    /// `./tthost.toml` and `/etc/tthost/tthost.toml`, else none.
    pub fn load(named: Option<&Path>, environment: Environment) -> Result<Self> {
        let named = named
            .map(Path::to_owned)
            .or_else(|| environment.get("TTHOST_CONFIG").map(PathBuf::from));
        let path = named.or_else(|| PLACES.iter().map(PathBuf::from).find(|path| path.exists()));
        let text = match &path {
            Some(path) => std::fs::read_to_string(path).map_err(|cause| {
                let text = format!("the configuration {} cannot be read", path.display());
                Error::new(Kind::Config, text).caused_by(cause)
            })?,
            None => String::new(),
        };
        Self::parse(&text, path, environment)
    }

    /// Makes sense of the text of a configuration.
    pub fn parse(text: &str, path: Option<PathBuf>, mut environment: Environment) -> Result<Self> {
        let shown = path.as_deref().unwrap_or(Path::new("tthost.toml"));
        let mut file: File = toml::from_str(text).map_err(|cause| explain(shown, text, &cause))?;
        let base = path
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""))
            .to_owned();
        if let Some(variables) = &file.env_file
            && environment.file().is_none()
        {
            environment.add_file(&base.join(variables))?;
        }
        file.retention.apply(&environment)?;
        let builtin = builtin::add(&mut file, &environment);
        let config = Self {
            file,
            base,
            path,
            environment,
            builtin,
        };
        config.check_references()?;
        Ok(config)
    }

    /// The file with what exists without one, for `config show`.
    pub fn effective(&self) -> &File {
        &self.file
    }

    /// The variables that are looked at.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Where this user's state is kept.
    pub fn state_directory(&self) -> Result<PathBuf> {
        places::state(&self.environment)
    }

    /// Where compiled plugins are kept.
    pub fn cache_directory(&self) -> Result<PathBuf> {
        places::cache(&self.environment)
    }

    /// The names of all sources or sinks.
    pub fn names(&self, role: Role) -> Vec<&str> {
        let names = self.file.names(role).into_iter().map(String::as_str);
        let unusable = self.builtin.offsite.as_ref();
        let unusable = unusable
            .filter(|_| role == Role::Sink)
            .map(|_| offsite::SINK);
        names.chain(unusable).collect()
    }

    /// All sources and sinks, with their secrets. Those that exist without a configuration file
    /// are left out where something is missing for them: not everybody uses them.
    pub fn specs(&self) -> Result<Vec<Spec>> {
        let mut specs = Vec::new();
        for role in [Role::Source, Role::Sink] {
            for name in self.names(role) {
                match self.spec(role, name) {
                    Err(_) if self.is_builtin(role, name) => {}
                    spec => specs.push(spec?),
                }
            }
        }
        Ok(specs)
    }

    fn is_builtin(&self, role: Role, name: &str) -> bool {
        let is_it = |(of, added): &(Role, String)| *of == role && added == name;
        self.builtin.added.iter().any(is_it) || self.unusable(role, name).is_some()
    }

    /// Why a sink cannot be used that the environment names.
    fn unusable(&self, role: Role, name: &str) -> Option<&Error> {
        let offsite = self.builtin.offsite.as_ref();
        offsite.filter(|_| role == Role::Sink && name == offsite::SINK)
    }

    /// The plugin that a name means, and what it is granted: that of a source or a sink, a bundled
    /// one, or a file.
    pub fn find_plugin(&self, name: &str) -> Result<(Origin, Grants)> {
        for role in [Role::Source, Role::Sink] {
            if self.names(role).contains(&name) {
                let spec = self.spec(role, name)?;
                return Ok((spec.origin, spec.grants));
            }
        }
        if bundled().iter().any(|plugin| plugin.name == name) {
            return Ok((Origin::Bundled(name.into()), Grants::default()));
        }
        if Path::new(name).exists() {
            let file = Origin::File {
                path: name.into(),
                sha256: None,
            };
            return Ok((file, Grants::default()));
        }
        Err(Error::new(
            Kind::NotFound,
            format!("{name} is not a source, a sink, a bundled plugin or a file"),
        )
        .help("`tthost plugin list` lists all plugins"))
    }

    /// Whether a run without a snapshot in this sink has failed.
    fn is_required(&self, sink: &str) -> bool {
        let sinks = &self.file.sinks;
        let otherwise = self.unusable(Role::Sink, sink).is_none();
        sinks.get(sink).map_or(otherwise, |sink| sink.required)
    }

    /// The tags that the snapshots of a source bear, and by which they are found again.
    fn tags(&self, source: &str) -> Vec<String> {
        let named = self.file.sources.get(source).map(|source| &source.tags);
        match named {
            Some(tags) if !tags.is_empty() => tags.clone(),
            _ => vec![source.to_owned()],
        }
    }

    /// The job of this name.
    fn job(&self, name: &str) -> Result<&Job> {
        self.file.jobs.get(name).ok_or_else(|| {
            let names: Vec<_> = self.file.jobs.keys().map(String::as_str).collect();
            unknown("job", name, &names)
        })
    }

    /// What the source or sink of this name is and may, with its secrets.
    pub fn spec(&self, role: Role, name: &str) -> Result<Spec> {
        let short = || match role {
            Role::Source => builtin::source(name),
            Role::Sink => None,
        };
        if let Some(error) = self.unusable(role, name) {
            return Err(error.clone());
        }
        let found = match self.file.find(role, name) {
            Some(found) => found,
            None => short()
                .ok_or_else(|| unknown(word(role), name, &self.names(role)))
                .flatten()?,
        };
        lower::spec(role, name, &found, &self.base, &self.environment)
            .map_err(|error| error.of(format!("{} {name}", word(role))))
    }

    fn check_references(&self) -> Result<()> {
        for (name, job) in &self.file.jobs {
            let of_job = |error: Error| error.of(format!("job {name}"));
            for (role, names) in [(Role::Source, &job.sources), (Role::Sink, &job.sinks)] {
                if names.is_empty() {
                    let empty = Error::new(Kind::Config, format!("it has no {}s", word(role)));
                    return Err(of_job(empty.help(format!(
                        "add {}s = [\"NAME\"] to [jobs.{name}]",
                        word(role)
                    ))));
                }
                let known = self.names(role);
                let is_known = |name: &String| {
                    known.contains(&name.as_str())
                        || (role == Role::Source && builtin::source(name).is_some())
                };
                if let Some(missing) = names.iter().find(|name| !is_known(name)) {
                    return Err(of_job(unknown(word(role), missing, &known)));
                }
            }
            job.timing().map_err(of_job)?;
            watch::stale_after(job).map_err(of_job)?;
        }
        for (name, alert) in &self.file.alerts {
            let of_alert = |error: Error| error.of(format!("alert {name}"));
            alert.check(&self.file.jobs).map_err(of_alert)?;
        }
        Ok(())
    }
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Source => "source",
        Role::Sink => "sink",
    }
}

fn unknown(what: &str, name: &str, names: &[&str]) -> Error {
    let help = if names.is_empty() {
        format!("the configuration has none; add [{what}s.{name}]")
    } else {
        format!("there are: {}", names.join(", "))
    };
    Error::new(Kind::Config, format!("there is no {what} {name}")).help(help)
}

/// An error of the TOML, with the line that it is in. The text of the file is not quoted, but for a key: any value may be
/// a secret, put where it does not belong.
fn explain(path: &Path, text: &str, cause: &toml::de::Error) -> Error {
    let shown = path.display();
    let message = without_value(cause.message());
    let place = match cause.span() {
        Some(span) => {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count();
            // What is no TOML at all can be wrong anywhere, also in the middle of a text.
            let is_toml = text.parse::<toml::Table>().is_ok();
            let key = text.lines().nth(line).filter(|_| is_toml).and_then(key);
            let of = key.map(|key| format!(" ({key})")).unwrap_or_default();
            format!("{shown} line {}{of}: {message}", line + 1)
        }
        None => format!("{shown}: {message}"),
    };
    Error::new(Kind::Config, place).help("`tthost config schema` prints all keys")
}

/// The key that a line of TOML begins with.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (!key.is_empty() && key.chars().all(is_bare)).then_some(key)
}

/// A message of serde's without the value that it quotes.
fn without_value(message: &str) -> String {
    let kind = ["invalid type: ", "invalid value: "]
        .into_iter()
        .find_map(|fault| {
            let (found, expected) = message.strip_prefix(fault)?.rsplit_once(", expected ")?;
            let kind = found.split(['"', '`']).next()?.trim_end();
            Some(format!("{fault}{kind}, expected {expected}"))
        });
    kind.unwrap_or_else(|| message.to_owned())
}

/// Sorted by name.
type Named<T> = BTreeMap<String, T>;

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    fn parse(text: &str) -> Result<Config> {
        Config::parse(text, Some("/etc/tthost.toml".into()), environment(&[]))
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = parse("[sources.db]\nplugin = \"postgres-source\"\nplugn = 1\n")
            .expect_err("there is no plugn");
        assert!(
            error
                .message()
                .starts_with("/etc/tthost.toml line 3 (plugn): unknown field `plugn`"),
            "{error}"
        );
    }

    #[test]
    fn a_value_that_may_be_a_secret_is_never_quoted() {
        let section = "[sinks.s3]\nplugin = \"s3-sink\"\n";
        for (line, told) in [
            (
                "grants.secrets.password = \"hunter2\"",
                "(grants.secrets.password): invalid type: string, expected the place of a secret",
            ),
            (
                "grants.secrets.password = 7502",
                "line 3 (grants.secrets.password): invalid type: integer, expected",
            ),
            ("grants.secrets.password = { file = 7502 }", "line 3"),
            (
                "grants.commands.x = { argv = [\"a\"], env = { PGPASSWORD = 7502 } }",
                "a variable is a text",
            ),
            (
                "grants.commands.x = { argv = [\"a\"], env = \"hunter2\" }",
                "line 3",
            ),
            (
                "grants.commands.x = { argv = \"PGPASSWORD=hunter2\" }",
                "line 3",
            ),
            (
                "grants.commands.x.argv = [\n7502,\n{ hunter2 = \"hunter2\" }]",
                "line 4",
            ),
            ("limits = \"hunter2, expected hunter2\"", "line 3 (limits)"),
            ("required = \"hunter2\"", "line 3 (required)"),
            ("grants.secrets.password = hunter2", "line 3"),
            (
                "grants.secrets.password = \"\"\"\nhunter2=\\q\"\"\"",
                "line 4",
            ),
            ("grants.secrets.password = { env = \"hunter2", "line 3"),
        ] {
            let error = parse(&format!("{section}{line}\n")).expect_err(line);
            let message = format!("{error:#} {error:?}");
            assert!(message.contains(told), "{line}: {message}");
            assert!(
                !message.contains("hunter2") && !message.contains("7502"),
                "{line}: {message}"
            );
        }
    }

    #[test]
    fn a_secret_in_the_place_of_a_variables_name_is_not_shown() {
        for (name, shown) in [("hunter2", "the variable in `env`"), ("NO_SUCH", "NO_SUCH")] {
            let text = format!(
                "[sinks.local]\nplugin = \"restic-sink\"\ngrants.secrets.password = {{ env = \"{name}\" }}\n"
            );
            let config = parse(&text).expect("it is TOML");
            let error = config.spec(Role::Sink, "local").expect_err("it is not set");
            let expected = format!("the secret password comes from {shown}, which is not set");
            assert_eq!(error.message(), expected);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn the_file_of_variables_that_the_configuration_names_is_read_unless_another_was() {
        let directory = tempfile::tempdir().expect("there is room");
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).expect("there is room");
        };
        write(".env", "RESTIC_REPOSITORY=/srv/of the file\n");
        write("other", "RESTIC_PASSWORD=x\n");
        let path = directory.path().join("tthost.toml");
        let repository = |environment: Environment| {
            let config = Config::parse("env-file = \".env\"", Some(path.clone()), environment);
            let config = config.expect("it is fine");
            config
                .environment()
                .get("RESTIC_REPOSITORY")
                .map(str::to_owned)
        };
        assert_eq!(
            repository(environment(&[])).as_deref(),
            Some("/srv/of the file")
        );
        let mut other = environment(&[]);
        other
            .add_file(&directory.path().join("other"))
            .expect("it can be read");
        assert_eq!(repository(other), None);
    }

    #[test]
    fn a_tree_can_be_stored_under_another_path() {
        let shown = |tree: &str| {
            let text = format!(
                "[sources.files]\nplugin = \"volume-source\"\ngrants.trees.files = {{ {tree} }}\n"
            );
            let grants = parse(&text)
                .expect("it is TOML")
                .spec(Role::Source, "files")?
                .grants;
            let volumes = grants.volumes.into_values().map(|volumes| volumes.shown_as);
            let paths = grants.trees.into_values().flat_map(|tree| tree.paths);
            let shown: Vec<_> = volumes.chain(paths.map(|path| path.shown_as)).collect();
            Ok::<_, Error>(shown)
        };
        let names = vec![Some(vec![b"srv".to_vec(), b"data".to_vec()])];
        let stored_as = "stored-as = \"/srv/data\"";
        assert_eq!(
            shown(&format!("volume = \"a\", {stored_as}")).expect("it is fine"),
            names
        );
        assert_eq!(
            shown(&format!("path = \"/a\", {stored_as}")).expect("it is fine"),
            names
        );
        for wrong in ["data", "/", "/a/../b", "/a/"] {
            let error = shown(&format!("path = \"/a\", stored-as = \"{wrong}\"")).expect_err(wrong);
            assert!(error.message().contains(wrong), "{error}");
        }
        let many = shown(&format!("volume-label = \"a\", many = true, {stored_as}"));
        assert!(
            many.expect_err("it is one place")
                .message()
                .contains("many")
        );
    }

    #[test]
    fn a_job_must_name_what_there_is() {
        let error = parse("[jobs.nightly]\nsources = [\"postgres\"]\nsinks = [\"offsit\"]\n")
            .expect_err("there is none");
        assert_eq!(error.to_string(), "job nightly: there is no sink offsit");
        assert_eq!(error.next_step(), Some("there are: restic-local"));
        let error =
            parse("[jobs.nightly]\nsources = [\"postgres\"]\n").expect_err("it has no sinks");
        assert_eq!(error.to_string(), "job nightly: it has no sinks");
    }

    #[test]
    fn a_wrong_schedule_is_named_with_its_job() {
        let job = |keys| {
            let text = "[jobs.nightly]\nsources = [\"postgres\"]\nsinks = [\"restic-local\"]\n";
            parse(&format!("{text}{keys}\n"))
        };
        for (keys, words) in [
            ("schedule = \"daily at two\"", "\"two\" is not understood"),
            ("time-zone = \"Mars/Olympus\"", "no time zone Mars/Olympus"),
            (
                "jitter = \"a while\"",
                "jitter: \"a while\" is not a duration",
            ),
        ] {
            let error = job(keys).expect_err("it means nothing");
            assert_eq!(error.subject(), Some("job nightly"));
            assert!(error.message().contains(words), "{error}");
        }
        assert!(job("schedule = \"Mon..Fri 22:30\"\njitter = \"30m\"").is_ok());
    }

    #[test]
    fn without_a_file_the_environment_of_libpq_and_restic_is_enough() {
        let environment = environment(&[
            ("PGHOST", "db"),
            ("PGPASSWORD", "hunter2"),
            ("AWS_SECRET_ACCESS_KEY", "no business of pg_dump"),
            ("PATH", "/usr/bin"),
            ("RESTIC_REPOSITORY", "/srv/repo"),
            ("RESTIC_PASSWORD", "secret"),
        ]);
        let config = Config::parse("", None, environment).expect("nothing is fine");
        let source = config
            .spec(Role::Source, "postgres")
            .expect("it is built in");
        let dump = &source.grants.commands["pg_dump"];
        assert_eq!(dump.program, "pg_dump");
        assert!(dump.arguments.is_empty());
        assert_eq!(
            dump.env.keys().collect::<Vec<_>>(),
            ["PATH", "PGHOST", "PGPASSWORD"]
        );
        assert_eq!(dump.env["PGPASSWORD"].expose(), b"hunter2");
        let sink = config
            .spec(Role::Sink, "restic-local")
            .expect("it is built in");
        assert_eq!(
            sink.grants.directories["repository"].path,
            Path::new("/srv/repo")
        );
        assert_eq!(sink.grants.secrets["password"].expose(), b"secret");
        let printed = format!("{source:?} {sink:?} {config:?}");
        assert!(
            !printed.contains("hunter2") && !printed.contains("secret\""),
            "{printed}"
        );
    }

    #[test]
    fn what_restic_local_lacks_is_named() {
        let config = Config::parse("", None, environment(&[])).expect("nothing is fine");
        let error = config
            .spec(Role::Sink, "restic-local")
            .expect_err("there is no repository");
        assert!(error.message().contains("RESTIC_REPOSITORY"), "{error}");
        let with = |repository: &str| {
            let environment =
                environment(&[("RESTIC_REPOSITORY", repository), ("RESTIC_PASSWORD", "x")]);
            Config::parse("", None, environment)
                .expect("it is fine")
                .spec(Role::Sink, "restic-local")
        };
        let error = with("s3:s3.amazonaws.com/bucket").expect_err("it is no directory");
        assert!(
            error.message().contains("s3:s3.amazonaws.com/bucket"),
            "{error}"
        );
        let local = with("local:/srv/repo").expect("it is a directory");
        assert_eq!(
            local.grants.directories["repository"].path,
            Path::new("/srv/repo")
        );
        let environment = environment(&[("RESTIC_REPOSITORY", "/srv/repo")]);
        let config = Config::parse("", None, environment).expect("it is fine");
        let error = config
            .spec(Role::Sink, "restic-local")
            .expect_err("there is no password");
        assert!(error.message().contains("RESTIC_PASSWORD"), "{error}");
    }

    #[test]
    fn everything_that_can_be_granted_arrives() {
        let text = r#"
            [sources.db]
            plugin = { path = "plugins/db.wasm", sha256 = "abababababababababababababababababababababababababababababababab" }
            config = { databases = ["shop"] }
            limits = { memory = "64 MiB", cpu-slice = "5s", wall-clock = "1h 30m", output = "2 GB" }
            [sources.db.grants.commands.pg_dump]
            argv = ["docker", "exec", "db", "pg_dump"]
            env = { PGUSER = "postgres", PGPASSWORD = { env = "DB_PASSWORD" } }
            inherit = ["LC_*"]
            [sources.db.grants.directories.extra]
            path = "data"
            [[sources.db.grants.network]]
            origin = "https://S3.example.com:443/"
            [[sources.db.grants.network]]
            origin = "http://10.0.0.1:9000"
            private = true
            ca = "own-ca.pem"
        "#;
        let environment = environment(&[("DB_PASSWORD", "pw"), ("LC_ALL", "C"), ("HOME", "/root")]);
        let config = Config::parse(text, Some("/etc/tthost/tthost.toml".into()), environment)
            .expect("it is fine");
        let spec = config.spec(Role::Source, "db").expect("it is fine");
        assert_eq!(spec.limits.memory, 64 << 20);
        assert_eq!(spec.limits.cpu_slice.as_secs(), 5);
        assert_eq!(
            spec.limits.wall_clock.map(|limit| limit.as_secs()),
            Some(5400)
        );
        assert_eq!(spec.limits.output, Some(2_000_000_000));
        assert_eq!(
            spec.grants.directories["extra"].path,
            Path::new("/etc/tthost/data")
        );
        let network = spec.grants.network.iter().map(|network| {
            let ca = network.ca.as_deref().map(|path| path.to_string_lossy());
            format!("{} {} {ca:?}", network.origin, network.private)
        });
        assert_eq!(
            network.collect::<Vec<_>>(),
            [
                "https://s3.example.com false None",
                "http://10.0.0.1:9000 true Some(\"/etc/tthost/own-ca.pem\")",
            ]
        );
        let command = &spec.grants.commands["pg_dump"];
        assert_eq!(
            command.env.keys().collect::<Vec<_>>(),
            ["LC_ALL", "PATH", "PGPASSWORD", "PGUSER"]
        );
        assert_eq!(command.env["PGPASSWORD"].expose(), b"pw");
        let Origin::File { path, sha256 } = spec.origin else {
            panic!("it is a file")
        };
        assert_eq!(
            (path.as_path(), sha256),
            (Path::new("/etc/tthost/plugins/db.wasm"), Some([0xab; 32]))
        );
    }

    #[test]
    fn a_wrong_origin_is_named_by_its_place_and_not_quoted() {
        let entry =
            |origin| format!("[[sinks.restic-local.grants.network]]\norigin = \"{origin}\"\n");
        let good = entry("https://s3.example.com");
        for (wrong, why) in [
            ("https://me:s3cret@s3.example.com", "user name"),
            (
                "https://other.example.com/bucket?key=s3cret",
                "behind the host",
            ),
            ("https://S3.example.com:443", "granted twice"),
        ] {
            let text = format!(
                "[sinks.restic-local]\nplugin = \"restic-sink\"\n{good}{}",
                entry(wrong)
            );
            let config = parse(&text).expect("the TOML is fine");
            let error = config
                .spec(Role::Sink, "restic-local")
                .expect_err("the origin is wrong");
            assert_eq!(error.subject(), Some("grants.network, entry 2"), "{error}");
            assert!(error.message().contains(why), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_published_schema_is_the_one_of_the_code() {
        let published = include_str!("../../../docs/tthost.schema.json");
        assert_eq!(
            published.trim_end(),
            File::schema(),
            "write it anew with `tthost config schema`"
        );
    }
}
