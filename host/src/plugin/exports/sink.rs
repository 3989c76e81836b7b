//! `sink`, except for its resource `repository`, and `maintenance`.

use crate::contract::Rights;
use crate::error::{Error, Kind, Result};
use crate::plugin::caller::caller;
use crate::plugin::component::Capability;
use crate::plugin::{Context, Instance, Spec, directories};

/// Finds out what can be done in the store of a sink.
pub(crate) async fn probe(context: &Context, sink: &Spec) -> Result<Rights> {
    directories::make_state(sink)?;
    let config = sink.config_json();
    let probed = async {
        let plugin = Instance::start(context, sink).await?;
        let probing = plugin.call("probe", move |accessor, exports| {
            Box::pin(async move {
                let sink = exports.sink()?.tthost_backup_sink();
                sink.call_probe(accessor, config).await
            })
        });
        let probed = probing.await;
        close_store(&plugin).await;
        probed
    };
    let probed = context.unless_cancelled(probed).await;
    probed.map(Rights::from).map_err(no_repository)
}

/// Removes locks that were left behind in the store of a sink; with `all`, every lock. Answers how
/// many it removed.
pub(crate) async fn unlock(context: &Context, sink: &Spec, all: bool) -> Result<u64> {
    directories::make_state(sink)?;
    let config = sink.config_json();
    let unlocked = async {
        let plugin = Instance::start(context, sink).await?;
        if !plugin.can(Capability::Maintenance) {
            let text = format!("it does not export {}", Capability::Maintenance.interface());
            return Err(Error::new(Kind::Unsupported, text).of(plugin.subject()));
        }
        let unlocking = plugin.call("unlock", move |accessor, exports| {
            Box::pin(async move {
                let maintenance = exports.maintenance()?;
                maintenance
                    .call_unlock(accessor, caller(), config, all)
                    .await
            })
        });
        let unlocked = unlocking.await;
        close_store(&plugin).await;
        unlocked
    };
    let unlocked = context.unless_cancelled(unlocked).await;
    unlocked.map_err(no_repository)
}

async fn close_store(plugin: &Instance) {
    if let Some(store) = plugin.store() {
        store.close().await;
    }
}

/// What is not there is the store.
pub(super) fn no_repository(error: Error) -> Error {
    match error.kind() {
        Kind::NotFound => error.into_no_repository(),
        _ => error,
    }
}
