//! How much of the machine a program may use.
//!
//! Without cgroups, a kernel limits the memory of each process, and not of all of them together: somebody has to look. It limits the number of
//! processes where it counts those of one namespace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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

/// Whether all processes of the program take more memory together than this. What several share counts once. Where there is a
/// namespace of processes, no others are seen.
pub(super) fn have_outgrown(most: u64) -> bool {
    let processes = processes();
    let all =
        |of_one: fn(&Path) -> u64| processes.iter().map(|process| of_one(process)).sum::<u64>();
    // That is soon looked up, and counts what is shared for each who shares it.
    all(|process| resident(process).0) > most && all(proportional) > most
}

/// The directories of all processes that are seen.
fn processes() -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_process = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    };
    entries
        .filter(is_process)
        .map(|entry| entry.path())
        .collect()
}

/// The bytes of memory that a process has, and those of them that it may share.
fn resident(process: &Path) -> (u64, u64) {
    // One that has ended takes nothing.
    let text = fs::read_to_string(process.join("statm")).unwrap_or_default();
    let page = rustix::param::page_size() as u64;
    let mut pages = text.split_ascii_whitespace().skip(1);
    let mut bytes = || {
        let pages = pages.next().and_then(|pages| pages.parse::<u64>().ok());
        pages.unwrap_or_default().saturating_mul(page)
    };
    (bytes(), bytes())
}

/// The bytes of memory that a process has, with its part of what it shares with others; without that where nobody may look.
fn proportional(process: &Path) -> u64 {
    let Ok(text) = fs::read_to_string(process.join("smaps_rollup")) else {
        let (all, shared) = resident(process);
        return all.saturating_sub(shared);
    };
    let lines = text.lines().filter_map(|line| {
        let size = line
            .strip_prefix("Pss:")
            .or_else(|| line.strip_prefix("SwapPss:"))?;
        size.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    lines.sum::<u64>() << 10
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_a_process_has_is_found() {
        const LENGTH: usize = 64 << 20;
        let own = Path::new("/proc/self");
        let before = (resident(own).0, proportional(own));
        let memory = vec![1_u8; LENGTH];
        let after = (resident(own).0, proportional(own));
        std::hint::black_box(&memory);
        for (before, after) in [(before.0, after.0), (before.1, after.1)] {
            assert!(after >= before + LENGTH as u64 / 2, "{before} {after}");
        }
        assert!(have_outgrown(1) && !have_outgrown(u64::MAX - 1));
    }
}
