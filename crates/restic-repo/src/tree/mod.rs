//! Trees: the entries of one directory, in restic's JSON.

mod json;
mod node;
mod quote;
pub(crate) mod time;

use serde::{Deserialize, Serialize};

pub(crate) use json::to_vec;
pub(crate) use node::Node;

use crate::error::corrupt;
use crate::{Id, Result};

/// The entries of one directory, sorted by the bytes of their names.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tree {
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) nodes: Vec<Node>,
}

impl Tree {
    /// The tree as it is stored and hashed.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut json = to_vec(self);
        json.push(b'\n');
        json
    }

    /// Reads a tree, and refuses names that come twice or out of order.
    pub(crate) fn from_bytes(id: Id, bytes: &[u8]) -> Result<Self> {
        let tree: Self = serde_json::from_slice(bytes)
            .map_err(|cause| corrupt(format!("tree {} cannot be read: {cause}", id.short())))?;
        if !tree.nodes.is_sorted_by(|a, b| a.name < b.name) {
            return Err(corrupt(format!(
                "tree {} has names twice or out of order",
                id.short()
            )));
        }
        Ok(tree)
    }
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Node>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Instant, Kind, Metadata, Xattr};

    fn entry(name: &[u8], kind: Kind) -> Entry {
        let metadata = Metadata {
            mode: 0o4755,
            uid: 1000,
            gid: 100,
            user: Some("ada".into()),
            group: None,
            modified: Instant {
                seconds: 1_700_000_000,
                nanoseconds: 5_000_000,
            },
            accessed: None,
            changed: None,
            device: 7,
            inode: 42,
            links: 1,
            xattrs: vec![Xattr {
                name: b"user.note".to_vec(),
                value: b"hi".to_vec(),
            }],
        };
        Entry {
            id: 1,
            parent: 0,
            name: name.to_vec(),
            kind,
            metadata,
            subtree: None,
        }
    }

    /// The form was taken from `restic cat tree`.
    #[test]
    fn a_node_is_written_as_restic_writes_it() {
        let mut node = Node::new(&entry(b"a<b\xff", Kind::File(None)));
        node.size = 3;
        node.content = Some(vec![Id([0xab; 32])]);
        let json = Tree { nodes: vec![node] }.to_bytes();
        let ab = "ab".repeat(32);
        let time = "2023-11-14T22:13:20.005Z";
        let expected = format!(
            "{{\"nodes\":[{{\"name\":\"a\\u003cb\\\\xff\",\"type\":\"file\",\"mode\":8389101,\"mtime\":\"{time}\",\
             \"atime\":\"{time}\",\"ctime\":\"{time}\",\"uid\":1000,\"gid\":100,\"user\":\"ada\",\"inode\":42,\"device_id\":7,\
             \"size\":3,\"links\":1,\"extended_attributes\":[{{\"name\":\"user.note\",\"value\":\"aGk=\"}}],\
             \"content\":[\"{ab}\"]}}]}}\n"
        );
        assert_eq!(String::from_utf8(json).expect("it is text"), expected);
    }

    #[test]
    fn every_kind_of_entry_comes_back() {
        for kind in [
            Kind::File(Some(0)),
            Kind::Directory,
            Kind::Symlink(b"../else\xffwhere".to_vec()),
            Kind::Fifo,
            Kind::Socket,
            Kind::CharacterDevice(0x103),
            Kind::BlockDevice(0x800),
        ] {
            let mut expected = entry(b"name", kind);
            expected.metadata.accessed = Some(expected.metadata.modified);
            expected.metadata.changed = Some(expected.metadata.modified);
            expected.metadata.device = 0;
            let bytes = Tree {
                nodes: vec![Node::new(&expected)],
            }
            .to_bytes();
            let tree = Tree::from_bytes(Id([0; 32]), &bytes).expect("it is a tree");
            assert_eq!(tree.nodes[0].entry(1, 0).expect("it is an entry"), expected);
        }
    }

    #[test]
    fn trees_that_lead_astray_are_refused() {
        let tree = |names: &[&str]| {
            let nodes: Vec<_> = names
                .iter()
                .map(|name| format!("{{\"name\":\"{name}\",\"type\":\"file\",\"mtime\":\"1970-01-01T00:00:00Z\"}}"))
                .collect();
            Tree::from_bytes(
                Id([0; 32]),
                format!("{{\"nodes\":[{}]}}", nodes.join(",")).as_bytes(),
            )
        };
        assert!(tree(&["a", "b"]).is_ok());
        for bad in [
            &["b", "a"][..],
            &["a", "a"],
            &[".."],
            &["a/b"],
            &[""],
            &["\\\\x00"],
            &["\\\\q"],
        ] {
            assert!(tree(bad).is_err(), "{bad:?}");
        }
        assert!(Tree::from_bytes(Id([0; 32]), b"{\"nodes\":null}").is_ok());
    }

    #[test]
    fn a_node_without_times_is_one_of_rustic() {
        let tree = br#"{"nodes":[{"name":"a","type":"file","content":null}]}"#;
        let tree = Tree::from_bytes(Id([0; 32]), tree).expect("it is a tree");
        let entry = tree.nodes[0].entry(1, 0).expect("it is an entry");
        assert_eq!(entry.metadata.modified, Instant::default());
    }
}
