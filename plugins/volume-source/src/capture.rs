//! A capture: the walk's steps as entries, and the contents of files as they are asked for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use wit_bindgen::{FutureReader, StreamReader};

use crate::bindings::exports::tthost::backup::transfer::{GuestReader, Range, Reader};
use crate::bindings::tthost::backup::trees::{self, Root, Stamp, Wanted};
use crate::bindings::tthost::backup::types::{
    Completeness, Contents, Ending, Entry, Error, Kind, Metadata,
};
use crate::bindings::{wit_future, wit_stream};
use crate::config::Config;
use crate::notes::Notes;
use crate::roots::PathTrie;
use crate::walk::{FileLocation, Walk};

/// Trees that are being captured.
pub(crate) struct Capture {
    /// None while a call uses it.
    walk: RefCell<Option<Walk>>,
    /// The files of the last two batches, the older one first.
    files: RefCell<[HashMap<u64, File>; 2]>,
    notes: Rc<Notes>,
}

/// A file whose contents can be asked for.
#[derive(Clone)]
struct File {
    location: FileLocation,
    /// As it was listed.
    stamp: Stamp,
}

impl Capture {
    pub(crate) fn new(config: &Config, roots: Vec<Root>) -> Result<Self, Error> {
        let notes = Rc::new(Notes::default());
        let walk = Walk::new(config, PathTrie::of(roots)?, notes.clone())?;
        Ok(Self {
            walk: RefCell::new(Some(walk)),
            files: RefCell::default(),
            notes,
        })
    }

    fn file(&self, id: u64) -> Result<File, Error> {
        let files = self.files.borrow();
        let file = files.iter().find_map(|batch| batch.get(&id));
        file.cloned()
            .ok_or_else(|| Error::Other(format!("entry {id} is no file of the last two batches")))
    }
}

impl GuestReader for Capture {
    fn concurrency(&self, wanted: u32) -> u32 {
        wanted
    }

    async fn next(&self, max: u32) -> Result<Vec<Entry>, Error> {
        let walk = self.walk.take();
        let mut walk =
            walk.ok_or_else(|| Error::Other("it was asked for two batches at once".into()))?;
        let steps = walk.next(max as usize).await;
        self.walk.replace(Some(walk));
        let mut files = HashMap::new();
        let entries = steps?.into_iter().map(|step| {
            if let (Some(location), Kind::File(Some(size))) = (step.location, &step.entry.kind) {
                let stamp = stamp(*size, &step.entry.metadata);
                files.insert(step.entry.id, File { location, stamp });
            }
            step.entry
        });
        let entries = entries.collect();
        let [older, newer] = &mut *self.files.borrow_mut();
        *older = std::mem::replace(newer, files);
        Ok(entries)
    }

    async fn read_small(&self, ids: Vec<u64>) -> Result<Vec<Contents>, Error> {
        let files = ids
            .into_iter()
            .map(|id| self.file(id))
            .collect::<Result<Vec<_>, _>>()?;
        let wanted = files.iter().map(|file| Wanted {
            in_: &file.location.directory,
            name: file.location.name.clone(),
            length: file.stamp.size,
        });
        let read = trees::read_small(wanted.collect()).await?;
        let contents = files.iter().zip(read).map(|(file, read)| match read {
            Ok(whole) if file.is_same(&whole.stamp, &self.notes) => Contents::Whole(whole.bytes),
            Ok(whole) => Contents::Changed(whole.bytes),
            Err(error) => {
                self.notes.unreadable(&file.location.path, &error);
                Contents::Omitted
            }
        });
        Ok(contents.collect())
    }

    async fn read(
        &self,
        id: u64,
        range: Option<Range>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<Ending, Error>>), Error> {
        if range.is_some() {
            return Err(Error::Unsupported(
                "files are read whole, because a part of one tells nothing of a backup".into(),
            ));
        }
        let file = self.file(id)?;
        let notes = self.notes.clone();
        let (tell, verdict) = wit_future::new(|| Err(Error::Other("the file was given up".into())));
        let FileLocation {
            directory, name, ..
        } = file.location.clone();
        let (stream, came) = match directory.read(name, file.stamp.size).await {
            Ok((stream, came)) => (stream, Ok(came)),
            Err(error) => (wit_stream::new().1, Err(error)),
        };
        wit_bindgen::spawn_local(async move {
            let came = match came {
                Ok(came) => came.await,
                Err(error) => Err(error),
            };
            let ending = match came {
                Ok(stamp) if file.is_same(&stamp, &notes) => Ending::Whole,
                Ok(_) => Ending::Changed,
                Err(error) => {
                    notes.unreadable(&file.location.path, &error);
                    Ending::Omitted
                }
            };
            // Nobody need be listening.
            let _ = tell.write(Ok(ending)).await;
        });
        Ok((stream, verdict))
    }

    async fn finish(this: Reader) -> Result<Completeness, Error> {
        Ok(this.into_inner::<Self>().notes.completeness())
    }
}

impl File {
    /// Whether what was read is the file that was listed. If not, that is noted.
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
            notes.changed(&self.location.path);
        }
        same
    }
}

fn stamp(size: u64, metadata: &Metadata) -> Stamp {
    Stamp {
        read: size,
        size,
        modified: metadata.modified,
        changed: metadata.changed.unwrap_or(metadata.modified),
        device: metadata.device,
        inode: metadata.inode,
    }
}
