//! Quiescing, with an engine in memory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::event::NoEvents;
use crate::grant::Choice;
use crate::plugin::Runtime;

/// What an engine answers to an action with a container: a status of HTTP.
type Answers = fn(action: &str, container: &str) -> u16;

/// An engine with two volumes. `web` uses both, `worker` uses `uploads` alone.
struct FakeEngine {
    engine: Engine,
    seen: Arc<Mutex<Seen>>,
}

/// What came of the requests so far.
#[derive(Default)]
struct Seen {
    actions: Vec<String>,
    /// The states of containers that do not run.
    halted: BTreeMap<String, &'static str>,
    /// What is told of all containers besides.
    details: &'static str,
}

impl FakeEngine {
    async fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it has an address");
        let seen: Arc<Mutex<Seen>> = Arc::default();
        thread::spawn({
            let seen = seen.clone();
            move || {
                for stream in listener.incoming().flatten() {
                    // A client that goes away wants no answer.
                    let _ = answer(stream, answers, &seen);
                }
            }
        });
        let engine = Engine::connect(&[format!("http://{address}")]).await;
        Self {
            engine: engine.expect("it answers"),
            seen,
        }
    }

    /// What was done since the last call.
    fn actions(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.seen).actions)
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads one request and answers it.
fn answer(mut stream: TcpStream, answers: Answers, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let path = request.split(' ').nth(1).unwrap_or_default();
    let segments: Vec<_> = path.split(['/', '?']).collect();
    let state = |name: &str| lock(seen).halted.get(name).copied().unwrap_or("running");
    let container = |name: &str| {
        let state = state(name);
        format!(r#"{{"Id":"{name}","Names":["/{name}"],"State":"{state}"}}"#)
    };
    let (status, body) = match segments[..] {
        [.., "containers", "json", query] if query.contains("uploads") => (
            200,
            format!("[{},{}]", container("web"), container("worker")),
        ),
        [.., "containers", "json", _] => (200, format!("[{}]", container("web"))),
        [.., "containers", name, "json"] | [.., "containers", name, "json", _] => {
            let (state, details) = (state(name), lock(seen).details);
            let body = format!(r#"{{"Id":"{name}","State":{{"Status":"{state}"}}{details}}}"#);
            (200, body)
        }
        [.., "containers", name, action] | [.., "containers", name, action, _] => {
            let status = answers(action, name);
            let mut seen = lock(seen);
            seen.actions.push(format!("{action} {name}"));
            match (status, action) {
                (400.., _) => {}
                (_, "pause") => drop(seen.halted.insert(name.to_owned(), "paused")),
                (_, "stop") => drop(seen.halted.insert(name.to_owned(), "exited")),
                _ => drop(seen.halted.remove(name)),
            }
            (status, String::new())
        }
        [.., "version"] => (200, r#"{"ApiVersion":"1.44"}"#.to_owned()),
        _ => (404, String::new()),
    };
    let body = if status >= 400 {
        r#"{"message":"it is not to be"}"#.to_owned()
    } else {
        body
    };
    let length = match status {
        204 | 304 => String::new(),
        _ => format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        ),
    };
    write!(
        stream,
        "HTTP/1.1 {status} X\r\n{length}Connection: close\r\n\r\n{body}"
    )
}

fn context(state: &tempfile::TempDir) -> Context {
    Context {
        runtime: Runtime::new(None, Arc::new(NoEvents)).expect("it starts"),
        events: Arc::new(NoEvents),
        cancel: CancellationToken::new(),
        journal: Journal::new(state.path()),
    }
}

fn volumes(containers: Containers) -> Volumes {
    Volumes {
        choice: Choice::Existing("uploads".into()),
        shown_as: None,
        containers,
        before: None,
        after: None,
        engines: Vec::new(),
    }
}

/// A command that writes a word into a file.
fn note(word: &str, file: &std::path::Path) -> Command {
    Command {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), format!("echo {word} >>'{}'", file.display())],
        env: BTreeMap::new(),
        confinement: crate::grant::Confinement::default(),
    }
}

