//! The body of a request.

use serde_json::json;

use crate::notify::{Dialect, Event, Notice};

/// The longest message that Discord takes, in characters.
const DISCORD: usize = 2000;

/// A body and its type.
pub(super) struct Body {
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// A notice in the words of a receiver.
pub(super) fn body(dialect: Dialect, notice: &Notice) -> Body {
    let Notice { title, text, .. } = notice;
    let document = match dialect {
        Dialect::Json => json!(notice),
        Dialect::Ntfy => {
            return Body {
                kind: "text/plain; charset=utf-8",
                text: text.clone(),
            };
        }
        Dialect::Slack => json!({ "text": format!("*{}*\n{}", escaped(title), escaped(text)) }),
        Dialect::Discord => {
            let content = format!("**{title}**\n{text}");
            // Nobody is called by what an error message happens to hold.
            json!({ "content": shortened(&content, DISCORD), "allowed_mentions": { "parse": [] } })
        }
    };
    json_body(&document)
}

/// A message for a room of Matrix.
pub(super) fn matrix(notice: &Notice) -> Body {
    let text = format!("{}\n{}", notice.title, notice.text);
    json_body(&json!({ "msgtype": "m.text", "body": text }))
}

fn json_body(document: &serde_json::Value) -> Body {
    Body {
        kind: "application/json",
        text: document.to_string(),
    }
}

/// What Slack reads as no markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 2).collect();
    format!("{kept}\n…")
}

/// How urgent ntfy shows it: from 1 to 5, 3 is the default.
pub(super) fn priority(event: Event) -> &'static str {
    match event {
        Event::Failure | Event::Stale | Event::Verify | Event::Drill => "4",
        Event::Recovery | Event::Test => "3",
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;

    fn notice() -> Notice {
        let now = Timestamp::UNIX_EPOCH;
        let mut notice = Notice::new(Event::Test, "db1", Vec::new(), None, Vec::new(), now);
        notice.text = format!("a <b> & @everyone{}", "x".repeat(3000));
        notice
    }

    fn document(dialect: Dialect) -> Value {
        serde_json::from_str(&body(dialect, &notice()).text).expect("it is JSON")
    }

    #[test]
    fn each_receiver_gets_what_it_understands() {
        let found = document(Dialect::Json);
        assert_eq!(
            (&found["event"], &found["version"]),
            (&json!("test"), &json!(1))
        );
        let slack = document(Dialect::Slack);
        let text = slack["text"].as_str().expect("it is a text");
        assert!(text.contains("a &lt;b&gt; &amp; @everyone"), "{text}");
        let discord = document(Dialect::Discord);
        let text = discord["content"].as_str().expect("it is a text");
        assert_eq!(text.chars().count(), DISCORD);
        assert_eq!(discord["allowed_mentions"]["parse"], json!([]));
    }
}
