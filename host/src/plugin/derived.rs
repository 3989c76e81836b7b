//! Caches keys that were derived from passwords for the next instance of the same plugin. Each operation starts
//! several instances, and key derivation is slow by design.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tthost_seal::Digester;
use zeroize::Zeroizing;

/// How long a key is kept after it was derived. An instance that looks at what another one did starts right after it, and
/// who runs on for days has no use for them.
const KEPT: Duration = Duration::from_mins(1);

/// Keys that are kept, at most.
const MAX: usize = 16;

/// The keys of all plugins. None is given to another plugin than the one that had it derived.
#[derive(Default)]
pub(super) struct DerivedKeys(Mutex<Vec<Derived>>);

struct Derived {
    request: Request,
    key: Zeroizing<Vec<u8>>,
    since: Instant,
}

/// The plugin and its request, as a digest: no password is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Request([u8; 32]);

impl Request {
    /// This plugin asks for what comes of these parts, in their order.
    pub(super) fn new(subject: &str, parts: &[&[u8]]) -> Self {
        let mut digester = Digester::new();
        for part in [&[subject.as_bytes()], parts].concat() {
            digester.update(&(part.len() as u64).to_le_bytes());
            digester.update(part);
        }
        Self(digester.finish())
    }
}

impl DerivedKeys {
    /// The key that was derived for this request a short time ago.
    pub(super) fn find(&self, request: Request) -> Option<Zeroizing<Vec<u8>>> {
        self.forget_old();
        let keys = self.keys();
        let found = keys.iter().find(|derived| derived.request == request);
        found.map(|derived| derived.key.clone())
    }

    /// Keeps a key.
    pub(super) fn keep(&self, request: Request, key: Zeroizing<Vec<u8>>) {
        let mut keys = self.keys();
        if keys.len() == MAX {
            keys.remove(0);
        }
        keys.push(Derived {
            request,
            key,
            since: Instant::now(),
        });
    }

    /// Forgets the keys that were kept long enough.
    pub(super) fn forget_old(&self) {
        self.keys().retain(|derived| derived.since.elapsed() < KEPT);
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Derived>> {
        // A panic in another thread leaves the keys consistent: each change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(vec![byte; 64])
    }

    #[test]
    fn a_key_is_for_the_plugin_and_the_request_that_it_was_derived_for() {
        let keys = DerivedKeys::default();
        let request = Request::new("sink a", &[b"password", b"salt"]);
        keys.keep(request, key(1));
        assert_eq!(keys.find(request), Some(key(1)));
        for (subject, parts) in [
            ("sink b", [&b"password"[..], b"salt"]),
            ("sink a", [b"passwords", b"alt"]),
            ("sink a", [b"password", b"Salt"]),
        ] {
            assert!(keys.find(Request::new(subject, &parts)).is_none());
        }
    }

    #[test]
    fn only_so_many_are_kept() {
        let keys = DerivedKeys::default();
        let request = |number: u8| Request::new("sink", &[&[number]]);
        for number in 0..=20 {
            keys.keep(request(number), key(number));
        }
        assert!(keys.find(request(0)).is_none());
        assert_eq!(keys.find(request(20)), Some(key(20)));
        assert_eq!(keys.keys().len(), MAX);
    }
}
