//! `sink`, except for its resource `repository`.

use crate::contract::Rights;
use crate::error::Result;
use crate::plugin::{Context, Instance, Spec, directories};

/// Finds out what can be done in the store of a sink.
pub(crate) async fn probe(context: &Context, sink: &Spec) -> Result<Rights> {
    directories::make_state(sink)?;
    let config = sink.config_json();
    let probed = async {
        let plugin = Instance::start(&context.runtime, sink, context.events.clone()).await?;
        plugin
            .call("probe", move |accessor, exports| {
                Box::pin(async move {
                    exports
                        .sink()?
                        .tthost_backup_sink()
                        .call_probe(accessor, config)
                        .await
                })
            })
            .await
    };
    Ok(context.unless_cancelled(probed).await?.into())
}
