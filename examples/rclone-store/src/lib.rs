//! Objects wherever rclone can store them: the granted command `rclone` does the work.
//!
//! A program that is cut off while it uploads must not leave a part under the object's name. So the upload goes beside its
//! place first, and rclone moves it there when all of it has come.

use jiff::Timestamp;
use serde::Deserialize;
use tthost_plugin::command::{self, Failure};
use tthost_plugin::store::{Access, Body, Existing, Object, ObjectStat, Objects, Page, Part};
use tthost_plugin::{About, Error, Instant, Result, unfinished};

tthost_plugin::configuration! {
    /// Where the objects are.
    struct Config {
        /// The remote and the path, as rclone names them, for example `drive:backup/tthost`.
        remote: String,
    }
    needs {
        command "rclone": "It stores the objects. The operator gives it its configuration.",
    }
}

/// The longest listing that is taken, in bytes: some 500,000 objects.
const MAX_LENGTH: usize = 64 << 20;

/// What rclone exits with when a directory, or a file, is not there.
const MISSING: [Option<i32>; 2] = [Some(3), Some(4)];

#[derive(Clone)]
struct Rclone {
    remote: String,
}

tthost_plugin::export_store!(Rclone);

/// A file, as `rclone lsjson` tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    path: String,
    size: i64,
    /// Empty where nobody asked for it.
    mod_time: String,
    is_dir: bool,
}

impl Objects for Rclone {
    type Config = Config;

    const ABOUT: About = About {
        name: "rclone-store",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Stores objects through rclone",
    };

    async fn open(Config { remote }: Config, access: Access) -> Result<Self> {
        if !remote.contains(':') || remote.starts_with('-') {
            return Err(Error::Config(format!(
                "config.remote = \"{remote}\" is not REMOTE:PATH, as rclone names it"
            )));
        }
        let rclone = Self { remote };
        if access == Access::ReadWrite {
            unfinished::remove_leftovers(async |name| rclone.remove(name).await).await?;
        }
        Ok(rclone)
    }

    async fn create(&self) -> Result<()> {
        run(&["mkdir", &self.remote]).await
    }

    async fn put(&self, name: &str, size: u64, existing: Existing, body: Body) -> Result<()> {
        if existing == Existing::Kept && self.stat(name).await?.is_some() {
            return Err(Error::Exists(format!("{name} is there already")));
        }
        unfinished::store(
            async |aside| self.store(aside, name, size, body).await,
            async |aside| self.remove(aside).await,
        )
        .await
    }

    async fn get(&self, name: &str, part: Option<Part>) -> Result<Body> {
        let path = self.path(name);
        let Some(Part { offset, length }) = part else {
            if self.stat(name).await?.is_none() {
                return Err(not_found(name));
            }
            return command::run_from("rclone", &["cat", &path]).await;
        };
        let [from, count] = [offset, length].map(|number| number.to_string());
        let arguments = ["cat", "--offset", &from, "--count", &count, &path];
        let mut part = command::run_from("rclone", &arguments).await?;
        let (store, name) = (self.clone(), name.to_owned());
        // Parts are many, so it is asked afterwards whether the object is there, and only where something is wrong.
        Ok(Body::made(async move |mut output| {
            let mut given = 0;
            while let Some(piece) = part.next().await {
                given += piece.len() as u64;
                output.write(piece).await?;
            }
            let verdict = part.finish().await;
            if verdict.is_ok() && given == length {
                return Ok(());
            }
            match store.stat(&name).await? {
                None => Err(not_found(&name)),
                Some(found) if found.size < offset.saturating_add(length) => {
                    Err(Error::Corrupt(format!("{name} ends before that part")))
                }
                Some(_) => verdict,
            }
        }))
    }

    async fn list(&self, prefix: &str, _: Option<String>) -> Result<Page> {
        let arguments = [
            "lsjson",
            "--recursive",
            "--files-only",
            "--no-mimetype",
            "--no-modtime",
        ];
        let path = self.path(prefix);
        let listed = command::run("rclone", &[&arguments[..], &[&path]].concat(), MAX_LENGTH).await?;
        let json = match listed {
            Ok(json) => json,
            Err(failure) if is_missing(&failure) => return Ok(Page::of([], prefix)),
            Err(failure) => return Err(failure.of("rclone")),
        };
        let objects = parse::<Vec<Listed>>(&json)?
            .into_iter()
            .map(|listed| Object {
                name: match prefix {
                    "" => listed.path,
                    prefix => format!("{prefix}/{}", listed.path),
                },
                size: u64::try_from(listed.size).unwrap_or_default(),
            });
        Ok(Page::of(objects, prefix))
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectStat>> {
        let path = self.path(name);
        let found = command::run(
            "rclone",
            &["lsjson", "--stat", "--no-mimetype", &path],
            MAX_LENGTH,
        )
        .await?;
        let json = match found {
            Ok(json) => json,
            Err(failure) if is_missing(&failure) => return Ok(None),
            Err(failure) => return Err(failure.of("rclone")),
        };
        let Some(listed) = parse::<Option<Listed>>(&json)?.filter(|listed| !listed.is_dir) else {
            return Ok(None);
        };
        let size = u64::try_from(listed.size)
            .map_err(|_| Error::Other(format!("rclone does not know how long {name} is")))?;
        let stored = listed.mod_time.parse().ok().map(|time: Timestamp| Instant {
            seconds: time.as_second(),
            nanoseconds: 0,
        });
        Ok(Some(ObjectStat { size, stored }))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        match command::run("rclone", &["deletefile", &self.path(name)], MAX_LENGTH).await? {
            Err(failure) if !is_missing(&failure) => Err(failure.of("rclone")),
            _ => Ok(()),
        }
    }
}

impl Rclone {
    fn path(&self, name: &str) -> String {
        let remote = self.remote.trim_end_matches('/');
        match (name, remote.ends_with(':')) {
            ("", _) => remote.to_owned(),
            (name, true) => format!("{remote}{name}"),
            (name, false) => format!("{remote}/{name}"),
        }
    }

    async fn store(&self, aside: &str, name: &str, size: u64, body: Body) -> Result<()> {
        let (aside, size) = (self.path(aside), size.to_string());
        command::run_to("rclone", &["rcat", "--size", &size, &aside], body).await?;
        run(&["moveto", &aside, &self.path(name)]).await
    }
}

async fn run(arguments: &[&str]) -> Result<()> {
    let done = command::run("rclone", arguments, MAX_LENGTH).await?;
    done.map(drop).map_err(|failure| failure.of("rclone"))
}

fn not_found(name: &str) -> Error {
    Error::NotFound(format!("{name} is not there"))
}

fn is_missing(failure: &Failure) -> bool {
    MISSING.contains(&failure.code)
}

fn parse<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json)
        .map_err(|cause| Error::Other(format!("rclone's answer cannot be read: {cause}")))
}
