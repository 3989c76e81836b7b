//! Messages on standard error: the events of [`tracing`], as text or as JSON.

mod calls;

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};

use jiff::Timestamp;
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use self::calls::Calls;
use super::args::{Global, LogFormat};
use crate::error::Error;
use crate::operation::conformance::recording::record;

/// Shows the messages that the options ask for, with a function that writes a line.
pub(super) fn start(global: &Global, write: impl Fn(&str) + Send + Sync + 'static) {
    let log = Log {
        format: global.log_format,
        write,
    };
    let subscriber = tracing_subscriber::registry()
        .with(filter(global.verbose, global.quiet))
        .with(log);
    tracing::subscriber::set_global_default(subscriber).expect("it is the first");
}

/// The same for the test of a plugin. What the plugin says is kept for the test. It is only shown where more messages are asked
/// for: most of what goes wrong in a test is meant to. The calls are shown to whoever traces them.
pub(super) fn start_for_test(
    global: &Global,
    traced: bool,
    write: impl Fn(&str) + Clone + Send + Sync + 'static,
) {
    let shown = match (global.quiet, global.verbose) {
        (false, 0) => Targets::new().with_target("tthost::cli", LevelFilter::INFO),
        (quiet, verbose) => filter(verbose, quiet),
    };
    let calls = Calls {
        format: global.log_format,
        write: traced.then(|| write.clone()),
    };
    let log = Log {
        format: global.log_format,
        write,
    };
    let ear = Log {
        format: LogFormat::Text,
        write: record,
    };
    let all = Targets::new().with_target("tthost", LevelFilter::DEBUG);
    let subscriber = tracing_subscriber::registry()
        .with(log.with_filter(shown))
        .with(ear.with_filter(all))
        .with(calls.with_filter(calls::filter()));
    tracing::subscriber::set_global_default(subscriber).expect("it is the first");
}

/// Warnings and errors, more with each `verbose`, errors alone when `quiet`. What the command line
/// itself says is the answer to a command, and what a daemon says is all that it does: both come in any case. Dependencies are not heard: nobody
/// sees to it that what they say holds no secret.
fn filter(verbose: u8, quiet: bool) -> Targets {
    let most = match (quiet, verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    Targets::new()
        .with_target("tthost", most)
        .with_target("tthost::cli", most.max(LevelFilter::INFO))
        .with_target("tthost::daemon", most.max(LevelFilter::INFO))
}

/// Writes each event as a line.
struct Log<W> {
    format: LogFormat,
    write: W,
}

/// The fields of a span.
#[derive(Default)]
struct SpanFields(BTreeMap<&'static str, String>);

impl<S, W> Layer<S> for Log<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + Send + Sync + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = SpanFields::default();
            attributes.record(&mut fields);
            // Another log may have kept the same already.
            span.extensions_mut().replace(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let span = around(event, &context);
        let level = *event.metadata().level();
        (self.write)(&match self.format {
            LogFormat::Json => message.to_json(level, &span),
            LogFormat::Text => message.to_text(level, &span),
        });
    }
}

/// The fields of all spans that an event is in.
fn around<S: Subscriber + for<'a> LookupSpan<'a>>(
    event: &Event<'_>,
    context: &Context<'_, S>,
) -> BTreeMap<&'static str, String> {
    let mut all = BTreeMap::new();
    for span in context.event_scope(event).into_iter().flatten() {
        if let Some(fields) = span.extensions().get::<SpanFields>() {
            for (name, value) in &fields.0 {
                // The innermost comes first.
                all.entry(*name).or_insert_with(|| value.clone());
            }
        }
    }
    all
}

/// The fields of an event.
#[derive(Default)]
struct Message {
    sentence: String,
    /// Whose message it is, for example `source postgres`.
    subject: Option<String>,
    /// The next step for the operator.
    help: Option<String>,
    /// The error that all this is of.
    error: Option<Error>,
}

impl Message {
    fn to_text(&self, level: Level, span: &BTreeMap<&str, String>) -> String {
        let mut text = match (&self.error, &self.subject, level) {
            (Some(error), ..) => format!("error: {error:#}"),
            (None, Some(subject), Level::ERROR) => format!("{subject}: error: "),
            (None, Some(subject), _) => format!("{subject}: "),
            (None, None, Level::ERROR) => "error: ".into(),
            (None, None, Level::WARN) => "warning: ".into(),
            (None, None, _) => String::new(),
        };
        if self.error.is_none() {
            if let Some(command) = span.get("command") {
                text += command;
                text += ": ";
            }
            text += &self.sentence;
        }
        if let Some(help) = &self.help {
            text += "\n  help: ";
            text += help;
        }
        text
    }

