//! Advice on a class of credentials.

use super::{Answer, Class, Rights};

const UNPROTECTED: &str = "somebody who takes over this machine can delete every backup there: \
    prevent that with credentials that may not delete, or with versioning and object lock for the \
    bucket";

const PRUNE_ELSEWHERE: &str = "prune from another machine, with credentials that may delete, \
    while no backup runs; lifecycle rules of the bucket may expire noncurrent versions. A rule that \
    expires current objects by age destroys the repository";

const REPLACEABLE: &str = "existing objects can still be overwritten, and so destroyed: turn on \
    versioning for the bucket, or require `If-None-Match: *` in its policy";

const KEEP_NEWEST: &str = "when you remove snapshots, keep the newest one of each host and set of \
    paths: the next backup of this machine builds on it";

const CHECK_CREDENTIALS: &str = "check bucket, prefix and credentials; a backup needs at least \
    s3:PutObject, and a restore s3:GetObject and s3:ListBucket";

/// Recommendations and remarks.
pub(super) fn advice(rights: &Rights) -> Vec<String> {
    let protected = rights.versioned == Answer::Yes || rights.object_lock == Answer::Yes;
    let class = rights.class();
    let mut advice = Vec::new();
    match class {
        Class::Full if !protected => advice.push(UNPROTECTED),
        Class::Full => {}
        Class::AppendOnly | Class::WriteOnly => {
            advice.push(PRUNE_ELSEWHERE);
            if rights.overwrite == Answer::Yes && !protected {
                advice.push(REPLACEABLE);
            }
            if class == Class::WriteOnly {
                advice.push(KEEP_NEWEST);
            }
        }
        Class::ReadOnly => advice.push("for backups, allow s3:PutObject"),
        Class::None => advice.push(CHECK_CREDENTIALS),
    }
    advice.into_iter().map(str::to_owned).collect()
}

/// The operations that work with these permissions.
pub(super) fn works(class: Class) -> &'static str {
    match class {
        Class::Full => "everything",
        Class::AppendOnly => "backup, list, restore, check",
        Class::WriteOnly => "backup, with deduplication against earlier backups of this machine",
        Class::ReadOnly => "list, restore, check",
        Class::None => "nothing",
    }
}

/// The operations that do not work.
pub(super) fn does_not_work(class: Class) -> &'static str {
    match class {
        Class::Full => "nothing",
        Class::AppendOnly => "prune",
        Class::WriteOnly => "list, restore, check and prune: those need credentials that may read",
        Class::ReadOnly => "backup, prune",
        Class::None => "everything",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(put: Answer, get: Answer, list: Answer, delete: Answer) -> Rights {
        Rights {
            put,
            get,
            list,
            delete,
            overwrite: Answer::Unknown,
            put_if_absent: Answer::Unknown,
            versioned: Answer::Unknown,
            object_lock: Answer::Unknown,
            found: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn who_can_only_store_is_told_where_to_prune_and_who_can_replace_how_to_prevent_it() {
        use Answer::{No, Yes};
        let mut write_only = rights(Yes, No, No, No);
        assert_eq!(advice(&write_only), [PRUNE_ELSEWHERE, KEEP_NEWEST]);
        write_only.overwrite = Yes;
        assert_eq!(
            advice(&write_only),
            [PRUNE_ELSEWHERE, REPLACEABLE, KEEP_NEWEST]
        );
        write_only.versioned = Yes;
        assert_eq!(advice(&write_only), [PRUNE_ELSEWHERE, KEEP_NEWEST]);
        let mut full = rights(Yes, Yes, Yes, Yes);
        assert_eq!(advice(&full), [UNPROTECTED]);
        full.object_lock = Yes;
        assert!(advice(&full).is_empty());
    }
}
