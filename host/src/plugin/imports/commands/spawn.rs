//! Starting a granted program: its own process group, its own environment, no right to write
//! to the file system where the kernel can take it away, and no life after this process.

use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use landlock::{
    ABI, AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _,
};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::process::{Child, Command};

use crate::grant;
use crate::plugin::bindings::types;

/// Keeps the thread alive whose death the program would follow.
pub(super) struct Anchor(
    #[expect(dead_code, reason = "it is there to be dropped")] std::sync::mpsc::Sender<()>,
);

/// Starts the program with the operator's arguments and then the plugin's.
pub(super) async fn spawn(
    name: &str,
    command: &grant::Command,
    arguments: &[String],
    with_stdin: bool,
) -> Result<(Child, Anchor), types::Error> {
    let program = &command.program;
    let mut child = Command::new(program);
    child
        .args(&command.arguments)
        .args(arguments)
        .env_clear()
        .envs(
            command
                .env
                .iter()
                .map(|(name, value)| (name, std::ffi::OsStr::from_bytes(value.expose()))),
        )
        .stdin(if with_stdin {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    follow_parent_into_death(&mut child);
    // A thread's restrictions pass to what it starts and cannot be lifted, so this one is
    // used for nothing else. It stays until the program has ended, because to the kernel it
    // is the thread that is the program's parent: when it dies, the program does.
    let runtime = tokio::runtime::Handle::current();
    let (reply, started) = tokio::sync::oneshot::channel();
    let (anchor, released) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name("spawn".into())
        .spawn(move || {
            {
                let _runtime = runtime.enter();
                forbid_writing();
                // The caller may have gone; the child is killed when it is dropped.
                let _ = reply.send(child.spawn());
            }
            // Ends with an error, when the anchor is dropped.
            let _ = released.recv();
        })
        .map_err(|cause| types::Error::Other(format!("cannot start a thread: {cause}")))?;
    let started = started
        .await
        .map_err(|_| types::Error::Other(format!("the command {name} was not started")))?;
    let child = started.map_err(|cause| {
        let text = format!("the command {name} ({program}) cannot be started: {cause}");
        match cause.kind() {
            std::io::ErrorKind::NotFound => types::Error::NotFound(text),
            std::io::ErrorKind::PermissionDenied => types::Error::Denied(text),
            _ => types::Error::Other(text),
        }
    })?;
    Ok((child, Anchor(anchor)))
}

/// Lets the kernel kill the program when its parent, which is a thread, dies.
#[expect(unsafe_code, reason = "nothing else can be done between fork and exec")]
fn follow_parent_into_death(child: &mut Command) {
    // SAFETY: between fork and exec the closure does one system call, prctl, and nothing that
    // allocates or locks.
    unsafe {
        child.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
}

/// Takes the right to write, create and remove files from this thread, except device
/// files, as far as the kernel can: Landlock is there since Linux 5.13, where it is not
/// switched off.
fn forbid_writing() {
    let abi = ABI::V3;
    let restrict = || -> Result<(), landlock::RulesetError> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_write(abi))?
            .create()?;
        if let Ok(devices) = PathFd::new("/dev") {
            rules = rules.add_rule(PathBeneath::new(
                devices,
                AccessFs::WriteFile | AccessFs::Truncate,
            ))?;
        }
        rules.restrict_self().map(drop)
    };
    // What cannot be enforced is not enforced; the grant itself is the operator's trust
    // in the program.
    let _ = restrict();
}