    fn to_json(&self, level: Level, span: &BTreeMap<&str, String>) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            timestamp: Timestamp,
            level: &'static str,
            subject: Option<&'a str>,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            help: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a Error>,
            span: &'a BTreeMap<&'a str, String>,
        }
        let line = Line {
            timestamp: Timestamp::now(),
            level: match level {
                Level::ERROR => "error",
                Level::WARN => "warn",
                Level::INFO => "info",
                Level::DEBUG => "debug",
                Level::TRACE => "trace",
            },
            subject: self.subject.as_deref(),
            message: &self.sentence,
            help: self.help.as_deref(),
            error: self.error.as_ref(),
            span,
        };
        serde_json::to_string(&line).expect("messages are JSON")
    }
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "subject" => self.subject = Some(value.to_owned()),
            "help" => self.help = Some(value.to_owned()),
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }

    fn record_error(&mut self, _: &Field, value: &(dyn std::error::Error + 'static)) {
        if let Some(error) = value.downcast_ref::<Error>() {
            self.sentence = error.message();
            self.subject = error.subject().map(str::to_owned);
            self.help = error.next_step().map(str::to_owned);
            self.error = Some(error.clone());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.sentence, "{value:?}").expect("a string takes all");
        }
    }
}

impl Visit for SpanFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing::{debug, error, error_span, info, warn};

    use super::*;
    use crate::error::Kind;

    /// What is written of what is told.
    fn written(format: LogFormat, filter: Targets, tell: impl FnOnce()) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = lines.clone();
        let write = move |line: &str| {
            let mut written = written.lock().expect("no test panicked");
            written.push(line.to_owned());
        };
        let log = Log { format, write };
        let subscriber = tracing_subscriber::registry().with(filter).with(log);
        tracing::subscriber::with_default(subscriber, tell);
        lines.lock().expect("no test panicked").clone()
    }

    fn tell_all() {
        let subject = "source db";
        error!(target: "tthost::plugin", subject, "broken");
        warn!(target: "tthost::plugin", subject, "odd");
        info!(target: "tthost::plugin", subject, "known");
        debug!(target: "tthost::plugin", subject, "fine");
        warn!(target: "wasmtime", "noise");
        warn!(help = "look there", "half of it failed");
        info!("interrupted");
    }

    const ANSWERS: [&str; 2] = [
        "warning: half of it failed\n  help: look there",
        "interrupted",
    ];

    #[test]
    fn each_verbose_shows_more_and_quiet_shows_errors_and_answers() {
        let lines = [
            "source db: error: broken",
            "source db: odd",
            "source db: known",
            "source db: fine",
        ];
        for (verbose, quiet, shown) in [(0, true, 1), (0, false, 2), (1, false, 3), (2, false, 4)] {
            let told = written(LogFormat::Text, filter(verbose, quiet), tell_all);
            assert_eq!(told, [&lines[..shown], &ANSWERS].concat());
        }
    }

    #[test]
    fn an_error_is_text_or_a_line_with_a_document() {
        let failure = Error::new(Kind::Locked, "somebody holds a lock")
            .of("sink local")
            .help("wait");
        let tell = |format| {
            let error = &failure as &(dyn std::error::Error + 'static);
            written(format, filter(0, true), || error!(error))
        };
        let text = "error: sink local: somebody holds a lock\n  help: wait";
        assert_eq!(tell(LogFormat::Text), [text]);
        let line: Value = serde_json::from_str(&tell(LogFormat::Json)[0]).expect("it is JSON");
        assert_eq!(line["error"], json!(failure));
        assert_eq!(line["subject"], "sink local");
        assert_eq!(line["message"], "somebody holds a lock");
    }

    #[test]
    fn what_a_program_says_is_told_with_its_name_and_all_that_is_around_it() {
        let tell = || {
            let _run = error_span!("run", operation = "run").entered();
            let _source = error_span!("source", source = "db").entered();
            let _plugin = error_span!("plugin", plugin = %"postgres-source").entered();
            let _command = error_span!("command", command = "pg_dump").entered();
            warn!(target: "tthost::stderr", subject = "source db", "on \"fire\"");
        };
        let text = written(LogFormat::Text, filter(0, false), tell);
        assert_eq!(text, ["source db: pg_dump: on \"fire\""]);
        let lines = written(LogFormat::Json, filter(0, false), tell);
        let mut line: Value = serde_json::from_str(&lines[0]).expect("it is JSON");
        let timestamp = line["timestamp"].take();
        let timestamp = timestamp.as_str().expect("it is a text");
        timestamp.parse::<Timestamp>().expect("it is a time");
        let expected = json!({
            "timestamp": null,
            "level": "warn",
            "subject": "source db",
            "message": "on \"fire\"",
            "span": {
                "operation": "run",
                "source": "db",
                "plugin": "postgres-source",
                "command": "pg_dump",
            },
        });
        assert_eq!((lines.len(), line), (1, expected));
    }
}
