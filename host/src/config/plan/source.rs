//! Finds the snapshots of a source.

use crate::config::{Config, builtin};
use crate::error::Result;
use crate::operation::{OfSource, Snapshot};
use crate::plugin::Role;

impl Config {
    /// How the snapshots of this source are known.
    pub fn of_source(&self, name: &str) -> Result<OfSource> {
        let used = match self.file.find(Role::Source, name) {
            Some(used) => Some(used),
            None => builtin::source(name).transpose()?,
        };
        let trees = used.into_iter().flat_map(|used| used.grants.trees);
        let paths = trees.filter_map(|(_, tree)| match (tree.volume, tree.path) {
            (Some(volume), _) => Some(format!("/volumes/{volume}")),
            (None, Some(path)) => {
                let path = self.base.join(path);
                path.to_str()
                    .filter(|_| path.is_absolute())
                    .map(str::to_owned)
            }
            (None, None) => None,
        });
        Ok(OfSource {
            name: name.to_owned(),
            tags: self.tags(name),
            paths: paths.collect(),
        })
    }

    /// The sources that a snapshot can go back through: those that it has the tags of, or else those
    /// that read its paths.
    pub fn sources_of(&self, snapshot: &Snapshot) -> Result<Vec<String>> {
        let mut tagged = Vec::new();
        let mut reading = Vec::new();
        for name in self.names(Role::Source) {
            let source = self.of_source(name)?;
            if source.tags.iter().all(|tag| snapshot.tags.contains(tag)) {
                tagged.push(source.name);
            } else if source.is_source_of(snapshot) {
                reading.push(source.name);
            }
        }
        // Sources that need no configuration.
        let short = snapshot.tags.iter();
        let short = short.filter(|tag| matches!(builtin::source(tag), Some(Ok(_))));
        tagged.extend(short.cloned());
        Ok(if tagged.is_empty() { reading } else { tagged })
    }
}
