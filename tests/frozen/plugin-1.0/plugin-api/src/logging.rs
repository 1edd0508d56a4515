//! `tracing` and `log` keep their subscriber in a static, and a shared library has its own copy of
//! it: without this an author's events would reach nobody.

use std::{fmt, str::FromStr, sync::Once};

use serde_json::{Map, Value};
use tracing::{
    Event, Metadata, Subscriber,
    dispatcher::{self, Dispatch},
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry::{LookupSpan, Registry},
};

use crate::Host;

/// Forwards every event to one host, with the fields of the spans around it.
struct Forward {
    host: Host,
    level: LevelFilter,
}

/// What one executor logs through. The first of a library also gets what is logged outside of any
/// call, by tasks and threads that the author started.
pub(crate) fn dispatch_to(host: &Host, level: &str) -> Dispatch {
    static FIRST: Once = Once::new();
    let level = LevelFilter::from_str(level).unwrap_or(LevelFilter::INFO);
    let forward = Forward { host: host.clone(), level };
    let dispatch = Dispatch::new(Registry::default().with(forward));
    FIRST.call_once(|| {
        // Both fail only where the author has set their own; then theirs is meant.
        let _ = dispatcher::set_global_default(dispatch.clone());
        if log::set_logger(&Bridge).is_ok() {
            log::set_max_level(log::LevelFilter::Trace);
        }
    });
    dispatch
}

struct Fields(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Forward {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        let mut fields = Collect::default();
        attributes.record(&mut fields);
        if let Some(span) = cx.span(id) {
            span.extensions_mut().insert(Fields(fields.rest));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, cx: Context<'_, S>) {
        let mut fields = Collect::default();
        values.record(&mut fields);
        if let Some(span) = cx.span(id) {
            if let Some(Fields(known)) = span.extensions_mut().get_mut() {
                known.extend(fields.rest);
            }
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut own = Collect::default();
        event.record(&mut own);
        let mut fields = Map::new();
        for span in cx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(Fields(outer)) = span.extensions().get() {
                fields.extend(outer.clone());
            }
        }
        fields.extend(own.rest);
        let of = event.metadata();
        let fields =
            if fields.is_empty() { String::new() } else { Value::Object(fields).to_string() };
        self.host.log(*of.level(), of.target(), &own.message, &fields);
    }
}

#[derive(Default)]
struct Collect {
    message: String,
    rest: Map<String, Value>,
}

impl Collect {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.rest.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Collect {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.put(field, format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            self.put(field, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

/// Takes what libraries say through `log`.
struct Bridge;

impl log::Log for Bridge {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        level_of(metadata.level()) <= LevelFilter::current()
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        dispatcher::get_default(|dispatch| {
            if let Some(forward) = dispatch.downcast_ref::<Forward>() {
                let level = level_of(record.level());
                if level <= forward.level {
                    forward.host.log(level, record.target(), &record.args().to_string(), "");
                }
            }
        });
    }

    fn flush(&self) {}
}

fn level_of(level: log::Level) -> tracing::Level {
    match level {
        log::Level::Error => tracing::Level::ERROR,
        log::Level::Warn => tracing::Level::WARN,
        log::Level::Info => tracing::Level::INFO,
        log::Level::Debug => tracing::Level::DEBUG,
        log::Level::Trace => tracing::Level::TRACE,
    }
}
