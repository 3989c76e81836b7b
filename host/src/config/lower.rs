//! Turns the parsed file into the host's types. Secrets are read here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::file::{
    Access, Command, Confine, Containers, DirectoryPath, Limits, Network, Plugin, PluginSection,
    Tree, Value, Variable,
};
use super::{Environment, builtin, quantity, secret_command};
use crate::error::{Error, Kind, Result};
use crate::grant::{self, Grants, Secret, VolumePattern};
use crate::net;
use crate::operator_file::{self, MAX_TEXT_SIZE};
use crate::plugin::{Origin, Role, Spec};

/// Where programs are looked for when nobody says it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a source or sink is and may.
pub(super) fn spec(
    role: Role,
    name: &str,
    used: &PluginSection,
    base: &Path,
    environment: &Environment,
) -> Result<Spec> {
    let _span = role.span(name).entered();
    let grants = &used.grants;
    let mut directories = BTreeMap::new();
    for (name, directory) in &grants.directories {
        let path = match &directory.path {
            DirectoryPath::Path(path) => base.join(path),
            DirectoryPath::ResticRepository => builtin::repository(environment)?,
        };
        let access = match directory.access {
            Access::ReadOnly => grant::Access::ReadOnly,
            Access::ReadWrite => grant::Access::ReadWrite,
        };
        directories.insert(name.clone(), grant::Directory { path, access });
    }
    let mut trees = BTreeMap::new();
    let mut volumes = BTreeMap::new();
    for (name, granted) in &grants.trees {
        let lowered = tree(granted, base, environment);
        match lowered.map_err(|error| error.at(&format!("grants.trees.{name}")))? {
            Granted::Tree(tree) => drop(trees.insert(name.clone(), tree)),
            Granted::Volumes(found) => drop(volumes.insert(name.clone(), found)),
        }
    }
    let mut commands = BTreeMap::new();
    for (name, granted) in &grants.commands {
        let lowered = command(granted, base, environment);
        commands.insert(
            name.clone(),
            lowered.map_err(|error| error.at(&format!("grants.commands.{name}")))?,
        );
    }
    let mut secrets = BTreeMap::new();
    for (name, granted) in &grants.secrets {
        secrets.insert(
            name.clone(),
            value(&format!("the secret {name}"), granted, base, environment)?,
        );
    }
    Ok(Spec {
        name: name.into(),
        role,
        origin: origin(&used.plugin, base)?,
        config: used.config.clone(),
        grants: Grants {
            directories,
            trees,
            volumes,
            commands,
            secrets,
            network: network(&grants.network, base)?,
            store: false,
            purpose: grant::Purpose::default(),
        },
        limits: limits(&used.limits)?,
        store: None,
        streamed: BTreeMap::new(),
    })
}

/// A SHA-256 in hexadecimal.
pub fn parse_pin(text: &str) -> Result<[u8; 32]> {
    let mut pin = [0; 32];
    hex::decode_to_slice(text, &mut pin).map_err(|_| {
        Error::new(
            Kind::Config,
            format!("sha256 = \"{text}\" is not a SHA-256: it needs 64 hexadecimal digits"),
        )
    })?;
    Ok(pin)
}

pub(super) fn origin(plugin: &Plugin, base: &Path) -> Result<Origin> {
    Ok(match plugin {
        Plugin::Bundled(name) => Origin::Bundled(name.clone()),
        Plugin::Component(component) => Origin::File {
            path: base.join(&component.path),
            sha256: component.sha256.as_deref().map(parse_pin).transpose()?,
        },
    })
}

/// What a grant of a tree means.
enum Granted {
    Tree(grant::Tree),
    Volumes(grant::Volumes),
}

