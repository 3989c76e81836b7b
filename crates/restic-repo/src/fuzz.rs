//! Malformed files of a repository. Each parser may refuse them, and must not do anything else.

use tthost_fuzz::feed;

use crate::Id;
use crate::config::Config;
use crate::index::{Index, IndexFile};
use crate::pack::{pack_length, read_header};
use crate::snapshot::{File, Snapshot};
use crate::tree::Tree;

/// Where the samples are.
const CRATE: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn a_pack_header_may_hold_anything() {
    let blob = |kind, length: u32, more: &[u8]| {
        let mut blob = vec![kind];
        blob.extend(length.to_le_bytes());
        blob.extend(more);
        blob.extend([7; 32]);
        blob
    };
    let plain = [blob(0, 100, b""), blob(1, 33, b"")].concat();
    let compressed = [blob(2, 50, &[90, 0, 0, 0]), blob(3, 40, &[41, 0, 0, 0])].concat();
    feed(CRATE, "pack-header", &[plain, compressed], |bytes| {
        let Ok(blobs) = read_header(bytes) else {
            return;
        };
        assert!(pack_length(&blobs) > bytes.len() as u64);
    });
}

#[test]
fn an_index_may_hold_anything() {
    feed(CRATE, "index", &[], |bytes| {
        let Ok(file) = serde_json::from_slice::<IndexFile>(bytes) else {
            return;
        };
        let mut index = Index::default();
        for pack in file.packs {
            let (id, blobs) = pack.into_blobs();
            pack_length(&blobs);
            index.add(id, &blobs);
            for blob in &blobs {
                if let Some(location) = index.find(blob.blob_type, blob.id) {
                    location.plain_length();
                }
                index.others(blob.blob_type, blob.id);
            }
        }
    });
}

#[test]
fn a_snapshot_may_hold_anything() {
    feed(CRATE, "snapshot", &[], |bytes| {
        if let Ok(file) = serde_json::from_slice::<File>(bytes) {
            Snapshot::new(Id([0; 32]), file);
        }
    });
}

#[test]
fn a_tree_may_hold_anything() {
    feed(CRATE, "tree", &[], |bytes| {
        let Ok(tree) = Tree::from_bytes(Id([0; 32]), bytes) else {
            return;
        };
        for node in &tree.nodes {
            assert!(!node.name.contains(&b'/') && !node.name.is_empty());
            node.flaw();
            if let Ok(entry) = node.entry(1, 0) {
                node.is_current(&entry);
            }
        }
        let again = Tree::from_bytes(Id([0; 32]), &tree.to_bytes());
        assert!(again.is_ok(), "what was read cannot be written");
    });
}

#[test]
fn a_config_may_hold_anything() {
    feed(CRATE, "config", &[], |bytes| {
        if let Ok(config) = Config::from_bytes(bytes) {
            assert!(Config::from_bytes(&config.to_bytes()).is_ok());
        }
    });
}
