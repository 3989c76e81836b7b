//! Builds the program's view of the file system: an empty one, in which readable paths are mounted.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};
use rustix::fs::Mode;
use rustix::process::umask;

use super::resources;
use crate::confine::plan::{Failure, Layer, Plan};

/// Where the new root is put together. It is a directory that is there in any case, and not needed meanwhile.
const STAGE: &str = "/proc";

/// The devices that a program needs.
const DEVICES: [&str; 5] = ["full", "null", "random", "urandom", "zero"];

/// Where a program may write. It is memory, and goes with the program.
const SCRATCH: [&str; 2] = ["/tmp", "/dev/shm"];

/// How a scratch directory is mounted, besides its size. Empty files take memory, too.
const SCRATCH_OPTIONS: &str = "nr_inodes=16k,mode=1777";

/// More symbolic links on the way to one path are a circle.
const MAX_LINKS: usize = 40;

/// Builds the view, and makes it this process's root.
pub(super) fn build(plan: &Plan) -> Result<(), Failure> {
    let here = std::env::current_dir();
    // The directories on the way are for everybody, whoever the program becomes.
    let before = umask(Mode::from_raw_mode(0o022));
    let mut view = View::default();
    view.begin(plan)?;
    for path in &plan.hidden {
        view.hide(path).map_err(failed("hiding", path))?;
    }
    view.cut_out().map_err(failed("hiding", Path::new("/")))?;
    for path in &plan.view {
        view.show(path).map_err(failed("mounting", path))?;
    }
    view.enter().map_err(failed("entering", Path::new("/")))?;
    umask(before);
    // Where the program is started is not always a place that it sees.
    let _ = here.and_then(std::env::set_current_dir);
    Ok(())
}

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    Failure::of(Layer::Namespaces, format!("{what} {}", path.display()))
}

/// The view while it is built.
#[derive(Default)]
struct View {
    /// The paths that are mounted recursively, as real paths.
    shown: BTreeSet<PathBuf>,
    /// The paths that are always hidden, as real paths. They need not exist yet.
    hidden: BTreeSet<PathBuf>,
}

impl View {
    /// Mounts what a view begins with.
    fn begin(&mut self, plan: &Plan) -> Result<(), Failure> {
        let whole = plan.view.iter().any(|path| path == Path::new("/"));
        let root = Path::new("/");
        // Nothing of this is seen outside, and nothing from outside is seen in here.
        mount(NO, root, NO, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NO)
            .map_err(|errno| failed("detaching", root)(errno.into()))?;
        if whole {
            bind(root, Path::new(STAGE)).map_err(failed("mounting", root))?;
            self.shown.insert(root.into());
        } else {
            temporary(Path::new(STAGE), "size=4m,mode=0755").map_err(failed("mounting", root))?;
        }
        let scratch = if whole { &SCRATCH[1..] } else { &SCRATCH };
        let scratch_options = format!("size={},{SCRATCH_OPTIONS}", plan.resources.scratch);
        let mut mounts = || -> io::Result<()> {
            let devices = staged(Path::new("/dev"));
            directory(&devices)?;
            temporary(&devices, "size=64k,mode=0755")?;
            for place in scratch {
                directory(&staged(Path::new(place)))?;
                temporary(&staged(Path::new(place)), &scratch_options)?;
            }
            for name in DEVICES {
                let device = Path::new("/dev").join(name);
                fs::File::create(staged(&device))?;
                mount(Some(&device), &staged(&device), NO, MsFlags::MS_BIND, NO)?;
                // Writing to a device is not writing to its file, whose mode and times are the machine's.
                let flags = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID;
                set(&staged(&device), flags, 0)?;
                self.shown.insert(device);
            }
            for (name, target) in [
                ("fd", "/proc/self/fd"),
                ("stdin", "/proc/self/fd/0"),
                ("stdout", "/proc/self/fd/1"),
                ("stderr", "/proc/self/fd/2"),
            ] {
                symlink(target, devices.join(name))?;
            }
            let processes = staged(Path::new("/proc"));
            directory(&processes)?;
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            let mount_with = |flags| mount(Some("proc"), &processes, Some("proc"), flags, NO);
            // Where that of the machine is for reading alone, so is every other one.
            mount_with(flags).or_else(|_| mount_with(flags | MsFlags::MS_RDONLY))?;
            resources::limit_namespace(plan, &processes);
            set(&processes, libc::MOUNT_ATTR_RDONLY, 0)?;
            self.shown.insert("/proc".into());
            Ok(())
        };
        mounts().map_err(failed("mounting", Path::new("/dev and /proc")))
    }

    /// Mounts what is at a path, and makes the symbolic links on the way to it. What is not there is left out.
    fn show(&mut self, path: &Path) -> io::Result<()> {
        let Some(real) = follow(path, |link, target| {
            let link = staged(link);
            if link.symlink_metadata().is_ok() {
                return Ok(());
            }
            directory(link.parent().unwrap_or(&link))?;
            symlink(target, link)
        })?
        else {
            return Ok(());
        };
        if self.shows(&real) {
            return Ok(());
        }
        self.mount(real)
    }

