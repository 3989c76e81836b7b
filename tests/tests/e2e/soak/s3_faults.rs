//! Servers that fail, in every way that one can, at a random request of each operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use tthost_tests::fault_s3::{Fault, FaultS3, Refusal};
use tthost_tests::s3::Bucket;
use tthost_tests::soak::{self, Soak};
use tthost_tests::trial::{Operation, Stock, Store, Trial};

use super::{BUCKET, expect_honest};

/// How `cargo xtask soak` calls it.
const PART: &str = "s3-faults";

/// Cases of each operation and fault.
const MANY: u32 = 5;

/// A kind of fault, by its name.
type Kind = (&'static str, fn() -> Fault);

/// Those that the program gets over in moments, or that it gives up at once.
const QUICK: &[Kind] = &[
    ("internal-error", || Fault::Status(500, "InternalError")),
    ("slow-down", || Fault::Status(503, "SlowDown")),
    ("bad-gateway", || Fault::Status(502, "BadGateway")),
    ("too-many", || Fault::Status(429, "TooManyRequests")),
    ("timeout", || Fault::Status(400, "RequestTimeout")),
    ("aborted", || Fault::Status(409, "OperationAborted")),
    ("precondition", || Fault::Status(412, "PreconditionFailed")),
    ("denied", || Fault::Status(403, "AccessDenied")),
    ("expired", || Fault::Status(403, "ExpiredToken")),
    ("no-key", || Fault::Status(404, "NoSuchKey")),
    ("no-bucket", || Fault::Status(404, "NoSuchBucket")),
    ("redirect", || {
        Fault::Redirect(307, "http://127.0.0.1:9/elsewhere".to_owned())
    }),
    ("portal", || Fault::Portal),
    ("reset", || Fault::ResetMidBody(100)),
    ("cut", || Fault::Truncate(100)),
    ("garbled", || Fault::Garble),
    ("garbled-upload", || Fault::GarbleUpload),
    ("lost-answer", || Fault::LoseAnswer),
    ("lost-object", || Fault::LoseObject),
    ("stale-listing", || {
        Fault::StaleListing(Duration::from_hours(1))
    }),
    ("pages", || Fault::Pages(1)),
    ("part-as-whole", || Fault::PartAsWhole),
    ("lying-etag", || Fault::LyingEtag),
    ("hidden", || Fault::Hide),
    ("unconditional", || Fault::Unconditional),
    ("skewed", || Fault::Skewed(7200, Refusal::TooSkewed)),
    ("skewed-url", || Fault::Skewed(-7200, Refusal::Expired)),
];

/// Those that take a minute to be noticed.
const SLOW: &[Kind] = &[
    ("trickle", || Fault::Trickle(1)),
    ("stall", || Fault::Stall),
];

#[test]
fn a_few_faults_of_an_s3_server_lose_nothing() -> Result<()> {
    // One during each operation, as chance has it.
    let first = fastrand::usize(..QUICK.len());
    let of = |operation| (first + operation * 5) % QUICK.len();
    fail_each(QUICK, 1, |kind, operation| kind == of(operation))
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn many_faults_of_an_s3_server_lose_nothing() -> Result<()> {
    fail_each(QUICK, soak::count(MANY)?, |_, _| true)
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
fn faults_of_an_s3_server_that_take_a_minute_lose_nothing() -> Result<()> {
    fail_each(SLOW, 1, |_, _| true)
}

/// Has each of these faults happen so many times during each operation that is wanted, by the numbers of both.
fn fail_each(kinds: &[Kind], times: u32, is_wanted: impl Fn(usize, usize) -> bool) -> Result<()> {
    let mut soak = Soak::new(PART)?;
    let stock = Stock::new()?;
    let server = FaultS3::start(|_| Fault::Pass)?;
    let bucket = server.new_bucket(BUCKET)?;
    for (place, operation) in Operation::ALL.into_iter().enumerate() {
        let mut requests = None;
        for (number, (fault_name, fault)) in kinds.iter().enumerate() {
            let name = format!("{}-{fault_name}", operation.name());
            if !is_wanted(number, place) || !soak.wants(&name) {
                continue;
            }
            let requests = match requests {
                Some(requests) => requests,
                None => *requests.insert(count_requests(&server, &bucket, &stock, operation)?),
            };
            soak.run(&name, times, |random| {
                let trial = Trial::new(&stock, operation, new_place(&server, &bucket))?;
                fail(&server, &trial, *fault, requests, random)
            });
        }
    }
    soak.finish()
}

/// A place that nobody has used yet.
fn new_place<'a>(server: &FaultS3, bucket: &'a Bucket) -> Store<'a> {
    let prefix = format!("{:016x}", fastrand::u64(..));
    Store::S3 {
        offsite: server.place(&format!("{BUCKET}/{prefix}")),
        bucket,
        prefix,
    }
}

/// How many requests an operation makes.
fn count_requests(
    server: &FaultS3,
    bucket: &Bucket,
    stock: &Stock,
    operation: Operation,
) -> Result<usize> {
    let trial = Trial::new(stock, operation, new_place(server, bucket))?;
    server.set(|_| Fault::Pass);
    trial.run()?.success()?;
    let requests = server.requests().len();
    trial.expect_done()?;
    ensure!(requests > 0, "the server was never asked");
    Ok(requests)
}

/// One case: some requests of the operation are answered like this.
fn fail(
    server: &FaultS3,
    trial: &Trial<'_>,
    fault: fn() -> Fault,
    requests: usize,
    random: &mut Rng,
) -> Result<()> {
    let first = random.usize(..requests);
    let faults = *random.choice(&[1, 1, 1, 2, 3]).unwrap_or(&1);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    server.set(move |_| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        if (first..first + faults).contains(&number) {
            fault()
        } else {
            Fault::Pass
        }
    });
    let outcome = trial.run()?;
    let hit: Vec<_> = server
        .requests()
        .into_iter()
        .skip(first)
        .take(faults)
        .map(|request| format!("{:?} {}", request.asked.operation, request.asked.key))
        .collect();
    server.set(|_| Fault::Pass);
    let told = || {
        format!(
            "{faults} faults from request {first} of {requests} on: {hit:?}: {}",
            outcome.describe()
        )
    };
    let asked = asked.load(Ordering::Relaxed);
    // Requests that are sent side by side can be fewer another time.
    ensure!(asked > first || outcome.status.success(), "{}", told());
    expect_honest(trial, &outcome).with_context(told)?;
    trial.expect_sound(random).with_context(told)
}
