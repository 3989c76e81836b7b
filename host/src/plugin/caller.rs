//! The caller that plugins see: this process, machine and user.

use super::bindings::types::Caller;

/// What plugins learn about this process.
pub(super) fn caller() -> Caller {
    let user_id = rustix::process::geteuid();
    Caller {
        program: concat!("tthost ", env!("CARGO_PKG_VERSION")).to_owned(),
        hostname: hostname(),
        username: username(),
        process_id: std::process::id(),
        user_id: user_id.as_raw(),
        group_id: rustix::process::getegid().as_raw(),
    }
}

/// This machine's name.
pub(crate) fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The name of this process's user, or its number where it has no name.
pub(crate) fn username() -> String {
    let id = rustix::process::geteuid().as_raw();
    uzers::get_user_by_uid(id).map_or_else(
        || id.to_string(),
        |user| user.name().to_string_lossy().into_owned(),
    )
}
