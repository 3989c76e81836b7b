//! Malformed answers.

use rusty_s3::actions::ListObjectsV2;
use tthost_fuzz::feed;

use crate::backend::instant;
use crate::fault::{Fault, Object, Right, server_time};
use crate::part::Part;
use tthost_plugin::http::Answer;

/// Where the samples are.
const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// An answer with this body, whose headers have its first line.
fn answer(status: u16, bytes: &[u8]) -> Answer {
    let first = bytes.split(|byte| *byte == b'\n').next();
    let first = first.unwrap_or_default().to_vec();
    let names = [
        "content-range",
        "date",
        "retry-after",
        "x-amz-bucket-region",
    ];
    let headers = names.map(|name| (name.to_owned(), first.clone()));
    Answer {
        status,
        headers: headers.into(),
        body: bytes.to_vec(),
    }
}

#[test]
fn a_listing_may_hold_anything() {
    feed(CRATE, "listing", &[], |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = ListObjectsV2::parse_response(text);
        }
    });
}

#[test]
fn a_refusal_may_hold_anything() {
    let object = Object {
        name: "s3:host/bucket/key".into(),
        server: "https://host".into(),
        bucket: "bucket",
    };
    feed(CRATE, "refusal", &[], |bytes| {
        for status in [301, 400, 403, 404, 412, 500, 503] {
            let answer = answer(status, bytes);
            let _ = Fault::of_answer(Right::Get, &object, &answer);
            let _ = server_time(&answer);
        }
    });
}

#[test]
fn the_headers_of_a_part_may_hold_anything() {
    feed(CRATE, "part", &[], |bytes| {
        for status in [200, 206] {
            if let Ok(part) = Part::of("key", answer(status, bytes)) {
                let _ = part.range("key", 4, 16);
            }
            if let Ok(part) = Part::of("key", answer(status, bytes)) {
                let _ = part.whole("key");
            }
        }
        let _ = instant(&String::from_utf8_lossy(bytes));
    });
}
