//! Authentication challenges of a registry: a password, or a token from another server.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use http_auth::parser::ChallengeParser;
use serde::Deserialize;
use url::Url;

use super::credentials::header;
use crate::error::{Error, Kind, Result};
use crate::grant::Secret;

/// The credentials that a registry requests.
pub(super) enum Challenge {
    /// A user and a password.
    Basic,
    /// A token for what is to be done.
    Bearer {
        /// Who gives it out.
        realm: Url,
        /// The service that the token is for.
        service: Option<String>,
    },
}

impl Challenge {
    /// What the headers of an answer ask for, as far as it can be done. A token is better than a password.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut basic = None;
        let texts = headers.get_all(WWW_AUTHENTICATE).into_iter();
        for text in texts.filter_map(|text| text.to_str().ok()) {
            for challenge in ChallengeParser::new(text).map_while(Result::ok) {
                let parameter = |name: &str| {
                    let mut all = challenge.params.iter();
                    let found = all.find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("basic") {
                    basic = Some(Self::Basic);
                } else if challenge.scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = parameter("realm").and_then(|realm| realm.parse().ok())
                {
                    let service = parameter("service");
                    return Some(Self::Bearer { realm, service });
                }
            }
        }
        basic
    }
}

/// The requested permission in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Pull,
    Push,
}

impl Right {
    /// As tokens have it.
    pub(super) fn scope(self, repository: &str) -> String {
        let actions = match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        };
        format!("repository:{repository}:{actions}")
    }
}

/// The header with the token that the answer of a realm holds.
pub(super) fn token(answer: &[u8]) -> Result<HeaderValue> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    // What does not fit is not shown: it may be a token.
    let wrong = || Error::new(Kind::Other, "the answer of its token server holds no token");
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| wrong())?;
    let token = answer.token.filter(|token| !token.is_empty());
    let token = token.or(answer.access_token).ok_or_else(wrong)?;
    header(&format!("Bearer {token}"))
}

/// The body of a request that gives a token for another, as OAuth 2 has it (RFC 6749, section 6).
pub(super) fn refresh(token: &Secret, service: Option<&str>, scope: &str) -> String {
    let token = String::from_utf8_lossy(token.expose());
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "tthost")
        .append_pair("scope", scope)
        .append_pair("refresh_token", &token);
    if let Some(service) = service {
        form.append_pair("service", service);
    }
    form.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        Challenge::of(&headers)
    }

    #[test]
    fn a_token_is_asked_for_where_a_registry_gives_some_out() {
        let bearer =
            r#"Bearer realm="https://auth.example.com/token",service="reg \"1\"",scope="x""#;
        let both = [r#"Basic realm="r""#, bearer];
        let Some(Challenge::Bearer { realm, service }) = of(&both) else {
            panic!("it is one");
        };
        assert_eq!(realm.as_str(), "https://auth.example.com/token");
        assert_eq!(service.as_deref(), Some("reg \"1\""));
        assert!(matches!(of(&both[..1]), Some(Challenge::Basic)));
        let other = ["Negotiate", r#"Bearer realm="no url""#];
        assert!(of(&other).is_none());
    }

    #[test]
    fn a_token_has_either_name_and_is_never_shown() {
        for answer in [
            r#"{"token": "abc"}"#,
            r#"{"access_token": "abc"}"#,
            r#"{"token": "", "access_token": "abc"}"#,
        ] {
            let header = token(answer.as_bytes()).expect("it holds one");
            assert!(header.is_sensitive() && header == "Bearer abc");
        }
        for answer in [r#"{"token": "s3c\nret"}"#, "{}", "s3cret"] {
            let error = token(answer.as_bytes()).expect_err("it holds none");
            assert!(!format!("{error:#}").contains("s3c"), "{error}");
        }
    }
}
