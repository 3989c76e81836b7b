//! Limits the resources of a program.
//!
//! Without cgroups, a kernel limits the memory of each process, and not of all of them together: somebody has to look. It limits the number of
//! processes where it counts those of one namespace; elsewhere, somebody has to look too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::system::uname;

use crate::confine::plan::{Failure, Layer, Namespaces, Outgrown, Plan, Resources};

/// The kernel takes the numbers of new processes from behind so many, once it has come to the end of all.
const RESERVED: u32 = 300;

/// A version of Linux, as far as it matters.
type Version = (u32, u32);

/// The first version of Linux that counts the processes of a user namespace by themselves.
const COUNTS_PER_NAMESPACE: Version = (5, 14);

/// The first version of Linux in which the greatest number of a process is that of a namespace. Before, it is the machine's, and
/// whoever may change it here changes it for everybody.
const NUMBERS_PER_NAMESPACE: Version = (6, 14);

/// When the machine has no memory left, this process is ended before all others, with what it has started.
pub(super) fn prefer_for_oom_kill() {
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
    limit_numbers(most_tasks(&plan.resources), processes, version());
}

fn limit_numbers(most: u32, processes: &Path, version: Version) {
    if version >= NUMBERS_PER_NAMESPACE {
        // Where it cannot be said, it is looked at.
        let _ = fs::write(processes.join("sys/kernel/pid_max"), most.to_string());
    }
}

/// The most processes and threads, with those whose numbers are not given to others.
fn most_tasks(resources: &Resources) -> u32 {
    resources.processes.saturating_add(RESERVED)
}

/// What the processes of the program have too much of together. What several share counts once. Where there is a namespace of
/// processes, no others are seen.
pub(super) fn outgrown(resources: &Resources) -> Option<Outgrown> {
    excess(resources.memory, most_tasks(resources).into())
}

fn excess(memory: u64, most_tasks: u64) -> Option<Outgrown> {
    let processes = processes();
    let all =
        |of_one: fn(&Path) -> u64| processes.iter().map(|process| of_one(process)).sum::<u64>();
    if all(tasks) > most_tasks {
        return Some(Outgrown::Processes);
    }
    // That is soon looked up, and counts what is shared for each who shares it.
    let has_much = all(|process| resident(process).0) > memory;
    (has_much && all(proportional) > memory).then_some(Outgrown::Memory)
}

/// The threads of a process.
fn tasks(process: &Path) -> u64 {
    let tasks = fs::read_dir(process.join("task"));
    tasks.map_or(0, |tasks| tasks.count() as u64)
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

/// The version of this kernel.
fn version() -> Version {
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
        assert_eq!(excess(1, u64::MAX), Some(Outgrown::Memory));
        assert_eq!(excess(u64::MAX, 1), Some(Outgrown::Processes));
        assert_eq!(excess(u64::MAX, u64::MAX), None);
    }

    #[test]
    fn the_greatest_number_of_the_whole_machine_is_left_alone() {
        let processes = tempfile::tempdir().expect("there is room");
        let setting = processes.path().join("sys/kernel/pid_max");
        fs::create_dir_all(setting.parent().expect("it is in a directory")).expect("there is room");
        for (version, expected) in [((5, 10), "4194304"), ((6, 13), "4194304"), ((6, 14), "7")] {
            fs::write(&setting, "4194304").expect("there is room");
            limit_numbers(7, processes.path(), version);
            let now = fs::read_to_string(&setting).expect("it is there");
            assert_eq!(now, expected, "{version:?}");
        }
    }
}