/// Undoes what others have left, as each command does when it starts.
async fn undo_all(journal: &Journal) {
    let lock = journal.lock().await.expect("it is its lock");
    for mut abandoned in journal.abandoned().expect("it can be read") {
        for (note, leftover) in abandoned.outstanding() {
            let undone = crate::volume::undo(journal, &leftover, &lock).await;
            undone.expect("the engine answers");
            abandoned.clear(note).expect("it can be written");
        }
    }
}

const BOTH: [&str; 2] = ["uploads", "cache"];

impl FakeEngine {
    /// Quiesces what uses both volumes.
    async fn quiesce(
        &self,
        context: &Context,
        quiesce: &mut Quiesce,
        volumes: &Volumes,
        commands: &BTreeMap<String, Command>,
    ) -> Result<()> {
        quiesce
            .take(
                context,
                "source files",
                &self.engine,
                volumes,
                commands,
                BOTH.into_iter(),
            )
            .await
    }
}

#[tokio::test]
async fn each_container_pauses_once_and_the_last_goes_on_first() {
    let fake = FakeEngine::start(|_, _| 204).await;
    let state = tempfile::tempdir().expect("there is room");
    let (context, commands) = (context(&state), BTreeMap::new());
    let mut quiesce = Quiesce::new(&context.journal);
    let volumes = volumes(Containers::Pause);
    let taken = fake.quiesce(&context, &mut quiesce, &volumes, &commands);
    taken.await.expect("they pause");
    assert_eq!(fake.actions(), ["pause web", "pause worker"]);
    assert!(quiesce.release("source files").await.is_empty());
    assert_eq!(fake.actions(), ["unpause worker", "unpause web"]);
}

#[tokio::test]
async fn a_container_that_stops_starts_again_even_if_it_has_by_itself() {
    let fake = FakeEngine::start(|action, _| if action == "start" { 304 } else { 204 }).await;
    let state = tempfile::tempdir().expect("there is room");
    let (context, commands) = (context(&state), BTreeMap::new());
    let mut quiesce = Quiesce::new(&context.journal);
    let volumes = volumes(Containers::Stop);
    let taken = quiesce.take(
        &context,
        "source files",
        &fake.engine,
        &volumes,
        &commands,
        ["cache"].into_iter(),
    );
    taken.await.expect("it stops");
    assert!(quiesce.release("source files").await.is_empty());
    assert_eq!(fake.actions(), ["stop web", "start web"]);
}

#[tokio::test]
async fn containers_that_may_run_are_not_looked_for() {
    let fake = FakeEngine::start(|_, _| 500).await;
    let state = tempfile::tempdir().expect("there is room");
    let (context, commands) = (context(&state), BTreeMap::new());
    let mut quiesce = Quiesce::new(&context.journal);
    let volumes = volumes(Containers::Run);
    let taken = fake.quiesce(&context, &mut quiesce, &volumes, &commands);
    taken.await.expect("there is nothing to do");
    assert!(quiesce.release("source files").await.is_empty());
    assert!(fake.actions().is_empty());
}

#[tokio::test]
async fn a_container_whose_pause_failed_is_resumed_as_well() {
    // The engine may have paused it all the same.
    let fake = FakeEngine::start(|action, container| match (action, container) {
        ("pause", "worker") => 500,
        ("unpause", "worker") => 409,
        _ => 204,
    })
    .await;
    let state = tempfile::tempdir().expect("there is room");
    let (context, commands) = (context(&state), BTreeMap::new());
    let mut quiesce = Quiesce::new(&context.journal);
    let volumes = volumes(Containers::Pause);
    let taken = fake.quiesce(&context, &mut quiesce, &volumes, &commands);
    let error = taken.await.expect_err("one does not pause");
    assert!(error.message().contains("pause worker"), "{error:?}");
    fake.actions();
    assert!(quiesce.release("source files").await.is_empty());
    assert_eq!(fake.actions(), ["unpause worker", "unpause web"]);
}

#[tokio::test]
async fn what_cannot_be_undone_is_told_and_keeps_nothing_else_from_it() {
    let fake = FakeEngine::start(|action, container| match (action, container) {
        ("unpause", "worker") => 500,
        _ => 204,
    })
    .await;
    let state = tempfile::tempdir().expect("there is room");
    let (context, commands) = (context(&state), BTreeMap::new());
    let mut quiesce = Quiesce::new(&context.journal);
    let volumes = volumes(Containers::Pause);
    let taken = fake.quiesce(&context, &mut quiesce, &volumes, &commands);
    taken.await.expect("they pause");
    fake.actions();
    let errors = quiesce.release("source files").await;
    assert_eq!(fake.actions(), ["unpause worker", "unpause web"]);
    assert_eq!(errors.len(), 1);
    let message = errors[0].message();
    assert!(message.contains("resume worker"), "{message}");
}

