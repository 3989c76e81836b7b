//! A store that keeps plain files, and the contract but for the single fault that its configuration asks for. The tests know which
//! check is meant for each.

mod files;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::mem;

use tthost_plugin::store::{Access, Body, Existing, Object, ObjectStat, Objects, Page, Part};
use tthost_plugin::unfinished;
use tthost_plugin::{About, Error, Level, Result, log, secret};

use files::{failed, is_directory, path};

tthost_plugin::configuration! {
    /// What is wrong with it.
    struct Config {
        /// The fault; none for a store that is fine.
        fault: Option<String>,
    }
    needs {
        writable_directory "objects": "It holds the objects.",
        secret "token": "It must not be told.",
    }
}

struct Reference {
    fault: String,
    token: String,
    /// What it has not stored yet, where that is its fault.
    pending: RefCell<BTreeMap<String, Vec<u8>>>,
    /// What it has listed, where it remembers that.
    listed: RefCell<Option<Vec<Object>>>,
    /// Bytes on their way, where there is one place for all.
    buffer: RefCell<Vec<u8>>,
}

tthost_plugin::export_store!(Reference);

/// Objects of a page, where a fault makes pages.
const PAGE: usize = 10;

/// What is not read to its end, and traps when it is given up.
struct Unread;

impl Drop for Unread {
    fn drop(&mut self) {
        unreachable!("as it was told");
    }
}

/// The file by which a place is known that was made.
const MARK: &str = ".made";

impl Objects for Reference {
    type Config = Config;

    const ABOUT: About = About {
        name: "reference-store",
        version: "0.1.0",
        summary: "Keeps plain files",
    };

    async fn open(config: Config, access: Access) -> Result<Self> {
        let store = Self {
            fault: config.fault.unwrap_or_default(),
            token: secret("token").await?,
            pending: RefCell::default(),
            listed: RefCell::default(),
            buffer: RefCell::default(),
        };
        if store.has("logs-its-secret") {
            log(Level::Debug, &format!("the token is {}", store.token));
        }
        if store.has("prints-its-secret") {
            // Nobody need be listening.
            let _ = writeln!(io::stderr(), "the token is {}", store.token);
        }
        if store.has("opening-wants-the-place") && !path(MARK).exists() {
            return Err(Error::NotFound("nobody has made the place".into()));
        }
        if access == Access::ReadWrite {
            unfinished::remove_leftovers(async |name| files::remove(name)).await?;
        }
        Ok(store)
    }

    async fn create(&self) -> Result<()> {
        if self.has("making-again-fails") && path(MARK).exists() {
            return Err(Error::Exists("the place was made already".into()));
        }
        if self.has("making-again-empties") {
            for object in files::all()? {
                files::remove(&object.name)?;
            }
        }
        fs::write(path(MARK), "").map_err(|cause| failed("the place", &cause))
    }

    async fn put(&self, name: &str, size: u64, existing: Existing, body: Body) -> Result<()> {
        if self.has("writes-in-place") {
            return self.write(name, size, body).await;
        }
        let name = self.name(name);
        let is_there = path(&name).exists();
        if self.has("empty-is-nothing") && size == 0 {
            return body.finish().await;
        }
        let keeps = existing == Existing::Kept && !self.has("replaces-what-is-kept");
        if keeps && (is_there || self.has("keeps-nothing-new")) {
            return Err(if self.has("exists-is-other") {
                Error::Other(format!("{name} is there"))
            } else if self.has("its-secret-is-in-errors") {
                Error::Exists(format!("{name} is there, and the token is {}", self.token))
            } else {
                Error::Exists(format!("{name} is there already"))
            });
        }
        if self.has("one-buffer") || self.has("stores-when-it-closes") {
            return self.buffered(&name, body).await;
        }
        let place = async |aside: &str| {
            self.write(aside, size, body).await?;
            if self.has("replaces-nothing") && is_there {
                return files::remove(aside);
            }
            if self.has("replaces-the-beginning") && is_there {
                files::overlay(aside, &name)?;
                return files::remove(aside);
            }
            files::rename(aside, &name)
        };
        unfinished::store(place, async |aside| files::remove(aside)).await
    }

    async fn get(&self, name: &str, part: Option<Part>) -> Result<Body> {
        if self.has("reading-writes") {
            fs::write(path(".read"), name).map_err(|cause| failed(name, &cause))?;
        }
        let name = self.name(name);
        let found = match fs::read(path(&name)) {
            _ if is_directory(&name) && self.has("directories-are-objects") => Ok(Vec::new()),
            _ if is_directory(&name) => Err(Error::NotFound(format!("{name} is not there"))),
            read => read.map_err(|cause| failed(&name, &cause)),
        };
        let bytes = match found {
            Err(Error::NotFound(_)) if self.has("missing-is-empty") => Vec::new(),
            Err(Error::NotFound(why)) if self.has("missing-is-other") => {
                return Err(Error::Other(why));
            }
            found => found?,
        };
        if self.has("giving-up-a-get-traps") {
            return Ok(Body::made(async move |mut output| {
                let unread = Unread;
                output.write(bytes).await?;
                mem::forget(unread);
                Ok(())
            }));
        }
        self.part(&bytes, part)
    }

