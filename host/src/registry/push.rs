//! Publishes a component.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::Access;
use super::challenge::Right;
use super::digest::Digest;
use super::exchange::{RegistryRequest, Server, location};
use super::manifest::{MANIFEST, Published};
use super::reference::{Reference, Version};
use crate::error::{Error, Kind, Result};

/// The published component.
#[derive(Clone, Copy, Debug)]
pub struct Pushed {
    /// The digest of the manifest.
    pub manifest: Digest,
    /// The digest of the component.
    pub component: Digest,
}

/// Publishes a component with what it imports and exports, under a tag. The same component always becomes the same manifest.
pub async fn push(
    reference: &Reference,
    component: Bytes,
    interfaces: (&[String], &[String]),
    annotations: BTreeMap<String, String>,
    access: &Access,
) -> Result<Pushed> {
    let pushed = async {
        let Version::Tag(tag) = &reference.version else {
            return Err(
                Error::new(Kind::Config, "a component is published under a tag")
                    .help("write oci://HOST/REPOSITORY:TAG"),
            );
        };
        let published = Published::new(&component, interfaces, annotations);
        let mut server = Server::find_registry(&reference.registry, access).await?;
        let digest = Digest::of(&component);
        upload(&mut server, reference, component).await?;
        upload(&mut server, reference, published.config.into()).await?;
        let manifest = Digest::of(&published.manifest);
        let path = format!("/v2/{}/manifests/{tag}", reference.repository);
        let ask = ask(&server, reference, Method::PUT, &path);
        let answer = server
            .ask(RegistryRequest {
                body: Some((published.manifest.into(), MANIFEST)),
                ..ask?
            })
            .await?;
        match answer.status() {
            StatusCode::CREATED => Ok(Pushed {
                manifest,
                component: digest,
            }),
            status => Err(server.refuses(status)),
        }
    };
    pushed
        .await
        .map_err(|error: Error| error.of(reference.to_string()))
}

fn ask<'a>(
    server: &Server,
    reference: &'a Reference,
    method: Method,
    path: &str,
) -> Result<RegistryRequest<'a>> {
    Ok(RegistryRequest {
        method,
        about: Some((&reference.repository, Right::Push)),
        ..RegistryRequest::get(server.url(path)?, "*/*")
    })
}

/// Puts a blob where there is none of its digest.
async fn upload(server: &mut Server, reference: &Reference, bytes: Bytes) -> Result<()> {
    let digest = Digest::of(&bytes);
    let repository = &reference.repository;
    let there = format!("/v2/{repository}/blobs/{digest}");
    let answer = server.ask(ask(server, reference, Method::HEAD, &there)?);
    if answer.await?.status() == StatusCode::OK {
        return Ok(());
    }
    let begin = ask(
        server,
        reference,
        Method::POST,
        &format!("/v2/{repository}/blobs/uploads/"),
    )?;
    let from = begin.url.clone();
    let answer = server.ask(begin).await?;
    if answer.status() != StatusCode::ACCEPTED {
        return Err(server.refuses(answer.status()));
    }
    let mut url = location(&from, &answer).ok_or_else(|| {
        let text = format!("{} does not say where to upload", reference.registry);
        Error::new(Kind::Other, text)
    })?;
    url.query_pairs_mut()
        .append_pair("digest", &digest.to_string());
    let answer = server
        .ask(RegistryRequest {
            method: Method::PUT,
            body: Some((bytes, "application/octet-stream")),
            about: Some((repository, Right::Push)),
            ..RegistryRequest::get(url, "*/*")
        })
        .await?;
    match answer.status() {
        StatusCode::CREATED => Ok(()),
        status => Err(server.refuses(status)),
    }
}
