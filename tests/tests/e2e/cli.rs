//! What the program says, to people and to programs.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tthost_tests::command;
use tthost_tests::fixture::{DATABASE, Fixture, PASSWORD, RUN};
use tthost_tests::tthost::Tthost;

#[test]
fn help_names_every_command() -> Result<()> {
    let help = Tthost::new()?.ok(&["--help"])?;
    for command in [
        "run",
        "snapshots",
        "restore",
        "check",
        "plugin",
        "config",
        "init",
        "completions",
    ] {
        ensure!(
            help.text()?.contains(command),
            "{command} is not in {}",
            help.text()?
        );
    }
    Ok(())
}

#[test]
fn the_version_is_the_packages_and_the_long_one_names_the_contracts() -> Result<()> {
    let tthost = Tthost::new()?;
    let short = concat!("tthost ", env!("CARGO_PKG_VERSION"), "\n");
    ensure!(tthost.ok(&["-V"])?.text()? == short);
    let long = tthost.ok(&["--version"])?;
    let contract = format!("{short}contract: tthost:backup 0.2.0\n");
    ensure!(long.text()? == contract, "{}", long.describe());
    Ok(())
}

#[test]
fn a_mistyped_command_or_option_is_answered_with_the_right_one() -> Result<()> {
    let tthost = Tthost::new()?;
    for (arguments, right) in [
        (["snapshot", "--json"], "snapshots"),
        (["run", "--sorce"], "--source"),
    ] {
        let outcome = tthost.run(&arguments)?;
        ensure!(
            !outcome.status.success() && outcome.stderr.contains(right),
            "{}",
            outcome.describe()
        );
    }
    Ok(())
}

#[test]
fn an_unknown_source_or_sink_is_named_with_those_that_exist() -> Result<()> {
    let fixture = Fixture::without_repository()?;
    let run = |source, sink| ["run", "--source", source, "--sink", sink];
    fixture
        .tthost
        .fails(&run("mysql", "restic-local"), 1, &["mysql", "postgres"])?;
    fixture
        .tthost
        .fails(&run("postgres", "tape"), 1, &["tape", "restic-local"])?;
    fixture
        .tthost
        .fails(&["run", "--job", "weekly"], 1, &["weekly"])?;
    Ok(())
}

#[test]
fn without_a_repository_variable_the_message_names_it() -> Result<()> {
    let mut fixture = Fixture::without_repository()?;
    fixture.tthost.unset(&["RESTIC_REPOSITORY"]);
    fixture.tthost.fails(&RUN, 1, &["RESTIC_REPOSITORY"])?;
    fixture
        .tthost
        .set([("RESTIC_REPOSITORY", fixture.restic.repository())]);
    fixture.tthost.unset(&["RESTIC_PASSWORD"]);
    fixture.tthost.fails(&RUN, 1, &["RESTIC_PASSWORD"])?;
    Ok(())
}

#[test]
fn a_password_file_and_an_env_file_do_as_well_as_variables() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let password = fixture.password_file(PASSWORD)?;
    let mut lines = vec!["# a compose stack's variables".to_owned()];
    for (name, value) in fixture.postgres.environment(DATABASE) {
        fixture.tthost.unset(&[name]);
        lines.push(format!("{name}=\"{value}\""));
    }
    lines.push(format!("RESTIC_PASSWORD_FILE='{}'", password.display()));
    fixture.tthost.unset(&["RESTIC_PASSWORD"]);
    let file = fixture.directory().join("stack.env");
    fs::write(&file, lines.join("\n"))?;
    let file = file.to_str().context("a path that is not UTF-8")?;
    fixture
        .tthost
        .ok(&[&["--env-file", file], &RUN[..]].concat())?;
    fixture.expect_sound(1)
}

