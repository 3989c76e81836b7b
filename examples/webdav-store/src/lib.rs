//! Objects on a WebDAV server (RFC 4918): Nextcloud, Apache, `rclone serve webdav`, …
//!
//! An object is a file below one collection. It is uploaded beside its place and moved there when all of it is on the server,
//! so nobody ever sees half of one.

mod listing;
mod server;

use tthost_plugin::store::{Access, Body, Existing, ObjectStat, Objects, Page, Part};
use tthost_plugin::unfinished;
use tthost_plugin::{About, Error, Result, optional_secret};

use listing::Listed;
use server::Server;

tthost_plugin::configuration! {
    /// Where the objects are.
    pub struct Config {
        /// The URL of the collection, for example `https://cloud.example.com/remote.php/dav/files/me/backup`.
        url: String,
        /// Who logs in.
        user: Option<String>,
    }
    needs {
        network "the server of config.url": "It stores the objects.",
        optional secret "password": "It logs in to the server.",
    }
}

struct WebDav {
    server: Server,
}

tthost_plugin::export_store!(WebDav);

impl Objects for WebDav {
    type Config = Config;

    const ABOUT: About = About {
        name: "webdav-store",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Stores objects on a WebDAV server",
    };

    async fn open(config: Config, access: Access) -> Result<Self> {
        let login = match config.user {
            Some(user) => Some((user, optional_secret("password").await?.unwrap_or_default())),
            None => None,
        };
        let server = Server::new(&config.url, login)?;
        if access == Access::ReadWrite {
            unfinished::remove_leftovers(async |name| server.remove(name).await).await?;
        }
        Ok(Self { server })
    }

    async fn create(&self) -> Result<()> {
        self.server.make_collection("").await
    }

    async fn put(&self, name: &str, size: u64, existing: Existing, body: Body) -> Result<()> {
        let bytes = body.bytes(size).await?;
        if existing == Existing::Kept && self.stat(name).await?.is_some() {
            return Err(Error::Exists(format!("{name} is there already")));
        }
        unfinished::store(
            async |aside| self.store(aside, name, &bytes).await,
            async |aside| self.server.remove(aside).await,
        )
        .await
    }

    async fn get(&self, name: &str, part: Option<Part>) -> Result<Body> {
        let range = part.map(|part| (part.offset, part.length));
        Ok(Body::of(self.server.get(name, range).await?))
    }

    async fn list(&self, prefix: &str, _: Option<String>) -> Result<Page> {
        let mut objects = Vec::new();
        let mut directories = vec![prefix.to_owned()];
        while let Some(directory) = directories.pop() {
            let listed = self.server.list(&directory).await?;
            // Some servers answer for one level, though they were asked for all: a collection of which nothing is listed may be
            // empty or not.
            let is_open = |name: &str| {
                let below = format!("{name}/");
                !listed
                    .iter()
                    .any(|listed| listed.name().starts_with(&below))
            };
            let open = listed.iter().filter_map(|listed| match listed {
                Listed::Directory(name) if is_open(name) => Some(name.clone()),
                _ => None,
            });
            directories.extend(open);
            objects.extend(listed.into_iter().filter_map(Listed::into_object));
        }
        Ok(Page::of(objects, prefix))
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectStat>> {
        self.server.stat(name).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.server.remove(name).await
    }
}

impl WebDav {
    async fn store(&self, aside: &str, name: &str, bytes: &[u8]) -> Result<()> {
        self.server.upload(aside, bytes).await?;
        if self.server.rename(aside, name).await? {
            return Ok(());
        }
        for (end, _) in name.match_indices('/') {
            self.server.make_collection(&name[..end]).await?;
        }
        if self.server.rename(aside, name).await? {
            return Ok(());
        }
        Err(Error::Other(format!(
            "the server has no place for {name}, though its collection was made"
        )))
    }
}
