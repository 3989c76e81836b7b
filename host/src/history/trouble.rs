//! What alerts remember: what was told and is not over, and how they were delivered.

use std::collections::BTreeSet;

use rusqlite::params;

use super::History;
use super::query::{activity, time};
use super::record::Thing;
use super::status::Delivery;
use super::store::failed;
use crate::error::Result;

/// Something that was told and is not over yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trouble {
    /// What is wrong.
    pub kind: TroubleKind,
    /// With what.
    pub thing: Thing,
}

/// What is wrong with a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TroubleKind {
    /// The last attempt failed.
    Failed,
    /// The last success is too long ago.
    Stale,
}

impl TroubleKind {
    fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Stale => "stale",
        }
    }
}

impl History {
    /// What was told and is not over.
    pub fn troubles(&self) -> Result<BTreeSet<Trouble>> {
        let found = || {
            let mut asked = self.connection.prepare(
                "SELECT kind, activity, source, sink FROM troubles
                 WHERE config IS NULL OR config IN (SELECT config FROM own)",
            )?;
            let found = asked.query_map([], |row| {
                let kind = match row.get_ref(0)?.as_str()? {
                    "stale" => TroubleKind::Stale,
                    _ => TroubleKind::Failed,
                };
                let full = |text: String| (!text.is_empty()).then_some(text);
                let thing = Thing {
                    activity: activity(row, 1)?,
                    source: full(row.get(2)?),
                    sink: full(row.get(3)?),
                };
                Ok(Trouble { kind, thing })
            })?;
            found.collect()
        };
        self.explain(found())
    }

    /// Records what is told and not over from now on.
    pub fn set_troubles(&mut self, troubles: &BTreeSet<Trouble>) -> Result<()> {
        let state = self.state.clone();
        let configuration = self.configuration.clone();
        let transaction = self.write()?;
        let set = || {
            transaction.execute(
                "DELETE FROM troubles WHERE config IS NULL OR config IN (SELECT config FROM own)",
                [],
            )?;
            for Trouble { kind, thing } in troubles {
                transaction.execute(
                    "INSERT INTO troubles VALUES (?1, ?2, ?3, coalesce(?4, ''), coalesce(?5, ''))",
                    params![
                        configuration.name(),
                        kind.word(),
                        thing.activity.word(),
                        thing.source,
                        thing.sink
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
