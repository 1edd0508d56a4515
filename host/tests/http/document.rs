use std::{env, fs, path::Path};

use longshore::http::{document, reference};
use serde_json::Value;

use crate::site::{ALICE, Site};

/// Compares what is generated with what is committed; `UPDATE_DOCS=1` writes it.
fn committed(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/{name} is old; UPDATE_DOCS=1 cargo test -p longshore --test http writes it"
    );
}

#[test]
fn the_committed_document_is_that_of_the_code() {
    committed("openapi.json", &(document().to_pretty_json().unwrap() + "\n"));
}

#[test]
fn the_committed_table_of_errors_is_that_of_the_code() {
    committed("http-errors.md", &reference());
}

#[tokio::test]
async fn the_host_serves_its_document() {
    let site = Site::new().await;
    let served = site.get(ALICE, "/openapi.json").await.ok();
    assert_eq!(served, serde_json::to_value(document()).unwrap());
}

#[test]
fn everything_but_health_needs_the_token_and_every_reference_leads_somewhere() {
    let document = serde_json::to_value(document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let open = operation.get("security").is_none();
            assert_eq!(open, path.starts_with("/health/"), "{method} {path}");
            assert!(operation["responses"].get("default").is_some(), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
    }
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            references.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[tokio::test]
async fn a_job_has_exactly_the_documented_fields() {
    let site = Site::new().await;
    let document = serde_json::to_value(document()).unwrap();
    let fields =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let id = site.submitted(ALICE).await;
    let job = site.get(ALICE, &format!("/jobs/{id}")).await.ok();
    assert_eq!(fields(&job), fields(&document["components"]["schemas"]["Job"]["properties"]));
}
