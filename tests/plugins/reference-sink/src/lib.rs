//! A sink that keeps plain files and the contract. It is the measure of the conformance suite: with no fault it has to pass all
//! checks, and with each single fault that its configuration can ask for it has to fail the check that is meant for that.

mod bindings;
mod fault;
mod pending;
mod reading;
mod store;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};

use bindings::exports::tthost::backup::maintenance::Guest as Maintenance;
use bindings::exports::tthost::backup::plugin::{Description, Guest as Plugin, Need, ResourceKind};
use bindings::exports::tthost::backup::sink::{
    Answer, Depth, Draft, Finding, Findings, Guest as Sink, GuestRepository, Identity,
    ReclaimOptions, Reclaimed, Repository, Rights, Selection, Severity, Snapshot, Subset, Usage,
};
use bindings::exports::tthost::backup::transfer::{Guest as Transfer, Reader, Writer};
use bindings::tthost::backup::log::{Level, log};
use bindings::tthost::backup::secrets;
use bindings::tthost::backup::types::{Access, Caller, Error, Instant};
use pending::{Pending, Unfinished};
use reading::Reading;
use store::NodeKind;

struct Component;

impl Plugin for Component {
    fn describe() -> Description {
        use fault::is_written;
        assert!(!is_written("describe-traps"), "it cannot say");
        if is_written("describe-is-slow") {
            std::thread::sleep(std::time::Duration::from_millis(1100));
        }
        let need = |resource, name: &str, reason: &str| Need {
            resource,
            name: name.into(),
            optional: false,
            reason: reason.into(),
        };
        let directory = ResourceKind::Directory(Access::ReadWrite);
        let mut needs = vec![
            need(directory, "store", "It holds the snapshots."),
            need(ResourceKind::Secret, "token", "It opens the store."),
        ];
        if is_written("a-need-without-a-reason") {
            needs[0].reason.clear();
        }
        if is_written("a-need-comes-twice") {
            needs.push(needs[0].clone());
        }
        let mut summary = "Keeps plain files".to_owned();
        if is_written("describe-varies") {
            summary += &store::nonce().to_string();
        }
        let schema = match () {
            () if is_written("the-schema-is-no-json") => "{",
            () if is_written("the-schema-is-of-anything") => "{}",
            () if is_written("the-schema-takes-anything") => {
                r#"{"type": "object", "additionalProperties": true}"#
            }
            () => {
                r#"{"type": "object", "properties": {"fault": {"type": "string"}}, "additionalProperties": false}"#
            }
        };
        Description {
            name: if is_written("a-name-is-empty") {
                String::new()
            } else {
                env!("CARGO_PKG_NAME").into()
            },
            version: env!("CARGO_PKG_VERSION").into(),
            summary,
            config_schema: schema.into(),
            needs,
        }
    }
}

impl Maintenance for Component {
    async fn unlock(_: Caller, config: String, _: bool) -> Result<u64, Error> {
        fault::configure(&config)?;
        if fault::is("unlock-removes-nothing") || !store::names(".")?.contains("lock") {
            return Ok(0);
        }
        store::remove("lock")?;
        Ok(1)
    }
}

impl Transfer for Component {
    type Reader = Reading;
    type Writer = Pending;
}

impl Sink for Component {
    type Repository = Plain;

    async fn probe(config: String) -> Result<Rights, Error> {
        fault::configure(&config)?;
        let path = format!("{}/probe", store::STORE);
        let answer = |is_so| if is_so { Answer::Yes } else { Answer::No };
        let put = std::fs::write(&path, b"probe").is_ok();
        let get = put && std::fs::read(&path).is_ok_and(|read| read == b"probe");
        let list = store::names(".").is_ok();
        let delete =
            put && (fault::is("probe-leaves-a-file") || std::fs::remove_file(&path).is_ok());
        let said = |is_so: bool| {
            answer((is_so || fault::is("probe-says-yes")) && !fault::is("probe-says-no"))
        };
        Ok(Rights {
            put: said(put),
            get: said(get),
            list: said(list),
            delete: said(delete),
            overwrite: said(put),
            put_if_absent: Answer::No,
            versioned: Answer::No,
            object_lock: Answer::No,
            found: Instant {
                seconds: 0,
                nanoseconds: 0,
            },
            notes: Vec::new(),
        })
    }
}

