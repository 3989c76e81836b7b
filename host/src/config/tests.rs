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
        assert!(error.message().starts_with(&expected), "{error}");
        assert!(error.message().ends_with(" line 3)"), "{error}");
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
    let text = "job nightly: there is no sink offsit (in /etc/tthost.toml line 1)";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.next_step(), Some("there are: restic-local"));
    let error = parse("[jobs.nightly]\nsources = [\"postgres\"]\n").expect_err("it has no sinks");
    let text = "job nightly: it has no sinks (in /etc/tthost.toml line 1)";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_wrong_schedule_is_named_with_its_job() {
    let job = |keys| {
        let text = "[jobs.nightly]\nsources = [\"postgres\"]\nsinks = [\"restic-local\"]\n";
        parse(&format!("{text}{keys}\n"))
    };
    for (keys, words) in [
        ("schedule = \"daily at two\"", "\"two\" is not understood"),
        (
            "schedule = \"daily 02:00\"\ntime-zone = \"Mars/Olympus\"",
            "no time zone Mars/Olympus",
        ),
        (
            "time-zone = \"UTC\"",
            "time-zone has no effect without schedule",
        ),
        ("tags = [\"a,b\"]", "write two tags"),
        ("tags = [\"\"]", "a name is empty"),
        ("host = \" \"", "host is empty"),
        (
            "schedule = \"daily 02:00\"\njitter = \"a while\"",
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
    let error = with("s3:s3.amazonaws.com/bucket").expect_err("it is not a directory");
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
        origin = "https://10.0.0.1:9000"
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
            "https://10.0.0.1:9000 true Some(\"/etc/tthost/own-ca.pem\")",
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
    let entry = |origin| format!("[[sinks.restic-local.grants.network]]\norigin = \"{origin}\"\n");
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
