//! Services and timers of systemd.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;
use schemars::JsonSchema;
use serde::Serialize;
use uzers::os::unix::UserExt as _;

use super::{Entry, Scheduled};
use crate::error::{Error, Kind, Result};
use crate::own_file;

/// The first line of every unit that is written here.
const MARK: &str = "# Written by `tthost schedule install`; `tthost schedule remove` removes it.";

/// There while systemd runs.
const RUNNING: &str = "/run/systemd/system";

/// What every service may do without, whoever runs it.
///
/// `MemoryDenyWriteExecute` is missing: plugins are compiled to machine code. The namespaces, the mounts and the calls that are
/// named one by one are what granted programs are confined with.
const HARDENING: [&str; 10] = [
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictNamespaces=user mnt pid ipc net",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service @mount mount_setattr seccomp landlock_create_ruleset landlock_add_rule \
     landlock_restrict_self close_range pidfd_open",
    "SystemCallErrorNumber=EPERM",
    "UMask=0077",
];

/// What the system's services may do without besides. A user's own manager cannot take these away
/// everywhere.
const HARDENING_OF_SYSTEM: [&str; 9] = [
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "PrivateDevices=yes",
];

/// A unit file.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Unit {
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub contents: String,
}

/// The manager of this user's units.
pub(super) struct Systemd {
    directory: PathBuf,
    /// The system's manager, and not one of a user.
    system: bool,
}

/// Whether systemd runs.
pub(super) fn is_running() -> bool {
    Path::new(RUNNING).exists()
}

impl Systemd {
    pub(super) fn new() -> Result<Self> {
        let user = geteuid();
        if user.is_root() {
            return Ok(Self {
                directory: "/etc/systemd/system".into(),
                system: true,
            });
        }
        let user = uzers::get_user_by_uid(user.as_raw()).ok_or_else(|| {
            let text = format!("user {} has no home directory for units", user.as_raw());
            Error::new(Kind::Config, text)
        })?;
        Ok(Self {
            directory: user.home_dir().join(".config/systemd/user"),
            system: false,
        })
    }

    /// Whether its units are the system's, and not those of a user.
    pub(super) fn is_of_system(&self) -> bool {
        self.system
    }

    /// The service and the timer of a job.
    pub(super) fn units(&self, entry: &Entry) -> [Unit; 2] {
        let service = Unit {
            path: self.path(&entry.scheduled.job, "service"),
            contents: self.service(entry),
        };
        [service, self.timer(&entry.scheduled)]
    }

    fn path(&self, job: &str, kind: &str) -> PathBuf {
        self.directory.join(format!("tthost-{job}.{kind}"))
    }

    fn service(&self, entry: &Entry) -> String {
        let Scheduled { job, config, .. } = &entry.scheduled;
        let mut lines = vec![
            head(config),
            "[Unit]".into(),
            format!("Description=Back up the job {job} with tthost"),
        ];
        if self.system {
            lines.push("Wants=network-online.target".into());
            lines.push("After=network-online.target docker.service postgresql.service".into());
        }
        let words = entry
            .command
            .iter()
            .map(|word| quoted(word).replace('$', "$$"));
        let command: Vec<_> = words.collect();
        lines.extend(["\n[Service]", "Type=oneshot"].map(str::to_owned));
        lines.push(format!("ExecStart={}", command.join(" ")));
        if let Some(directory) = config.parent() {
            let directory = directory.to_string_lossy();
            lines.push(format!("WorkingDirectory={}", escaped(&directory)));
        }
        for (name, value) in &entry.environment {
            lines.push(format!(
                "Environment={}",
                quoted(&format!("{name}={value}"))
            ));
        }
        // The first signal ends a run in good order; what it started is its own business.
        lines.extend(["KillMode=mixed", "TimeoutStopSec=120"].map(str::to_owned));
        lines.extend(["Nice=10", "IOSchedulingClass=idle"].map(str::to_owned));
        lines.push(String::new());
        lines.extend(HARDENING.map(str::to_owned));
        if self.system {
            lines.extend(HARDENING_OF_SYSTEM.map(str::to_owned));
            if !entry.uses_temporary {
                lines.push("PrivateTmp=yes".into());
            }
            // One that is missing is an error of tthost's, which says more than systemd's.
            let writable = entry
                .writable
                .iter()
                .map(|path| format!("-{}", path.display()));
            let writable: Vec<_> = writable.map(|path| quoted(&path)).collect();
            lines.push(format!("ReadWritePaths={}", writable.join(" ")));
        }
        lines.join("\n") + "\n"
    }

