//! The faulty server stores and answers as S3 does, and answers with the faults that it is told.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tthost_tests::fault_s3::{Fault, FaultS3, Operation, Refusal, S3Request};
use tthost_tests::s3::Bucket;

const BUCKET: &str = "bucket";

/// MD5 of `contents`.
const DIGEST: [u8; 16] = [
    0x98, 0xbf, 0x7d, 0x8c, 0x15, 0x78, 0x4f, 0x0a, 0x3d, 0x63, 0x20, 0x44, 0x41, 0xe1, 0xe2, 0xaa,
];

/// A server that answers like this, its bucket as its owner sees it, and as others do.
fn faulty(
    fault: impl Fn(&S3Request) -> Fault + Send + Sync + 'static,
) -> Result<(FaultS3, Bucket, Bucket)> {
    let server = FaultS3::start(fault)?;
    let owner = server.new_bucket(BUCKET)?;
    owner.put("key", b"contents")?;
    let other = Bucket::at(&server.endpoint(), BUCKET, "any", "any")?;
    Ok((server, owner, other))
}

/// All that comes back for a plain request to read an object, and how it ends.
fn read_plainly(server: &FaultS3, key: &str) -> Result<(Vec<u8>, io::Result<()>)> {
    let address = server.endpoint();
    let address = address.strip_prefix("http://").context("an origin")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(
        stream,
        "GET /{BUCKET}/{key} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).map(drop);
    Ok((answer, end))
}

/// The head of an answer, in lower case, and its body.
fn parts(answer: &[u8]) -> Result<(String, &[u8])> {
    let blank = b"\r\n\r\n";
    let end = answer.windows(blank.len()).position(|bytes| bytes == blank);
    let (head, body) = answer.split_at(end.context("no end of the head")? + blank.len());
    Ok((String::from_utf8_lossy(head).to_lowercase(), body))
}

#[test]
fn without_faults_it_is_a_store_of_objects() -> Result<()> {
    let (server, _, bucket) = faulty(|_| Fault::Pass)?;
    ensure!(bucket.get("key")? == (200, b"contents".to_vec()));
    ensure!(bucket.head("key")? == 200);
    ensure!(bucket.get_part("key", 2..=4)? == (206, b"nte".to_vec()));
    ensure!(bucket.get_part("key", 6..=20)? == (206, b"ts".to_vec()));
    ensure!(bucket.get_part("key", 8..=20)?.0 == 416);
    ensure!(bucket.put("key", b"other")? == 200);
    ensure!(bucket.put_new("key", b"third")? == 412);
    ensure!(bucket.put_new("deep/er/key", b"new")? == 200);
    ensure!(bucket.get("key")? == (200, b"other".to_vec()));
    ensure!(bucket.delete("key")? == 204);
    ensure!(bucket.delete("key")? == 204);
    ensure!(bucket.get("key")?.0 == 404);
    ensure!(bucket.head("key")? == 404);
    ensure!(bucket.list("deep/")? == [("deep/er/key".to_owned(), 3)]);

    let asked: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| (request.asked.operation, request.status))
        .collect();
    ensure!(asked.len() == 14, "{asked:?}");
    ensure!(asked[0] == (Operation::Get, Some(200)), "{asked:?}");
    ensure!(asked[13] == (Operation::List, Some(200)), "{asked:?}");
    Ok(())
}

#[test]
fn what_is_not_what_its_digest_says_is_not_stored() -> Result<()> {
    let (_server, owner, bucket) = faulty(|_| Fault::Pass)?;
    ensure!(bucket.put_digested("digested", b"contents", DIGEST)? == 200);
    ensure!(bucket.put_digested("digested", b"c0ntents", DIGEST)? == 400);
    ensure!(owner.get("digested")? == (200, b"contents".to_vec()));
    Ok(())
}

#[test]
fn more_than_a_thousand_objects_are_listed_in_order_page_by_page() -> Result<()> {
    let (server, owner, bucket) = faulty(|_| Fault::Pass)?;
    let mut keys: Vec<String> = (0..1100).map(|number| format!("many/{number}")).collect();
    for key in &keys {
        owner.put(key, key.as_bytes())?;
    }
    keys.sort();
    let listed = |bucket: &Bucket| -> Result<Vec<String>> {
        Ok(bucket
            .list("many/")?
            .into_iter()
            .map(|(key, _)| key)
            .collect())
    };
    ensure!(listed(&bucket)? == keys);
    ensure!(server.requests().len() == 2, "the pages are too large");
    server.set(|_| Fault::Pages(400));
    ensure!(listed(&bucket)? == keys);
    ensure!(server.requests().len() == 3, "the pages have another size");
    Ok(())
}

#[test]
fn errors_and_redirections_are_answered_and_nothing_is_done() -> Result<()> {
    let (server, owner, bucket) = faulty(|_| Fault::Status(503, "SlowDown"))?;
    let (status, body) = bucket.get("key")?;
    ensure!(status == 503);
    ensure!(String::from_utf8_lossy(&body).contains("<Code>SlowDown</Code>"));
    ensure!(bucket.delete("key")? == 503);
    ensure!(owner.head("key")? == 200);
    let elsewhere = "http://127.0.0.1:1/bucket/key";
    server.set(move |_| Fault::Redirect(307, elsewhere.to_owned()));
    ensure!(bucket.put("key", b"other")? == 307);
    ensure!(owner.get("key")?.1 == b"contents");
    let (answer, _) = read_plainly(&server, "key")?;
    ensure!(
        parts(&answer)?
            .0
            .contains(&format!("location: {elsewhere}"))
    );
    server.set(|_| Fault::Hide);
    ensure!(bucket.get("missing")?.0 == 403);
    ensure!(bucket.get("key")?.0 == 200);
    Ok(())
}