/// An open store.
struct Plain {
    identity: String,
    unfinished: Unfinished,
    lists: Cell<u32>,
}

/// What each call without a store begins with.
async fn begin(config: &str) -> Result<(), Error> {
    fault::configure(config)?;
    let token = secrets::get("token".into()).await?;
    let token = String::from_utf8_lossy(&token).into_owned();
    if fault::is("logs-its-secret") {
        log(Level::Debug, &format!("the token is {token}"));
    }
    if fault::is("prints-its-secret") {
        // Nobody need be listening.
        let _ = writeln!(io::stderr(), "the token is {token}");
    }
    if fault::is("its-secret-is-in-errors") && !store::is_there() {
        return Err(Error::NotFound(format!("there is no store for {token}")));
    }
    if fault::is("stores-its-secret") && store::is_there() {
        // Where nothing can be written, nothing is.
        let _ = store::write("token", token.as_bytes());
    }
    Ok(())
}

fn open() -> Result<Repository, Error> {
    let mut identity = store::identity()?;
    if fault::is("an-identity-varies") {
        identity = store::nonce().to_string();
    }
    if fault::is("all-stores-are-one") {
        identity = "store".into();
    }
    if fault::is("an-identity-is-empty") {
        identity.clear();
    }
    Ok(Repository::new(Plain {
        identity,
        unfinished: Unfinished::default(),
        lists: Cell::new(0),
    }))
}

impl GuestRepository for Plain {
    async fn open(_: Caller, config: String, access: Access) -> Result<Repository, Error> {
        begin(&config).await?;
        if !store::is_there() {
            if fault::is("nothing-is-other") {
                return Err(Error::Other("there is no store".into()));
            }
            if !(fault::is("open-makes-a-store") && matches!(access, Access::ReadWrite)) {
                return Err(Error::NotFound("there is no store".into()));
            }
            store::create()?;
        }
        if fault::is("looking-writes") {
            store::write("looked", b"at")?;
        }
        if fault::is("opening-locks") && matches!(access, Access::ReadWrite) {
            if store::names(".")?.contains("opened") {
                return Err(Error::Locked("somebody has opened it".into()));
            }
            store::write("opened", b"by somebody")?;
        }
        if fault::is("an-open-store-is-busy") && matches!(access, Access::ReadOnly) {
            return Err(Error::Busy("somebody may look already".into()));
        }
        open()
    }

    async fn create(_: Caller, config: String) -> Result<Repository, Error> {
        begin(&config).await?;
        if store::is_there() {
            if fault::is("create-is-open") {
                return open();
            }
            if fault::is("create-begins-anew") {
                for id in store::ids()? {
                    store::remove(&format!("snapshots/{id}"))?;
                }
            } else {
                return Err(Error::Exists("there is a store already".into()));
            }
        }
        store::create()?;
        let made = open();
        if fault::is("create-makes-nothing") {
            store::remove("id")?;
        }
        made
    }

    fn identity(&self) -> Identity {
        Identity {
            id: self.identity.clone(),
            version: 1,
        }
    }

    async fn begin(&self, draft: Draft) -> Result<Writer, Error> {
        Ok(Writer::new(Pending::begin(draft, self.unfinished.clone())?))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        self.lists.set(self.lists.get() + 1);
        let mut all = Vec::new();
        for id in store::ids()? {
            all.push(listed(id));
        }
        if !fault::is("in-the-order-of-ids") {
            all.sort_by_key(|snapshot| snapshot.time.seconds);
        }
        if fault::is("the-newest-first") {
            all.reverse();
        }
        if fault::is("lists-one-twice") {
            all.extend(all.first().cloned());
        }
        if fault::is("lists-vary")
            && let Some(snapshot) = all.first_mut()
        {
            snapshot.username = store::nonce().to_string();
        }
        Ok(all)
    }