#[test]
fn a_password_command_is_split_like_a_shells_words() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.tthost.unset(&["RESTIC_PASSWORD"]);
    let command = format!("printf %s '{PASSWORD}'");
    fixture.tthost.set([("RESTIC_PASSWORD_COMMAND", &command)]);
    fixture.tthost.ok(&["snapshots"])?;
    fixture
        .tthost
        .set([("RESTIC_PASSWORD_COMMAND", "printf 'open")]);
    fixture.tthost.fails(
        &["snapshots"],
        1,
        &["RESTIC_PASSWORD_COMMAND", "not closed"],
    )?;
    Ok(())
}

#[test]
fn checking_the_configuration_loads_the_plugins_and_certificates() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let configuration = fixture.configuration(&[DATABASE])?;
    fixture.configure(&configuration)?;
    fixture.tthost.ok(&["config", "check"])?;
    let file = fixture.tthost.home().join("tthost.toml");
    let text = fs::read_to_string(&file)?;
    let network = "\n[[sinks.restic-local.grants.network]]\n\
                   origin = \"https://s3.example.com\"\nca = \"own-ca.pem\"\n";
    fs::write(&file, text.clone() + network)?;
    fixture.tthost.fails(
        &["config", "check"],
        1,
        &["sink restic-local", "https://s3.example.com", "own-ca.pem"],
    )?;
    let other = "plugin = { path = 'tthost.toml' }";
    fs::write(&file, text.replace("plugin = \"restic-sink\"", other))?;
    fixture.tthost.fails(
        &["config", "check"],
        1,
        &["sink restic-local", "not a component"],
    )?;
    Ok(())
}

#[test]
fn checking_the_configuration_tells_everything_that_is_missing_and_changes_nothing() -> Result<()> {
    let fixture = Fixture::without_repository()?;
    let home = fixture.tthost.home();
    let nowhere = "/nowhere";
    let text = format!(
        "[sources.files]\nplugin = 'volume-source'\ngrants.trees.files = {{ path = '{nowhere}/tree' }}\n\
         [sources.db]\nplugin = 'postgres-source'\nconfig.databases = ['shop']\n\
         grants.commands.pg_dump = {{ argv = ['pg_dump_of_nobody'] }}\n\
         [sources.volume]\nplugin = 'volume-source'\n\
         grants.trees.files = {{ volume = 'none', before = 'freeze' }}\n\
         [sinks.restic-local]\nplugin = 'restic-sink'\n\
         grants.directories.repository = {{ path = '{nowhere}/repository', access = 'read-write' }}\n\
         grants.secrets.password = {{ env = 'RESTIC_PASSWORD' }}\n\
         [sinks.unset]\nplugin = 'restic-sink'\n\
         grants.directories.repository = {{ path = 'r', access = 'read-write' }}\n\
         grants.secrets.password = {{ env = 'NOT_SET_ANYWHERE' }}\n\
         [alerts.told]\ntype = 'command'\nargv = ['notifier_of_nobody']\n"
    );
    fs::write(home.join("tthost.toml"), text)?;
    let before = tthost_tests::files::read_tree(home)?;
    let words = [
        "source files",
        "/nowhere/tree",
        "source db",
        "no program pg_dump_of_nobody",
        "grants.commands.pg_dump",
        "source volume",
        "the command freeze is not granted",
        "sink restic-local",
        "/nowhere/repository",
        "sink unset",
        "NOT_SET_ANYWHERE",
        "alert told",
        "no program notifier_of_nobody",
    ];
    fixture.tthost.fails(&["config", "check"], 1, &words)?;
    assert_eq!(
        tthost_tests::files::read_tree(home)?
            .keys()
            .collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
    Ok(())
}

#[test]
fn latest_is_the_newest_snapshot_of_this_host() -> Result<()> {
    let fixture = Fixture::new()?;
    let text = |host: &str| format!("of {host}\n");
    let path = fixture.tthost.home().join("note");
    let store = |host: &str| -> Result<()> {
        fs::write(&path, text(host))?;
        let mut backup = fixture
            .restic
            .command(&["backup", "--quiet", "--host", host]);
        command::run(backup.arg(&path))?.success()?;
        Ok(())
    };
    store("other")?;
    let note = path.display().to_string();
    let dump = ["dump", "latest", &note];
    let words = [
        "it has no snapshot of the host",
        "there are some of other",
        "--host other",
    ];
    fixture.tthost.fails(&dump, 1, &words)?;
    let ours = fs::read_to_string("/proc/sys/kernel/hostname")?;
    let ours = ours.trim();
    store(ours)?;
    store("other")?;
    assert_eq!(fixture.tthost.ok(&dump)?.text()?, text(ours));
    let other = [&dump[..], &["--host", "other"]].concat();
    assert_eq!(fixture.tthost.ok(&other)?.text()?, text("other"));
    Ok(())
}

#[test]
fn a_configuration_of_somebody_else_is_used_only_when_it_is_named() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.configure(&fixture.configuration(&[DATABASE])?)?;
    let file = fixture.tthost.home().join("tthost.toml");
    let named = ["--config", "tthost.toml", "snapshots"];
    for (owner, mode, why) in [
        (65534, 0o644, "belongs to user 65534"),
        (0, 0o666, "can be changed by everybody"),
    ] {
        chown(&file, Some(owner), None)?;
        fs::set_permissions(&file, Permissions::from_mode(mode))?;
        fixture
            .tthost
            .fails(&["snapshots"], 1, &["tthost.toml", why, "--config"])?;
        fixture.tthost.ok(&named)?;
    }
    Ok(())
}

