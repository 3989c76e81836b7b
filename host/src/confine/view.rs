//! What a program can read: what every program needs, and what its grant names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::grant::Command;

/// Programs, libraries, and what they look up about names, time and certificates. Nothing of it is a secret.
const SYSTEM: [&str; 42] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/run/current-system",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/krb5.conf",
    "/etc/krb5.conf.d",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/login.defs",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/pam.d",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/postgresql",
    "/etc/postgresql-common",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/security/limits.conf",
    "/etc/security/limits.d",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/static",
    "/var/run/postgresql",
    "/run/systemd/resolve/resolv.conf",
    "/run/systemd/resolve/stub-resolv.conf",
];

/// The files that libpq reads in the home directory.
const IN_HOME: [&str; 3] = [".pgpass", ".pg_service.conf", ".postgresql"];

/// Variables that name a place without meaning that it be read.
const PLACES: [&str; 4] = ["HOME", "OLDPWD", "PWD", "TMPDIR"];

/// Where programs are installed: what they load is beside it.
const PROGRAMS: [&str; 2] = ["bin", "sbin"];
const LOADED: [&str; 3] = ["lib", "lib64", "libexec"];

/// The paths that every program can read.
pub(super) fn of_all() -> Vec<PathBuf> {
    SYSTEM.iter().map(PathBuf::from).collect()
}

/// The files and directories that the program can read. Not all of them need be there.
pub(super) fn of(command: &Command) -> Vec<PathBuf> {
    let confinement = &command.confinement;
    if confinement.docker {
        // Who may use the engine may read everything through it, and compose reads files everywhere.
        return vec!["/".into()];
    }
    let mut view = of_all();
    let variable = |name: &str| Some(OsStr::from_bytes(command.env.get(name)?.expose()));
    let directories: Vec<PathBuf> = variable("PATH")
        .map(|path| std::env::split_paths(path).collect())
        .unwrap_or_default();
    view.extend(program(&command.program, &directories));
    view.extend(
        directories
            .into_iter()
            .filter(|directory| is_place(directory)),
    );
    if let Some(home) = variable("HOME") {
        view.extend(IN_HOME.iter().map(|name| Path::new(home).join(name)));
    }
    let words = command.arguments.iter().map(|argument| {
        let value = argument
            .split_once('=')
            .filter(|_| argument.starts_with('-'));
        value.map_or(argument.as_str(), |(_, value)| value)
    });
    let named = words.map(PathBuf::from);
    let values = command
        .env
        .iter()
        .filter(|(name, _)| !PLACES.contains(&name.as_str()))
        .map(|(_, value)| PathBuf::from(OsStr::from_bytes(value.expose())));
    view.extend(named.chain(values).filter(|path| is_place(path)));
    view.extend(confinement.read.iter().cloned());
    view.sort();
    view.dedup();
    view
}

/// Whether it is a path of its own, and not everything.
fn is_place(path: &Path) -> bool {
    path.is_absolute() && path != Path::new("/")
}

/// The program, and what is installed with it.
fn program(name: &str, directories: &[PathBuf]) -> Vec<PathBuf> {
    let found = if name.contains('/') {
        std::path::absolute(name).ok()
    } else {
        let mut candidates = directories.iter().map(|directory| directory.join(name));
        candidates.find(|candidate| candidate.is_file())
    };
    let Some(found) = found else {
        return Vec::new();
    };
    let mut view = Vec::new();
    if let Ok(real) = found.canonicalize()
        && let Some(directory) = real.parent()
        && let Some(prefix) = directory.parent()
        && directory
            .file_name()
            .is_some_and(|name| PROGRAMS.iter().any(|programs| name == *programs))
    {
        view.push(directory.to_owned());
        view.extend(LOADED.iter().map(|name| prefix.join(name)));
    }
    view.push(found);
    view
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::grant::Secret;

    #[test]
    fn a_program_sees_what_its_grant_names_and_not_the_rest_of_its_home() {
        let directory = tempfile::tempdir().expect("there is room");
        let installed = directory.path().join("pg/bin");
        let link = directory.path().join("links/pg_dump");
        for place in [&installed, &directory.path().join("links")] {
            fs::create_dir_all(place).expect("there is room");
        }
        fs::write(installed.join("pg_dump"), "").expect("there is room");
        symlink("../pg/bin/pg_dump", &link).expect("there is room");
        let text = |path: &Path| path.to_str().expect("it is UTF-8").to_owned();
        let variables = [
            ("PATH", text(&directory.path().join("links"))),
            ("HOME", "/home/someone".to_owned()),
            ("PWD", "/home/someone".to_owned()),
            ("PGHOST", "/srv/socket".to_owned()),
            ("PGUSER", "shop".to_owned()),
            ("ROOT", "/".to_owned()),
        ];
        let mut command = Command {
            program: "pg_dump".into(),
            arguments: ["-c", "--file=/srv/script", "/srv/other", "a=/no/option"]
                .map(str::to_owned)
                .to_vec(),
            env: variables
                .map(|(name, value)| (name.to_owned(), Secret::from(value)))
                .into(),
            ..Command::default()
        };
        command.confinement.read = vec!["/srv/named".into()];
        let mut view = of(&command);
        view.retain(|path| !of_all().contains(path));
        let expected = [
            "/home/someone/.pg_service.conf",
            "/home/someone/.pgpass",
            "/home/someone/.postgresql",
            "/srv/named",
            "/srv/other",
            "/srv/script",
            "/srv/socket",
        ];
        let installed = [
            "links",
            "links/pg_dump",
            "pg/bin",
            "pg/lib",
            "pg/lib64",
            "pg/libexec",
        ];
        let installed = installed.map(|name| directory.path().join(name));
        let expected: Vec<PathBuf> = expected
            .map(PathBuf::from)
            .into_iter()
            .chain(installed)
            .collect();
        assert_eq!(view, expected);
        command.confinement.docker = true;
        assert_eq!(of(&command), [PathBuf::from("/")]);
    }
}
