//! The seccomp filter: blocks system calls that a program does not need for reading and writing.

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use crate::confine::plan::{Failure, Layer, Namespaces, Plan};

/// Looking into other processes.
const PROCESSES: [c_long; 6] = [
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
];

/// Other roots, mounts and namespaces, and files by other ways than their path.
const ROOTS: [c_long; 17] = [
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_fanotify_init,
];

/// The kernel's own: keys, programs, modules, clocks, counters, and what is written in one go past this filter.
const KERNEL: [c_long; 26] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_userfaultfd,
];

/// What files are changed by without writing to them. Where a program has no view of its own, nothing else
/// forbids it.
const METADATA: [c_long; 11] = [
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_setxattr,
    libc::SYS_utimensat,
];

/// What empties a file without opening it, which the first versions of Landlock do not look at.
const EMPTYING: [c_long; 1] = [libc::SYS_truncate];

/// Attributes of files that are set through their descriptors: `FS_IOC_SETFLAGS` and `FS_IOC_FSSETXATTR`.
const ATTRIBUTES: [u64; 2] = [0x4008_6602, 0x401c_5820];

/// The same, under older names, and newer numbers that libc does not name.
#[cfg(target_arch = "x86_64")]
const OLD_METADATA: [c_long; 6] = [
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_futimesat,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_METADATA: [c_long; 0] = [];

/// `fchmodat2`, `setxattrat`, `removexattrat` and `file_setattr`, whose numbers are the same everywhere.
const NEW_METADATA: [c_long; 4] = [452, 463, 466, 469];

/// `open_tree_attr`, whose number is the same everywhere.
const NEW_ROOTS: [c_long; 1] = [467];

/// Calls that reach hardware.
#[cfg(target_arch = "x86_64")]
const HARDWARE: [c_long; 3] = [libc::SYS_ioperm, libc::SYS_iopl, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const HARDWARE: [c_long; 0] = [];

/// A namespace each.
const NEW_NAMESPACES: [libc::c_int; 8] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    0x80, // CLONE_NEWTIME
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Typing into a terminal.
const TYPING: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// On this processor a call has a second number, with this bit.
#[cfg(target_arch = "x86_64")]
const SECOND: Option<c_long> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const SECOND: Option<c_long> = None;

/// Takes the calls from this process, and from what it starts, for good.
pub(super) fn apply(plan: &Plan) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        let cause = io::Error::last_os_error();
        Failure::of(Layer::Filter, format!("seccomp: {error}"))(cause)
    };
    // clone3 hides its flags from a filter. Programs whose libc gets this answer use clone.
    let mut unknown = BTreeMap::new();
    deny(&mut unknown, &[libc::SYS_clone3]);
    for (rules, errno) in [(rules(plan), libc::EPERM), (Ok(unknown), libc::ENOSYS)] {
        let rules = rules.map_err(|error| failed(&error))?;
        let program = compile(rules, errno.unsigned_abs()).map_err(|error| failed(&error))?;
        apply_filter(&program).map_err(|error| failed(&error))?;
    }
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules(plan: &Plan) -> Result<Rules, seccompiler::BackendError> {
    let mut rules = Rules::new();
    deny(&mut rules, &PROCESSES);
    deny(&mut rules, &ROOTS);
    deny(&mut rules, &NEW_ROOTS);
    deny(&mut rules, &KERNEL);
    deny(&mut rules, &HARDWARE);
    if plan.namespaces == Namespaces::None {
        deny(&mut rules, &METADATA);
        deny(&mut rules, &OLD_METADATA);
        deny(&mut rules, &NEW_METADATA);
        deny(&mut rules, &EMPTYING);
    }
    let families: &[libc::c_int] = if plan.network {
        &[
            libc::AF_UNIX,
            libc::AF_INET,
            libc::AF_INET6,
            libc::AF_NETLINK,
        ]
    } else {
        &[libc::AF_UNIX]
    };
    let other_family = families
        .iter()
        .map(|family| condition(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs())))
        .collect::<Result<_, _>>()?;
    deny_if(
        &mut rules,
        libc::SYS_socket,
        vec![SeccompRule::new(other_family)?],
    );
    let mut namespaces = Vec::new();
    for flag in NEW_NAMESPACES {
        let flag = u64::from(flag.unsigned_abs());
        let is_set = condition(0, SeccompCmpOp::MaskedEq(flag), flag)?;
        namespaces.push(SeccompRule::new(vec![is_set])?);
    }
    deny_if(&mut rules, libc::SYS_clone, namespaces);
    let attributes = match plan.namespaces {
        Namespaces::None => &ATTRIBUTES[..],
        _ => &[],
    };
    let mut requests = Vec::new();
    for request in TYPING.iter().chain(attributes) {
        let is_it = condition(1, SeccompCmpOp::Eq, *request)?;
        requests.push(SeccompRule::new(vec![is_it])?);
    }
    deny_if(&mut rules, libc::SYS_ioctl, requests);
    // A program's own limits are its own.
    let of_another = condition(0, SeccompCmpOp::Ne, 0)?;
    deny_if(
        &mut rules,
        libc::SYS_prlimit64,
        vec![SeccompRule::new(vec![of_another])?],
    );
    Ok(rules)
}

/// Denies calls whatever their arguments.
fn deny(rules: &mut Rules, calls: &[c_long]) {
    for call in calls {
        deny_if(rules, *call, Vec::new());
    }
}

fn deny_if(rules: &mut Rules, call: c_long, conditions: Vec<SeccompRule>) {
    if let Some(bit) = SECOND {
        rules.insert(call | bit, conditions.clone());
    }
    rules.insert(call, conditions);
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn compile(rules: Rules, errno: u32) -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let denied = SeccompAction::Errno(errno);
    SeccompFilter::new(rules, SeccompAction::Allow, denied, architecture)?.try_into()
}
