//! The directories of state and cache on this machine.
//!
//! Each user has one directory of each kind, regardless of `HOME` and the XDG variables. cron and systemd
//! start programs without those variables, and a sink with write-only credentials begins another repository if
//! it does not find its state.

use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use uzers::os::unix::UserExt as _;

use super::Environment;
use crate::error::{Error, Kind, Result};

/// A kind of place, with all that is known about where it is.
struct StandardDirectory {
    /// The variable that names another directory.
    variable: &'static str,
    /// Root's directory.
    of_root: &'static str,
    /// Everybody else's directory, below the home that the system's list of users has.
    below_home: &'static str,
}

const STATE: StandardDirectory = StandardDirectory {
    variable: "TTHOST_STATE_DIR",
    of_root: "/var/lib/tthost",
    below_home: ".local/state/tthost",
};

const CACHE: StandardDirectory = StandardDirectory {
    variable: "TTHOST_CACHE_DIR",
    of_root: "/var/cache/tthost",
    below_home: ".cache/tthost",
};

/// The state of the sinks, and the history of the runs.
pub(super) fn state(environment: &Environment) -> Result<PathBuf> {
    let state = STATE.find(environment)?;
    match earlier_state(environment) {
        Some(earlier) if earlier != state && !state.exists() => {
            let text = format!(
                "the state of earlier runs is in {}, and now belongs in {}",
                earlier.display(),
                state.display()
            );
            Err(Error::new(Kind::Config, text).help(format!(
                "move it with `mv {} {}`, or keep it there with {}={}",
                earlier.display(),
                state.display(),
                STATE.variable,
                earlier.display()
            )))
        }
        _ => Ok(state),
    }
}

/// Compiled plugins, which can be made again.
pub(super) fn cache(environment: &Environment) -> Result<PathBuf> {
    CACHE.find(environment)
}

impl StandardDirectory {
    fn find(&self, environment: &Environment) -> Result<PathBuf> {
        if let Some(named) = environment.get(self.variable) {
            return Ok(named.into());
        }
        let user = geteuid();
        if user.is_root() {
            return Ok(self.of_root.into());
        }
        let listed = uzers::get_user_by_uid(user.as_raw());
        let home = listed.map(|user| user.home_dir().to_owned());
        // Containers run with users that no list has.
        home.or_else(|| environment.get("HOME").map(PathBuf::from))
            .map(|home| home.join(self.below_home))
            .ok_or_else(|| {
                let text = format!("user {} has no home directory", user.as_raw());
                Error::new(Kind::Config, text).help(format!("set {} to a directory", self.variable))
            })
    }
}

/// Where the state was when the environment decided that.
fn earlier_state(environment: &Environment) -> Option<PathBuf> {
    let base = match environment.get("XDG_STATE_HOME") {
        Some(state) => PathBuf::from(state),
        None => Path::new(environment.get("HOME")?).join(".local/state"),
    };
    Some(base.join("tthost")).filter(|state| state.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &Path)]) -> Environment {
        let text = |path: &Path| path.to_str().expect("it is text").to_owned();
        let owned = |(name, path): &(&str, &Path)| ((*name).to_owned(), text(path));
        variables.iter().map(owned).collect()
    }

    #[test]
    fn a_place_does_not_depend_on_home() {
        let bare = state(&environment(&[])).expect("everybody has a place");
        let elsewhere = Path::new("/nonexistent");
        let other = [("HOME", elsewhere), ("XDG_STATE_HOME", elsewhere)];
        let other = state(&environment(&other)).expect("everybody has a place");
        assert_eq!(bare, other);
        let caches = [
            environment(&[]),
            environment(&[("XDG_CACHE_HOME", elsewhere)]),
        ];
        let caches = caches.map(|environment| cache(&environment).expect("everybody has a place"));
        assert_eq!(caches[0], caches[1]);
    }

    #[test]
    fn state_that_an_earlier_version_left_elsewhere_is_told_and_not_forgotten() {
        let home = tempfile::tempdir().expect("there is room");
        let earlier = home.path().join(".local/state/tthost");
        let now = home.path().join("now");
        std::fs::create_dir_all(&earlier).expect("there is room");
        let variables = environment(&[("HOME", home.path()), (STATE.variable, &now)]);
        let error = state(&variables).expect_err("it would begin anew");
        assert!(
            error
                .message()
                .contains(earlier.to_str().expect("it is text")),
            "{error}"
        );
        std::fs::create_dir(&now).expect("there is room");
        assert_eq!(state(&variables).expect("it was moved"), now);
        let kept = [("HOME", home.path()), (STATE.variable, &earlier)];
        assert_eq!(state(&environment(&kept)).expect("it stays"), earlier);
    }
}
