//! A store in a directory that misbehaves on command.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tthost_plugin::store::{Access, Body, Existing, Object, ObjectStat, Objects, Page, Part};
use tthost_plugin::{About, Error, Result};

tthost_plugin::configuration! {
    /// What is wrong with it.
    struct Config {
        /// The fault; none for a store that is fine.
        fault: Option<String>,
        /// The beginning of the names of the objects that it concerns.
        names: Option<String>,
    }
    needs {
        writable_directory "objects": "It holds the objects.",
    }
}

struct Hostile {
    fault: String,
    names: String,
}

tthost_plugin::export_store!(Hostile);

const ROOT: &str = "/objects";

impl Objects for Hostile {
    type Config = Config;

    const ABOUT: About = About {
        name: "hostile-store",
        version: "0.1.0",
        summary: "Misbehaves on command",
    };

    async fn open(config: Config, _: Access) -> Result<Self> {
        let hostile = Self {
            fault: config.fault.unwrap_or_default(),
            names: config.names.unwrap_or_default(),
        };
        if hostile.has("hangs in open", "") {
            std::future::pending::<()>().await;
        }
        assert!(!hostile.has("panics in open", ""), "as it was told");
        Ok(hostile)
    }

    async fn put(&self, name: &str, size: u64, existing: Existing, mut body: Body) -> Result<()> {
        if self.has("hangs in put", name) {
            std::future::pending::<()>().await;
        }
        if self.has("takes a part", name) {
            body.next().await;
            return Ok(());
        }
        if self.has("takes nothing", name) {
            return Ok(());
        }
        if self.has("computes in put", name) {
            loop {
                std::hint::black_box(name);
            }
        }
        let bytes = body.bytes(size).await?;
        let path = path(name);
        if existing == Existing::Kept && path.exists() {
            return Err(Error::Exists(name.into()));
        }
        if self.has("forgets", name) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|cause| failed(name, &cause))?;
        }
        fs::write(path, bytes).map_err(|cause| failed(name, &cause))
    }

    async fn get(&self, name: &str, part: Option<Part>) -> Result<Body> {
        if self.has("hangs in get", name) {
            std::future::pending::<()>().await;
        }
        let mut bytes = fs::read(path(name)).map_err(|cause| failed(name, &cause))?;
        if let Some(Part { offset, length }) = part {
            let skipped = bytes
                .into_iter()
                .skip(usize::try_from(offset).unwrap_or_default());
            bytes = skipped
                .take(usize::try_from(length).unwrap_or_default())
                .collect();
        }
        if self.has("gives less", name) {
            bytes.pop();
        }
        if self.has("gives more", name) {
            bytes.push(0);
        }
        if self.has("gives other bytes", name)
            && let Some(first) = bytes.first_mut()
        {
            *first ^= 1;
        }
        Ok(Body::of(bytes))
    }

    async fn list(&self, prefix: &str, after: Option<String>) -> Result<Page> {
        let mut objects = Vec::new();
        collect(Path::new(ROOT), &mut objects)?;
        let mut page = Page::of(objects, prefix);
        if self.has("lists twice", prefix) {
            page.objects.extend(page.objects.first().cloned());
        }
        if self.has("lists others", prefix) {
            let name = "elsewhere/5f2c".to_owned();
            page.objects.push(Object { name, size: 1 });
        }
        if self.has("lists no names", prefix) {
            for name in ["../escape", "/etc/passwd", "a b", ".hidden", ""] {
                let name = name.to_owned();
                page.objects.push(Object { name, size: 1 });
            }
        }
        if self.has("lists the same without end", prefix) {
            let number = after.as_deref().and_then(|after| after.parse().ok());
            page.next = Some((number.unwrap_or(0_u64) + 1).to_string());
        }
        if self.has("lists nothing without end", prefix) {
            page.objects.clear();
            page.next = Some(after.map_or_else(|| "1".into(), |after| after + "1"));
        }
        if self.has("lists the same again", prefix) {
            page.next = Some("1".into());
        }
        Ok(page)
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectStat>> {
        match fs::metadata(path(name)) {
            Ok(metadata) => Ok(Some(ObjectStat {
                size: metadata.len(),
                stored: None,
            })),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(failed(name, &cause)),
        }
    }

    async fn remove(&self, name: &str) -> Result<()> {
        match fs::remove_file(path(name)) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(failed(name, &cause)),
            _ => Ok(()),
        }
    }

    async fn close(&self) -> Result<()> {
        if self.has("hangs in close", "") {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

impl Hostile {
    fn has(&self, fault: &str, name: &str) -> bool {
        self.fault == fault && name.starts_with(&self.names)
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

fn collect(directory: &Path, objects: &mut Vec<Object>) -> Result<()> {
    let entries = fs::read_dir(directory).map_err(|cause| failed("a directory", &cause))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, objects)?;
        } else if let (Ok(metadata), Ok(name)) = (entry.metadata(), path.strip_prefix(ROOT)) {
            objects.push(Object {
                name: name.to_string_lossy().into_owned(),
                size: metadata.len(),
            });
        }
    }
    Ok(())
}

fn failed(name: &str, cause: &std::io::Error) -> Error {
    match cause.kind() {
        ErrorKind::NotFound => Error::NotFound(format!("{name} is not there")),
        _ => Error::Other(format!("{name}: {cause}")),
    }
}