#[test]
fn a_time_zone_that_nobody_knows_is_not_taken_for_utc() -> Result<()> {
    let mut fixture = Fixture::new()?;
    for zone in ["Nowhere/City", ":/dev/zero"] {
        fixture.tthost.set([("TZ", zone)]);
        fixture
            .tthost
            .fails(&["snapshots"], 1, &[zone, "not a time zone"])?;
    }
    fixture.tthost.set([("TZ", "Europe/Berlin")]);
    fixture.tthost.ok(&["snapshots"])?;
    Ok(())
}

#[test]
fn what_somebody_else_has_named_moves_no_cursor() -> Result<()> {
    let fixture = Fixture::new()?;
    let odd = "odd\u{1b}[31m";
    let source = format!("dir:/nowhere/{odd}");
    for arguments in [
        &["ls", odd][..],
        &["snapshots", "--sink", odd],
        &["run", "--source", &source, "--sink", "restic-local"],
        &["status"],
        &["history"],
        &["logs"],
    ] {
        let said = fixture.tthost.run(arguments)?;
        let all = [&said.stdout[..], said.stderr.as_bytes()].concat();
        ensure!(!all.contains(&0x1b), "{arguments:?}: {}", said.describe());
    }
    Ok(())
}

#[test]
fn several_tags_can_be_written_with_commas() -> Result<()> {
    let fixture = Fixture::new()?;
    let run = [&RUN[..], &["--tag", "a,b", "--tag", "c"]].concat();
    fixture.tthost.ok(&run)?;
    let tags = fixture.restic.snapshots()?[0]["tags"].clone();
    assert_eq!(tags, serde_json::json!(["postgres", "a", "b", "c"]));
    for (filter, found) in [("a,b", 1), ("a,x", 0), ("c", 1)] {
        let listed = fixture
            .tthost
            .ok(&["snapshots", "--tag", filter, "--json"])?;
        let listed = listed.json()?;
        let count = listed["snapshots"].as_array().map_or(0, Vec::len);
        assert_eq!(count, found, "{filter}");
    }
    let either = ["snapshots", "--tag", "a,x", "--tag", "c", "--json"];
    let listed = fixture.tthost.ok(&either)?.json()?;
    assert_eq!(listed["snapshots"].as_array().map_or(0, Vec::len), 1);
    Ok(())
}