fn tree(granted: &Tree, base: &Path, environment: &Environment) -> Result<Granted> {
    let shown_as = granted.stored_as.as_deref().map(names).transpose()?;
    if granted.many && shown_as.is_some() {
        return Err(Error::new(
            Kind::Config,
            "stored-as is one place, and many = true can be several volumes",
        ));
    }
    let several = if granted.many {
        grant::Choice::All
    } else {
        grant::Choice::One
    };
    let choice = match (
        &granted.path,
        &granted.volume,
        &granted.volume_label,
        &granted.volume_pattern,
    ) {
        (Some(path), None, None, None) if path.as_os_str().is_empty() => {
            return Err(Error::new(Kind::Config, "path is empty"));
        }
        (Some(path), None, None, None) => {
            let useless = [
                ("many", granted.many),
                ("containers", granted.containers.is_some()),
                ("before", granted.before.is_some()),
                ("after", granted.after.is_some()),
            ];
            if let Some((key, _)) = useless.iter().find(|(_, given)| *given) {
                let text = format!("{key} is for Docker volumes, and has no effect on a path");
                return Err(Error::new(Kind::Config, text).help(format!(
                    "remove {key}, or name the volume in place of the path"
                )));
            }
            let place = grant::TreePath {
                path: base.join(path),
                shown_as,
            };
            return Ok(Granted::Tree(grant::Tree { paths: vec![place] }));
        }
        (None, Some(name), None, None) if name.is_empty() => {
            return Err(Error::new(Kind::Config, "volume is empty"));
        }
        (None, Some(name), None, None) if granted.many => {
            let text = format!("many has no effect on the one volume {name}");
            return Err(Error::new(Kind::Config, text).help("remove many, or write volume-pattern"));
        }
        (None, Some(name), None, None) => grant::Choice::Existing(name.clone()),
        (None, None, Some(label), None) => several(VolumePattern::Label(label.clone())),
        (None, None, None, Some(pattern)) => several(VolumePattern::Name(pattern.clone())),
        _ => {
            return Err(Error::new(
                Kind::Config,
                "it must name exactly one of path, volume, volume-label and volume-pattern",
            ));
        }
    };
    Ok(Granted::Volumes(grant::Volumes {
        choice,
        shown_as,
        containers: match granted.containers {
            None => grant::Containers::Run,
            Some(Containers::Pause) => grant::Containers::Pause,
            Some(Containers::Stop) => grant::Containers::Stop,
        },
        before: granted.before.clone(),
        after: granted.after.clone(),
        engines: engines(environment),
    }))
}

/// The names that an absolute path goes through.
fn names(path: &str) -> Result<Vec<Vec<u8>>> {
    let below = path.strip_prefix('/').unwrap_or_default();
    let names: Vec<_> = below.split('/').collect();
    if names
        .iter()
        .any(|name| ["", ".", ".."].contains(name) || name.contains('\0'))
    {
        let text = format!("stored-as = \"{path}\" is not a path in a snapshot");
        return Err(Error::new(Kind::Config, text).help("write a path like /data"));
    }
    Ok(names
        .into_iter()
        .map(|name| name.as_bytes().to_vec())
        .collect())
}

/// Where a Docker engine, or Podman's service, may be.
pub(super) fn engines(environment: &Environment) -> Vec<String> {
    if let Some(address) = environment.get("DOCKER_HOST") {
        return vec![address.to_owned()];
    }
    let mut sockets = vec!["/var/run/docker.sock".to_owned()];
    if let Some(runtime) = environment.get("XDG_RUNTIME_DIR") {
        sockets.push(format!("{runtime}/docker.sock"));
        sockets.push(format!("{runtime}/podman/podman.sock"));
    }
    sockets.push("/run/podman/podman.sock".to_owned());
    sockets
        .iter()
        .map(|path| format!("unix://{path}"))
        .collect()
}

