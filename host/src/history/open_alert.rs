//! What alerts remember: which alerts are open, and how they were delivered.

use std::collections::BTreeSet;

use rusqlite::params;

use super::History;
use super::query::{activity, time};
use super::record::PartKey;
use super::status::Delivery;
use super::store::failed;
use crate::error::Result;

/// A problem that receivers were told of, and that is not solved yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenAlert {
    /// What is wrong.
    pub kind: AlertKind,
    /// The part that has the problem.
    pub key: PartKey,
}

/// What is wrong with a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertKind {
    /// The last attempt failed.
    Failed,
    /// The last success is too long ago.
    Stale,
}

impl AlertKind {
    fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Stale => "stale",
        }
    }
}

impl History {
    /// What was told and is not over.
    pub fn open_alerts(&self) -> Result<BTreeSet<OpenAlert>> {
        let found = || {
            let mut asked = self.connection.prepare(
                "SELECT kind, activity, source, sink FROM troubles
                 WHERE config IS NULL OR config IN (SELECT config FROM own)",
            )?;
            let found = asked.query_map([], |row| {
                let kind = match row.get_ref(0)?.as_str()? {
                    "stale" => AlertKind::Stale,
                    _ => AlertKind::Failed,
                };
                let full = |text: String| (!text.is_empty()).then_some(text);
                let key = PartKey {
                    activity: activity(row, 1)?,
                    source: full(row.get(2)?),
                    sink: full(row.get(3)?),
                };
                Ok(OpenAlert { kind, key })
            })?;
            found.collect()
        };
        self.explain(found())
    }

    /// Records what is told and not over from now on.
    pub fn set_open_alerts(&mut self, open_alerts: &BTreeSet<OpenAlert>) -> Result<()> {
        let state = self.state.clone();
        let configuration = self.configuration.clone();
        let transaction = self.write()?;
        let set = || {
            transaction.execute(
                "DELETE FROM troubles WHERE config IS NULL OR config IN (SELECT config FROM own)",
                [],
            )?;
            for OpenAlert { kind, key } in open_alerts {
                transaction.execute(
                    "INSERT INTO troubles VALUES (?1, ?2, ?3, coalesce(?4, ''), coalesce(?5, ''))",
                    params![
                        configuration.name(),
                        kind.word(),
                        key.activity.word(),
                        key.source,
                        key.sink
                    ],
                )?;
            }
            Ok(())
        };
        set()
            .and_then(|()| transaction.commit())
            .map_err(|cause| failed(&state, cause))
    }

    /// Records how alerts were last delivered.
    pub fn set_deliveries(&mut self, deliveries: &[Delivery]) -> Result<()> {
        let state = self.state.clone();
        let configuration = self.configuration.clone();
        let transaction = self.write()?;
        let set = deliveries.iter().try_for_each(|delivery| {
            transaction.execute(
                "DELETE FROM deliveries WHERE alert = ?1
                 AND (config IS NULL OR config IN (SELECT config FROM own))",
                [&delivery.alert],
            )?;
            let set = transaction.execute(
                "INSERT INTO deliveries VALUES (?1, ?2, ?3, ?4)",
                params![
                    configuration.name(),
                    delivery.alert,
                    delivery.time.as_millisecond(),
                    delivery.error
                ],
            );
            set.map(drop)
        });
        set.and_then(|()| transaction.commit())
            .map_err(|cause| failed(&state, cause))
    }

    /// How alerts were last delivered.
    pub(super) fn deliveries(&self) -> Result<Vec<Delivery>> {
        let found = || {
            let mut asked = self.connection.prepare(
                "SELECT alert, time, error FROM deliveries
                     WHERE config IS NULL OR config IN (SELECT config FROM own) ORDER BY alert",
            )?;
            let found = asked.query_map([], |row| {
                Ok(Delivery {
                    alert: row.get(0)?,
                    time: time(row, 1)?,
                    error: row.get(2)?,
                })
            })?;
            found.collect()
        };
        self.explain(found())
    }
}