    async fn read(&self, selection: Selection) -> Result<Reader, Error> {
        Ok(Reader::new(Reading::begin(&selection)?))
    }

    async fn usage(&self, subset: Subset) -> Result<Usage, Error> {
        let mut usage = Usage {
            objects: 0,
            bytes: 0,
        };
        for name in objects_in(subset)? {
            usage.objects += 1;
            usage.bytes += store::length(&name)?;
        }
        if fault::is("usage-is-a-guess") {
            usage.bytes += 1000;
        }
        Ok(usage)
    }

    async fn check(&self, depth: Depth) -> Result<Findings, Error> {
        let mut errors = Vec::new();
        let mut bytes_read = 0;
        if fault::is("check-writes") {
            // Where nothing can be written, nothing is.
            let _ = store::write("checked", b"by somebody");
        }
        let ids = store::ids()?;
        for id in &ids {
            match store::record(id) {
                Err(error) => errors.push(error.to_string()),
                Ok(record) => {
                    for node in record.nodes {
                        let NodeKind::File(hash, length) = node.kind else {
                            continue;
                        };
                        let found = store::length(&hash);
                        let is_missing =
                            found.is_err() && !fault::is("does-not-look-for-the-missing");
                        if is_missing || found.is_ok_and(|found| found != length) {
                            errors.push(format!("{hash} is missing"));
                        }
                    }
                }
            }
        }
        let names = match &depth {
            Depth::Structure if fault::is("reads-for-the-structure") => store::names("objects")?,
            Depth::Structure => BTreeSet::new(),
            Depth::Data(_) if fault::is("checks-sizes-alone") => BTreeSet::new(),
            Depth::Data(subset) => objects_in(*subset)?,
        };
        for name in &names {
            bytes_read += store::length(name)?;
            if let Err(error) = store::contents(name) {
                errors.push(error.to_string());
            }
        }
        if fault::is("reads-more-than-it-says") {
            bytes_read = 0;
        }
        if fault::is("finds-nothing") {
            errors.clear();
        }
        if fault::is("finds-too-much") {
            errors.push("something may be wrong".into());
        }
        let findings = errors.into_iter().map(|what| Finding {
            severity: Severity::Error,
            what,
            snapshots: Vec::new(),
            paths: Vec::new(),
        });
        Ok(Findings {
            findings: findings.collect(),
            snapshots: ids.len() as u64,
            objects: names.len() as u64,
            bytes_read,
        })
    }

    async fn forget(&self, ids: Vec<String>) -> Result<(), Error> {
        let there = store::ids()?;
        let known = ids.iter().filter(|id| there.contains(*id));
        let missing = ids.iter().find(|id| !there.contains(*id));
        let is_gone = fault::is("an-unknown-is-forgotten-already");
        if let Some(missing) = missing
            && !is_gone
        {
            if fault::is("forgets-before-it-looks") {
                for id in known {
                    store::remove(&format!("snapshots/{id}"))?;
                }
            }
            return Err(Error::NotFound(format!("there is no snapshot {missing}")));
        }
        if fault::is("the-last-one-stays") && known.clone().count() == there.len() {
            return Err(Error::Unsupported("one has to stay".into()));
        }
        if fault::is("forget-removes-nothing") {
            return Ok(());
        }
        for id in known {
            if fault::is("forget-removes-contents") {
                for node in store::record(id)?.nodes {
                    if let NodeKind::File(hash, _) = node.kind {
                        // It may be gone already.
                        let _ = store::remove(&format!("objects/{hash}"));
                    }
                }
            }
            store::remove(&format!("snapshots/{id}"))?;
        }
        let neighbours = there.iter().filter(|id| !ids.contains(id));
        let most = match () {
            () if fault::is("forget-removes-a-neighbour") => 1,
            () if fault::is("forget-removes-all") => usize::MAX,
            () => 0,
        };
        for id in neighbours.take(most) {
            store::remove(&format!("snapshots/{id}"))?;
        }
        Ok(())
    }

