//! The selected part of a snapshot.

use std::rc::Rc;

use crate::Result;
use crate::tree::{Completeness, Contents, Entries, Kind, Node, Range, Reader, SmallContents};

/// Reads the selected part of a snapshot.
pub struct Selected<R> {
    reading: R,
    paths: Vec<Vec<u8>>,
    levels: Option<u32>,
}

impl<R> Selected<R> {
    pub(crate) fn new(reading: R, paths: Vec<Vec<u8>>, levels: Option<u32>) -> Self {
        Self {
            reading,
            paths,
            levels,
        }
    }
}

impl<R: Reader> Reader for Selected<R> {
    type File = R::File;

    fn entries(&mut self) -> Entries<R::File> {
        let entries = self.reading.entries();
        if self.paths.is_empty() && self.levels.is_none() {
            return entries;
        }
        let selection = Selection::new(&self.paths, self.levels);
        Entries::found((entries, selection), async |(entries, selection)| {
            while let Some(node) = entries.next().await {
                let node = node?;
                if selection.takes(&node) {
                    return Ok(Some(node));
                }
            }
            Ok(None)
        })
    }

    async fn read(&self, file: &R::File) -> Result<Contents> {
        self.reading.read(file).await
    }

    async fn read_part(&self, file: &R::File, part: Range) -> Result<Contents> {
        self.reading.read_part(file, part).await
    }

    async fn read_small(&self, files: &[Rc<R::File>]) -> Result<Vec<SmallContents>> {
        self.reading.read_small(files).await
    }

    fn at_once(&self, wanted: u32) -> u32 {
        self.reading.at_once(wanted)
    }

    async fn finish(&self) -> Result<Completeness> {
        self.reading.finish().await
    }
}

struct Selection {
    /// Each path as a list of names; an empty list is the top.
    paths: Vec<Vec<Vec<u8>>>,
    levels: usize,
}

impl Selection {
    fn new(paths: &[Vec<u8>], levels: Option<u32>) -> Self {
        let mut paths: Vec<_> = paths.iter().map(|path| names(path)).collect();
        if paths.is_empty() {
            paths.push(Vec::new());
        }
        Self {
            paths,
            levels: levels.map_or(usize::MAX, |levels| levels as usize),
        }
    }

    /// Whether this is at or below one of the paths and not too deep, or a directory above one.
    fn takes<F>(&self, node: &Node<F>) -> bool {
        let path = names(&node.path);
        let is_directory = matches!(node.kind, Kind::Directory);
        self.paths.iter().any(|selected| {
            if path.len() < selected.len() {
                return is_directory && selected.starts_with(&path);
            }
            path.starts_with(selected) && path.len() - selected.len() <= self.levels
        })
    }
}

fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/');
    names
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(paths: &[&str], levels: Option<u32>) -> Vec<&'static str> {
        let tree = [
            ("/a", true),
            ("/a/b", true),
            ("/a/b/c", false),
            ("/a/bc", false),
            ("/d", false),
        ];
        let paths: Vec<_> = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
        let selection = Selection::new(&paths, levels);
        let taken = tree.into_iter().filter(|(path, is_directory)| {
            selection.takes(&if *is_directory {
                Node::<()>::directory(*path)
            } else {
                Node::file(*path, None, ())
            })
        });
        taken.map(|(path, _)| path).collect()
    }

    #[test]
    fn a_path_brings_what_is_below_and_the_directories_that_lead_to_it() {
        assert_eq!(selected(&[], None).len(), 5);
        assert_eq!(selected(&["/a/b"], None), ["/a", "/a/b", "/a/b/c"]);
        assert_eq!(selected(&["/a/b", "/d"], Some(0)), ["/a", "/a/b", "/d"]);
        assert_eq!(selected(&[], Some(1)), ["/a", "/d"]);
        assert_eq!(selected(&["/a"], Some(1)), ["/a", "/a/b", "/a/bc"]);
        // A file leads nowhere.
        assert_eq!(selected(&["/d/x"], None), [""; 0]);
    }
}
