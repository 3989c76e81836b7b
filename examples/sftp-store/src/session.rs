//! A session with the server: many requests at a time, each with the answer that belongs to it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use futures::channel::oneshot;
use futures::lock::Mutex;
use tthost_plugin::command::{Answers, Dialogue};
use tthost_plugin::{Error, Result, spawn};

use crate::wire::{Attributes, Packet, Writer, broken, flags, kind, status};

/// Bytes of a file in one packet. Every server takes that many.
const PIECE: usize = 32 << 10;

/// The version of the protocol.
const VERSION: u32 = 3;

/// Renames in the place of another file, in one step.
const REPLACE: &str = "posix-rename@openssh.com";

/// Brings a file to stable storage.
const SYNC: &str = "fsync@openssh.com";

type Waiting = Rc<RefCell<Option<BTreeMap<u32, oneshot::Sender<Packet>>>>>;

pub(crate) struct Session {
    dialogue: Mutex<Dialogue>,
    /// Those who wait for an answer; none when no more answers come.
    waiting: Waiting,
    next: Cell<u32>,
    extensions: BTreeSet<Vec<u8>>,
}

impl Session {
    /// Starts the granted program `sftp`, which leads to a server.
    pub(crate) async fn begin() -> Result<Self> {
        let (mut dialogue, mut answers) = Dialogue::begin("sftp", &[]).await?;
        dialogue
            .say(Writer::new(kind::INIT).int(VERSION).finish())
            .await?;
        let mut received = Vec::new();
        let Some(mut packet) = next(&mut answers, &mut received).await? else {
            return Err(dialogue.ended().await);
        };
        if packet.kind != kind::VERSION || packet.int()? < VERSION {
            return Err(broken());
        }
        let mut extensions = BTreeSet::new();
        while !packet.is_empty() {
            extensions.insert(packet.bytes()?);
            packet.bytes()?;
        }
        let waiting = Waiting::new(RefCell::new(Some(BTreeMap::new())));
        spawn(hand_out(answers, received, waiting.clone()));
        Ok(Self {
            dialogue: Mutex::new(dialogue),
            waiting,
            next: Cell::new(0),
            extensions,
        })
    }