#[test]
fn init_makes_configuration_password_and_repository_and_a_job_runs_with_them() -> Result<()> {
    let mut fixture = Fixture::without_repository()?;
    fixture.tthost.unset(&["RESTIC_PASSWORD"]);
    let init = fixture.tthost.ok(&["init"])?;
    let said = format!("{}{}", init.text()?, init.stderr).to_lowercase();
    ensure!(
        said.contains("password") && said.contains("restore"),
        "{}",
        init.describe()
    );

    let home = fixture.tthost.home();
    let configuration = fs::read_to_string(home.join("tthost.toml"))?;
    ensure!(
        configuration.lines().any(|line| line.starts_with('#')),
        "no comment in {configuration}"
    );
    let private: Vec<_> = tthost_tests::files::read_tree(home)?
        .into_keys()
        .filter(|path| {
            home.join(path)
                .metadata()
                .is_ok_and(|file| file.permissions().mode() & 0o777 == 0o600)
        })
        .collect();
    let secret: Vec<_> = private
        .iter()
        .filter(|path| path.extension().is_none_or(|of| of != "toml"))
        .collect();
    assert_eq!(
        private.len(),
        2,
        "the configuration and the password are for their owner alone"
    );
    assert_eq!(secret.len(), 1, "one password file");
    let password = fs::read_to_string(home.join(secret[0]))?;
    ensure!(
        password.trim().len() >= 20,
        "a password of {} characters",
        password.trim().len()
    );
    ensure!(!said.contains(password.trim()), "the password is printed");
    ensure!(fixture.restic.repository().join("config").is_file());
    let repository = fixture.restic.repository();
    for (place, allowed) in [("", 0o700), ("config", 0o600), ("data", 0o700)] {
        let mode = repository.join(place).metadata()?.permissions().mode() & 0o777;
        assert_eq!(mode & !allowed, 0, "{place} is for others too: {mode:o}");
    }

    fixture.tthost.ok(&RUN)?;
    fixture.tthost.ok(&["check"])?;
    // What is there is not made again, and not lost.
    let again = fixture.tthost.run(&["init"])?;
    ensure!(
        again.stderr.contains("tthost.toml") || again.status.success(),
        "{}",
        again.describe()
    );
    assert_eq!(fs::read_to_string(home.join(&private[0]))?, password);
    Ok(())
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_name() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let configuration = fixture.configuration(&[DATABASE])?;
    fixture.configure(&configuration)?;
    fixture.tthost.ok(&["config", "check"])?;
    let path = fixture.tthost.home().join("tthost.toml");
    let text = fs::read_to_string(&path)?;
    let lines = text.lines().count();
    fs::write(&path, format!("{text}sauces = [\"postgres\"]\n"))?;
    let line = (lines + 1).to_string();
    fixture
        .tthost
        .fails(&["config", "check"], 1, &["tthost.toml", &line, "sauces"])?;
    Ok(())
}

#[test]
fn an_unknown_option_of_a_plugin_is_refused_with_its_name() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let mut configuration = fixture.configuration(&[DATABASE])?;
    configuration.options += "databeses = [\"shop\"]\n";
    fixture.configure(&configuration)?;
    fixture.tthost.fails(&RUN, 1, &["postgres", "databeses"])?;
    fixture.expect_sound(0)
}

#[test]
fn a_command_that_is_not_granted_is_named() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let configuration = fixture.configuration(&[DATABASE])?.to_toml();
    fixture.configure(&fixture.configuration(&[DATABASE])?)?;
    let without = configuration.replace("grants.commands.pg_dump]", "grants.commands.something]");
    fs::write(fixture.tthost.home().join("tthost.toml"), without)?;
    fixture
        .tthost
        .fails(&RUN, 1, &["postgres", "pg_dump", "grant"])?;
    fixture.expect_sound(0)
}

