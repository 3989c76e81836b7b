//! Restrictions that a process cannot lift again: capabilities, and Landlock.

use caps::{CapSet, Capability};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, Scope, path_beneath_rules,
};

use crate::confine::plan::{Failure, Layer, Namespaces, Plan};

/// The newest version of Landlock whose rights are known here.
const NEWEST: ABI = ABI::V10;

/// Devices that may be written to.
const DEVICES: [&str; 5] = [
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];

/// Where a program may write if it has a view of its own.
const SCRATCH: [&str; 2] = ["/tmp", "/dev/shm"];

/// What tells of the machine and of processes. Landlock keeps what is theirs alone: environment, memory, open files.
const PROCESSES: &str = "/proc";

/// What root keeps: to become another user, to end what it has started as one, and to open what its view holds.
const KEPT: [Capability; 5] = [
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_KILL,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
];

/// Drops all capabilities that no program needs. What is started by root cannot get them back.
pub(super) fn drop_capabilities() -> Result<(), Failure> {
    let drop = || -> Result<(), caps::errors::CapsError> {
        if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
            for capability in caps::read(None, CapSet::Bounding)? {
                if !KEPT.contains(&capability) {
                    caps::drop(None, CapSet::Bounding, capability)?;
                }
            }
        }
        caps::clear(None, CapSet::Inheritable)?;
        for set in [CapSet::Effective, CapSet::Permitted] {
            let mut held = caps::read(None, set)?;
            held.retain(|capability| KEPT.contains(capability));
            caps::set(None, set, &held)?;
        }
        Ok(())
    };
    drop().map_err(|error| {
        let what = format!("dropping capabilities: {error}");
        Failure::of(Layer::Restrictions, what)(std::io::Error::last_os_error())
    })
}

/// Takes the right to read, write, create and remove files, to connect to the abstract sockets of others and to
/// signal them, as far as this kernel's Landlock can.
pub(super) fn restrict_files(plan: &Plan) -> Result<(), Failure> {
    let restrict = || -> Result<(), RulesetError> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?;
        if !plan.network {
            rules = rules.handle_access(AccessNet::from_all(NEWEST))?;
        }
        let look = AccessFs::from_read(NEWEST) | AccessFs::ResolveUnix;
        let use_devices =
            AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
        let rules = rules
            .create()?
            .add_rules(path_beneath_rules(DEVICES, use_devices))?;
        let rules = if plan.namespaces == Namespaces::None {
            rules
                .add_rules(path_beneath_rules(&plan.view, look))?
                .add_rules(path_beneath_rules([PROCESSES], look))?
        } else {
            rules
                .add_rules(path_beneath_rules(["/"], look))?
                .add_rules(path_beneath_rules(SCRATCH, AccessFs::from_all(NEWEST)))?
        };
        rules.restrict_self().map(drop)
    };
    restrict().map_err(|error| {
        let what = format!("Landlock: {error}");
        Failure::of(Layer::Restrictions, what)(std::io::Error::last_os_error())
    })
}
