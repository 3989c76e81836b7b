//! A bucket as a test sees it: plain requests, and what the server says to them.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Credentials, S3Action, UrlStyle};
use url::Url;

/// How long a signature is good for.
const GOOD_FOR: Duration = Duration::from_mins(1);

/// A bucket, with credentials.
#[derive(Debug)]
pub struct Bucket {
    signer: rusty_s3::Bucket,
    credentials: Credentials,
    agent: ureq::Agent,
}

impl Bucket {
    /// A bucket of a server, which need not exist yet.
    pub fn at(endpoint: &str, name: &str, access_key: &str, secret_key: &str) -> Result<Self> {
        let endpoint: Url = endpoint.parse()?;
        let signer = rusty_s3::Bucket::new(
            endpoint,
            UrlStyle::Path,
            name.to_owned(),
            "us-east-1".to_owned(),
        )?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // It is asked for by default where the environment names one.
            .proxy(None)
            .timeout_global(Some(Duration::from_mins(1)))
            .build();
        Ok(Self {
            signer,
            credentials: Credentials::new(access_key, secret_key),
            agent: agent.into(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.signer.name()
    }

    /// Makes it; fine when it is there.
    pub fn create(&self) -> Result<()> {
        let url = self.signer.create_bucket(&self.credentials).sign(GOOD_FOR);
        let status = self.agent.put(url.as_str()).send_empty()?.status().as_u16();
        ensure!(
            status == 200 || status == 409,
            "creating a bucket: {status}"
        );
        Ok(())
    }

    /// Makes it keep old versions.
    pub fn keep_versions(&self) -> Result<()> {
        self.set_up(
            "versioning",
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Status>Enabled</Status></VersioningConfiguration>",
        )
    }

    /// Makes it refuse to remove a version for the first days, whoever asks for it. It has to keep
    /// old versions.
    pub fn lock_versions(&self, days: u32) -> Result<()> {
        let lock = format!(
            "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
             <Mode>COMPLIANCE</Mode><Days>{days}</Days></DefaultRetention></Rule>\
             </ObjectLockConfiguration>"
        );
        self.set_up("object-lock", &lock)
    }

    fn set_up(&self, aspect: &'static str, body: &str) -> Result<()> {
        // The action is none of rusty-s3's; the one for putting objects signs any path.
        let mut action = self.signer.put_object(Some(&self.credentials), "");
        action.query_mut().insert(aspect, "");
        let url = action.sign(GOOD_FOR);
        let status = self.agent.put(url.as_str()).send(body)?.status().as_u16();
        ensure!(status == 200, "setting up {aspect}: {status}");
        Ok(())
    }

    /// Stores an object and answers the status.
    pub fn put(&self, key: &str, contents: &[u8]) -> Result<u16> {
        let action = self.signer.put_object(Some(&self.credentials), key);
        let answer = self
            .agent
            .put(action.sign(GOOD_FOR).as_str())
            .send(contents)?;
        Ok(answer.status().as_u16())
    }

    /// Stores an object where there is none, and answers the status.
    pub fn put_new(&self, key: &str, contents: &[u8]) -> Result<u16> {
        let mut action = self.signer.put_object(Some(&self.credentials), key);
        action.headers_mut().insert("if-none-match", "*");
        let request = self.agent.put(action.sign(GOOD_FOR).as_str());
        let answer = request.header("if-none-match", "*").send(contents)?;
        Ok(answer.status().as_u16())
    }

    /// Stores an object with this in `Content-MD5`, true or not, and answers the status.
    pub fn put_digested(&self, key: &str, contents: &[u8], digest: [u8; 16]) -> Result<u16> {
        let action = self.signer.put_object(Some(&self.credentials), key);
        let request = self.agent.put(action.sign(GOOD_FOR).as_str());
        let answer = request
            .header("content-md5", BASE64.encode(digest))
            .send(contents)?;
        Ok(answer.status().as_u16())
    }

    /// Stores an object in a bucket that keeps old versions, and answers this version's name.
    pub fn put_version(&self, key: &str, contents: &[u8]) -> Result<String> {
        let action = self.signer.put_object(Some(&self.credentials), key);
        let answer = self
            .agent
            .put(action.sign(GOOD_FOR).as_str())
            .send(contents)?;
        let version = answer.headers().get("x-amz-version-id");
        let version = version.with_context(|| format!("no version: {}", answer.status()))?;
        Ok(version.to_str()?.to_owned())
    }

    /// The status of an object, as asking for it without its contents tells.
    pub fn head(&self, key: &str) -> Result<u16> {
        let action = self.signer.head_object(Some(&self.credentials), key);
        let answer = self.agent.head(action.sign(GOOD_FOR).as_str()).call()?;
        Ok(answer.status().as_u16())
    }

    /// The status and some bytes of an object, the first and the last of which these are.
    pub fn get_part(&self, key: &str, bytes: RangeInclusive<u64>) -> Result<(u16, Vec<u8>)> {
        let action = self.signer.get_object(Some(&self.credentials), key);
        let request = self.agent.get(action.sign(GOOD_FOR).as_str());
        let range = format!("bytes={}-{}", bytes.start(), bytes.end());
        let mut answer = request.header("range", range).call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_vec()?))
    }

    /// The status and the contents of a version of an object.
    pub fn get_version(&self, key: &str, version: &str) -> Result<(u16, Vec<u8>)> {
        let mut action = self.signer.get_object(Some(&self.credentials), key);
        action.query_mut().insert("versionId", version);
        let mut answer = self.agent.get(action.sign(GOOD_FOR).as_str()).call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_vec()?))
    }

    /// The status and the contents of an object.
    pub fn get(&self, key: &str) -> Result<(u16, Vec<u8>)> {
        let action = self.signer.get_object(Some(&self.credentials), key);
        let mut answer = self.agent.get(action.sign(GOOD_FOR).as_str()).call()?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(1 << 30);
        Ok((status, body.read_to_vec()?))
    }

    /// Removes an object and answers the status.
    pub fn delete(&self, key: &str) -> Result<u16> {
        let action = self.signer.delete_object(Some(&self.credentials), key);
        let answer = self.agent.delete(action.sign(GOOD_FOR).as_str()).call()?;
        Ok(answer.status().as_u16())
    }

    /// Removes a version of an object for good and answers the status.
    pub fn delete_version(&self, key: &str, version: &str) -> Result<u16> {
        let mut action = self.signer.delete_object(Some(&self.credentials), key);
        action.query_mut().insert("versionId", version);
        let answer = self.agent.delete(action.sign(GOOD_FOR).as_str()).call()?;
        Ok(answer.status().as_u16())
    }

    /// All keys that begin so, and the lengths of their objects.
    pub fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        let mut objects = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut action = self.signer.list_objects_v2(Some(&self.credentials));
            action.with_prefix(prefix);
            if let Some(token) = &token {
                action.with_continuation_token(token.as_str());
            }
            let mut answer = self.agent.get(action.sign(GOOD_FOR).as_str()).call()?;
            let text = answer.body_mut().read_to_string()?;
            ensure!(answer.status() == 200, "listing {prefix}: {text}");
            let page = ListObjectsV2::parse_response(&text)?;
            for object in page.contents {
                objects.push((object.key, object.size.context("an object without a size")?));
            }
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(objects);
            }
        }
    }

    /// Copies everything below a prefix into a directory.
    pub fn download(&self, prefix: &str, directory: &Path) -> Result<()> {
        for (key, _) in self.list(&format!("{prefix}/"))? {
            let name = key.strip_prefix(prefix).context("the listing strays")?;
            let path = directory.join(name.trim_start_matches('/'));
            fs::create_dir_all(path.parent().context("a path without a directory")?)?;
            let (status, contents) = self.get(&key)?;
            ensure!(status == 200, "reading {key}: {status}");
            fs::write(path, contents)?;
        }
        Ok(())
    }
}
