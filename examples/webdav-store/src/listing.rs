//! What a server says of a collection.

use roxmltree::{Document, Node};
use tthost_plugin::http::Url;
use tthost_plugin::store::Object;
use tthost_plugin::{Error, Result};

/// The namespace of WebDAV's own elements.
const DAV: &str = "DAV:";

/// Something in a collection.
#[derive(Debug)]
pub(crate) enum Listed {
    Object(Object),
    Directory(String),
}

impl Listed {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Object(object) => &object.name,
            Self::Directory(name) => name,
        }
    }

    pub(crate) fn into_object(self) -> Option<Object> {
        match self {
            Self::Object(object) => Some(object),
            Self::Directory(_) => None,
        }
    }
}

/// The files and collections in the collection `directory` below `base`, of a `multistatus` document.
pub(crate) fn parse(xml: &[u8], base: &Url, directory: &str) -> Result<Vec<Listed>> {
    let broken =
        |why: String| Error::Corrupt(format!("the server's listing cannot be read: {why}"));
    let text = std::str::from_utf8(xml).map_err(|cause| broken(cause.to_string()))?;
    let document = Document::parse(text).map_err(|cause| broken(cause.to_string()))?;
    let responses = document
        .descendants()
        .filter(|node| node.has_tag_name((DAV, "response")));
    let mut listed = Vec::new();
    for response in responses {
        let href =
            text_of(response, "href").ok_or_else(|| broken("a file without a name".into()))?;
        let url = base.join(href).map_err(|cause| broken(cause.to_string()))?;
        // What needs to be quoted in a URL is not a object's.
        let Some(name) = url.path().strip_prefix(base.path()) else {
            continue;
        };
        let name = name.trim_end_matches('/');
        if name == directory {
            continue;
        }
        let is_collection = response
            .descendants()
            .any(|node| node.has_tag_name((DAV, "collection")));
        let size = text_of(response, "getcontentlength").and_then(|text| text.parse().ok());
        match size {
            _ if is_collection => listed.push(Listed::Directory(name.into())),
            Some(size) => listed.push(Listed::Object(Object {
                name: name.into(),
                size,
            })),
            None => return Err(broken(format!("{name} has no size"))),
        }
    }
    Ok(listed)
}

fn text_of<'a>(response: Node<'a, '_>, tag: &str) -> Option<&'a str> {
    let node = response
        .descendants()
        .find(|node| node.has_tag_name((DAV, tag)))?;
    node.text().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_below_the_collection_whatever_the_prefix_is_called() {
        let xml = br#"<?xml version="1.0"?>
            <D:multistatus xmlns:D="DAV:">
            <D:response><D:href>/dav/backup/data/</D:href><D:propstat><D:prop>
                <D:resourcetype><D:collection/></D:resourcetype></D:prop></D:propstat></D:response>
            <D:response><D:href>/dav/backup/data/0a/</D:href><D:propstat><D:prop>
                <D:resourcetype><D:collection/></D:resourcetype></D:prop></D:propstat></D:response>
            <D:response><D:href>https://h.test/dav/backup/data/file</D:href><D:propstat><D:prop>
                <D:resourcetype/><D:getcontentlength>17</D:getcontentlength></D:prop></D:propstat></D:response>
            <D:response><D:href>/elsewhere</D:href></D:response>
            </D:multistatus>"#;
        let base = Url::parse("https://h.test/dav/backup/").expect("it is one");
        let listed = parse(xml, &base, "data").expect("it is a listing");
        let file = Object {
            name: "data/file".into(),
            size: 17,
        };
        assert_eq!(listed.len(), 2);
        assert!(matches!(&listed[0], Listed::Directory(name) if name == "data/0a"));
        assert!(
            matches!(&listed[1], Listed::Object(object) if object.name == file.name && object.size == file.size)
        );
    }

    #[test]
    fn what_is_no_listing_is_an_error() {
        let base = Url::parse("https://h.test/").expect("it is one");
        for xml in [
            &b"<html>"[..],
            b"\xff",
            b"<D:multistatus xmlns:D='DAV:'><D:response/></D:multistatus>",
        ] {
            parse(xml, &base, "").expect_err("it is none");
        }
    }
}
