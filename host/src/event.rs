//! Progress of operations. [`crate::cli`] shows it, and tests collect it.
//!
//! Messages are events of [`tracing`] instead. The field `subject` of a message names its plugin, for example `source
//! postgres`. Texts of plugins and programs have been made printable. The spans around a message give its context, each in
//! a field of its own name:
//!
//! | span | field |
//! |---|---|
//! | `run` | `operation`: `run`, `restore`, `prune` and so on |
//! | `source`, `sink` | the operator's name for it |
//! | `plugin` | the component |
//! | `call` | the function of the plugin that the host waits for |
//! | `command` | the granted program |
//!
//! They have the level of errors, so that no filter of messages takes them away. No field holds
//! settings, arguments or anything else that could be secret.

/// Receives progress from several tasks at once.
pub trait Events: Send + Sync {
    /// A change that a dry run would make, for example `create srv/uploads/a.jpg`.
    fn planned(&self, change: &str);

    /// A transfer has taken this many bytes and files from its reader so far.
    fn transferred(&self, files: u64, bytes: u64);

    /// A plugin's own account of a long operation: `done` of `total` of `what`.
    fn progress(&self, subject: &str, what: &str, done: u64, total: Option<u64>);
}

/// Ignores all progress.
pub(crate) struct NoEvents;

impl Events for NoEvents {
    fn planned(&self, _: &str) {}
    fn transferred(&self, _: u64, _: u64) {}
    fn progress(&self, _: &str, _: &str, _: u64, _: Option<u64>) {}
}

/// Keeps messages for tests, each thread's own.
#[cfg(test)]
pub(crate) mod diary {
    use std::cell::RefCell;
    use std::fmt::{Debug, Write as _};
    use std::sync::Once;

    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Subscriber};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    thread_local! {
        static TOLD: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
    }

    /// Does the work and answers what the host told meanwhile in this thread.
    pub(crate) async fn of<T>(work: impl Future<Output = T>) -> (T, Vec<(Level, String)>) {
        // One subscriber for all tests: with one for each, a test that runs beside another can turn
        // off the other's events.
        static START: Once = Once::new();
        START.call_once(|| {
            let all = tracing_subscriber::registry().with(Diary);
            tracing::subscriber::set_global_default(all).expect("nobody else sets one");
        });
        TOLD.take();
        let answer = work.await;
        (answer, TOLD.take())
    }

    struct Diary;

    impl<S: Subscriber> Layer<S> for Diary {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            if !event.metadata().target().starts_with("tthost") {
                return;
            }
            let mut message = Message::default();
            event.record(&mut message);
            TOLD.with_borrow_mut(|told| told.push((*event.metadata().level(), message.0)));
        }
    }

    #[derive(Default)]
    struct Message(String);

    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                write!(self.0, "{value:?}").expect("a string takes all");
            }
        }
    }
}
