//! The single fault that an instance has, by its name. The tests know which check is meant for each.

use std::cell::RefCell;

use serde::Deserialize;

use crate::bindings::tthost::backup::types::Error;

/// What the plugin says of itself, it says without any configuration. So a test that wants a fault there writes its name
/// into the component, in place of the dots.
#[used]
static WRITTEN: [u8; 40] = *b"fault:..................................";

thread_local! {
    static CONFIGURED: RefCell<String> = const { RefCell::new(String::new()) };
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    fault: String,
}

/// Has the fault of this configuration from now on.
pub(crate) fn configure(config: &str) -> Result<(), Error> {
    let config: Config =
        serde_json::from_str(config).map_err(|cause| Error::Config(cause.to_string()))?;
    CONFIGURED.set(config.fault);
    Ok(())
}

/// Whether it has this fault.
pub(crate) fn is(name: &str) -> bool {
    CONFIGURED.with_borrow(|fault| fault == name)
}

/// Whether this fault is written into the component.
pub(crate) fn is_written(name: &str) -> bool {
    // Nobody may take it for known when it is compiled.
    let written = std::hint::black_box(&WRITTEN);
    let written = std::str::from_utf8(&written[6..]).unwrap_or_default();
    written.trim_end_matches('.') == name
}
