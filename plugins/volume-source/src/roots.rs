//! The granted directories, and their paths in a snapshot.

use std::collections::BTreeMap;
use std::rc::Rc;

use tthost_plugin::Error;
use tthost_plugin::tree::Metadata;
use tthost_plugin::trees::{self, Directory, Item, Root};

/// All that was granted.
pub(crate) async fn granted() -> Result<Vec<Root>, Error> {
    let mut roots = Vec::new();
    for name in trees::granted() {
        roots.extend(trees::open(name).await?);
    }
    if roots.is_empty() {
        return Err(Error::Config(
            "no tree is granted: add grants.trees to its configuration".into(),
        ));
    }
    Ok(roots)
}

/// Their paths in a snapshot.
pub(crate) fn paths(roots: &[Root]) -> Vec<String> {
    roots.iter().map(|root| path(&root.ancestors)).collect()
}

/// The path that these directories lead to, in a snapshot.
pub(crate) fn path(ancestors: &[Item]) -> String {
    let names: Vec<_> = ancestors
        .iter()
        .map(|item| String::from_utf8_lossy(&item.name))
        .collect();
    format!("/{}", names.join("/"))
}

/// The directories on the ways to the granted ones, as one tree.
#[derive(Default)]
pub(crate) struct PathTrie {
    /// In byte order of their names.
    pub(crate) branches: BTreeMap<Vec<u8>, (Metadata, PathTrie)>,
    /// The granted directory, where it is here.
    pub(crate) directory: Option<Granted>,
}

/// The top of a tree.
pub(crate) struct Granted {
    pub(crate) directory: Rc<Directory>,
    /// The device that holds it.
    pub(crate) device: u64,
}

impl PathTrie {
    /// The ways to all of the roots, none of which may lie in another.
    pub(crate) fn of(roots: Vec<Root>) -> Result<Self, Error> {
        let mut top = Self::default();
        for root in roots {
            let shown = path(&root.ancestors);
            let mut here = &mut top;
            for Item { name, metadata, .. } in root.ancestors {
                if here.directory.is_some() {
                    return Err(nested(&shown));
                }
                let (_, next) = here
                    .branches
                    .entry(name)
                    .or_insert_with(|| (metadata, Self::default()));
                here = next;
            }
            if here.directory.is_some() || !here.branches.is_empty() {
                return Err(nested(&shown));
            }
            here.directory = Some(Granted {
                directory: Rc::new(root.directory),
                device: root.device,
            });
        }
        Ok(top)
    }
}

fn nested(path: &str) -> Error {
    Error::Config(format!(
        "{path} and another granted tree are the same, or one lies in the other: grant the outer one alone"
    ))
}
