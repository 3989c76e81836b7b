//! How much of the machine a program may use.
//!
//! Without cgroups, a kernel limits the memory of each process, and not of all of them together; and the number of processes where it counts
//! those of one namespace.

use std::fs;
use std::io;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::system::uname;

use crate::confine::plan::{Failure, Layer, Namespaces, Plan};

/// The kernel takes the numbers of new processes from behind so many, once it has come to the end of all.
const RESERVED: u32 = 300;

/// The first version of Linux that counts the processes of a user namespace by themselves.
const COUNTS_PER_NAMESPACE: (u32, u32) = (5, 14);

/// When the machine has no memory left, this process is ended before all others, with what it has started.
pub(super) fn go_first() {
    // Where that cannot be said, the kernel takes the largest process.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
}

/// Limits this process, and each that it starts.
pub(super) fn limit(plan: &Plan) -> Result<(), Failure> {
    let failed = |what: &'static str| Failure::of(Layer::Restrictions, what);
    lower(Resource::Data, plan.resources.memory).map_err(failed("limiting its memory"))?;
    // Elsewhere, the processes of its user count that have nothing to do with it.
    if plan.namespaces == Namespaces::User && version() >= COUNTS_PER_NAMESPACE {
        let processes = plan.resources.processes.into();
        lower(Resource::Nproc, processes).map_err(failed("limiting its processes"))?;
    }
    Ok(())
}

/// Limits the processes of this process's namespace, where the kernel can (Linux 6.14 and later). The processes file system is that of
/// the namespace.
pub(super) fn limit_namespace(plan: &Plan, processes: &Path) {
    let most = plan.resources.processes.saturating_add(RESERVED);
    // There is no such setting on older ones.
    let _ = fs::write(processes.join("sys/kernel/pid_max"), most.to_string());
}

fn lower(resource: Resource, most: u64) -> io::Result<()> {
    let before = getrlimit(resource).maximum;
    let most = Some(before.map_or(most, |before| before.min(most)));
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    Ok(setrlimit(resource, limit)?)
}

/// The version of this kernel, as far as it matters.
fn version() -> (u32, u32) {
    let name = uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or_default());
    (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    )
}