    fn timer(&self, scheduled: &Scheduled) -> Unit {
        let Scheduled {
            job,
            timing,
            config,
            ..
        } = scheduled;
        let mut lines = vec![
            head(config),
            "[Unit]".into(),
            format!("Description=Run the job {job} of tthost on time"),
            "\n[Timer]".into(),
        ];
        let events = timing.schedule.on_calendar();
        lines.extend(events.iter().map(|event| format!("OnCalendar={event}")));
        // After downtime, once.
        lines.push("Persistent=true".into());
        if let Some(jitter) = timing.jitter {
            lines.push(format!("RandomizedDelaySec={}", jitter.as_secs()));
            lines.push("FixedRandomDelay=true".into());
        }
        lines.extend(["\n[Install]", "WantedBy=timers.target"].map(str::to_owned));
        Unit {
            path: self.path(job, "timer"),
            contents: lines.join("\n") + "\n",
        }
    }

    /// Writes units and starts the timers among them.
    pub(super) fn install(&self, units: &[Unit]) -> Result<()> {
        for unit in units {
            check_owner(unit)?;
        }
        fs::create_dir_all(&self.directory).map_err(|cause| failed(&self.directory, cause))?;
        for unit in units {
            write(unit)?;
        }
        if is_running() {
            self.systemctl(&["daemon-reload"])?;
            for timer in units.iter().filter(|unit| is_timer(&unit.path)) {
                self.systemctl(&["enable", "--now", &file_name(&timer.path)])?;
            }
        }
        Ok(())
    }

    /// Whether the job has a timer, and if so, whether that is as it would be written now.
    pub(super) fn has(&self, scheduled: &Scheduled) -> Result<Option<bool>> {
        let timer = self.timer(scheduled);
        let there = read(&timer.path)?.filter(|there| same_head(there, &timer.contents));
        Ok(there.map(|there| there == timer.contents))
    }

    /// Stops and removes the timers of a configuration, with their services.
    pub(super) fn remove(&self, config: &Path, jobs: &[String]) -> Result<Vec<PathBuf>> {
        let mut units = Vec::new();
        let files = match fs::read_dir(&self.directory) {
            Ok(files) => files,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(units),
            Err(cause) => return Err(failed(&self.directory, cause)),
        };
        for file in files {
            let path = file.map_err(|cause| failed(&self.directory, cause))?.path();
            let is_meant = job_of(&path).is_some_and(|job| jobs.is_empty() || jobs.contains(&job));
            if is_meant && read(&path)?.is_some_and(|there| same_head(&there, &head(config))) {
                units.push(path);
            }
        }
        units.sort();
        let running = is_running();
        for timer in units
            .iter()
            .filter(|_| running)
            .filter(|path| is_timer(path))
        {
            self.systemctl(&["disable", "--now", &file_name(timer)])?;
        }
        for unit in &units {
            fs::remove_file(unit).map_err(|cause| failed(unit, cause))?;
        }
        if running && !units.is_empty() {
            self.systemctl(&["daemon-reload"])?;
        }
        Ok(units)
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("systemctl");
        command
            .args((!self.system).then_some("--user"))
            .args(arguments);
        let failed = || {
            Error::new(
                Kind::Other,
                format!("systemctl {} failed", arguments.join(" ")),
            )
        };
        let output = command
            .output()
            .map_err(|cause| failed().caused_by(cause))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(failed().caused_by(said))
    }
}

/// Fails if a unit of that name belongs to another program.
fn check_owner(unit: &Unit) -> Result<()> {
    let Some(there) = read(&unit.path)? else {
        return Ok(());
    };
    if same_head(&there, &unit.contents) {
        return Ok(());
    }
    let whose = if there.starts_with(MARK) {
        "belongs to another configuration"
    } else {
        "was not written by tthost"
    };
    let text = format!("{} {whose}", unit.path.display());
    Err(Error::new(Kind::Exists, text).help("give the job another name, or remove that unit"))
}

/// The lines that say whose a unit is.
fn head(config: &Path) -> String {
    format!("{MARK}\n# Configuration: {}\n", config.display())
}

fn same_head(one: &str, other: &str) -> bool {
    one.starts_with(MARK) && one.lines().take(2).eq(other.lines().take(2))
}

/// The job that a file can be a unit of.
fn job_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_prefix("tthost-")?;
    let job = name
        .strip_suffix(".timer")
        .or_else(|| name.strip_suffix(".service"))?;
    Some(job.to_owned())
}

fn is_timer(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "timer")
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn read(path: &Path) -> Result<Option<String>> {
    match own_file::read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(failed(path, cause)),
    }
}

/// Puts a whole unit in its place.
fn write(unit: &Unit) -> Result<()> {
    own_file::replace(&unit.path, unit.contents.as_bytes())
        .map_err(|cause| failed(&unit.path, cause))
}

fn failed(path: &Path, cause: io::Error) -> Error {
    Error::of_system(format!("{} cannot be used", path.display()), cause)
}

/// A word of a unit file.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let word = word.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped(&word))
}

