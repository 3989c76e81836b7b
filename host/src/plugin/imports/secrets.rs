//! `secrets`: the granted secrets, by name.

use wasmtime::component::{Accessor, HasSelf};

use crate::plugin::bindings::common::tthost::backup::secrets;
use crate::plugin::bindings::types;
use crate::plugin::state::State;
use crate::text::printable;

impl secrets::Host for State {}

impl secrets::HostWithStore<State> for HasSelf<State> {
    async fn get(
        accessor: &Accessor<State, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<u8>, types::Error>> {
        Ok(
            accessor.with(|mut access| match access.get().grants.secrets.get(&name) {
                Some(secret) => Ok(secret.expose().to_vec()),
                None => Err(types::Error::Denied(format!(
                    "the secret {0} is not granted: add grants.secrets.{0} to its configuration",
                    printable(&name)
                ))),
            }),
        )
    }
}