#[tokio::test]
async fn after_an_interruption_nothing_more_pauses() {
    let fake = FakeEngine::start(|_, _| 204).await;
    let state = tempfile::tempdir().expect("there is room");
    let (context, commands) = (context(&state), BTreeMap::new());
    context.cancel.cancel();
    let mut quiesce = Quiesce::new(&context.journal);
    let volumes = volumes(Containers::Pause);
    let taken = fake.quiesce(&context, &mut quiesce, &volumes, &commands);
    let error = taken.await.expect_err("it is interrupted");
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(quiesce.release("source files").await.is_empty());
    assert!(fake.actions().is_empty());
}

#[tokio::test]
async fn commands_run_before_everything_and_after_everything() {
    let fake = FakeEngine::start(|action, _| if action == "pause" { 500 } else { 204 }).await;
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("words");
    let state = tempfile::tempdir().expect("there is room");
    let context = context(&state);
    let mut commands = BTreeMap::from([
        ("freeze".to_owned(), note("before", &file)),
        ("thaw".to_owned(), note("after", &file)),
    ]);
    let mut volumes = volumes(Containers::Pause);
    volumes.before = Some("freeze".into());
    volumes.after = Some("thaw".into());

    let mut quiesce = Quiesce::new(&context.journal);
    let taken = fake.quiesce(&context, &mut quiesce, &volumes, &commands);
    taken.await.expect_err("nothing pauses");
    let words = || std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(words(), "before\n");
    assert!(quiesce.release("source files").await.is_empty());
    assert_eq!(words(), "before\nafter\n");
    assert_eq!(fake.actions(), ["pause web", "unpause web"]);

    // One that fails keeps everything from being touched, and may have done a part of its work.
    let failing = Command {
        program: "/bin/false".into(),
        ..commands["freeze"].clone()
    };
    commands.insert("freeze".into(), failing);
    for (before, expected) in [
        ("freeze", "freeze failed"),
        ("other", "other is not granted"),
    ] {
        volumes.before = Some(before.into());
        let mut quiesce = Quiesce::new(&context.journal);
        let taken = fake.quiesce(&context, &mut quiesce, &volumes, &commands);
        let error = taken.await.expect_err(before);
        assert!(error.message().contains(expected), "{error:?}");
        assert!(quiesce.release("source files").await.is_empty());
    }
    assert!(fake.actions().is_empty());
    assert_eq!(words(), "before\nafter\nafter\n");
}

#[tokio::test]
async fn a_container_that_two_processes_hold_goes_on_when_both_have_ended() {
    for (containers, halt, wake) in [
        (Containers::Pause, "pause", "unpause"),
        (Containers::Stop, "stop", "start"),
    ] {
        let fake = FakeEngine::start(|_, _| 204).await;
        let state = tempfile::tempdir().expect("there is room");
        let commands = BTreeMap::new();
        let volumes = volumes(containers);
        let mut held = Vec::new();
        for _ in 0..2 {
            // Its journal makes it another process.
            let context = context(&state);
            let mut quiesce = Quiesce::new(&context.journal);
            let taken = fake.quiesce(&context, &mut quiesce, &volumes, &commands);
            taken.await.expect("it stands still");
            held.push(quiesce);
        }
        let halts = [format!("{halt} web"), format!("{halt} worker")];
        assert_eq!(fake.actions(), halts, "once is enough");
        for quiesce in held {
            assert!(fake.actions().is_empty(), "the other one reads it still");
            assert!(quiesce.release("source files").await.is_empty());
        }
        assert_eq!(
            fake.actions(),
            [format!("{wake} worker"), format!("{wake} web")]
        );
    }
}

