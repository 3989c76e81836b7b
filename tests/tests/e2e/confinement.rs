//! What the page on security says of granted programs, tried line by line by a program that is hostile.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::NamedTempFile;
use tthost_tests::command;
use tthost_tests::compose::command_lines_with;
use tthost_tests::fixture::{DATABASE, Fixture, RUN};
use tthost_tests::wait::wait_until;

/// The page.
const PAGE: &str = include_str!("../../../docs/security.md");

/// Words for the shell that each try uses. A call of the system is named by its number on x86-64 and on aarch64.
const WORDS: &str = r#"
try() { if (eval "$2") >/dev/null 2>&1; then echo "$1 yes"; else echo "$1 no"; fi; }
call() {
    case $(uname -m) in x86_64) number=$1 ;; *) number=$2 ;; esac
    shift 2
    perl -e 'exit(syscall(map { $_ + 0 } @ARGV) < 0)' "$number" "$@"
}
talk() { perl -MIO::Socket::UNIX -e 'exit !IO::Socket::UNIX->new(Peer => shift)' "$1"; }
abstract() { perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); exit !connect(S, pack("Sa*", AF_UNIX, "\0" . shift))' "$1"; }
dial() { perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(PeerAddr => "127.0.0.1:" . shift)' "$1"; }
"#;

/// Resources that a program gets here.
const RESOURCES: &str = "memory = \"200 MiB\"\nprocesses = 60\n";

/// Perl that has so many processes at a time.
const FORK: &str = "while (@l < MANY and defined(my $p = fork)) { $p or sleep(9), exit; push @l, $p } kill 9, @l; 1 while wait > 0; exit(@l < MANY)";

/// A secret of the program's that could be a path.
const TOKEN: &str = "/token/of/the/program";

/// A line of the page, what is tried, and whether it is possible.
type Try = (&'static str, &'static str, bool);

/// What is in braces is a place of the test.
const TRIES: [Try; 65] = [
    (
        "Environment",
        "cat /proc/*/environ | grep -a SECRET_OF_THE_HOST",
        false,
    ),
    ("Environment", "env | grep SECRET_OF_THE_HOST", false),
    ("Environment", "[ -n \"$PGUSER\" ]", true),
    ("Environment", "[ -e /proc/self/fd/{inherited} ]", false),
    (
        "Processes",
        "[ $(ls -d /proc/[0-9]* | wc -l) -gt 9 ]",
        false,
    ),
    ("Processes", "kill -0 {outside}", false),
    ("Processes", "call 101 117 0 0 0 0", false),
    ("Reading", "cat /etc/passwd /usr/bin/env", true),
    ("Reading", "cat {granted}/file", true),
    ("Reading", "cat {home}/.pgpass", true),
    ("Reading", "cat {home}/.ssh/key", false),
    ("Reading", "cat /etc/shadow", false),
    (
        "Reading",
        "ls /etc/ssl/private || ls /etc/cron.d || ls /etc/ssh",
        false,
    ),
    ("Reading", "cat {password}", false),
    ("Reading", "cat {home}/tthost.toml", false),
    ("Reading", "ls {home}/state", false),
    ("Reading", "ls {repository}", false),
    ("Reading", "ls /var/lib/dpkg", false),
    ("Writing", "echo x > {granted}/file", false),
    ("Writing", "echo x > {granted}/new", false),
    ("Writing", "rm {granted}/file", false),
    ("Writing", "mv {granted}/file {granted}/other", false),
    ("Writing", "mkdir /usr/new /new", false),
    ("Writing", "echo x > /proc/sys/kernel/core_pattern", false),
    ("Metadata", "chmod 777 {granted}/file", false),
    ("Metadata", "chown 1 {granted}/file", false),
    ("Metadata", "touch -d 2001-01-01 {granted}/file", false),
    (
        "Metadata",
        "perl -e 'exit(syscall($^O eq \"linux\" && `uname -m` =~ /x86/ ? 188 : 5, \"{granted}/file\", \"user.a\", \"b\", 1, 0) < 0)'",
        false,
    ),
    (
        "Scratch",
        "echo x > /tmp/own && rm /tmp/own && echo x > /dev/shm/own",
        true,
    ),
    ("Scratch", "ls {shared}", false),
    ("Scratch", "[ -e /dev/shm/{memory} ]", false),
    ("Scratch", "head -c 70000000 /dev/zero > /tmp/much", false),
    (
        "Scratch",
        "mkdir /tmp/d && cd /tmp/d && seq 20000 | xargs touch; r=$?; rm -r /tmp/d; exit $r",
        false,
    ),
    (
        "Devices",
        "echo x > /dev/null && head -c 1 /dev/zero /dev/urandom",
        true,
    ),
    (
        "Devices",
        "ls /dev/tty /dev/kmsg /dev/vda /dev/mem /dev/pts",
        false,
    ),
    (
        "Devices",
        "mknod /tmp/device c 1 3 && cat /tmp/device",
        false,
    ),
    ("Metadata", "chmod 666 /dev/full", false),
    ("Metadata", "touch /dev/full", false),
    ("Processes", "prlimit --pid 1 --core=0:0", false),
    ("Sockets", "talk {granted}/socket", true),
    ("Sockets", "talk {shared}/socket", false),
    ("Sockets", "abstract {abstract}", false),
    ("Docker", "talk {engine}", false),
    // What is put in its place later is not seen, either.
    ("Docker", "[ -e {engine} ]", false),
    ("Network", "dial {port}", true),
    ("Resources", "perl -e '$x = \"x\" x 50_000_000'", true),
    ("Resources", "perl -e '$x = \"x\" x 250_000_000'", false),
    ("Resources", "perl -e '{fork 20}'", true),
    ("Resources", "perl -e '{fork 500}'", false),
    (
        "Resources",
        "[ $(cat /proc/self/oom_score_adj) = 1000 ] && [ $(ulimit -c) = 0 ]",
        true,
    ),
    ("Memory", "[ $(wc -l < /proc/sysvipc/shm) -gt 1 ]", false),
    ("Calls", "mount -t tmpfs none /tmp", false),
    ("Calls", "unshare --user true", false),
    (
        "Calls",
        "perl -e 'exit(syscall(`uname -m` =~ /x86/ ? 56 : 220, 0x10000011, 0, 0, 0, 0) < 0)'",
        false,
    ),
    ("Calls", "call 250 219 0 -3 0", false),
    ("Calls", "call 298 241 0 0 0 0 0", false),
    ("Calls", "call 321 280 0 0 0", false),
    ("Calls", "call 425 425 1 0", false),
    (
        "Calls",
        "perl -MSocket -e 'exit !socket(S, 38, SOCK_SEQPACKET, 0)'",
        false,
    ),
    (
        "Calls",
        "perl -MSocket -e 'exit !socket(S, 40, SOCK_STREAM, 0)'",
        false,
    ),
    (
        "Privileges",
        "grep -q '^NoNewPrivs:.1' /proc/self/status && grep -q '^Seccomp:.2' /proc/self/status",
        true,
    ),
    (
        "Privileges",
        "grep '^CapEff:.*00000000000000e6$' /proc/self/status",
        true,
    ),
    (
        "Privileges",
        "setpriv --reuid=65534 --regid=65534 --clear-groups true",
        true,
    ),
    ("Privileges", "chroot / true", false),
    (
        "End",
        "setsid sh -c 'exec sleep {marker}' & setsid -f sleep {marker}",
        true,
    ),
];

/// What a program may do to whom the Docker engine is granted, but not the network.
const TRIES_WITH_DOCKER: [Try; 5] = [
    ("Docker", "talk {engine}", true),
    ("Reading", "cat {password}", true),
    ("Writing", "echo x > {granted}/new", false),
    ("Network", "dial {port}", false),
    ("End", "setsid -f sleep {marker}", true),
];

/// What holds where there are no namespaces.
const TRIES_WITHOUT_NAMESPACES: [Try; 13] = [
    (
        "Environment",
        "cat /proc/*/environ | grep -a SECRET_OF_THE_HOST",
        false,
    ),
    ("Reading", "cat {granted}/file /etc/passwd", true),
    ("Reading", "cat {password}", false),
    ("Reading", "cat /etc/shadow", false),
    ("Writing", "echo x > {granted}/new", false),
    (
        "Writing",
        "echo x > /tmp/new-{marker} || echo x > /dev/shm/new-{marker}",
        false,
    ),
    (
        "Metadata",
        "chmod 777 {granted}/file || touch -d 2001-01-01 {granted}/file",
        false,
    ),
    ("Sockets", "abstract {abstract}", false),
    ("Network", "dial {port}", true),
    ("Calls", "unshare --user true", false),
    ("Resources", "perl -e '$x = \"x\" x 250_000_000'", false),
    (
        "Privileges",
        "grep -q '^NoNewPrivs:.1' /proc/self/status",
        true,
    ),
    ("End", "setsid -f sleep {marker}", true),
];

/// A machine with what a program must not reach, and a source whose program tries.
struct Stage {
    fixture: Fixture,
    places: Vec<(&'static str, String)>,
    /// Whom the program tries to reach.
    _listeners: (Vec<UnixListener>, TcpListener, OwnedFd, NamedTempFile),
    shared_memory: String,
    marker: String,
}

impl Stage {
    fn new() -> Result<Self> {
        let mut fixture = Fixture::new()?;
        let directory = fixture.directory().to_owned();
        let (granted, shared) = (directory.join("granted"), directory.join("shared"));
        let home = fixture.tthost.home().to_owned();
        for place in [&granted, &shared, &home.join(".ssh"), &home.join("state")] {
            fs::create_dir_all(place)?;
        }
        for file in [
            granted.join("file"),
            home.join(".pgpass"),
            home.join(".ssh/key"),
        ] {
            fs::write(file, "secret")?;
        }
        let engine = granted.join("engine");
        fixture.tthost.set([
            ("SECRET_OF_THE_HOST", "visible".to_owned()),
            ("DOCKER_HOST", format!("unix://{}", engine.display())),
        ]);
        let number = format!("{}{:?}", std::process::id(), std::time::Instant::now());
        let marker: String = number
            .chars()
            .filter(char::is_ascii_digit)
            .take(15)
            .collect();
        let name = std::os::unix::net::SocketAddr::from_abstract_name(&marker)?;
        let sockets = vec![
            UnixListener::bind(granted.join("socket"))?,
            UnixListener::bind(shared.join("socket"))?,
            UnixListener::bind(&engine)?,
            UnixListener::bind_addr(&name)?,
        ];
        let server = TcpListener::bind("127.0.0.1:0")?;
        // Unlike what std opens, a duplicate is inherited by tthost.
        let inherited = nix::unistd::dup(&server)?;
        let memory = NamedTempFile::new_in("/dev/shm")?;
        let made = command::run(Command::new("ipcmk").args(["--shmem", "16"]))?.success()?;
        let shared_memory = made.text()?.rsplit(' ').next().unwrap_or_default().trim();
        let text = |path: &Path| path.display().to_string();
        let places = vec![
            ("{granted}", text(&granted)),
            ("{shared}", text(&shared)),
            ("{home}", text(&home)),
            ("{password}", text(&fixture.password_file("secret")?)),
            ("{repository}", text(fixture.restic.repository())),
            ("{engine}", text(&engine)),
            ("{inherited}", inherited.as_raw_fd().to_string()),
            ("{outside}", std::process::id().to_string()),
            (
                "{memory}",
                text(Path::new(
                    memory.path().file_name().context("it has a name")?,
                )),
            ),
            ("{abstract}", marker.clone()),
            ("{port}", server.local_addr()?.port().to_string()),
            ("{marker}", marker.clone()),
        ];
        Ok(Self {
            shared_memory: shared_memory.to_owned(),
            fixture,
            places,
            _listeners: (sockets, server, inherited, memory),
            marker,
        })
    }

    /// Configures a program that runs this script, and whose grant has these lines.
    fn configure(&mut self, script: &str, grant: &str) -> Result<()> {
        let mut script = script.to_owned();
        for many in [20, 500] {
            script = script.replace(
                &format!("{{fork {many}}}"),
                &FORK.replace("MANY", &many.to_string()),
            );
        }
        for (name, place) in &self.places {
            script = script.replace(name, place);
        }
        let home = self.fixture.tthost.home().display().to_string();
        let mut configuration = self.fixture.configuration(&[DATABASE])?;
        configuration.dump_with_script(&script);
        configuration.options.push_str("unchecked = true\n");
        configuration.environment.push(("HOME", home));
        configuration.environment.push(("TOKEN", TOKEN.to_owned()));
        let (_, granted) = &self.places[0];
        let table = "[sources.postgres.grants.commands.pg_dump]\n";
        let text = configuration
            .to_toml()
            .replace(table, &format!("{table}read = ['{granted}']\n{grant}\n"));
        self.fixture.configure(&configuration)?;
        fs::write(self.fixture.tthost.home().join("tthost.toml"), text)?;
        Ok(())
    }

    /// Backs up what a program says that tries all that, without some capabilities of root, and fails unless everything
    /// is as it should be. Answers what tthost said.
    fn expect(&mut self, tries: &[Try], grant: &str, without: &[&str]) -> Result<String> {
        let mut script = WORDS.to_owned();
        for (index, (_, attempt, _)) in tries.iter().enumerate() {
            let quoted = attempt.replace('\'', r"'\''");
            writeln!(script, "try {index} '{quoted}'")?;
        }
        self.configure(&script, grant)?;
        let tthost = &self.fixture.tthost;
        let said = if without.is_empty() {
            tthost.ok(&RUN)?
        } else {
            tthost.ok_without(without, &RUN)?
        };
        ensure!(!self.is_anything_left(), "something outlives the program");
        let answers = tthost.ok(&["restore", "latest", "--stdout"])?;
        let mut answers = answers.text()?.lines();
        let mut wrong = Vec::new();
        for (index, (line, attempt, possible)) in tries.iter().enumerate() {
            let expected = format!("{index} {}", if *possible { "yes" } else { "no" });
            let answer = answers.next();
            if answer != Some(expected.as_str()) {
                wrong.push(format!("{line}: {attempt}: {answer:?}"));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(said.describe())
    }

    /// Whether there is still a process that the program has started.
    fn is_anything_left(&self) -> bool {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
            .any(|line| {
                line.split(|byte| *byte == 0)
                    .any(|word| word == self.marker.as_bytes())
            })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nothing else removes it before the machine is switched off.
        let _ = Command::new("ipcrm")
            .args(["--shmem-id", &self.shared_memory])
            .status();
    }
}

#[test]
fn a_granted_program_is_confined_as_the_page_on_security_says() -> Result<()> {
    let (_, section) = PAGE.split_once("## Programs").context("the page has it")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let lines = section.lines().filter_map(|line| line.strip_prefix("- **"));
    let promised: BTreeSet<_> = lines.filter_map(|line| line.split('.').next()).collect();
    let tried: BTreeSet<_> = TRIES.iter().map(|(line, ..)| *line).collect();
    ensure!(promised == tried, "promised {promised:?}, tried {tried:?}");

    let mut stage = Stage::new()?;
    let said = stage.expect(&TRIES, RESOURCES, &[])?;
    ensure!(!said.contains("not confined"), "{said}");
    let inspected = stage
        .fixture
        .tthost
        .ok(&["plugin", "inspect", "postgres"])?;
    let inspected = inspected.text()?;
    ensure!(
        inspected.contains("CONFINED") && !inspected.contains("not enforced"),
        "{inspected}"
    );
    Ok(())
}

#[test]
fn a_user_namespace_confines_a_program_where_no_other_may_be_made() -> Result<()> {
    let others = TRIES.iter().filter(|(line, attempt, _)| {
        // There are no other users in it, and no rights.
        *line != "Privileges" || attempt.contains("NoNewPrivs")
    });
    let tries: Vec<Try> = others.copied().collect();
    let grant = format!("{RESOURCES}confine = \"required\"");
    let said = Stage::new()?.expect(&tries, &grant, &["sys_admin"])?;
    ensure!(!said.contains("not confined"), "{said}");
    Ok(())
}

#[test]
fn a_grant_can_name_the_docker_engine_and_take_the_network() -> Result<()> {
    let grant = "docker = true\nnetwork = false";
    Stage::new()?.expect(&TRIES_WITH_DOCKER, grant, &[])?;
    Ok(())
}

#[test]
fn the_processes_of_a_program_have_no_more_memory_together_than_one_may_have() -> Result<()> {
    let mut stage = Stage::new()?;
    let four = "perl -e 'for (1..4) { fork or do { $x = \"x\" x 80_000_000; sleep 60; exit } } 1 while wait > 0' {marker}";
    stage.configure(four, RESOURCES)?;
    let words = ["the processes of pg_dump took more than 200 MiB of memory together"];
    let tthost = &stage.fixture.tthost;
    tthost.fails(&RUN, 1, &words)?;
    tthost
        .run_without(&["sys_admin"], &RUN)?
        .expect_failure(1, &words)?;
    ensure!(!stage.is_anything_left(), "something outlives the program");
    // What they share counts once.
    let shared = "perl -e '$x = \"x\" x 80_000_000; for (1..4) { fork or do { sleep 1; exit } } 1 while wait > 0'";
    stage.configure(shared, RESOURCES)?;
    stage.fixture.tthost.ok(&RUN)?;
    Ok(())
}

#[test]
fn a_machine_without_namespaces_is_told_of_and_runs_nothing_that_has_to_be_confined() -> Result<()>
{
    let mut stage = Stage::new()?;
    let said = stage.expect(&TRIES_WITHOUT_NAMESPACES, RESOURCES, &["all"])?;
    ensure!(said.contains("no namespaces of its own"), "{said}");
    let inspect = ["plugin", "inspect", "postgres"];
    let inspected = stage.fixture.tthost.ok_without(&["all"], &inspect)?;
    let inspected = inspected.text()?;
    ensure!(
        inspected.contains("not enforced on this machine: no namespaces"),
        "{inspected}"
    );
    stage.configure("echo", "confine = \"required\"")?;
    let refused = stage.fixture.tthost.run_without(&["all"], &RUN)?;
    refused.expect_failure(1, &["confine = \"required\"", "no namespaces"])?;
    Ok(())
}

#[test]
fn what_a_granted_program_has_started_ends_with_a_killed_tthost() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.configure("setsid -f sleep {marker}; sleep 1000", "")?;
    let mut run = stage.fixture.tthost.command(&RUN).spawn()?;
    wait_until("the program has started", || stage.is_anything_left())?;
    let lines = command_lines_with(TOKEN);
    ensure!(
        lines.is_empty(),
        "a secret is in a list of processes: {lines:?}"
    );
    run.kill()?;
    run.wait()?;
    wait_until("nothing is left of it", || !stage.is_anything_left())
}
