//! The library's log, for the platform's own.

use crate::LogSink;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Level, Metadata, Subscriber};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, uniffi::Enum)]
pub enum LogLevel {
    /// A bug of the library's own.
    Error,
    /// What an operator should look at.
    Warn,
    /// What happens rarely and matters. Neither message bodies nor user names are in it, nor above it.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

static SINK: RwLock<Option<Arc<dyn LogSink>>> = RwLock::new(None);
/// The most that the sink wants, as a place in [`LEVELS`]; 0: nothing.
static WANTED: AtomicU8 = AtomicU8::new(0);

/// Sends the log of this library, from this level on, to the sink; it takes the place of an earlier one. The whole process
/// has one sink. Does nothing where the program has set up the log of Rust code itself.
#[uniffi::export]
pub fn set_log_sink(sink: Arc<dyn LogSink>, level: LogLevel) {
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    WANTED.store(level as u8 + 1, Ordering::Relaxed);
    // An error means that a subscriber is set: ours, or the program's.
    let _ = tracing::subscriber::set_global_default(Forward::default());
    tracing::callsite::rebuild_interest_cache();
}

/// Sends the log nowhere again.
#[uniffi::export]
pub fn clear_log_sink() {
    WANTED.store(0, Ordering::Relaxed);
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = None;
    tracing::callsite::rebuild_interest_cache();
}

/// Gives events to the sink. Spans are not shown.
#[derive(Default)]
struct Forward {
    spans: AtomicU64,
}

fn wanted() -> LevelFilter {
    match WANTED.load(Ordering::Relaxed) {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What the libraries below say of handshakes and names is theirs to judge, not ours.
        metadata.is_event() && metadata.target().starts_with("aldis") && *metadata.level() <= wanted()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(wanted())
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let Some(sink) = SINK.read().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        };
        let mut line = Line::default();
        event.record(&mut line);
        // A line that cannot be logged has nowhere to go.
        let _ = sink.log(level, event.metadata().target().into(), line.into_text());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// `message field=value …`
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn into_text(self) -> String {
        self.message + &self.fields
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    /// No line of ours has a fraction; to write one takes twelve kilobytes of code.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record_i128(field, value as i128);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogError;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Keep(Mutex<Vec<(LogLevel, String, String)>>);

    impl LogSink for Keep {
        fn log(&self, level: LogLevel, target: String, line: String) -> Result<(), LogError> {
            self.0.lock().unwrap().push((level, target, line));
            Err(LogError::Failed { explanation: "to be ignored".into() })
        }
    }

    #[test]
    fn lines_reach_the_sink_from_its_level_on_and_from_this_library_only() {
        let sink = Arc::new(Keep::default());
        set_log_sink(sink.clone(), LogLevel::Info);
        tracing::info!(target: "aldis::test", port = 5061, "listening");
        tracing::debug!(target: "aldis::test", "too fine");
        tracing::info!(target: "other", "not ours");
        clear_log_sink();
        tracing::info!(target: "aldis::test", "nobody listens");
        let lines = sink.0.lock().unwrap();
        let ours: Vec<_> =
            lines.iter().filter(|(_, target, _)| target == "aldis::test" || target == "other").collect();
        assert_eq!(ours, [&(LogLevel::Info, "aldis::test".to_owned(), "listening port=5061".to_owned())]);
    }
}
