//! Plans a copy: the snapshots and the two sinks.

use super::{FilterRequest, SinkRequest};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::operation::copy::{Plan, Wanted};

/// A request for a copy.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// The sink that has the snapshots.
    pub from: SinkRequest,
    /// The sink that is to have them.
    pub to: SinkRequest,
    /// An id, the beginning of one, or `latest`; none for all.
    pub snapshot: Option<String>,
    /// Which snapshots all of them are, or `latest` is the newest of.
    pub filter: FilterRequest,
}

impl Config {
    /// Plans a copy.
    pub fn plan_copy(&self, request: CopyRequest) -> Result<Plan> {
        let CopyRequest {
            from,
            to,
            snapshot,
            filter,
        } = request;
        let (from, to) = (self.sink(&from)?, self.sink(&to)?);
        if from.name == to.name {
            let text = format!("the snapshots would be copied from {0} to {0}", to.name);
            return Err(Error::new(Kind::Config, text).help("name two different sinks"));
        }
        Ok(Plan {
            from,
            to,
            wanted: match snapshot {
                None => Wanted::All(filter.into()),
                Some(text) => Wanted::One(self.snapshot(&text, filter, None)?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::operation::SnapshotRef;

    fn plan(to: SinkRequest, snapshot: Option<&str>) -> Result<Plan> {
        sample().plan_copy(CopyRequest {
            from: SinkRequest::Named("local".into()),
            to,
            snapshot: snapshot.map(str::to_owned),
            filter: FilterRequest::default(),
        })
    }

    #[test]
    fn without_a_snapshot_all_are_copied() {
        let wanted = |snapshot| {
            plan(SinkRequest::Offsite, snapshot)
                .expect("it is fine")
                .wanted
        };
        assert!(matches!(wanted(None), Wanted::All(_)));
        let latest = wanted(Some("latest"));
        assert!(matches!(latest, Wanted::One(SnapshotRef::Latest(_))));
        let one = wanted(Some("1a2b"));
        assert!(matches!(one, Wanted::One(SnapshotRef::Id(id)) if id == "1a2b"));
    }

    #[test]
    fn a_sink_is_not_copied_into_itself() {
        let local = SinkRequest::Named("local".into());
        let error = plan(local, None).expect_err("it has them already");
        let text = "the snapshots would be copied from local to local";
        assert_eq!(error.message(), text);
    }
}
