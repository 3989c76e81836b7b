//! Traces the calls of the contract while a plugin is tested. Calls of the test are events; calls of the plugin are
//! spans of the host's bindings. Each becomes a line, which the recording keeps and `--trace` shows.

use std::time::Instant;

use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::{Message, SpanFields, around};
use crate::cli::args::LogFormat;
use crate::operation::conformance::recording::record_call;

/// Where the calls of a plugin come from.
const BINDINGS: &str = "tthost::plugin::bindings";
/// Where those of a test do.
const TEST: &str = "tthost::operation::conformance::calls";

/// What the bindings tell at the end of a call. What they tell besides is left out: nobody sees to it that it holds no secret.
const END: &str = "return";

/// All calls, and no more.
pub(super) fn filter() -> Targets {
    Targets::new()
        .with_target(BINDINGS, LevelFilter::TRACE)
        .with_target(TEST, LevelFilter::TRACE)
}

/// Turns calls into lines.
pub(super) struct Calls<W> {
    pub(super) format: LogFormat,
    /// Shows a line; none where nobody wants to see it.
    pub(super) write: Option<W>,
}

/// A call of a plugin that is under way.
struct Begun {
    name: String,
    at: Instant,
}

impl<S, W> Layer<S> for Calls<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + Send + Sync + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = SpanFields::default();
        attributes.record(&mut fields);
        let name = match (fields.0.get("module"), fields.0.get("function")) {
            (Some(module), Some(function)) => name(module, function),
            _ => return,
        };
        if let Some(span) = context.span(id) {
            let at = Instant::now();
            span.extensions_mut().replace(Begun { name, at });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        if event.metadata().target().starts_with(BINDINGS) {
            let span = context.event_span(event);
            let called = span.as_ref().and_then(|span| {
                let extensions = span.extensions();
                let Begun { name, at } = extensions.get()?;
                Some(format!("  host {name} in {:.1?}", at.elapsed()))
            });
            match called {
                Some(called) if message.sentence == END => message.sentence = called,
                _ => return,
            }
        }
        record_call(&message.sentence);
        if let Some(write) = &self.write {
            write(&match self.format {
                LogFormat::Json => message.to_json(Level::TRACE, &around(event, &context)),
                LogFormat::Text => message.sentence,
            });
        }
    }
}

/// What a function is called, without the kind that WIT writes before it: `[method]process.wait` is `commands.process.wait`.
fn name(module: &str, function: &str) -> String {
    let function = function.rsplit(']').next().unwrap_or(function);
    format!("{module}.{function}")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{Instrument as _, trace, trace_span};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[tokio::test]
    async fn a_call_of_the_host_is_told_by_its_name_and_never_by_what_it_carries() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = lines.clone();
        let calls = Calls {
            format: LogFormat::Text,
            write: Some(move |line: &str| written.lock().expect("no panic").push(line.to_owned())),
        };
        let subscriber = tracing_subscriber::registry().with(calls.with_filter(filter()));
        let _default = tracing::subscriber::set_default(subscriber);
        let call = async {
            trace!(target: "tthost::plugin::bindings::x", name = "s3cret", "call");
            trace!(target: "tthost::plugin::bindings::x", result = "s3cret", "return");
        };
        let function = "[method]process.wait";
        let span = trace_span!(target: "tthost::plugin::bindings::x", "wit-bindgen import", module = "commands", function);
        call.instrument(span).await;
        trace!(target: "tthost::operation::conformance::calls", "offer(1 entry) -> 1 file in 1ms");
        trace!(target: "tthost::plugin", "nothing of the kind");
        let lines = lines.lock().expect("no panic");
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].starts_with("  host commands.process.wait in "),
            "{lines:?}"
        );
        assert_eq!(lines[1], "offer(1 entry) -> 1 file in 1ms");
    }
}
