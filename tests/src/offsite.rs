//! What most tests of a repository in S3 begin with: a directory to back up, a place in a bucket,
//! and the program with a configuration that names both.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::command::Outcome;
use crate::restic::Restic;
use crate::tthost::Tthost;

/// The password of all repositories.
pub const PASSWORD: &str = "Schlüssel & key";

/// A place in a bucket, with credentials for it.
#[derive(Clone, Debug)]
pub struct Offsite {
    /// The server's origin.
    pub endpoint: String,
    /// The bucket, and the prefix after a slash.
    pub place: String,
    /// The access key of the credentials.
    pub access_key: String,
    /// Their secret.
    pub secret_key: String,
    /// More lines of the sink's table.
    pub settings: String,
}

impl Offsite {
    /// The sink as a configuration has it. Its state is in the directory `state-NAME`.
    pub fn to_toml(&self, name: &str) -> String {
        let Self {
            endpoint,
            place,
            access_key,
            secret_key,
            settings,
        } = self;
        let secret = |value: &str| format!("{{ command = ['printf', '%s', '{value}'] }}");
        format!(
            "[sinks.{name}]\nplugin = \"s3-sink\"\n{settings}\n\
             config = {{ repository = \"s3:{endpoint}/{place}\" }}\n\
             [[sinks.{name}.grants.network]]\norigin = \"{endpoint}\"\nprivate = true\n\
             [sinks.{name}.grants]\n\
             directories.state = {{ path = \"state-{name}\", access = \"read-write\" }}\n\
             secrets.password = {}\nsecrets.access-key-id = {}\nsecrets.secret-access-key = {}\n",
            secret(PASSWORD),
            secret(access_key),
            secret(secret_key),
        )
    }
}

/// The program, a directory with something in it, and sinks.
#[derive(Debug)]
pub struct OffsiteFixture {
    /// The program.
    pub tthost: Tthost,
    directory: TempDir,
}

impl OffsiteFixture {
    /// With these sinks in S3, by name, and the sink `local` in a directory.
    pub fn new(sinks: &[(&str, &Offsite)]) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("tthost-fixture.")
            .tempdir()?;
        let fixture = Self {
            tthost: Tthost::new()?,
            directory,
        };
        fs::create_dir(fixture.tree())?;
        fixture.configure(sinks)?;
        fixture.write("readme", b"what is worth keeping\n")?;
        fixture.fill("first", 1, 3 << 20)?;
        Ok(fixture)
    }

    /// Puts other sinks in S3 into the configuration.
    pub fn configure(&self, sinks: &[(&str, &Offsite)]) -> Result<()> {
        let mut text = format!(
            "[sinks.local]\nplugin = \"restic-sink\"\n\
             grants.directories.repository = {{ path = '{}', access = \"read-write\" }}\n\
             grants.secrets.password.command = ['printf', '%s', '{PASSWORD}']\n",
            self.local().display()
        );
        for (name, offsite) in sinks {
            write!(text, "\n{}", offsite.to_toml(name))?;
        }
        Ok(fs::write(self.tthost.home().join("tthost.toml"), text)?)
    }

    /// What is backed up.
    pub fn tree(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    /// The repository of the sink `local`, which need not exist.
    pub fn local(&self) -> PathBuf {
        self.directory.path().join("local")
    }

    /// Another directory of the test's own.
    pub fn aside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes the local repository.
    pub fn init_local(&self) -> Result<Restic> {
        let restic = Restic::at(self.local(), PASSWORD)?;
        restic.init_copy()?;
        Ok(restic)
    }

    /// Writes a file of the tree.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<()> {
        Ok(fs::write(self.tree().join(name), contents)?)
    }

    /// Writes a file of so many bytes that do not compress, other ones for each seed.
    pub fn fill(&self, name: &str, seed: u64, length: usize) -> Result<()> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut contents = Vec::with_capacity(length);
        while contents.len() < length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            contents.extend_from_slice(&state.to_le_bytes());
        }
        contents.truncate(length);
        self.write(name, &contents)
    }

    /// Backs the tree up into this sink, however that ends.
    pub fn run(&self, sink: &str) -> Result<Outcome> {
        let arguments = self.arguments(sink);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.tthost.run(&arguments)
    }

    /// Backs the tree up into this sink, and answers the report.
    pub fn back_up(&self, sink: &str) -> Result<serde_json::Value> {
        let arguments = self.arguments(sink);
        let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        arguments.push("--json");
        let report = self.tthost.ok(&arguments)?.json()?;
        let summary = &report["sources"][0]["sinks"][0]["summary"];
        ensure!(
            summary["snapshot_id"].is_string(),
            "no snapshot: {report:#}"
        );
        Ok(summary.clone())
    }

    fn arguments(&self, sink: &str) -> Vec<String> {
        let source = format!("dir:{}", self.tree().display());
        ["run", "--source", &source, "--sink", sink]
            .map(str::to_owned)
            .to_vec()
    }

    /// Fails unless a directory that a snapshot was restored to has what the tree has.
    pub fn expect_restored(&self, target: &Path) -> Result<()> {
        let tree = self.tree();
        let restored = target.join(tree.strip_prefix("/")?);
        let there = crate::files::read_tree(&restored)
            .with_context(|| format!("{} is not there", restored.display()))?;
        ensure!(
            there == crate::files::read_tree(&tree)?,
            "other contents were restored"
        );
        Ok(())
    }
}
