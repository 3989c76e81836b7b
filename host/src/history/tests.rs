use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::Timestamp;

use super::database::{self, FILE};
use super::*;

fn ours() -> Configuration {
    Configuration::of(Some(Path::new("/etc/tthost.toml")))
}

fn planned() -> PlannedRun {
    PlannedRun {
        command: "run",
        job: Some("nightly".into()),
        parts: vec![PartKey::backup("db", "local")],
    }
}

fn ended(run: i64, started: Timestamp, state: State) -> Run {
    let mut part = Part::new(PartKey::backup("db", "local"), state);
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
    let mut history = History::open(&state, &ours()).expect("it is made");
    let mode = |path: &Path| {
        let metadata = fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
    let handle = history.begin(&planned(), second(5)).expect("it begins");
    let id = handle.run;
    let running = history.log(None).expect("it is there").run;
    assert_eq!(running.state, State::Running);
    assert_eq!(running.parts[0].state, State::Running);
    let mut run = ended(id, second(5), State::Failed);
    run.error = Some(RecordedError {
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
    history.end(handle, &run, lines).expect("there is room");
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
    let mut history = History::open(state.path(), &ours()).expect("it is made");
    drop(history.begin(&planned(), second(5)).expect("it begins"));
    let deaths = history.deaths().expect("it can be read");
    assert_eq!(deaths.len(), 1);
    assert_eq!(deaths[0].parts[0].state, State::Died);
    history
        .mark_deaths_reported(&deaths)
        .expect("there is room");
    assert_eq!(history.deaths().expect("it can be read"), []);
}

#[test]
fn the_last_success_of_a_thing_outlives_everything_old() {
    let state = tempfile::tempdir().expect("there is room");
    let mut history = History::open(state.path(), &ours()).expect("it is made");
    let day = |day: i64| second(day * 24 * 3600);
    let run = |history: &mut History, start, state| {
        let handle = history.begin(&planned(), start).expect("it begins");
        let run = ended(handle.run, start, state);
        history.end(handle, &run, &[]).expect("there is room");
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
    let history = History::open(state.path(), &ours()).expect("another begins");
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

#[test]
fn what_is_remembered_of_one_configuration_is_not_of_another() {
    let state = tempfile::tempdir().expect("there is room");
    let other = Configuration::of(None);
    let open = |of: &Configuration| History::open(state.path(), of).expect("it can be used");
    let mut history = open(&ours());
    for day in [1, 500] {
        let start = second(day * 24 * 3600);
        let handle = history.begin(&planned(), start).expect("it begins");
        let run = ended(handle.run, start, State::Ok);
        history.end(handle, &run, &[]).expect("there is room");
    }
    drop(history.begin(&planned(), second(7)).expect("it begins"));
    let open_alert = OpenAlert {
        kind: AlertKind::Stale,
        key: PartKey::backup("db", "local"),
    };
    let open_alerts = [open_alert].into();
    history
        .set_open_alerts(&open_alerts)
        .expect("there is room");
    let delivery = |time| Delivery {
        alert: "chat".into(),
        time: second(time),
        error: None,
    };
    let delivered = [delivery(7)];
    history.set_deliveries(&delivered).expect("there is room");

    let mut theirs = open(&other);
    let nothing = |history: &History| {
        let key = PartKey::backup("db", "local");
        history.backed_up().expect("it can be read").is_empty()
            && (history.deaths().expect("it can be read").is_empty())
            && (history.open_alerts().expect("it can be read").is_empty())
            && (history.deliveries().expect("it can be read").is_empty())
            && (history.last_success(&key).expect("it can be read")).is_none()
            && history.log(Some(1)).is_err()
    };
    assert!(nothing(&theirs) && !nothing(&history));
    let known = theirs.other_configurations().expect("it can be read");
    assert_eq!(known, [ours().name()]);
    assert!(theirs.began().expect("it began") >= history.began().expect("it began"));
    theirs.set_open_alerts(&[].into()).expect("there is room");
    let delivered_to_them = [delivery(8)];
    theirs
        .set_deliveries(&delivered_to_them)
        .expect("there is room");
    assert_eq!(history.open_alerts().expect("it can be read"), open_alerts);
    assert_eq!(history.deliveries().expect("it can be read"), delivered);

    // A success of the one keeps none of the other from being the last.
    let later = "UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'runs'";
    history.connection.execute(later, []).expect("it counts on");
    let start = second(1000 * 24 * 3600);
    let handle = theirs.begin(&planned(), start).expect("it begins");
    let run = ended(handle.run, start, State::Ok);
    theirs.end(handle, &run, &[]).expect("there is room");
    let left = history.runs(&Filter::default(), 9);
    assert_eq!(left.expect("it can be read").len(), 1);
}

#[test]
fn a_history_of_an_older_version_is_that_of_whoever_asks() {
    let state = tempfile::tempdir().expect("there is room");
    database::of_first_version(&state.path().join(FILE)).expect("there is room");
    for of in [ours(), Configuration::of(None)] {
        let history = History::open(state.path(), &of).expect("it is brought up to date");
        let key = PartKey::backup("db", "local");
        let last = history.last_success(&key).expect("it can be read");
        assert_eq!(last, Some(second(6)));
        assert_eq!(history.open_alerts().expect("it can be read").len(), 1);
        let began = history.began().expect("it can be read");
        assert_eq!(began == second(1), of == ours(), "{of:?}");
    }
}

#[test]
fn a_copy_has_what_is_not_in_the_file_yet() {
    let state = tempfile::tempdir().expect("there is room");
    let mut history = History::open(state.path(), &ours()).expect("it is made");
    let handle = history.begin(&planned(), second(5)).expect("it begins");
    let (connection, directory) = copy::open(state.path()).expect("it can be read");
    let count = "SELECT count(*) FROM runs";
    let found: i64 = connection
        .query_row(count, [], |row| row.get(0))
        .expect("it can be read");
    assert_eq!(found, 1);
    let path = directory.path().to_owned();
    drop((connection, directory, handle));
    assert!(!path.exists());
}