#[test]
fn showing_the_configuration_shows_no_secret() -> Result<()> {
    let mut fixture = Fixture::without_repository()?;
    let secret = "tr0ub4dor";
    fixture
        .tthost
        .set([("RESTIC_PASSWORD", secret), ("PGPASSWORD", secret)]);
    let shown = fixture.tthost.ok(&["config", "show"])?;
    ensure!(
        shown.text()?.contains("restic-local"),
        "{}",
        shown.describe()
    );
    ensure!(!shown.describe().contains(secret), "{}", shown.describe());
    Ok(())
}

#[test]
fn a_job_of_the_configuration_runs() -> Result<()> {
    let mut fixture = Fixture::new()?;
    fixture.configure(&fixture.configuration(&[DATABASE])?)?;
    fixture.tthost.ok(&["run", "--job", "nightly"])?;
    fixture.expect_sound(1)
}

#[test]
fn a_run_in_a_pipe_shows_no_progress_and_names_the_snapshot() -> Result<()> {
    let fixture = Fixture::new()?;
    let run = fixture.back_up()?;
    let said = format!("{}{}", run.text()?, run.stderr);
    ensure!(!said.contains('\r') && !said.contains('\x1b'), "{said:?}");
    let id = fixture.restic.snapshots()?[0]["short_id"]
        .as_str()
        .context("no id")?
        .to_owned();
    ensure!(said.contains(&id), "{id} is not in {said}");
    let quiet = fixture.tthost.ok(&[&["-q"], &RUN[..]].concat())?;
    assert_eq!(format!("{}{}", quiet.text()?, quiet.stderr), "");
    Ok(())
}

#[test]
fn messages_come_as_json_with_all_that_they_belong_to() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let mut configuration = fixture.configuration(&[DATABASE])?;
    configuration.dump_with_script(r#"echo "a \"quoted\" word" >&2; exec pg_dump "$@""#);
    fixture.configure(&configuration)?;
    let log = |arguments: &[&str]| -> Result<Vec<Value>> {
        let outcome = fixture
            .tthost
            .run(&[arguments, &["--log-format", "json"]].concat())?;
        let lines = outcome.stderr.lines();
        let parsed: Result<_, _> = lines.map(serde_json::from_str).collect();
        parsed.with_context(|| outcome.describe())
    };
    let messages = log(&[&RUN[..], &["-vv"]].concat())?;
    let said = messages
        .iter()
        .find(|message| message["message"] == "a \"quoted\" word")
        .with_context(|| format!("the command is not heard in {messages:?}"))?;
    assert_eq!(said["level"], "warn");
    assert_eq!(said["subject"], "source postgres");
    let span = serde_json::json!({
        "operation": "run",
        "source": "postgres",
        "plugin": "postgres-source",
        "command": "pg_dump",
    });
    assert_eq!(said["span"], span);
    ensure!(said["timestamp"].is_string(), "{said}");

    let messages = log(&["snapshots", "--sink", "tape", "--json"])?;
    let [error] = &messages[..] else {
        anyhow::bail!("{messages:?}")
    };
    assert_eq!(error["level"], "error");
    assert_eq!(error["error"]["code"], "config");
    Ok(())
}

#[test]
fn completions_are_made_for_the_shells() -> Result<()> {
    let tthost = Tthost::new()?;
    for shell in ["bash", "zsh", "fish"] {
        let script = tthost.ok(&["completions", shell])?;
        ensure!(script.text()?.contains("snapshots"), "{shell}");
    }
    Ok(())
}

#[test]
fn a_broken_pipe_is_no_failure() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.back_up()?;
    let mut restore = fixture.tthost.command(&["restore", "latest", "--stdout"]);
    let mut restore = restore
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdout = restore.stdout.take().context("no standard output")?;
    stdout.read_exact(&mut [0; 100])?;
    drop(stdout);
    let output = restore.wait_with_output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.success() && said.is_empty(), "{said}");
    fixture.expect_sound(1)
}
