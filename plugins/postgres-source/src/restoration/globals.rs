//! Roles, tablespaces and new databases, which are restored before the dumps that need them.

use tthost_plugin::{Error, Level, log};

use super::{Restoration, feed_whole};
use crate::feed::Feed;
use crate::layout::{Dump, GLOBALS};
use crate::properties;
use crate::server::Cluster;

impl Restoration {
    /// Whether roles and tablespaces are to come.
    pub(super) fn awaits_globals(&self) -> bool {
        let expected = self.expected.borrow();
        expected.values().any(|(dump, _)| *dump == Dump::Globals)
    }

    pub(super) fn is_globals(&self, id: u64) -> bool {
        let expected = self.expected.borrow();
        expected
            .get(&id)
            .is_some_and(|(dump, _)| *dump == Dump::Globals)
    }

    /// Restores roles and tablespaces, and makes the databases that the server does not have.
    pub(super) async fn restore_globals(&self, id: u64, contents: Vec<u8>) -> Result<(), Error> {
        let config = &self.plan.config;
        let size = contents.len() as u64;
        let sql = match str::from_utf8(&contents).map(properties::split) {
            Ok((mut sql, databases)) if !databases.is_empty() => {
                let cluster = Cluster::ask(config.maintenance_database.of(&[])).await?;
                // Those that are there stay as they are.
                let mut new = databases;
                new.retain(|properties| !cluster.has(&properties.database));
                for properties in new {
                    sql += &properties.creation;
                    self.settings.borrow_mut().push_str(&properties.settings);
                }
                sql.into_bytes()
            }
            _ => contents,
        };
        if self.plan.is_elsewhere() {
            let text = format!(
                "{GLOBALS} is left out: roles and tablespaces are of the whole server, and not of another target"
            );
            log(Level::Warn, &text);
            self.expected.borrow_mut().remove(&id);
            return Ok(());
        }
        let (dump, placement, feed) = self.start(id).await?;
        let report = self.feed_globals(feed, sql).await;
        self.conclude(&dump, placement, report.map(|()| size)).await
    }

    /// Feeds statements that go on after errors, and counts those that failed for another reason than that the thing
    /// is there already.
    async fn feed_globals(&self, feed: Feed, sql: Vec<u8>) -> Result<(), Error> {
        let refused = feed_whole(feed, sql).await?.refused;
        if refused > 0 {
            let text = format!(
                "{refused} statements of {GLOBALS} failed, and what they were to make is missing: the errors above say why"
            );
            log(Level::Error, &text);
            self.refused.set(self.refused.get() + refused);
        }
        Ok(())
    }

    /// Gives new databases their settings.
    pub(super) async fn set_up(&self) -> Result<(), Error> {
        let settings = self.settings.take();
        if settings.is_empty() {
            return Ok(());
        }
        let dump = Dump::Globals;
        let feed = Feed::start(&dump, &self.plan.config, &self.connection(None)).await?;
        let report = self.feed_globals(feed, settings.into_bytes()).await;
        report.map_err(|error| self.explain(&dump, error))
    }
}
