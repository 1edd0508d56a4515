//! What the API promises, asked of the real router over a real database.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "http/access.rs"]
mod access;
#[path = "http/connections.rs"]
mod connections;
#[path = "http/document.rs"]
mod document;
#[path = "http/host.rs"]
mod host;
#[path = "http/jobs.rs"]
mod jobs;
#[path = "http/search.rs"]
mod search;
#[path = "http/site.rs"]
mod site;
#[path = "http/storage.rs"]
mod storage;
#[path = "http/submit.rs"]
mod submit;

use serde_json::Value;

/// Compares a body with what was agreed on, without what differs from run to run.
fn agreed(name: &str, body: &Value) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots/http");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut body = body.clone();
    redact("", &mut body);
    settings.bind(|| insta::assert_snapshot!(name, format!("{body:#}")));
}

fn redact(key: &str, value: &mut Value) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| redact(key, value)),
        Value::Array(items) => items.iter_mut().for_each(|value| redact(key, value)),
        Value::Null => {}
        value => {
            let differs = key.ends_with("_id") && key != "experiment_id"
                || key.ends_with("_at")
                || key.ends_with("_time")
                || ["id", "incarnation", "hostname", "replica", "holder", "next_page_token"]
                    .contains(&key)
                || ["seen_ago", "uptime", "path", "file", "version"].contains(&key);
            if differs {
                *value = format!("[{key}]").into();
            } else if let Some(text) = value.as_str() {
                *value = without_ids(text).into();
            }
        }
    }
}

/// Words that are UUIDs stand in messages, too.
fn without_ids(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if bare.len() == 36 && uuid::Uuid::try_parse(bare).is_ok() {
            word.replace(bare, "[id]")
        } else {
            word.to_owned()
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
