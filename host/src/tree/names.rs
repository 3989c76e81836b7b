//! The names of users and groups.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Numbers whose names are kept in mind, at most. A tree can hold files of as many owners as there are numbers.
const MOST: usize = 1 << 16;

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
    if names.len() >= MOST && !names.contains_key(&id) {
        names.clear();
    }
    names.entry(id).or_insert_with(look_up).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_number_of_owners_take_no_more_room_than_those_of_many() {
        let names = Mutex::default();
        for id in 0..3 * MOST {
            let id = u32::try_from(id).expect("it is a number");
            assert_eq!(
                known(&names, id, || Some(id.to_string())),
                Some(id.to_string())
            );
            assert_eq!(
                known(&names, id, || None),
                Some(id.to_string()),
                "it is known"
            );
        }
        assert!(names.into_inner().expect("nobody panics").len() <= MOST);
    }
}
