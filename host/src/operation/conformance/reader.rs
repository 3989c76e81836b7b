//! A tree on its way out of the plugin.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tthost_conformance::host::{self, CallFuture};
use tthost_conformance::model;

use super::writer::timed;
use super::{calls, convert};
use crate::contract::Ending;
use crate::error::{Error, Kind, Result};
use crate::pipe::{self, Content};
use crate::plugin::PluginReader;

/// A reader.
pub(super) struct Reader(PluginReader);

impl Reader {
    pub(super) fn new(reader: PluginReader) -> Self {
        Self(reader)
    }
}

impl host::Reader for Reader {
    fn next(&mut self, max: u32) -> CallFuture<'_, Vec<model::Entry>> {
        let next = self.0.next(max);
        let next = next.map(|batch| {
            let entries = batch?
                .iter()
                .cloned()
                .map(convert::to_model_entry)
                .collect();
            Ok::<Vec<_>, Error>(entries)
        });
        calls::traced("next", max, next)
    }

    fn read_small(&mut self, files: Vec<(u64, u64)>) -> CallFuture<'_, Vec<model::Small>> {
        let given = calls::counted(files.len(), "file");
        let read = self.0.read_small(files);
        let read = read.map(|files| {
            let files = files?.iter().map(convert::to_model_small).collect();
            Ok::<Vec<_>, Error>(files)
        });
        calls::traced("read-small", given, read)
    }

    fn read<'a>(
        &'a self,
        id: u64,
        size: Option<u64>,
        range: Option<model::Range>,
        take: &'a mut dyn FnMut(&[u8]) -> bool,
    ) -> CallFuture<'a, model::Ending> {
        let given = match range {
            Some(range) => format!("entry {id}, {} bytes of it", range.length),
            None => format!("entry {id}"),
        };
        let reading = async move {
            let mut bytes = 0;
            let mut counted = |piece: &[u8]| {
                bytes += piece.len() as u64;
                take(piece)
            };
            let ending = read(&self.0, id, size, range, &mut counted).await?;
            Ok((ending, bytes))
        };
        let read = calls::trace_call("reader.read", given, reading);
        convert::call(read.map(|read| read.map(|(ending, _)| ending)))
    }

    fn finish(self: Box<Self>) -> CallFuture<'static, model::Completeness> {
        let finishing = self.0.finish();
        let finished = finishing.map(|verdict| verdict.map(convert::to_model_completeness));
        calls::traced("finish", "", finished)
    }

    fn give_up(self: Box<Self>) -> LocalBoxFuture<'static, Duration> {
        timed(self.0.give_up())
    }
}

async fn read(
    reader: &PluginReader,
    id: u64,
    size: Option<u64>,
    range: Option<model::Range>,
    take: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<model::Ending> {
    let (pipe, mut outputs) = pipe::pipe(1);
    let bytes = outputs.remove(0);
    let verdict = match range {
        Some(range) => {
            let part = (range.offset, range.length);
            reader.read_part(id, part, pipe).await?
        }
        None => reader.read(id, size, pipe).await?,
    };
    let ending = drain(Content { bytes, verdict }, take).await?;
    Ok(convert::to_model_ending(ending))
}

/// Takes contents until they end, or nobody wants more of them, and answers their verdict.
pub(super) async fn drain(
    Content { bytes, verdict }: Content,
    take: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<Ending> {
    let drained = async {
        while let Some(piece) = bytes.next().await {
            if !take(&piece) {
                return false;
            }
        }
        true
    };
    // Somebody has to see it when the plugin stalls in the middle.
    let listening = verdict.clone().then(|_| std::future::pending::<()>());
    let is_drained = tokio::select! {
        biased;
        is_drained = drained => is_drained,
        () = listening => true,
    };
    if !is_drained {
        return Err(Error::new(Kind::Cancelled, "the contents were given up"));
    }
    verdict.await
}
