use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::Timestamp;

use super::database::FILE;
use super::*;

fn subject() -> Subject {
    Subject {
        command: "run",
        job: Some("nightly".into()),
        planned: vec![Thing::backup("db", "local")],
    }
}

fn ended(run: i64, started: Timestamp, state: State) -> Run {
    let mut part = Part::new(Thing::backup("db", "local"), state);
    part.detail.total_bytes_processed = Some(7);
    Run {
        id: Some(run),
        command: "run".into(),
        job: Some("nightly".into()),
        started,
        ended: Some(started),
        state,
        exit_code: Some(0),
        error: None,
        parts: vec![part],
    }
}

fn second(number: i64) -> Timestamp {
    Timestamp::from_second(number).expect("it is a time")
}

#[test]
fn a_run_is_found_again_as_it_was_recorded() {
    let state = tempfile::tempdir().expect("there is room");
    let state = state.path().join("state");
    let mut history = History::open(&state).expect("it is made");
    let mode = |path: &Path| {
        let metadata = fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
    let ticket = history.begin(&subject(), second(5)).expect("it begins");
    let id = ticket.run;
    let running = history.log(None).expect("it is there").run;
    assert_eq!(running.state, State::Running);
    assert_eq!(running.parts[0].state, State::Running);
    let mut run = ended(id, second(5), State::Failed);
    run.error = Some(Problem {
        code: "locked".into(),
        subject: Some("sink local".into()),
        message: "somebody holds a lock".into(),
        help: Some("wait".into()),
    });
    let line = Line {
        time: second(6),
        message: "oh".into(),
    };
    let lines = std::slice::from_ref(&line);
    history.end(ticket, &run, lines).expect("there is room");
    let log = history.log(Some(id)).expect("it is there");
    assert_eq!(log.run, run);
    assert_eq!(log.lines, lines);
    assert_eq!(history.deaths().expect("it can be read"), []);
    let row = (
        "db".to_owned(),
        "local".to_owned(),
        Some("nightly".to_owned()),
    );
    assert_eq!(history.backed_up().expect("it can be read"), [row]);
    let of_job = |job: &str| {
        let filter = Filter {
            job: Some(job.into()),
            ..Filter::default()
        };
        history.runs(&filter, 9).expect("it can be read").len()
    };
    assert_eq!((of_job("nightly"), of_job("weekly")), (1, 0));
}

#[test]
fn a_run_that_never_ended_is_told_once() {
    let state = tempfile::tempdir().expect("there is room");
    let mut history = History::open(state.path()).expect("it is made");
    drop(history.begin(&subject(), second(5)).expect("it begins"));
    let deaths = history.deaths().expect("it can be read");
    assert_eq!(deaths.len(), 1);
    assert_eq!(deaths[0].parts[0].state, State::Died);
    history.deaths_told(&deaths).expect("there is room");
    assert_eq!(history.deaths().expect("it can be read"), []);
}

#[test]
fn the_last_success_of_a_thing_outlives_everything_old() {
    let state = tempfile::tempdir().expect("there is room");
    let mut history = History::open(state.path()).expect("it is made");
    let day = |day: i64| second(day * 24 * 3600);
    let run = |history: &mut History, start, state| {
        let ticket = history.begin(&subject(), start).expect("it begins");
        let run = ended(ticket.run, start, state);
        history.end(ticket, &run, &[]).expect("there is room");
    };
    let starts = |history: &History| -> Vec<_> {
        let left = history.runs(&Filter::default(), 9);
        let left = left.expect("it can be read").into_iter();
        left.map(|run| run.started).collect()
    };
    run(&mut history, day(1), State::Ok);
    run(&mut history, day(2), State::Ok);
    run(&mut history, day(3), State::Failed);
    run(&mut history, day(500), State::Failed);
    // Its clock may have been wrong.
    assert_eq!(starts(&history), [500, 3, 2, 1].map(day));
    let later = "UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'runs'";
    history.connection.execute(later, []).expect("it counts on");
    run(&mut history, day(500), State::Failed);
    assert_eq!(starts(&history), [500, 500, 2].map(day));
}

#[test]
fn a_damaged_history_is_put_aside() {
    let state = tempfile::tempdir().expect("there is room");
    let path = state.path().join(FILE);
    fs::write(
        &path,
        "no database at all, but long enough for a header of one".repeat(9),
    )
    .expect("there is room");
    let history = History::open(state.path()).expect("another begins");
    assert_eq!(history.runs(&Filter::default(), 9).expect("it is new"), []);
    let names = fs::read_dir(state.path()).expect("it is there");
    let names: Vec<_> = names
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        names.iter().any(|name| name.contains(".damaged-")),
        "{names:?}"
    );
}
