//! The namespaces of a program.

use std::fs;

use nix::sched::{CloneFlags, unshare};
use rustix::process::{getgid, getuid};

use crate::confine::plan::{Failure, Layer, Namespaces, Plan};

/// Leaves this process's namespaces. The next one that it starts is the first of the new process namespace.
pub(super) fn enter(plan: &Plan) -> Result<(), Failure> {
    let failed = |what: &'static str| Failure::of(Layer::Namespaces, what);
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    if !plan.network {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    let is_user = match plan.namespaces {
        Namespaces::None => return Ok(()),
        Namespaces::Privileged => false,
        Namespaces::User => true,
    };
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    if is_user {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(|errno| failed("unshare")(errno.into()))?;
    if is_user {
        // The same numbers inside and outside: servers ask who connects.
        for (file, text) in [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("{user} {user} 1")),
            ("gid_map", format!("{group} {group} 1")),
        ] {
            fs::write(format!("/proc/self/{file}"), text).map_err(failed("mapping the user"))?;
        }
    }
    Ok(())
}
