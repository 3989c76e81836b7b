//! A request, and what came of it.

use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::wit_future;

/// What came of a request: a status and a text, or WASI's word for an error.
pub(crate) async fn describe(url: &str) -> String {
    match request(url) {
        None => "unsendable".into(),
        Some(request) => match fetch(request).await {
            Ok((status, text)) => format!("{status} {text}"),
            Err(code) => format!("{code:?}"),
        },
    }
}

fn request(url: &str) -> Option<Request> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let (nothing, trailers) = wit_future::new(|| Ok(None));
    drop(nothing);
    let (request, sent) = Request::new(Fields::new(), None, trailers, None);
    drop(sent);
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.into()),
    };
    request.set_scheme(Some(&scheme)).ok()?;
    request.set_authority(Some(authority)).ok()?;
    request.set_path_with_query(Some(path)).ok()?;
    Some(request)
}

async fn fetch(request: Request) -> Result<(u16, String), ErrorCode> {
    let response = client::send(request).await?;
    let status = response.get_status_code();
    let (nothing, consumed) = wit_future::new(|| Ok(()));
    drop(nothing);
    let (stream, whole) = Response::consume_body(response, consumed);
    let body = stream.collect().await;
    // Only this tells whether it came to its end.
    whole.await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