/// A program with its whole environment.
pub(super) fn command(
    granted: &Command,
    base: &Path,
    environment: &Environment,
) -> Result<grant::Command> {
    let (program, arguments) = match granted.argv.as_slice() {
        [program, arguments @ ..] if !program.is_empty() => (program, arguments),
        _ => {
            return Err(Error::new(
                Kind::Config,
                "argv is empty; its first word is the program",
            ));
        }
    };
    let mut env = BTreeMap::new();
    let path = environment.get("PATH").unwrap_or(PATH);
    env.insert("PATH".to_owned(), Secret::from(path.to_owned()));
    for pattern in &granted.inherit {
        for (name, value) in environment.matching(pattern) {
            env.insert(name.to_owned(), Secret::from(value.to_owned()));
        }
    }
    for (name, given) in &granted.env {
        let what = format!("the variable {name}");
        let value = variable(&what, given, base, environment)?;
        env.insert(name.clone(), value);
    }
    let is_docker = Path::new(program).file_name() == Some("docker".as_ref());
    Ok(grant::Command {
        program: program.clone(),
        arguments: arguments.to_vec(),
        env,
        confinement: grant::Confinement {
            read: granted.read.iter().map(|path| base.join(path)).collect(),
            network: granted.network.unwrap_or(true),
            docker: granted.docker.unwrap_or(is_docker),
            required: granted.confine == Some(Confine::Required),
            engines: engine_sockets(environment),
            resources: resources(granted)?,
        },
    })
}

fn resources(granted: &Command) -> Result<grant::Resources> {
    let default = grant::Resources::default();
    let size = |key: &str, text: &Option<String>| {
        let size = text.as_deref().map(quantity::size).transpose();
        size.map_err(|text| Error::new(Kind::Config, format!("{key}: {text}")))
    };
    if granted.processes == Some(0) {
        let text = "processes: a program is one process at least";
        return Err(Error::new(Kind::Config, text));
    }
    Ok(grant::Resources {
        memory: size("memory", &granted.memory)?,
        processes: granted.processes.unwrap_or(default.processes),
        scratch: size("scratch", &granted.scratch)?.unwrap_or(default.scratch),
    })
}

/// Where engines have their sockets, whichever of them is used, in the directory of the machine.
const ENGINES: [&str; 5] = [
    "/run/buildkit",
    "/run/containerd",
    "/run/crio",
    "/run/docker",
    "/run/podman",
];

/// The directories of the users that have logged in, in which their own engines have their sockets.
const USERS: &str = "/run/user";

/// The sockets of the engines that there may be, and the directories of such sockets.
fn engine_sockets(environment: &Environment) -> Vec<PathBuf> {
    let usual = environment.without("DOCKER_HOST");
    let mut addresses = engines(&usual);
    addresses.extend(engines(environment));
    let sockets = addresses
        .iter()
        .filter_map(|address| address.strip_prefix("unix://"));
    let users = std::fs::read_dir(USERS).into_iter().flatten();
    let users = users.filter_map(Result::ok).map(|user| user.path());
    // Root's place stands for those who log in later: what is put together around it shows nobody else's.
    let users = users.chain([Path::new(USERS).join("0")]);
    let of_users = users.flat_map(|user| [user.join("docker.sock"), user.join("podman")]);
    sockets
        .map(PathBuf::from)
        .chain(ENGINES.iter().map(PathBuf::from))
        .chain(of_users)
        .collect()
}

fn network(granted: &[Network], base: &Path) -> Result<Vec<net::AllowedOrigin>> {
    let mut network: Vec<net::AllowedOrigin> = Vec::new();
    for (index, granted) in granted.iter().enumerate() {
        let wrong = |why: String| {
            Error::new(Kind::Config, why)
                .of(format!("grants.network, entry {}", index + 1))
                .help("an origin is a scheme, a host and a port, like https://s3.example.com:9000")
        };
        // Not quoted, because it may hold a password by mistake.
        let origin = net::Origin::parse(&granted.origin)
            .map_err(|why| wrong(format!("its origin is invalid: {why}")))?;
        if network.iter().any(|other| other.origin == origin) {
            return Err(wrong(format!("{origin} is granted twice")));
        }
        if granted.ca.is_some() && !origin.is_secure() {
            return Err(wrong(format!(
                "ca has no effect on {origin}, which has no TLS"
            )));
        }
        network.push(net::AllowedOrigin {
            origin,
            private: granted.private,
            ca: granted.ca.as_ref().map(|path| base.join(path)),
        });
    }
    Ok(network)
}

/// A text, or what is at the place that is named.
pub(super) fn variable(
    what: &str,
    given: &Variable,
    base: &Path,
    environment: &Environment,
) -> Result<Secret> {
    match given {
        Variable::Text(text) => Ok(Secret::from(text.clone())),
        Variable::Value(named) => value(what, named, base, environment),
    }
}

