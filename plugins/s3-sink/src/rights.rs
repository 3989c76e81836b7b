//! The operations that the credentials allow.

use restic_plugin::bindings::exports::tthost::backup::sink;
use restic_plugin::platform::now;
use restic_repo::{Access, Error, Instant, Result};
use serde::{Deserialize, Serialize};

/// How long what was found out holds, in seconds.
const HOLDS: i64 = 24 * 60 * 60;

/// Whether something can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    Yes,
    No,
    Unknown,
}

impl Answer {
    pub(crate) fn is_yes(self) -> bool {
        self == Self::Yes
    }
}

impl From<bool> for Answer {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// What can be done; see the contract's `rights`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rights {
    pub(crate) put: Answer,
    pub(crate) get: Answer,
    pub(crate) list: Answer,
    pub(crate) delete: Answer,
    pub(crate) overwrite: Answer,
    #[serde(alias = "exclusive")]
    pub(crate) put_if_absent: Answer,
    pub(crate) versioned: Answer,
    #[serde(alias = "retained")]
    pub(crate) object_lock: Answer,
    /// When that was found out, in seconds since 1970.
    found: i64,
    pub(crate) notes: Vec<String>,
}

impl Rights {
    /// Nothing is known yet.
    pub(crate) fn unknown() -> Self {
        Self {
            put: Answer::Unknown,
            get: Answer::Unknown,
            list: Answer::Unknown,
            delete: Answer::Unknown,
            overwrite: Answer::Unknown,
            put_if_absent: Answer::Unknown,
            versioned: Answer::Unknown,
            object_lock: Answer::Unknown,
            found: now().seconds,
            notes: Vec::new(),
        }
    }

    /// What may be taken for granted where nothing can be tried out: reading.
    pub(crate) fn reading() -> Self {
        Self {
            get: Answer::Yes,
            list: Answer::Yes,
            ..Self::unknown()
        }
    }

    /// Whether it was found out a short time ago.
    pub(crate) fn holds(&self) -> bool {
        (0..HOLDS).contains(&(now().seconds - self.found))
    }

    /// Whether everything can be read.
    pub(crate) fn reads(&self) -> bool {
        self.get.is_yes() && self.list.is_yes()
    }

    /// What that means for a repository. It is an error when nothing can be done with it.
    pub(crate) fn access(&self) -> Result<Access> {
        match (self.put.is_yes(), self.reads(), self.delete.is_yes()) {
            (true, true, true) => Ok(Access::Full),
            (true, true, false) => Ok(Access::AppendOnly),
            (true, false, _) => Ok(Access::WriteOnly),
            (false, true, _) => Ok(Access::ReadOnly),
            (false, false, _) => Err(Error::Denied(
                "the credentials may neither store objects (s3:PutObject) nor list and read them \
                 (s3:ListBucket, s3:GetObject)"
                    .into(),
            )),
        }
    }
}

impl From<Rights> for sink::Rights {
    fn from(rights: Rights) -> Self {
        Self {
            put: rights.put.into(),
            get: rights.get.into(),
            list: rights.list.into(),
            delete: rights.delete.into(),
            overwrite: rights.overwrite.into(),
            put_if_absent: rights.put_if_absent.into(),
            versioned: rights.versioned.into(),
            object_lock: rights.object_lock.into(),
            found: Instant {
                seconds: rights.found,
                nanoseconds: 0,
            }
            .into(),
            notes: rights.notes,
        }
    }
}

impl From<Answer> for sink::Answer {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::Yes,
            Answer::No => Self::No,
            Answer::Unknown => Self::Unknown,
        }
    }
}