    async fn reclaim(&self, options: ReclaimOptions, dry_run: bool) -> Result<Reclaimed, Error> {
        if fault::is("reclaim-forgets-the-oldest")
            && !dry_run
            && let Some(id) = store::ids()?.first()
        {
            store::remove(&format!("snapshots/{id}"))?;
        }
        let mut needed = BTreeSet::new();
        for id in store::ids()? {
            let is_forgotten = options.assume_forgotten.contains(&id);
            if is_forgotten && !fault::is("takes-nothing-for-forgotten") {
                continue;
            }
            for node in store::record(&id)?.nodes {
                if let NodeKind::File(hash, _) = node.kind {
                    needed.insert(hash);
                }
            }
        }
        if fault::is("reclaims-too-much") {
            needed.pop_first();
        }
        let mut reclaimed = Reclaimed {
            objects_removed: 0,
            bytes_removed: 0,
            objects_written: 0,
            bytes_written: 0,
            bytes_left: 0,
            bytes_unused: 0,
        };
        let mut moved = BTreeMap::new();
        for name in store::names("objects")? {
            let length = store::length(&name)?;
            let is_needed = needed.contains(&name);
            if is_needed || fault::is("reclaims-nothing") {
                if fault::is("reclaims-in-the-wrong-order") && !dry_run {
                    moved.insert(name.clone(), store::contents(&name)?);
                    store::remove(&format!("objects/{name}"))?;
                }
                reclaimed.bytes_left += length;
                continue;
            }
            reclaimed.objects_removed += 1;
            reclaimed.bytes_removed += length;
            if !dry_run || fault::is("a-dry-reclaim-reclaims") {
                store::remove(&format!("objects/{name}"))?;
            }
        }
        if !moved.is_empty() {
            store::dawdle();
        }
        for (name, bytes) in moved {
            store::write(&format!("objects/{name}"), &bytes)?;
        }
        if fault::is("reclaim-counts-nothing") {
            (reclaimed.objects_removed, reclaimed.bytes_removed) = (0, 0);
        }
        Ok(reclaimed)
    }

    async fn close(this: Repository) -> Result<(), Error> {
        let this = this.into_inner::<Self>();
        if fault::is("opening-locks") {
            // It may be open for looking alone.
            let _ = store::remove("opened");
        }
        if let Some(record) = this.unfinished.take() {
            store::keep(&record)?;
        }
        if fault::is("close-stalls") {
            std::future::pending::<()>().await;
        }
        if fault::is("close-fails") {
            return Err(Error::Other("it does not close".into()));
        }
        Ok(())
    }
}

/// What the list says of a snapshot.
fn listed(id: String) -> Snapshot {
    let record = store::record(&id);
    let damaged = record.as_ref().err().map(ToString::to_string);
    let record = record.ok();
    let text = |of: fn(&store::Record) -> &String| record.as_ref().map(of).cloned();
    let texts = |of: fn(&store::Record) -> &Vec<String>| record.as_ref().map(of).cloned();
    Snapshot {
        time: Instant {
            seconds: record.as_ref().map_or(0, |record| record.seconds),
            nanoseconds: record.as_ref().map_or(0, |record| record.nanoseconds),
        },
        hostname: text(|record| &record.hostname).unwrap_or_default(),
        username: text(|record| &record.username).unwrap_or_default(),
        tags: texts(|record| &record.tags).unwrap_or_default(),
        paths: texts(|record| &record.paths).unwrap_or_default(),
        program: None,
        files: None,
        bytes: None,
        bytes_added: None,
        bytes_stored: None,
        damaged,
        id,
    }
}

/// The objects of a subset.
fn objects_in(subset: Subset) -> Result<BTreeSet<String>, Error> {
    let is_meant = |name: &String| {
        let place = name
            .get(..8)
            .and_then(|name| u32::from_str_radix(name, 16).ok());
        let Some(place) = place else {
            return false;
        };
        if fault::is("ignores-subsets") {
            return true;
        }
        if subset.first <= subset.last || fault::is("subsets-do-not-go-on") {
            (subset.first..=subset.last).contains(&place)
        } else {
            place >= subset.first || place <= subset.last
        }
    };
    Ok(store::names("objects")?
        .into_iter()
        .filter(is_meant)
        .collect())
}