    async fn list(&self, prefix: &str, after: Option<String>) -> Result<Page> {
        let mut all = match self.listed.borrow_mut().take() {
            Some(listed) => listed,
            None => files::all()?,
        };
        if self.has("remembers-its-lists") {
            self.listed.replace(Some(all.clone()));
        }
        if self.has("an-empty-place-is-not-found") && all.is_empty() {
            return Err(Error::NotFound("nothing is there".into()));
        }
        if self.has("sizes-in-blocks") {
            for object in &mut all {
                object.size = object.size.next_multiple_of(512);
            }
        }
        if self.has("lists-no-empty-objects") {
            all.retain(|object| object.size > 0);
        }
        if self.has("ignores-the-prefix") {
            return Ok(Page::of(all, ""));
        }
        if self.has("a-prefix-need-not-end") {
            all.retain(|object| object.name.starts_with(prefix));
            return Ok(Page::of(all, ""));
        }
        let mut page = Page::of(all, prefix);
        if self.has("forgets-the-last") {
            page.objects.pop();
        }
        if self.has("the-first-page-alone") {
            page.objects.truncate(PAGE);
        }
        if self.has("pages-overlap") {
            let from = after.and_then(|after| after.parse().ok()).unwrap_or(0);
            let rest = page.objects.split_off(from);
            page.next = (rest.len() > PAGE).then(|| (from + PAGE - 1).to_string());
            page.objects = rest.into_iter().take(PAGE).collect();
        }
        Ok(page)
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectStat>> {
        let name = self.name(name);
        let of = |size| {
            let size = if self.has("stat-is-a-guess") {
                size + 1
            } else {
                size
            };
            Some(ObjectStat { size, stored: None })
        };
        if self.has("remembers-its-lists")
            && let Some(listed) = &*self.listed.borrow()
        {
            let found = listed.iter().find(|object| object.name == name);
            return Ok(found.and_then(|object| of(object.size)));
        }
        match files::size(&name) {
            Ok(_) if is_directory(&name) && !self.has("directories-are-objects") => Ok(None),
            Ok(size) => Ok(of(size)),
            Err(Error::NotFound(_)) if self.has("a-missing-has-a-size") => Ok(of(0)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let name = self.name(name);
        if self.has("removes-nothing") {
            return Ok(());
        }
        if self.has("removing-nothing-fails") {
            files::size(&name)?;
        }
        if self.has("removes-what-begins-so") {
            for object in files::all()? {
                if object.name.starts_with(&name) {
                    files::remove(&object.name)?;
                }
            }
        }
        files::remove(&name)
    }

    async fn close(&self) -> Result<()> {
        if self.has("close-stalls") {
            std::future::pending::<()>().await;
        }
        if self.has("close-fails") {
            return Err(Error::Other("it does not close".into()));
        }
        for (name, bytes) in self.pending.take() {
            files::write(&name, &bytes)?;
        }
        Ok(())
    }
}

impl Reference {
    fn has(&self, fault: &str) -> bool {
        self.fault == fault
    }

    /// The name under which an object is kept.
    fn name(&self, name: &str) -> String {
        match &*self.fault {
            "names-are-cut" => {
                let parts = name.split('/').map(|part| &part[..part.len().min(80)]);
                parts.collect::<Vec<_>>().join("/")
            }
            "dots-are-dashes" => name.replace('.', "-"),
            "slashes-are-dashes" => name.replace('/', "-"),
            _ => name.to_owned(),
        }
    }

    /// Writes a body to a file as it comes, and takes it for good only with its verdict.
    async fn write(&self, name: &str, size: u64, mut body: Body) -> Result<()> {
        let mut file = files::create(name)?;
        let mut written = 0;
        let mut pieces = Vec::new();
        while let Some(piece) = body.next().await {
            written += piece.len() as u64;
            if self.has("swaps-the-pieces") {
                pieces.insert(0, piece);
            } else {
                files::append(&mut file, name, &piece)?;
            }
        }
        for piece in pieces {
            files::append(&mut file, name, &piece)?;
        }
        if self.has("loses-the-last-byte") {
            let length = file.set_len(written.saturating_sub(1));
            length.map_err(|cause| failed(name, &cause))?;
        }
        if self.has("waits-for-no-verdict") {
            return Ok(());
        }
        let verdict = body.finish().await;
        if self.has("takes-bad-verdicts") {
            return Ok(());
        }
        verdict?;
        if written != size {
            return Err(Error::Corrupt(format!("{written} bytes came, of {size}")));
        }
        file.sync_all().map_err(|cause| failed(name, &cause))
    }

    /// Collects a body in one buffer, and stores it at once or at the end.
    async fn buffered(&self, name: &str, mut body: Body) -> Result<()> {
        self.buffer.borrow_mut().clear();
        while let Some(piece) = body.next().await {
            self.buffer.borrow_mut().extend(piece);
        }
        body.finish().await?;
        let bytes = self.buffer.take();
        if self.has("stores-when-it-closes") {
            self.pending.borrow_mut().insert(name.to_owned(), bytes);
            return Ok(());
        }
        files::write(name, &bytes)
    }

    fn part(&self, bytes: &[u8], part: Option<Part>) -> Result<Body> {
        let Some(Part { offset, length }) = part else {
            return Ok(Body::of(bytes.to_vec()));
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let most = usize::try_from(length).unwrap_or(usize::MAX);
        let from_there = bytes.get(from..).unwrap_or_default();
        let some = |bytes: &[u8], most: usize| Body::of(bytes[..most.min(bytes.len())].to_vec());
        let is_inside = from_there.len() >= most;
        Ok(match &*self.fault {
            "a-part-is-the-whole" => Body::of(bytes.to_vec()),
            "a-part-begins-at-0" => some(bytes, most),
            "a-part-is-short" => some(from_there, most.saturating_sub(1)),
            "a-part-ends-with-the-object" => some(from_there, most),
            "beyond-is-other" if !is_inside => {
                return Err(Error::Other("there is no such part".into()));
            }
            _ => return Body::part_of(bytes, part),
        })
    }
}
