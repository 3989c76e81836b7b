//! The checks that take a moment and find common faults, for development.

/// Their names. All of them take a few seconds together; those with large files and trees, and most of those that cut something off,
/// are not among them.
pub const QUICK: [&str; 66] = [
    "describe-needs-no-grant",
    "describe-answers-the-same",
    "schema-describes-a-table",
    "unknown-setting-is-refused",
    "needs-say-what-for",
    "imports-and-exports-fit",
    // Sinks.
    "open-on-nothing-is-not-found",
    "create-makes-a-store",
    "create-twice-is-refused",
    "looking-changes-nothing",
    "close-answers-in-time",
    "commit-names-a-new-snapshot",
    "snapshot-says-what-its-draft-said",
    "receipt-counts-the-tree",
    "an-empty-tree-is-stored",
    "snapshots-stand-alone",
    "dry-run-changes-nothing",
    "an-incomplete-tree-says-so",
    "a-complete-tree-says-so",
    "names-are-bytes",
    "empty-things-come-back",
    "holes-come-back",
    "symbolic-links-come-back",
    "hard-links-come-back",
    "special-files-come-back",
    "attributes-come-back",
    "times-come-back",
    "rights-and-owners-come-back",
    "new-contents-are-asked-for",
    "a-failing-verdict-fails-the-file",
    "a-missing-verdict-fails-the-file",
    "a-cut-stream-leaves-nothing",
    "closed-without-a-commit-leaves-nothing",
    "killed-before-the-commit-leaves-nothing",
    "an-omitted-large-file-drops-its-entry-only",
    "a-reader-gives-a-tree",
    "next-gives-no-more-than-was-asked-for",
    "one-file-can-be-selected",
    "one-directory-can-be-selected",
    "a-part-of-a-file-can-be-read",
    "a-prefix-names-a-snapshot",
    "an-unknown-snapshot-is-not-found",
    "snapshots-come-the-oldest-first",
    "forget-removes-exactly-the-named",
    "forget-of-an-unknown-changes-nothing",
    "reclaim-frees-space",
    "a-sound-store-has-no-findings",
    "a-flipped-byte-is-found",
    "probe-leaves-nothing",
    // Sources.
    "opening-is-cheap",
    "a-capture-has-paths",
    "a-capture-is-a-tree",
    "announced-sizes-hold",
    "every-verdict-is-given",
    "a-failing-program-is-no-success",
    "a-missing-program-is-no-success",
    // Stores.
    "an-object-comes-back",
    "an-object-is-there-at-once",
    "a-part-is-exactly-what-was-asked-for",
    "a-missing-object-is-not-found",
    "an-object-is-replaced",
    "a-removed-object-is-gone",
    "an-empty-place-lists-nothing",
    "a-list-ends-at-its-prefix",
    "a-failing-verdict-stores-no-object",
    "a-cut-stream-stores-no-object",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::checks;
    use crate::model::Role;

    #[test]
    fn each_quick_check_is_one_of_the_suite_and_each_role_has_some() {
        let mut left: BTreeSet<_> = QUICK.into_iter().collect();
        assert_eq!(left.len(), QUICK.len(), "one is there twice");
        for role in [Role::Sink, Role::Source, Role::Store] {
            let names: Vec<_> = checks(role).map(|check| check.name).collect();
            let quick = names.iter().filter(|name| QUICK.contains(name)).count();
            assert!(quick > 10, "{role:?} has {quick}");
            left.retain(|name| !names.contains(name));
        }
        assert_eq!(left, BTreeSet::new());
    }
}
