//! Resolves names to addresses.

use std::io;
use std::net::IpAddr;

use futures::future::BoxFuture;

/// Looks up names.
pub(super) trait Resolve: Send + Sync {
    /// All addresses of a name, the preferred first.
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            // The port is not looked up.
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
