//! Objects on a server of restic's REST protocol: rest-server, `rclone serve restic`, a hosted one.
//!
//! Such a server knows the files of a repository and no others. What it has, restic finds too. The protocol is that of
//! restic's documentation, "REST Backend", version 2.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use tthost_plugin::http::{self, Answer, Message, Method, Url};
use tthost_plugin::store::{Access, Body, Existing, Object, ObjectStat, Objects, Page, Part};
use tthost_plugin::{About, Error, Result, optional_secret};

tthost_plugin::configuration! {
    /// Where the objects are.
    struct Config {
        /// The URL of the repository, for example `https://rest.example.com:8000/me/`.
        url: String,
        /// Who logs in.
        user: Option<String>,
    }
    needs {
        network "the server of config.url": "It stores the repository.",
        optional secret "password": "It logs in to the server.",
    }
}

/// The longest answer that is taken, in bytes: the largest object, or a listing of a million.
const MAX_LENGTH: u64 = 128 << 20;

/// The kinds of files that the protocol knows, besides `config`.
const KINDS: [&str; 5] = ["data", "index", "keys", "locks", "snapshots"];

struct Rest {
    /// The repository, with a slash at its end.
    base: Url,
    headers: Vec<(String, String)>,
}

tthost_plugin::export_store!(Rest);

/// A file of a listing.
#[derive(Deserialize)]
struct Listed {
    name: String,
    size: u64,
}

impl Objects for Rest {
    type Config = Config;

    const ABOUT: About = About {
        name: "rest-store",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Stores a repository on a server of restic's REST protocol",
    };

    async fn open(config: Config, _: Access) -> Result<Self> {
        let base = Url::parse(&format!("{}/", config.url.trim_end_matches('/')))
            .map_err(|cause| Error::Config(format!("config.url is not a URL: {cause}")))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(Error::Config(
                "config.url must not say who logs in: set config.user, and grant the secret password".into(),
            ));
        }
        let mut headers = vec![("accept".into(), "application/vnd.x.restic.rest.v2".into())];
        if let Some(user) = config.user {
            let password = optional_secret("password").await?.unwrap_or_default();
            let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
            headers.push(("authorization".into(), format!("Basic {login}")));
        }
        Ok(Self { base, headers })
    }

    async fn create(&self) -> Result<()> {
        let answer = self
            .ask(Method::Post, "?create=true", &[], Some(b""))
            .await?;
        expect(&answer, &[200, 201], "the repository").map(drop)
    }

    async fn put(&self, name: &str, size: u64, existing: Existing, body: Body) -> Result<()> {
        let path = path(name)?;
        let bytes = body.bytes(size).await?;
        if self.stat(name).await?.is_some() {
            if existing == Existing::Kept {
                return Err(Error::Exists(format!("{name} is there already")));
            }
            // A server may keep what it has: the names of all files but one say what is in them.
            self.remove(name).await?;
        }
        let answer = self.ask(Method::Post, &path, &[], Some(&bytes)).await?;
        expect(&answer, &[200, 201], name).map(drop)
    }

    async fn get(&self, name: &str, part: Option<Part>) -> Result<Body> {
        let path = path(name)?;
        let Some(Part { offset, length }) = part else {
            let answer = self.ask(Method::Get, &path, &[], None).await?;
            expect(&answer, &[200], name)?;
            return Ok(Body::of(answer.body));
        };
        let range = format!("bytes={offset}-{}", offset + length - 1);
        let answer = self
            .ask(Method::Get, &path, &[("range", &range)], None)
            .await?;
        match expect(&answer, &[200, 206, 416], name)? {
            206 => Body::part_of(&answer.body, Some(Part { offset: 0, length })),
            200 => Body::part_of(&answer.body, Some(Part { offset, length })),
            _ => Err(Error::Corrupt(format!(
                "{name} ends before byte {}",
                offset + length
            ))),
        }
    }

    async fn list(&self, prefix: &str, _: Option<String>) -> Result<Page> {
        let kinds = KINDS
            .iter()
            .filter(|kind| prefix.is_empty() || prefix.split('/').next() == Some(kind));
        let mut objects = Vec::new();
        for kind in kinds {
            let answer = self
                .ask(Method::Get, &format!("{kind}/"), &[], None)
                .await?;
            if expect(&answer, &[200, 404], kind)? == 404 {
                continue;
            }
            let listed: Vec<Listed> = serde_json::from_slice(&answer.body).map_err(|cause| {
                Error::Corrupt(format!("the server's listing cannot be read: {cause}"))
            })?;
            objects.extend(listed.into_iter().filter_map(|file| {
                let name = match *kind {
                    "data" => format!("data/{}/{}", file.name.get(..2)?, file.name),
                    kind => format!("{kind}/{}", file.name),
                };
                Some(Object {
                    name,
                    size: file.size,
                })
            }));
        }
        Ok(Page::of(objects, prefix))
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectStat>> {
        let answer = self.ask(Method::Head, &path(name)?, &[], None).await?;
        if expect(&answer, &[200, 404], name)? == 404 {
            return Ok(None);
        }
        let size = answer
            .header("content-length")
            .and_then(|text| text.parse().ok());
        let missing = || Error::Other(format!("the server does not say how long {name} is"));
        Ok(Some(ObjectStat {
            size: size.ok_or_else(missing)?,
            stored: None,
        }))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let answer = self.ask(Method::Delete, &path(name)?, &[], None).await?;
        expect(&answer, &[200, 204, 404], name).map(drop)
    }
}

impl Rest {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer> {
        let url = self.base.join(path);
        let url = url.map_err(|cause| Error::Other(format!("{path} has no URL: {cause}")))?;
        let more = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers: Vec<_> = self.headers.iter().cloned().chain(more).collect();
        http::exchange(&Message {
            method,
            url: &url,
            headers: &headers,
            body,
            most: MAX_LENGTH,
        })
        .await
    }
}

/// Where the protocol has an object. Packs lie in one directory, whatever directories the server has them in.
fn path(name: &str) -> Result<String> {
    let parts: Vec<_> = name.split('/').collect();
    match parts[..] {
        ["config"] => Ok("config".into()),
        ["data", _, id] => Ok(format!("data/{id}")),
        [kind, id] if KINDS.contains(&kind) => Ok(format!("{kind}/{id}")),
        _ => Err(Error::Unsupported(format!(
            "the server stores the files of a repository, and {name} is none"
        ))),
    }
}

/// The status, if it is one of these.
fn expect(answer: &Answer, expected: &[u16], name: &str) -> Result<u16> {
    let status = answer.status;
    if expected.contains(&status) {
        return Ok(status);
    }
    let text = format!("the server answers {status} for {name}");
    Err(match status {
        401 => Error::Unauthenticated(format!("{text}: see config.user and the secret password")),
        403 => Error::Denied(text),
        404 => Error::NotFound(format!("{name} is not there")),
        507 => Error::NoSpace(text),
        429 | 500..=599 => Error::Unavailable(text),
        _ => Error::Other(text),
    })
}