#[tokio::test]
async fn what_another_process_paused_is_not_stopped_and_what_it_stopped_need_not_pause() {
    let [pause, stop] = [Containers::Pause, Containers::Stop].map(volumes);
    let fake = FakeEngine::start(|_, _| 204).await;
    let state = tempfile::tempdir().expect("there is room");
    let commands = BTreeMap::new();
    let first = context(&state);
    let mut pausing = Quiesce::new(&first.journal);
    let taken = fake.quiesce(&first, &mut pausing, &pause, &commands);
    taken.await.expect("they pause");
    let second = context(&state);
    let mut stopping = Quiesce::new(&second.journal);
    let taken = fake.quiesce(&second, &mut stopping, &stop, &commands);
    assert_eq!(taken.await.expect_err("it is paused").kind(), Kind::Busy);
    assert!(stopping.release("source files").await.is_empty());
    assert!(pausing.release("source files").await.is_empty());
    fake.actions();

    let mut stopping = Quiesce::new(&second.journal);
    let taken = fake.quiesce(&second, &mut stopping, &stop, &commands);
    taken.await.expect("they stop");
    let mut pausing = Quiesce::new(&first.journal);
    let taken = fake.quiesce(&first, &mut pausing, &pause, &commands);
    taken.await.expect("they do not run");
    assert!(stopping.release("source files").await.is_empty());
    assert_eq!(fake.actions(), ["stop web", "stop worker"]);
    assert!(pausing.release("source files").await.is_empty());
    assert_eq!(fake.actions(), ["start worker", "start web"]);
}

#[tokio::test]
async fn containers_that_stood_still_before_stay_as_they_are() {
    let pause = volumes(Containers::Pause);
    let fake = FakeEngine::start(|_, _| 204).await;
    lock(&fake.seen).halted.insert("web".into(), "paused");
    let state = tempfile::tempdir().expect("there is room");
    let (context, commands) = (context(&state), BTreeMap::new());
    let mut quiesce = Quiesce::new(&context.journal);
    let taken = fake.quiesce(&context, &mut quiesce, &pause, &commands);
    taken.await.expect("the other one pauses");
    assert!(quiesce.release("source files").await.is_empty());
    assert_eq!(fake.actions(), ["pause worker", "unpause worker"]);
}

#[tokio::test]
async fn a_container_that_its_end_would_remove_is_not_stopped_nor_is_any_other() {
    let stop = volumes(Containers::Stop);
    let fake = FakeEngine::start(|_, _| 204).await;
    lock(&fake.seen).details = r#","HostConfig":{"AutoRemove":true}"#;
    let state = tempfile::tempdir().expect("there is room");
    let (context, commands) = (context(&state), BTreeMap::new());
    let mut quiesce = Quiesce::new(&context.journal);
    let taken = fake.quiesce(&context, &mut quiesce, &stop, &commands);
    let error = taken.await.expect_err("it would be gone");
    assert!(error.message().contains("--rm"), "{error:?}");
    assert!(quiesce.release("source files").await.is_empty());
    assert!(fake.actions().is_empty());
}

#[tokio::test]
async fn what_a_process_left_that_died_is_undone_by_the_next_unless_somebody_needs_it() {
    let fake = FakeEngine::start(|_, _| 204).await;
    let state = tempfile::tempdir().expect("there is room");
    let commands = BTreeMap::new();
    let volumes = volumes(Containers::Pause);
    let killed = context(&state);
    let mut quiesce = Quiesce::new(&killed.journal);
    let taken = fake.quiesce(&killed, &mut quiesce, &volumes, &commands);
    taken.await.expect("they pause");
    let needing = context(&state);
    let mut needed = Quiesce::new(&needing.journal);
    let taken = needed.take(
        &needing,
        "source files",
        &fake.engine,
        &volumes,
        &commands,
        ["cache"].into_iter(),
    );
    taken.await.expect("it is paused");
    fake.actions();

    let next = context(&state);
    undo_all(&next.journal).await;
    assert!(fake.actions().is_empty(), "both processes are alive");
    // The lock on its journal goes, and nothing is undone.
    drop((quiesce, killed));
    undo_all(&next.journal).await;
    assert_eq!(fake.actions(), ["unpause worker"]);
    assert!(needed.release("source files").await.is_empty());
    assert_eq!(fake.actions(), ["unpause web"]);
    undo_all(&next.journal).await;
    assert!(fake.actions().is_empty(), "there is nothing left");
}
