//! The log: a line of JSON for each event, and one for each response. It never contains an address, a body, a token or a
//! value, because those name VINs, plates and people.
//!
//! - `request`: the request that an event belongs to
//! - `writer`: writing without delaying requests
//!
//! A line has a timestamp, level, target and fields, and `request` if it is about one. Lines are formatted here and not by
//! `tracing_subscriber`, which takes longer than the rest of most requests. We do not use spans for the same reason.

pub mod request;
mod writer;

use std::{cell::RefCell, panic::PanicHookInfo};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tracing::{Event, Subscriber};
use tracing_serde::fields::AsMap;
use tracing_subscriber::{
    EnvFilter, Layer,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

use self::{
    request::RequestContext,
    writer::{LogThread, LogWriter},
};

/// Libraries that log values and bytes below the level `warn`. They stay at `warn`, whatever `GARAGE_LOG` says.
const LIMITED_TO_WARNINGS: &[&str] = &["tokio_postgres", "hyper", "hyper_util", "h2", "reqwest", "rustls"];

/// Logs to standard error from now on, as `GARAGE_LOG` says. Dropping the result writes the rest of the log.
#[must_use]
pub fn start() -> LogThread {
    let filter = EnvFilter::try_from_env("GARAGE_LOG").unwrap_or_else(|_| EnvFilter::new("warn,garage_server=info"));
    let filter = LIMITED_TO_WARNINGS.iter().fold(filter, |filter, name| match format!("{name}=warn").parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    });
    let (writer, thread) = LogWriter::start(std::io::stderr());
    tracing_subscriber::registry().with(JsonLines(writer)).with(filter).init();
    thread
}

/// Logs a panic with its place. Its message is logged only if it is a constant: a formatted one may contain values.
pub fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(has values)");
    tracing::error!(location, message, "panicked");
}

/// Formats events.
struct JsonLines(LogWriter);

#[derive(Serialize)]
struct Line<'a> {
    #[serde(serialize_with = "to_the_microsecond")]
    timestamp: Timestamp,
    level: &'static str,
    #[serde(serialize_with = "as_map")]
    fields: &'a Event<'a>,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<RequestContext>,
}

thread_local! {
    /// Kept to avoid an allocation for each line.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Taken, because formatting a field may log something itself.
        let mut buffer = BUFFER.take();
        buffer.clear();
        let line = Line {
            timestamp: Timestamp::now(),
            level: event.metadata().level().as_str(),
            fields: event,
            target: event.metadata().target(),
            request: request::current(),
        };
        if serde_json::to_writer(&mut buffer, &line).is_ok() {
            buffer.push(b'\n');
            self.0.write_line(&buffer);
        }
        BUFFER.set(buffer);
    }
}

fn to_the_microsecond<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{timestamp:.6}"))
}

fn as_map<S: Serializer>(event: &&Event<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    event.field_map().serialize(serializer)
}