/// What is at the place that is named.
pub(super) fn value(
    what: &str,
    named: &Value,
    base: &Path,
    environment: &Environment,
) -> Result<Secret> {
    let stand_in = builtin::password(named, environment)?;
    match stand_in.as_ref().unwrap_or(named) {
        Value {
            env: Some(variable),
            file: None,
            command: None,
        } => {
            environment.expect_text(variable)?;
            let value = environment
                .get(variable)
                .ok_or_else(|| unset(what, variable))?;
            Ok(Secret::from(value.to_owned()))
        }
        Value {
            env: None,
            file: Some(file),
            command: None,
        } => read(what, &base.join(file)),
        Value {
            env: None,
            file: None,
            command: Some(argv),
        } => not_empty(what, trim(&secret_command::ask(what, argv)?)),
        _ => Err(Error::new(
            Kind::Config,
            format!("{what} must come from exactly one of env, file and command"),
        )),
    }
}

/// The error of a variable that is not set. Its name is not shown if it looks like a secret that somebody has put there.
fn unset(what: &str, variable: &str) -> Error {
    let is_usual = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let shown = if variable.chars().all(is_usual) {
        variable
    } else {
        "the variable in `env`"
    };
    let text = format!("{what} comes from {shown}, which is not set");
    Error::new(Kind::Config, text).help(format!(
        "set {shown}, or name a file in the configuration; `tthost init` creates one"
    ))
}

fn read(what: &str, path: &Path) -> Result<Secret> {
    warn_if_shared(what, path);
    let bytes = operator_file::read(path, MAX_TEXT_SIZE).map_err(|cause| {
        let text = format!("{what} comes from {}, which cannot be read", path.display());
        Error::new(Kind::Config, text).caused_by(cause)
    })?;
    not_empty(what, trim(&decode(&bytes)))
}

/// Says that others may read a secret.
fn warn_if_shared(what: &str, path: &Path) {
    let Ok(metadata) = path.metadata() else {
        return;
    };
    if metadata.is_file() && metadata.mode() & 0o044 != 0 {
        let path = path.display();
        warn!(
            help = format!("`chmod 600 {path}` keeps it to its owner"),
            "{what} comes from {path}, which others may read"
        );
    }
}

/// What the bytes of a text file say: editors put a mark at its beginning, and some write UTF-16 after it. restic reads
/// passwords in the same way.
fn decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks().0.iter().map(|pair| unit(*pair));
        let text: String = char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        Cow::Owned(text.into_bytes())
    };
    match bytes {
        [0xff, 0xfe, text @ ..] => wide(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => wide(text, u16::from_be_bytes),
        text => Cow::Borrowed(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)),
    }
}

/// Without the white space at the ends, of Unicode where it is text.
fn trim(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => bytes.trim_ascii(),
    }
}

fn not_empty(what: &str, bytes: &[u8]) -> Result<Secret> {
    if bytes.is_empty() {
        return Err(Error::new(Kind::Config, format!("{what} is empty")));
    }
    Ok(Secret::new(bytes.to_vec()))
}

fn limits(limits: &Limits) -> Result<grant::Limits> {
    let wrong = |key: &'static str| {
        move |text: String| Error::new(Kind::Config, format!("limits.{key}: {text}"))
    };
    let default = grant::Limits::default();
    let size = |text: &Option<String>| text.as_deref().map(quantity::size).transpose();
    let duration = |text: &Option<String>| text.as_deref().map(quantity::duration).transpose();
    Ok(grant::Limits {
        memory: size(&limits.memory)
            .map_err(wrong("memory"))?
            .unwrap_or(default.memory),
        cpu_slice: duration(&limits.cpu_slice)
            .map_err(wrong("cpu-slice"))?
            .unwrap_or(default.cpu_slice),
        wall_clock: duration(&limits.wall_clock).map_err(wrong("wall-clock"))?,
        output: size(&limits.output).map_err(wrong("output"))?,
        entries: limits.entries.unwrap_or(default.entries),
        stall_timeout: duration(&limits.stall_timeout).map_err(wrong("stall-timeout"))?,
    })
}
