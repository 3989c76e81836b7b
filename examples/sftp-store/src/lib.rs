//! Objects on an SFTP server. The granted command `sftp` leads there, mostly `ssh -s HOST sftp`: keys, known hosts and jumps are
//! ssh's business.
//!
//! An object is a file below one directory. It is written beside its place and renamed when all of it is on the server.

mod session;
mod wire;

use futures::{StreamExt as _, stream};
use session::Session;
use tthost_plugin::store::{Access, Body, Existing, Object, ObjectStat, Objects, Page, Part};
use tthost_plugin::{About, Error, Instant, Result, unfinished};
use wire::Attributes;

tthost_plugin::configuration! {
    /// Where the objects are.
    struct Config {
        /// The directory on the server, for example `backup/tthost`. It is relative to where the server lets one in.
        directory: String,
    }
    needs {
        command "sftp": "It leads to the server, for example ssh -s backup.example.com sftp.",
    }
}

/// Directories that are listed at a time.
const LISTINGS: usize = 16;

struct Sftp {
    session: Session,
    directory: String,
}

tthost_plugin::export_store!(Sftp);

impl Objects for Sftp {
    type Config = Config;

    const ABOUT: About = About {
        name: "sftp-store",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Stores objects on an SFTP server",
    };

    async fn open(Config { directory }: Config, access: Access) -> Result<Self> {
        let sftp = Self {
            session: Session::begin().await?,
            directory: directory.trim_end_matches('/').to_owned(),
        };
        if access == Access::ReadWrite {
            unfinished::remove_leftovers(async |name| sftp.remove(name).await).await?;
        }
        Ok(sftp)
    }

    async fn create(&self) -> Result<()> {
        let root = self.path("");
        self.make_parents(&root).await?;
        self.make_directory(&root).await
    }

    async fn put(&self, name: &str, size: u64, existing: Existing, body: Body) -> Result<()> {
        let bytes = body.bytes(size).await?;
        if existing == Existing::Kept && self.stat(name).await?.is_some() {
            return Err(Error::Exists(format!("{name} is there already")));
        }
        unfinished::store(
            async |aside| self.store(aside, name, existing, &bytes).await,
            async |aside| self.remove(aside).await,
        )
        .await
    }

    async fn get(&self, name: &str, part: Option<Part>) -> Result<Body> {
        let Some(Part { offset, length }) = part else {
            let missing = || Error::NotFound(format!("{name} is not there"));
            let size = self.stat(name).await?.ok_or_else(missing)?.size;
            let bytes = self.session.read(&self.path(name), 0, size).await?;
            return Body::part_of(&bytes, None);
        };
        let bytes = self.session.read(&self.path(name), offset, length).await?;
        Body::part_of(&bytes, Some(Part { offset: 0, length }))
    }

    async fn list(&self, prefix: &str, _: Option<String>) -> Result<Page> {
        let mut objects = Vec::new();
        let mut level = vec![prefix.to_owned()];
        while !level.is_empty() {
            let mut listings = stream::iter(std::mem::take(&mut level))
                .map(|directory| self.list_directory(directory))
                .buffer_unordered(LISTINGS);
            while let Some(listed) = listings.next().await {
                for (name, attributes) in listed? {
                    if attributes.is_directory {
                        level.push(name);
                    } else if let Some(size) = attributes.size {
                        objects.push(Object { name, size });
                    }
                }
            }
        }
        Ok(Page::of(objects, prefix))
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectStat>> {
        let Some(attributes) = self.session.stat(&self.path(name)).await? else {
            return Ok(None);
        };
        let unknown = || Error::Other(format!("the server does not say how long {name} is"));
        Ok(Some(ObjectStat {
            size: attributes.size.ok_or_else(unknown)?,
            stored: attributes.modified.map(|seconds| Instant {
                seconds: seconds.into(),
                nanoseconds: 0,
            }),
        }))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.session.remove(&self.path(name)).await
    }
}

impl Sftp {
    /// The names in a directory, from the top of the store.
    async fn list_directory(&self, directory: String) -> Result<Vec<(String, Attributes)>> {
        let listed = self.session.list(&self.path(&directory)).await?;
        let listed = listed
            .into_iter()
            .map(|(name, attributes)| match &*directory {
                "" => (name, attributes),
                directory => (format!("{directory}/{name}"), attributes),
            });
        Ok(listed.collect())
    }

    fn path(&self, name: &str) -> String {
        match (&*self.directory, name) {
            ("", "") => ".".into(),
            ("", name) => name.into(),
            (directory, "") => directory.into(),
            (directory, name) => format!("{directory}/{name}"),
        }
    }

    async fn store(&self, aside: &str, name: &str, existing: Existing, bytes: &[u8]) -> Result<()> {
        let (aside, path) = (self.path(aside), self.path(name));
        self.session.write(&aside, bytes).await?;
        let replace = existing == Existing::Replaced;
        match self.session.rename(&aside, &path, replace).await {
            Err(Error::NotFound(_)) => {
                self.make_parents(&path).await?;
                self.session.rename(&aside, &path, replace).await
            }
            renamed => renamed,
        }
    }

    async fn make_parents(&self, path: &str) -> Result<()> {
        for (end, _) in path.match_indices('/').filter(|(end, _)| *end > 0) {
            self.make_directory(&path[..end]).await?;
        }
        Ok(())
    }

    /// Makes a directory; fine when it is there already.
    async fn make_directory(&self, path: &str) -> Result<()> {
        match self.session.make_directory(path).await {
            Err(error) => match self.session.stat(path).await? {
                Some(attributes) if attributes.is_directory => Ok(()),
                _ => Err(error),
            },
            made => made,
        }
    }
}
