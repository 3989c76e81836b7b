//! Plugins in a build directory that several checkouts share.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Removes the plugins that another checkout built last, so that cargo builds them anew. A component has the same
/// file for all checkouts, and cargo goes by its time alone.
///
/// `components` is the directory of that file. The error is one of the file system.
pub fn claim(components: &Path, plugins: &[&str], checkout: &Path) -> io::Result<()> {
    let checkout = checkout.canonicalize()?;
    let checkout = checkout.as_os_str().as_encoded_bytes();
    for plugin in plugins {
        let owner = components.join(format!("{plugin}.checkout"));
        if fs::read(&owner).is_ok_and(|last| last == checkout) {
            continue;
        }
        let component = components.join(plugin.replace('-', "_") + ".wasm");
        match fs::remove_file(component) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        fs::create_dir_all(components)?;
        fs::write(&owner, checkout)?;
    }
    Ok(())
}