    /// Mounts what is at a real path. A directory that something hidden is in, or can come to be in, is put together from what
    /// else is in it.
    fn mount(&mut self, real: PathBuf) -> io::Result<()> {
        if real.ancestors().any(|above| self.hidden.contains(above)) {
            return Ok(());
        }
        let target = staged(&real);
        if !real.is_dir() {
            directory(target.parent().unwrap_or(&target))?;
            fs::File::create(&target)?;
            bind(&real, &target)?;
        } else if self.hidden.iter().any(|hidden| hidden.starts_with(&real)) {
            directory(&target)?;
            temporary(&target, "size=4m,mode=0755")?;
            for entry in fs::read_dir(&real)?.filter_map(Result::ok) {
                // What cannot be mounted is left out: a file system of another user, say.
                let _ = match fs::read_link(entry.path()) {
                    Ok(link) => symlink(link, target.join(entry.file_name())),
                    Err(_) => self.mount(entry.path()),
                };
            }
            set(&target, libc::MOUNT_ATTR_RDONLY, 0)?;
        } else {
            directory(&target)?;
            bind(&real, &target)?;
        }
        self.shown.insert(real);
        Ok(())
    }

    /// Keeps a path out of the view. What is put in its place later is not seen, either.
    fn hide(&mut self, path: &Path) -> io::Result<()> {
        let above = path.parent().unwrap_or(path);
        if let (Some(above), Some(name)) = (follow(above, |_, _| Ok(()))?, path.file_name()) {
            self.hidden.insert(above.join(name));
        }
        self.hidden.extend(follow(path, |_, _| Ok(()))?);
        Ok(())
    }

    /// Takes what is hidden out of a view that shows everything.
    fn cut_out(&mut self) -> io::Result<()> {
        if !self.shown.contains(Path::new("/")) {
            return Ok(());
        }
        let tops: BTreeSet<PathBuf> = self
            .hidden
            .iter()
            .map(|hidden| hidden.components().take(2).collect())
            .collect();
        for top in tops.into_iter().filter(|top| top.exists()) {
            if self.hidden.contains(&top) {
                bind(Path::new("/dev/null"), &staged(&top))?;
            } else {
                self.mount(top)?;
            }
        }
        Ok(())
    }

    fn shows(&self, real: &Path) -> bool {
        real.ancestors().any(|above| self.shown.contains(above))
    }

    /// Makes the view the root, and forgets the old one.
    fn enter(&self) -> io::Result<()> {
        if !self.shown.contains(Path::new("/")) {
            set(Path::new(STAGE), libc::MOUNT_ATTR_RDONLY, 0)?;
        }
        set(&staged(Path::new("/dev")), libc::MOUNT_ATTR_RDONLY, 0)?;
        chdir(STAGE)?;
        // The new root on top of the old one, and then away with the old one.
        pivot_root(".", ".")?;
        umount2(".", MntFlags::MNT_DETACH)?;
        Ok(chdir("/")?)
    }
}

/// No path and no text, for calls that take one or none.
const NO: Option<&str> = None;

/// Where a path of the view is while it is built.
fn staged(path: &Path) -> PathBuf {
    Path::new(STAGE).join(path.strip_prefix("/").unwrap_or(path))
}

fn directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

fn temporary(path: &Path, options: &str) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        flags,
        Some(options),
    )?)
}

/// Mounts a path with all below it once more, for reading.
fn bind(from: &Path, to: &Path) -> io::Result<()> {
    mount(Some(from), to, NO, MsFlags::MS_BIND | MsFlags::MS_REC, NO)?;
    let flags = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    set(to, flags, libc::AT_RECURSIVE)
}

/// Sets attributes of a mount, or of all below it too.
#[expect(unsafe_code, reason = "only the system's own call is there")]
fn set(path: &Path, attributes: u64, depth: libc::c_int) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let wanted = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: both pointers are to values that live until the call has returned, and the last argument is
    // the size of what the second one points to.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            depth,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The real path of a path, if something is there. Tells every symbolic link on the way, with what it says.
fn follow(
    path: &Path,
    mut tell: impl FnMut(&Path, &Path) -> io::Result<()>,
) -> io::Result<Option<PathBuf>> {
    let mut ahead: VecDeque<OsString> = VecDeque::new();
    let mut real = PathBuf::from("/");
    let mut links = 0;
    let mut path = path.to_owned();
    loop {
        for component in path.components().rev() {
            match component {
                Component::Normal(name) => ahead.push_front(name.to_owned()),
                Component::ParentDir => ahead.push_front("..".into()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        if path.is_absolute() {
            real = PathBuf::from("/");
        }
        path = loop {
            let Some(name) = ahead.pop_front() else {
                return Ok(Some(real));
            };
            if name == ".." {
                real.pop();
                continue;
            }
            real.push(name);
            let Ok(found) = real.symlink_metadata() else {
                return Ok(None);
            };
            if found.is_symlink() {
                let target = fs::read_link(&real)?;
                links += 1;
                if links > MAX_LINKS {
                    return Ok(None);
                }
                tell(&real, &target)?;
                real.pop();
                break target;
            }
        };
    }
}