/// Text in which nothing stands for something else.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::operation::scheduled::Memory;
    use crate::schedule::{Schedule, Timing};

    fn entry(job: &str, schedule: &str) -> Entry {
        Entry {
            scheduled: Scheduled {
                job: job.into(),
                timing: Timing {
                    schedule: Schedule::parse(schedule).expect(schedule),
                    jitter: Some(Duration::from_mins(30)),
                },
                says_when: true,
                memory: Memory::new("/var/lib/tthost".as_ref(), "/etc/tthost.toml"),
                config: "/etc/tthost & co/100%.toml".into(),
            },
            command: [
                "/bin/true",
                "--config",
                "/etc/tthost & co/100%.toml",
                "$HOME \"x\"",
            ]
            .map(str::to_owned)
            .to_vec(),
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            writable: BTreeSet::from(["/srv/back up".into(), "/var/lib/tthost".into()]),
            uses_temporary: false,
            missing: BTreeSet::new(),
        }
    }

    fn systemd(directory: &Path) -> Systemd {
        Systemd {
            directory: directory.to_owned(),
            system: true,
        }
    }

    /// The output of `systemd-analyze verify`.
    fn verdict(units: &[Unit], user: bool) -> String {
        let mut verify = Command::new("systemd-analyze");
        verify
            .args(["verify", "--man=no"])
            .args(user.then_some("--user"));
        verify.args(units.iter().map(|unit| &unit.path));
        // A user's manager would have one.
        verify.env("XDG_RUNTIME_DIR", "/tmp");
        let output = verify
            .output()
            .expect("Debian's package systemd is installed");
        let said =
            String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(!said.contains("Failed to initialize manager"), "{said}");
        // What else is on the machine is not ours.
        let ours: Vec<_> = said
            .lines()
            .filter(|line| line.contains("tthost"))
            .collect();
        ours.join("\n")
    }

    #[test]
    fn systemd_finds_nothing_wrong_with_the_units() {
        let directory = tempfile::tempdir().expect("there is room");
        for system in [true, false] {
            let systemd = Systemd {
                system,
                ..systemd(directory.path())
            };
            let units = systemd.units(&entry("nightly", "30 4 1,15 * 5 Europe/Berlin"));
            for unit in &units {
                write(unit).expect("there is room");
            }
            assert_eq!(verdict(&units, !system), "", "{units:#?}");
            // The same check sees what is wrong.
            let mut wrong = units.clone();
            wrong[0].contents = wrong[0]
                .contents
                .replace("oneshot", "never")
                .replace("/bin/true", "/nonexistent");
            write(&wrong[0]).expect("there is room");
            assert_ne!(verdict(&wrong, !system), "");
        }
    }

    #[test]
    fn nothing_in_a_command_or_a_path_means_something_to_systemd() {
        let service = systemd(Path::new("/x")).service(&entry("nightly", "daily"));
        let lines: Vec<_> = service.lines().collect();
        assert!(
            lines.contains(
                &r#"ExecStart=/bin/true --config "/etc/tthost & co/100%%.toml" "$$HOME \"x\"""#
            ),
            "{service}"
        );
        assert!(
            lines.contains(&r#"ReadWritePaths="-/srv/back up" -/var/lib/tthost"#),
            "{service}"
        );
        assert!(
            lines.contains(&"WorkingDirectory=/etc/tthost & co"),
            "{service}"
        );
        assert!(lines.contains(&"PrivateTmp=yes"), "{service}");
    }

    #[test]
    fn units_are_replaced_and_removed_by_their_own_configuration_alone() {
        let directory = tempfile::tempdir().expect("there is room");
        let systemd = systemd(directory.path());
        let daily = entry("nightly", "daily");
        let mut other = daily.clone();
        other.scheduled.config = "/etc/other.toml".into();
        systemd
            .install(&systemd.units(&daily))
            .expect("the place is free");
        assert_eq!(
            systemd.has(&daily.scheduled).expect("it can be read"),
            Some(true)
        );
        assert_eq!(
            systemd
                .has(&entry("nightly", "hourly").scheduled)
                .expect("it can be read"),
            Some(false)
        );
        assert_eq!(systemd.has(&other.scheduled).expect("it can be read"), None);
        let error = systemd
            .install(&systemd.units(&other))
            .expect_err("it is taken");
        assert!(error.message().contains("another configuration"), "{error}");
        systemd
            .install(&systemd.units(&entry("nightly", "hourly")))
            .expect("it is ours");

        let foreign = directory.path().join("tthost-foreign.timer");
        fs::write(&foreign, "[Timer]\n").expect("there is room");
        let error = systemd
            .install(&systemd.units(&entry("foreign", "daily")))
            .expect_err("it is taken");
        assert!(error.message().contains("not written by tthost"), "{error}");

        systemd
            .install(&systemd.units(&entry("weekly", "weekly")))
            .expect("the place is free");
        let removed = |config: &Path, jobs: &[String]| {
            systemd.remove(config, jobs).expect("it can be done").len()
        };
        assert_eq!(removed(&other.scheduled.config, &[]), 0);
        assert_eq!(removed(&daily.scheduled.config, &["weekly".into()]), 2);
        assert_eq!(removed(&daily.scheduled.config, &[]), 2);
        assert_eq!(
            fs::read_dir(directory.path()).expect("it is there").count(),
            1
        );
    }
}
