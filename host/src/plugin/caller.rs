//! Who asks: this process, on this machine, of this user.

use crate::plugin::bindings::types::Caller;

/// What plugins are told of this process.
pub(super) fn caller() -> Caller {
    let user_id = rustix::process::geteuid();
    let username = uzers::get_user_by_uid(user_id.as_raw()).map_or_else(
        || user_id.as_raw().to_string(),
        |user| user.name().to_string_lossy().into_owned(),
    );
    Caller {
        program: concat!("tthost ", env!("CARGO_PKG_VERSION")).to_owned(),
        hostname: hostname(),
        username,
        process_id: std::process::id(),
        user_id: user_id.as_raw(),
        group_id: rustix::process::getegid().as_raw(),
    }
}

/// This machine's name.
pub(super) fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
