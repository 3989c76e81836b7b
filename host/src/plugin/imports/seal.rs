//! `seal`: digests, compression, encryption and key derivation on the host's cores.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tthost_seal::Digester;
use wasmtime::component::{Accessor, HasSelf, Resource};

use crate::plugin::bindings::common::tthost::backup::seal;
use crate::plugin::bindings::types;
use crate::plugin::cores::CoreShare;
use crate::plugin::derived::Request;
use crate::plugin::memory::Share;
use crate::plugin::state::State;
use crate::text::printable;

pub(super) const SHA_256: &str = "sha-256";
const ZSTD: &str = "zstd";
const AES_CTR_POLY1305: &str = "aes-256-ctr+poly1305-aes";

/// Opened bytes can be no longer than this, whatever a plugin expects: 1 GiB.
const MAX_LENGTH: u64 = 1 << 30;

/// A key that does not leave the host.
pub struct Key(Arc<tthost_seal::Key>);

impl Key {
    pub(super) fn material(&self) -> Arc<tthost_seal::Key> {
        self.0.clone()
    }
}

/// Pieces that wait to be sealed.
pub struct Staged {
    pieces: Vec<Vec<u8>>,
    digests: Vec<[u8; 32]>,
    share: Share,
}

impl Staged {
    /// Computes the digests of pieces, which take this share of the plugin's memory.
    pub(super) fn new(pieces: Vec<Vec<u8>>, share: Share) -> Self {
        // Where there are only zeros, for example, it is the same piece again and again.
        let runs: Vec<_> = pieces.chunk_by(|a, b| a == b).collect();
        let messages: Vec<&[u8]> = runs.iter().map(|run| run[0].as_slice()).collect();
        let digests = tthost_seal::digest_all(&messages);
        let digests = runs.iter().zip(digests);
        Self {
            digests: digests
                .flat_map(|(run, digest)| std::iter::repeat_n(digest, run.len()))
                .collect(),
            pieces,
            share,
        }
    }

    #[cfg(test)]
    pub(super) fn pieces(&self) -> &[Vec<u8>] {
        &self.pieces
    }
}

pub(super) type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

impl seal::Host for State {}

impl seal::HostKey for State {
    fn import(&mut self, cipher: String, material: Vec<u8>) -> Answer<Resource<Key>> {
        let material = zeroize::Zeroizing::new(material);
        if cipher != AES_CTR_POLY1305 {
            return Ok(Err(unknown("cipher", &cipher)));
        }
        let Ok(material) = <&[u8; 64]>::try_from(material.as_slice()) else {
            return Ok(Err(types::Error::Config(format!(
                "a key for {cipher} has 64 bytes, not {}",
                material.len()
            ))));
        };
        let key = Key(Arc::new(tthost_seal::Key::from_material(material)));
        Ok(Ok(self.table.push(key)?))
    }

    fn drop(&mut self, key: Resource<Key>) -> wasmtime::Result<()> {
        self.table.delete(key)?;
        Ok(())
    }
}

impl seal::HostDigester for State {
    fn begin(&mut self, algorithm: String) -> Answer<Resource<Digester>> {
        if algorithm != SHA_256 {
            return Ok(Err(unknown("digest", &algorithm)));
        }
        Ok(Ok(self.table.push(Digester::new())?))
    }

    fn update(&mut self, digester: Resource<Digester>, bytes: Vec<u8>) -> wasmtime::Result<()> {
        self.table.get_mut(&digester)?.update(&bytes);
        Ok(())
    }

    fn finish(&mut self, digester: Resource<Digester>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.delete(digester)?.finish().to_vec())
    }

    fn drop(&mut self, digester: Resource<Digester>) -> wasmtime::Result<()> {
        self.table.delete(digester)?;
        Ok(())
    }
}

impl seal::HostStaged for State {
    fn digests(&mut self, staged: Resource<Staged>) -> wasmtime::Result<Vec<Vec<u8>>> {
        let digests = &self.table.get(&staged)?.digests;
        Ok(digests.iter().map(|digest| digest.to_vec()).collect())
    }