#[test]
fn answers_break_off_by_an_end_and_by_a_reset() -> Result<()> {
    let (server, ..) = faulty(|_| Fault::Truncate(3))?;
    let (answer, end) = read_plainly(&server, "key")?;
    let (head, body) = parts(&answer)?;
    ensure!(head.contains("content-length: 8\r\n"), "{head}");
    ensure!(body == b"con" && end.is_ok(), "{body:?}, {end:?}");

    server.set(|_| Fault::ResetMidBody(3));
    let (answer, end) = read_plainly(&server, "key")?;
    ensure!(parts(&answer)?.1 == b"con");
    let end = end.map_err(|error| error.kind());
    ensure!(end == Err(ErrorKind::ConnectionReset), "{end:?}");
    Ok(())
}

#[test]
fn answers_trickle_or_never_come() -> Result<()> {
    let (server, owner, bucket) = faulty(|_| Fault::Trickle(20))?;
    let start = Instant::now();
    ensure!(bucket.get("key")?.1 == b"contents");
    ensure!(start.elapsed() >= Duration::from_millis(350));

    server.set(|_| Fault::Stall);
    let (answer, end) = read_plainly(&server, "key")?;
    ensure!(answer.is_empty());
    let end = end.map_err(|error| error.kind());
    ensure!(end == Err(ErrorKind::WouldBlock), "{end:?}");
    ensure!(owner.get("key")?.0 == 200, "others are answered meanwhile");
    Ok(())
}

#[test]
fn a_byte_is_another_one_on_the_way_there_or_back() -> Result<()> {
    let (server, owner, bucket) = faulty(|_| Fault::Garble)?;
    let (status, garbled) = bucket.get("key")?;
    ensure!(status == 200 && garbled.len() == 8);
    let others = garbled.iter().zip(b"contents").filter(|(a, b)| a != b);
    ensure!(others.count() == 1);
    server.set(|_| Fault::GarbleUpload);
    ensure!(bucket.put("new", b"contents")? == 200);
    ensure!(owner.get("new")? == (200, garbled));
    ensure!(bucket.put_digested("newer", b"contents", DIGEST)? == 400);
    ensure!(owner.head("newer")? == 404);
    Ok(())
}

#[test]
fn answers_and_objects_get_lost() -> Result<()> {
    let (server, owner, bucket) = faulty(|_| Fault::LoseAnswer)?;
    ensure!(bucket.put("new", b"new").is_err());
    ensure!(owner.get("new")? == (200, b"new".to_vec()));
    ensure!(bucket.delete("new").is_err());
    ensure!(owner.head("new")? == 404);
    server.set(|_| Fault::LoseObject);
    ensure!(bucket.put("new", b"new")? == 200);
    ensure!(owner.head("new")? == 404);
    server.set(|_| Fault::Unconditional);
    ensure!(bucket.put_new("key", b"other")? == 200);
    ensure!(owner.get("key")? == (200, b"other".to_vec()));
    Ok(())
}

#[test]
fn listings_lack_what_is_new_and_entity_tags_are_false() -> Result<()> {
    let (server, _, bucket) = faulty(|_| Fault::StaleListing(Duration::from_secs(2)))?;
    ensure!(bucket.list("")?.is_empty());
    std::thread::sleep(Duration::from_millis(2100));
    bucket.put("new", b"")?;
    ensure!(bucket.list("")? == [("key".to_owned(), 8)]);
    server.set(|_| Fault::Pass);
    ensure!(bucket.list("")?.len() == 2);

    // MD5 of the contents, in a body of one part.
    let tag = format!("etag: \"{}\"", hex::encode(DIGEST));
    let (answer, _) = read_plainly(&server, "key")?;
    ensure!(parts(&answer)?.0.contains(&tag));
    server.set(|_| Fault::LyingEtag);
    let (answer, _) = read_plainly(&server, "key")?;
    ensure!(!parts(&answer)?.0.contains(&tag));
    Ok(())
}

#[test]
fn parts_come_with_the_status_of_a_whole() -> Result<()> {
    let (server, _, bucket) = faulty(|_| Fault::PartAsWhole)?;
    ensure!(bucket.get_part("key", 2..=4)? == (200, b"nte".to_vec()));
    ensure!(bucket.get("key")? == (200, b"contents".to_vec()));
    let begins: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.asked.part_from)
        .collect();
    ensure!(begins == [Some(2), None], "{begins:?}");
    Ok(())
}

#[test]
fn signatures_of_another_time_are_refused() -> Result<()> {
    let (server, _, bucket) = faulty(|_| Fault::Pass)?;
    for (refusal, words) in [
        (Refusal::TooSkewed, "<Code>RequestTimeTooSkewed</Code>"),
        (Refusal::Expired, "Request has expired"),
    ] {
        for hours in [-3, 3] {
            server.set(move |_| Fault::Skewed(hours * 60 * 60, refusal));
            let (status, body) = bucket.get("key")?;
            let body = String::from_utf8_lossy(&body);
            ensure!(status == 403 && body.contains(words), "{status}: {body}");
        }
        server.set(move |_| Fault::Skewed(10, refusal));
        ensure!(bucket.get("key")? == (200, b"contents".to_vec()));
    }
    Ok(())
}
