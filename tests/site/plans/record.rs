//! What the program asks its database, as sqlx says it: every statement with the request it was for.
//!
//! What is said goes to the one subscriber of the process, so a story that records runs in a process of its own.

use std::fmt::Debug;
use std::process::Command;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const STATEMENTS: &str = "sqlx::query";
const REQUEST: &str = "request";
const ALONE: &str = "SEEDBANK_TEST_ALONE";

static SAID: Mutex<Vec<Statement>> = Mutex::new(Vec::new());

#[derive(Clone, Debug)]
pub struct Statement {
    pub sql: String,
    /// The `x-request-id` of the answer it was for; none for background work and announces.
    pub request: Option<String>,
}

/// Runs the test of this name (`plans::sqlite`) in a process where it is the only one.
pub fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var(ALONE).is_ok_and(|n| n == name) {
        let subscriber = tracing_subscriber::registry().with(Recorder);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, name)
        .output()
        .unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    println!("{said}");
    let passed = output.status.success() && said.contains("1 passed;");
    assert!(passed, "{name} failed, see above");
}

/// Everything asked since the last call.
pub fn take() -> Vec<Statement> {
    std::mem::take(&mut SAID.lock().unwrap())
}

/// Everything asked for one request, in order; it stays for [`take`].
pub fn of_request(id: &str) -> Vec<String> {
    let said = SAID.lock().unwrap();
    said.iter()
        .filter(|s| s.request.as_deref() == Some(id))
        .map(|s| s.sql.clone())
        .collect()
}

struct Recorder;

struct RequestId(String);

/// Reads the fields of a span or an event that matter here.
#[derive(Default)]
struct Fields {
    id: String,
    /// The whole statement where it is short, else its first words and `…`.
    summary: String,
    statement: String,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        if metadata.is_span() {
            metadata.name() == REQUEST
        } else {
            metadata.target() == STATEMENTS
        }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(RequestId(fields.id));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let sql = if fields.statement.is_empty() {
            fields.summary
        } else {
            fields.statement
        };
        let request = context.event_span(event).and_then(|span| {
            let extensions = span.extensions();
            extensions.get::<RequestId>().map(|id| id.0.clone())
        });
        let sql = super::statement::folded(&sql);
        if super::statement::reads_or_writes_rows(&sql) {
            SAID.lock().unwrap().push(Statement { sql, request });
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "id" => self.id = value.to_owned(),
            "summary" => self.summary = value.to_owned(),
            "db.statement" => self.statement = value.to_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