    fn lengths(&mut self, staged: Resource<Staged>) -> wasmtime::Result<Vec<u32>> {
        let pieces = &self.table.get(&staged)?.pieces;
        let lengths = pieces.iter().map(|piece| u32::try_from(piece.len()));
        Ok(lengths.collect::<Result<_, _>>()?)
    }

    fn drop(&mut self, staged: Resource<Staged>) -> wasmtime::Result<()> {
        self.table.delete(staged)?;
        Ok(())
    }
}

impl seal::HostStagedWithStore<State> for HasSelf<State> {
    async fn stage(
        accessor: &Accessor<State, Self>,
        algorithm: String,
        pieces: Vec<Vec<u8>>,
    ) -> Answer<Resource<Staged>> {
        if algorithm != SHA_256 {
            return Ok(Err(unknown("digest", &algorithm)));
        }
        let (cores, share) = match begin(accessor, weight(pieces.iter().map(Vec::len))) {
            Ok(begun) => begun,
            Err(error) => return Ok(Err(error)),
        };
        let staged = cores.run(move || Staged::new(pieces, share)).await;
        accessor.with(|mut access| {
            let state = access.get();
            state.activity.note();
            Ok(Ok(state.table.push(staged?)?))
        })
    }

    async fn seal(
        accessor: &Accessor<State, Self>,
        staged: Resource<Staged>,
        numbers: Vec<u32>,
        key: Resource<Key>,
        compression: Option<seal::Compression>,
    ) -> Answer<Vec<seal::Sealed>> {
        let (staged, key) = accessor.with(|mut access| {
            let state = access.get();
            let staged = state.table.delete(staged)?;
            state.activity.note();
            Ok::<_, wasmtime::Error>((staged, state.table.get(&key)?.material()))
        })?;
        let Staged { pieces, share, .. } = staged;
        let mut pieces: Vec<_> = pieces.into_iter().map(Some).collect();
        let mut chosen = Vec::with_capacity(numbers.len());
        for number in numbers {
            match pieces.get_mut(number as usize) {
                Some(piece) if piece.is_some() => chosen.extend(piece.take()),
                Some(_) => {
                    return Ok(Err(types::Error::Other(format!(
                        "the staged piece {number} was asked for twice"
                    ))));
                }
                None => {
                    return Ok(Err(types::Error::Other(format!(
                        "there is no staged piece {number}"
                    ))));
                }
            }
        }
        seal_pieces(accessor, key, (chosen, share), compression).await
    }
}