    /// Makes a file with these contents, on stable storage where the server knows how.
    pub(crate) async fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let mode = flags::WRITE | flags::CREATE | flags::TRUNCATE;
        let handle = self.open(path, mode).await?;
        let written = async {
            let mut answers = Vec::new();
            let mut offset = 0;
            for piece in bytes.chunks(PIECE) {
                let packet = |packet: Writer| packet.bytes(&handle).long(offset).bytes(piece);
                answers.push(self.ask(kind::WRITE, packet).await?);
                offset += piece.len() as u64;
            }
            for answer in answers {
                self.done(answer, path).await?;
            }
            if self.extensions.contains(SYNC.as_bytes()) {
                let packet = |packet: Writer| packet.bytes(SYNC.as_bytes()).bytes(&handle);
                self.done(self.ask(kind::EXTENDED, packet).await?, path)
                    .await?;
            }
            Ok(())
        };
        let written = written.await;
        self.close(&handle).await?;
        written
    }

    /// So many bytes of a file from an offset on, or less where it ends before.
    pub(crate) async fn read(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        let handle = self.open(path, flags::READ).await?;
        let read = async {
            let mut answers = Vec::new();
            let mut at = offset;
            while at < offset + length {
                let piece = (offset + length - at).min(PIECE as u64);
                let piece = u32::try_from(piece).expect("it is small");
                let packet = |packet: Writer| packet.bytes(&handle).long(at).int(piece);
                answers.push((at, piece, self.ask(kind::READ, packet).await?));
                at += u64::from(piece);
            }
            let mut bytes = Vec::new();
            for (at, piece, answer) in answers {
                let mut got = self.data(answer, path).await?;
                // A server may give less than it was asked for, also before the end.
                while got.len() < piece as usize {
                    let (from, left) = (at + got.len() as u64, piece - got.len() as u32);
                    let packet = |packet: Writer| packet.bytes(&handle).long(from).int(left);
                    let more = self.data(self.ask(kind::READ, packet).await?, path).await?;
                    if more.is_empty() {
                        bytes.extend(got);
                        return Ok(bytes);
                    }
                    got.extend(more);
                }
                bytes.extend(got);
            }
            Ok(bytes)
        };
        let read = read.await;
        self.close(&handle).await?;
        read
    }

    /// Gives a file another name; with `replace`, in the place of another file.
    pub(crate) async fn rename(&self, from: &str, to: &str, replace: bool) -> Result<()> {
        let answer = if replace && self.extensions.contains(REPLACE.as_bytes()) {
            let packet = |packet: Writer| {
                let packet = packet.bytes(REPLACE.as_bytes());
                packet.bytes(from.as_bytes()).bytes(to.as_bytes())
            };
            self.ask(kind::EXTENDED, packet).await?
        } else {
            if replace {
                self.remove(to).await?;
            }
            let packet = |packet: Writer| packet.bytes(from.as_bytes()).bytes(to.as_bytes());
            self.ask(kind::RENAME, packet).await?
        };
        self.done(answer, to).await
    }

    /// Makes a directory. Servers do not say that it is there already, so nobody knows why it fails.
    pub(crate) async fn make_directory(&self, path: &str) -> Result<()> {
        let packet = |packet: Writer| packet.bytes(path.as_bytes()).int(0);
        let answer = self.ask(kind::MKDIR, packet).await?;
        self.done(answer, path).await
    }

    /// Removes a file; fine when it is not there.
    pub(crate) async fn remove(&self, path: &str) -> Result<()> {
        let answer = self
            .ask(kind::REMOVE, |packet| packet.bytes(path.as_bytes()))
            .await?;
        match self.done(answer, path).await {
            Err(Error::NotFound(_)) => Ok(()),
            removed => removed,
        }
    }

    /// What is known of a file; none when it is not there.
    pub(crate) async fn stat(&self, path: &str) -> Result<Option<Attributes>> {
        let answer = self
            .ask(kind::STAT, |packet| packet.bytes(path.as_bytes()))
            .await?;
        let mut packet = self.answer(answer).await?;
        if packet.kind == kind::ATTRS {
            return packet.attributes().map(Some);
        }
        match outcome(&mut packet, path) {
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Err(broken()),
        }
    }

    /// The names in a directory with what is known of each; nothing when it is not there.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<(String, Attributes)>> {
        let answer = self
            .ask(kind::OPENDIR, |packet| packet.bytes(path.as_bytes()))
            .await?;
        let handle = match self.handle(answer, path).await {
            Err(Error::NotFound(_)) => return Ok(Vec::new()),
            handle => handle?,
        };
        let mut listed = Vec::new();
        loop {
            let answer = self
                .ask(kind::READDIR, |packet| packet.bytes(&handle))
                .await?;
            let mut packet = self.answer(answer).await?;
            if packet.kind != kind::NAME {
                let ended = packet.int()? == status::END;
                self.close(&handle).await?;
                return if ended { Ok(listed) } else { Err(broken()) };
            }
            for _ in 0..packet.int()? {
                let name = packet.bytes()?;
                packet.bytes()?;
                let attributes = packet.attributes()?;
                // What is not text is not a object's name.
                if let Ok(name) = String::from_utf8(name)
                    && !name.starts_with('.')
                {
                    listed.push((name, attributes));
                }
            }
        }
    }

    async fn open(&self, path: &str, mode: u32) -> Result<Vec<u8>> {
        let packet = |packet: Writer| packet.bytes(path.as_bytes()).int(mode).int(0);
        let answer = self.ask(kind::OPEN, packet).await?;
        self.handle(answer, path).await
    }

    async fn close(&self, handle: &[u8]) -> Result<()> {
        let answer = self.ask(kind::CLOSE, |packet| packet.bytes(handle)).await?;
        self.done(answer, "a file").await
    }

    /// Sends a request, whose number comes first. Answers where its answer will be.
    async fn ask(
        &self,
        kind: u8,
        packet: impl FnOnce(Writer) -> Writer,
    ) -> Result<oneshot::Receiver<Packet>> {
        let number = self.next.replace(self.next.get().wrapping_add(1));
        let (tell, told) = oneshot::channel();
        if let Some(waiting) = &mut *self.waiting.borrow_mut() {
            waiting.insert(number, tell);
        }
        let packet = packet(Writer::new(kind).int(number)).finish();
        self.dialogue.lock().await.say(packet).await?;
        Ok(told)
    }

    async fn answer(&self, answer: oneshot::Receiver<Packet>) -> Result<Packet> {
        match answer.await {
            Ok(packet) => Ok(packet),
            Err(_) => Err(self.dialogue.lock().await.ended().await),
        }
    }

    async fn done(&self, answer: oneshot::Receiver<Packet>, path: &str) -> Result<()> {
        outcome(&mut self.answer(answer).await?, path)
    }

    async fn handle(&self, answer: oneshot::Receiver<Packet>, path: &str) -> Result<Vec<u8>> {
        let mut packet = self.answer(answer).await?;
        if packet.kind == kind::HANDLE {
            return packet.bytes();
        }
        outcome(&mut packet, path)?;
        Err(broken())
    }

    /// The bytes that were read; none at the end.
    async fn data(&self, answer: oneshot::Receiver<Packet>, path: &str) -> Result<Vec<u8>> {
        let mut packet = self.answer(answer).await?;
        if packet.kind == kind::DATA {
            return packet.bytes();
        }
        match packet.int()? {
            status::END => Ok(Vec::new()),
            code => Err(failure(code, &mut packet, path)),
        }
    }
}

/// Gives each answer to who waits for it, until no more come.
async fn hand_out(mut answers: Answers, mut received: Vec<u8>, waiting: Waiting) {
    while let Ok(Some(mut packet)) = next(&mut answers, &mut received).await {
        let Ok(number) = packet.int() else { break };
        let waiter = waiting
            .borrow_mut()
            .as_mut()
            .and_then(|waiting| waiting.remove(&number));
        if let Some(waiter) = waiter {
            // Nobody need be waiting any more.
            let _ = waiter.send(packet);
        }
    }
    waiting.take();
}

/// The next packet; none when the program says no more.
async fn next(answers: &mut Answers, received: &mut Vec<u8>) -> Result<Option<Packet>> {
    loop {
        if let Some(packet) = Packet::take(received)? {
            return Ok(Some(packet));
        }
        match answers.next().await {
            Some(bytes) => received.extend(bytes),
            None => return Ok(None),
        }
    }
}

/// What a status says.
fn outcome(packet: &mut Packet, path: &str) -> Result<()> {
    if packet.kind != kind::STATUS {
        return Err(broken());
    }
    match packet.int()? {
        status::OK => Ok(()),
        code => Err(failure(code, packet, path)),
    }
}

fn failure(code: u32, packet: &mut Packet, path: &str) -> Error {
    let said = packet.bytes().unwrap_or_default();
    let text = format!("{path}: {}", String::from_utf8_lossy(&said));
    match code {
        status::MISSING => Error::NotFound(text),
        status::DENIED => Error::Denied(text),
        _ => Error::Other(text),
    }
}
