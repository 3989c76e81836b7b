//! The names of users and groups.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Looks up names once: the system may have to ask a server for them.
#[derive(Debug, Default)]
pub(crate) struct Names {
    users: Mutex<HashMap<u32, Option<String>>>,
    groups: Mutex<HashMap<u32, Option<String>>>,
}

impl Names {
    /// The name of a user, where the system has one.
    pub(super) fn user(&self, id: u32) -> Option<String> {
        known(&self.users, id, || {
            let user = uzers::get_user_by_uid(id)?;
            user.name().to_str().map(str::to_owned)
        })
    }

    /// The name of a group, where the system has one.
    pub(super) fn group(&self, id: u32) -> Option<String> {
        known(&self.groups, id, || {
            let group = uzers::get_group_by_gid(id)?;
            group.name().to_str().map(str::to_owned)
        })
    }
}

fn known(
    names: &Mutex<HashMap<u32, Option<String>>>,
    id: u32,
    look_up: impl FnOnce() -> Option<String>,
) -> Option<String> {
    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
    names.entry(id).or_insert_with(look_up).clone()
}