impl seal::HostWithStore<State> for HasSelf<State> {
    async fn seal(
        accessor: &Accessor<State, Self>,
        key: Resource<Key>,
        bytes: Vec<u8>,
        compression: Option<seal::Compression>,
    ) -> Answer<seal::Sealed> {
        let key = key_of(accessor, &key)?;
        match begin(accessor, bytes.len()) {
            Ok((_, share)) => {
                let pieces = (vec![bytes], share);
                let sealed = seal_pieces(accessor, key, pieces, compression).await?;
                Ok(sealed.map(|mut sealed| sealed.remove(0)))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn open(
        accessor: &Accessor<State, Self>,
        key: Resource<Key>,
        bytes: Vec<u8>,
        expectation: seal::Expectation,
    ) -> Answer<Vec<u8>> {
        let key = key_of(accessor, &key)?;
        if let Err(error) = check(&expectation) {
            return Ok(Err(error));
        }
        compute(accessor, bytes, 0, move |mut bytes, share| {
            let mut opened = Vec::new();
            open(&key, &mut bytes, &expectation, &mut opened, share)?;
            if expectation.digest.is_some() {
                compare(&tthost_seal::digest(&opened), &expectation)?;
            }
            Ok(opened)
        })
        .await
    }

    async fn open_all(
        accessor: &Accessor<State, Self>,
        key: Resource<Key>,
        pieces: Vec<seal::Piece>,
    ) -> Answer<Vec<Vec<u8>>> {
        let key = key_of(accessor, &key)?;
        let mut groups = Vec::new();
        for pieces in split(pieces) {
            let begun = sealed_weight(&pieces).and_then(|bytes| begin(accessor, bytes));
            let (cores, mut share) = match begun {
                Ok(begun) => begun,
                Err(error) => return Ok(Err(error)),
            };
            let key = key.clone();
            groups.push(cores.start(move || {
                let opened = open_pieces(&key, pieces, Vec::new, &mut share)?;
                Ok::<_, types::Error>((opened, share))
            }));
        }
        let mut opened = Vec::new();
        // Opened bytes count as the plugin's memory until it has read all of them.
        let mut shares = Vec::new();
        for group in groups {
            match group.await? {
                Ok((pieces, share)) => {
                    opened.extend(pieces);
                    shares.push(share);
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        accessor.with(|mut access| access.get().activity.note());
        Ok(Ok(opened))
    }

    async fn compress(
        accessor: &Accessor<State, Self>,
        bytes: Vec<u8>,
        compression: seal::Compression,
    ) -> Answer<Vec<u8>> {
        let level = match level(Some(compression)) {
            Ok(level) => level.unwrap_or_default(),
            Err(error) => return Ok(Err(error)),
        };
        compute(accessor, bytes, 0, move |bytes, share| {
            share.grow(tthost_seal::longest_compressed(bytes.len()))?;
            share.grow(tthost_seal::compression_memory(bytes.len(), level))?;
            tthost_seal::compress(&bytes, level)
                .ok_or_else(|| types::Error::Other("zstd has not enough memory".into()))
        })
        .await
    }

    async fn decompress(
        accessor: &Accessor<State, Self>,
        algorithm: String,
        bytes: Vec<u8>,
        max_length: u64,
    ) -> Answer<Vec<u8>> {
        if algorithm != ZSTD {
            return Ok(Err(unknown("compression", &algorithm)));
        }
        let longest = bounded(max_length);
        compute(accessor, bytes, 0, move |bytes, share| {
            let mut whole = Vec::new();
            decompress(&bytes, longest, &mut whole, share)?;
            Ok(whole)
        })
        .await
    }

    async fn scrypt(
        accessor: &Accessor<State, Self>,
        password: Vec<u8>,
        salt: Vec<u8>,
        n: u64,
        r: u32,
        p: u32,
        length: u32,
    ) -> Answer<Vec<u8>> {
        let password = zeroize::Zeroizing::new(password);
        let costs = [&n.to_le_bytes()[..], &r.to_le_bytes(), &p.to_le_bytes()].concat();
        let parts = [&password[..], &salt, &costs, &length.to_le_bytes()];
        let (request, derived_keys) = accessor.with(|mut access| {
            let state = access.get();
            let request = Request::new(&state.subject, &parts);
            (request, state.derived_keys.clone())
        });
        if let Some(key) = derived_keys.find(request) {
            return Ok(Ok(key.to_vec()));
        }
        let derived = compute(accessor, salt, password.len(), move |salt, share| {
            share.grow(tthost_seal::scrypt_memory(n, r, p))?;
            tthost_seal::scrypt(&password, &salt, n, r, p, length as usize)
                .map(|key| key.to_vec())
                .map_err(|cause| types::Error::Unsupported(cause.to_string()))
        });
        let derived = derived.await?;
        if let Ok(key) = &derived {
            derived_keys.keep(request, key.clone().into());
        }
        Ok(derived)
    }
}

/// What pieces of these lengths take in memory, with what is kept of each: its place, its digest.
pub(super) fn weight(lengths: impl Iterator<Item = usize>) -> usize {
    const EACH: usize = 128;
    lengths.map(|length| length + EACH).sum()
}

/// The same of sealed pieces, with their names. The error is about what is expected of one.
pub(super) fn sealed_weight(pieces: &[seal::Piece]) -> Result<usize, types::Error> {
    let mut expectations = pieces.iter().map(|piece| &piece.expectation);
    expectations.try_for_each(check)?;
    let lengths = pieces
        .iter()
        .map(|piece| piece.bytes.len() + piece.name.len());
    Ok(weight(lengths))
}

/// Takes the cores, and room for bytes that are with the host now.
pub(super) fn begin(
    accessor: &Accessor<State, HasSelf<State>>,
    bytes: usize,
) -> Result<(CoreShare, Share), types::Error> {
    accessor.with(|mut access| {
        let state = access.get();
        state.activity.note();
        if state.given_up.load(Ordering::Relaxed) {
            return Err(types::Error::Cancelled("the operation was given up".into()));
        }
        Ok((state.cores.clone(), state.memory.hold(bytes)?))
    })
}

/// Makes other bytes of some, for which it holds so many more. All of them count as the plugin's memory until it has the result;
/// the work takes room for what it makes before it makes it.
async fn compute(
    accessor: &Accessor<State, HasSelf<State>>,
    bytes: Vec<u8>,
    more: usize,
    work: impl FnOnce(Vec<u8>, &mut Share) -> Result<Vec<u8>, types::Error> + Send + 'static,
) -> Answer<Vec<u8>> {
    let (cores, mut share) = match begin(accessor, bytes.len() + more) {
        Ok(begun) => begun,
        Err(error) => return Ok(Err(error)),
    };
    let made = cores.run(move || {
        let made = work(bytes, &mut share)?;
        Ok((made, share))
    });
    let made = made.await?;
    accessor.with(|mut access| access.get().activity.note());
    Ok(made.map(|(made, _)| made))
}

fn key_of(
    accessor: &Accessor<State, HasSelf<State>>,
    key: &Resource<Key>,
) -> wasmtime::Result<Arc<tthost_seal::Key>> {
    accessor.with(|mut access| Ok(access.get().table.get(key)?.material()))
}

async fn seal_pieces(
    accessor: &Accessor<State, HasSelf<State>>,
    key: Arc<tthost_seal::Key>,
    (pieces, mut share): (Vec<Vec<u8>>, Share),
    compression: Option<seal::Compression>,
) -> Answer<Vec<seal::Sealed>> {
    let level = match level(compression) {
        Ok(level) => level,
        Err(error) => return Ok(Err(error)),
    };
    let cores = accessor.with(|mut access| access.get().cores.clone());
    let sealed = cores.run(move || {
        let longest = pieces.iter().map(Vec::len).max().unwrap_or(0);
        if let Some(level) = level {
            share.grow(tthost_seal::compression_memory(longest, level))?;
        }
        let seal = |bytes: Vec<u8>| {
            share.grow(tthost_seal::longest_compressed(bytes.len()))?;
            let sealed = tthost_seal::seal(&key, &bytes, level);
            Ok(seal::Sealed {
                bytes: sealed.bytes,
                compressed: sealed.compressed,
            })
        };
        let sealed: Result<_, types::Error> = pieces.into_iter().map(seal).collect();
        sealed.map(|sealed| (sealed, share))
    });
    let sealed = sealed.await?;
    accessor.with(|mut access| access.get().activity.note());
    Ok(sealed.map(|(sealed, _)| sealed))
}

/// Pieces in groups, each work for one core.
fn split(pieces: Vec<seal::Piece>) -> Vec<Vec<seal::Piece>> {
    /// Sealed bytes of a group, unless one piece has more.
    const GROUP: usize = 256 << 10;
    let mut groups: Vec<Vec<_>> = Vec::new();
    let mut bytes = 0;
    for piece in pieces {
        bytes += piece.bytes.len();
        match groups.last_mut() {
            Some(group) if bytes <= GROUP => group.push(piece),
            _ => {
                bytes = piece.bytes.len();
                groups.push(vec![piece]);
            }
        }
    }
    groups
}

/// Opens pieces into buffers. Their digests are computed side by side, which takes half the time.
pub(super) fn open_pieces<B: AsMut<Vec<u8>> + AsRef<[u8]>>(
    key: &tthost_seal::Key,
    mut pieces: Vec<seal::Piece>,
    buffer: impl Fn() -> B,
    held: &mut Share,
) -> Result<Vec<B>, types::Error> {
    let mut opened = Vec::with_capacity(pieces.len());
    for piece in &mut pieces {
        let mut buffer = buffer();
        let (sealed, expectation) = (&mut piece.bytes, &piece.expectation);
        open(key, sealed, expectation, buffer.as_mut(), held)
            .map_err(|error| named(&piece.name, error))?;
        opened.push(buffer);
    }
    let messages: Vec<&[u8]> = opened.iter().map(AsRef::as_ref).collect();
    let digests = tthost_seal::digest_all(&messages);
    for (piece, digest) in pieces.iter().zip(&digests) {
        compare(digest, &piece.expectation).map_err(|error| named(&piece.name, error))?;
    }
    Ok(opened)
}

fn named(name: &str, error: types::Error) -> types::Error {
    match error {
        types::Error::Corrupt(text) | types::Error::Unauthenticated(text) => {
            types::Error::Corrupt(format!("{} is damaged: {text}", printable(name)))
        }
        other => other,
    }
}

/// Whether the host knows the algorithms that are expected, and a digest has the length of one.
fn check(expectation: &seal::Expectation) -> Result<(), types::Error> {
    if let Some(name) = &expectation.compression
        && name != ZSTD
    {
        return Err(unknown("compression", name));
    }
    match &expectation.digest {
        Some((name, _)) if name != SHA_256 => Err(unknown("digest", name)),
        Some((name, value)) if value.len() != 32 => Err(types::Error::Config(format!(
            "a digest of {name} has 32 bytes, not {}",
            value.len()
        ))),
        _ => Ok(()),
    }
}

/// Authenticates, decrypts in place, and decompresses into `opened`, for which `held` grows.
fn open(
    key: &tthost_seal::Key,
    sealed: &mut [u8],
    expectation: &seal::Expectation,
    opened: &mut Vec<u8>,
    held: &mut Share,
) -> Result<(), types::Error> {
    let longest = bounded(expectation.max_length);
    let plain = key
        .open(sealed)
        .map_err(|cause| types::Error::Unauthenticated(cause.to_string()))?;
    if expectation.compression.is_some() {
        return decompress(plain, longest, opened, held);
    }
    if plain.len() > longest {
        return Err(types::Error::Corrupt(format!(
            "{} bytes where at most {longest} are allowed",
            plain.len()
        )));
    }
    held.grow(plain.len())?;
    opened.clear();
    opened.extend_from_slice(plain);
    Ok(())
}

/// Decompresses into `opened`, for which `held` grows.
fn decompress(
    bytes: &[u8],
    longest: usize,
    opened: &mut Vec<u8>,
    held: &mut Share,
) -> Result<(), types::Error> {
    let mut refused = None;
    let room = |bytes: usize| match held.grow(bytes) {
        Ok(()) => true,
        Err(error) => {
            refused = Some(error);
            false
        }
    };
    let decompressed = tthost_seal::decompress(bytes, longest, opened, room);
    decompressed
        .map_err(|cause| refused.unwrap_or_else(|| types::Error::Corrupt(cause.to_string())))
}

/// Whether this is the digest that is expected.
fn compare(digest: &[u8; 32], expectation: &seal::Expectation) -> Result<(), types::Error> {
    match &expectation.digest {
        Some((_, expected)) if expected != digest => Err(types::Error::Corrupt(
            "the contents do not match their digest".into(),
        )),
        _ => Ok(()),
    }
}

/// The requested compression level of zstd.
fn level(compression: Option<seal::Compression>) -> Result<Option<i32>, types::Error> {
    match compression {
        None => Ok(None),
        Some(compression) if compression.algorithm != ZSTD => {
            Err(unknown("compression", &compression.algorithm))
        }
        Some(compression) if !(1..=22).contains(&compression.level) => Err(types::Error::Config(
            format!("zstd has levels 1 to 22, not {}", compression.level),
        )),
        Some(compression) => Ok(Some(compression.level)),
    }
}

/// The length that a plugin expects, within the limit of the host.
fn bounded(length: u64) -> usize {
    usize::try_from(length.min(MAX_LENGTH)).unwrap_or(usize::MAX)
}

pub(super) fn unknown(what: &str, name: &str) -> types::Error {
    types::Error::Unsupported(format!("the host has no {what} {}", printable(name)))
}
