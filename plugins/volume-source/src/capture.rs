//! A capture: the steps of a walk, and the contents of files as they are asked for.

use std::rc::Rc;

use tthost_plugin::source::{
    Caller, Completeness, Contents, Ending, Entries, Metadata, Reader, Restoration as Wanted,
    Source,
};
use tthost_plugin::tree::SmallContents;
use tthost_plugin::trees::{self, Directory, Stamp};
use tthost_plugin::{About, Error};

use crate::config::Config;
use crate::notes::Notes;
use crate::restoration::Restoration;
use crate::roots::{self, PathTrie};
use crate::walk::Walk;

/// Trees that are being captured.
pub(crate) struct Capture {
    paths: Vec<String>,
    /// None once it is on its way.
    walk: Option<Walk>,
    notes: Rc<Notes>,
}

/// A file whose contents can be asked for.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) directory: Rc<Directory>,
    pub(crate) name: Vec<u8>,
    /// For messages.
    pub(crate) path: Vec<u8>,
    /// As it was listed.
    pub(crate) stamp: Stamp,
}

impl Source for Capture {
    type Config = Config;
    type Restoration = Restoration;

    const ABOUT: About = About {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        summary: "Backs up volumes and directories with all their metadata, and restores them",
    };

    async fn open(config: Config, _: Caller) -> Result<Self, Error> {
        let roots = roots::granted().await?;
        let notes = Rc::new(Notes::default());
        Ok(Self {
            paths: roots::paths(&roots),
            walk: Some(Walk::new(&config, PathTrie::of(roots)?, notes.clone())?),
            notes,
        })
    }

    fn paths(&self) -> Vec<String> {
        self.paths.clone()
    }

    async fn restore(_: Config, _: Caller, wanted: Wanted) -> Result<Restoration, Error> {
        Restoration::begin(wanted).await
    }
}

impl Reader for Capture {
    type File = File;

    fn entries(&mut self) -> Entries<File> {
        Entries::found(self.walk.take(), async |walk| match walk {
            Some(walk) => walk.next().await,
            None => Ok(None),
        })
    }

    async fn read(&self, file: &File) -> Result<Contents, Error> {
        let notes = self.notes.clone();
        let file = file.clone();
        let read = file.directory.read(file.name.clone(), file.stamp.size);
        let (stream, came) = match read.await {
            Ok(read) => read,
            Err(error) => {
                notes.unreadable(&file.path, &error);
                return Ok(Contents::omitted());
            }
        };
        Ok(Contents::judged(stream, async move {
            Ok(match came.await {
                Ok(stamp) if file.is_same(&stamp, &notes) => Ending::Whole,
                Ok(_) => Ending::Changed,
                Err(error) => {
                    notes.unreadable(&file.path, &error);
                    Ending::Omitted
                }
            })
        }))
    }

    async fn read_small(&self, files: &[Rc<File>]) -> Result<Vec<SmallContents>, Error> {
        let wanted = files.iter().map(|file| trees::Wanted {
            in_: &file.directory,
            name: file.name.clone(),
            length: file.stamp.size,
        });
        let read = trees::read_small(wanted.collect()).await?;
        let contents = files.iter().zip(read).map(|(file, read)| match read {
            Ok(whole) if file.is_same(&whole.stamp, &self.notes) => {
                SmallContents::Whole(whole.bytes)
            }
            Ok(whole) => SmallContents::Changed(whole.bytes),
            Err(error) => {
                self.notes.unreadable(&file.path, &error);
                SmallContents::Omitted
            }
        });
        Ok(contents.collect())
    }

    fn at_once(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn finish(&self) -> Result<Completeness, Error> {
        Ok(self.notes.completeness())
    }
}

impl File {
    /// Whether the read file is the listed one. Notes it if not.
    fn is_same(&self, now: &Stamp, notes: &Notes) -> bool {
        let then = &self.stamp;
        let same = now.read == then.size
            && (then.size, then.device, then.inode) == (now.size, now.device, now.inode)
            && [(then.modified, now.modified), (then.changed, now.changed)]
                .iter()
                .all(|(then, now)| {
                    (then.seconds, then.nanoseconds) == (now.seconds, now.nanoseconds)
                });
        if !same {
            notes.changed(&self.path);
        }
        same
    }
}

/// The file as it was listed.
pub(crate) fn stamp(size: u64, metadata: &Metadata) -> Stamp {
    Stamp {
        read: size,
        size,
        modified: metadata.modified,
        changed: metadata.changed.unwrap_or(metadata.modified),
        device: metadata.device,
        inode: metadata.inode,
    }
}
