//! What of an executor's settings nobody may read anywhere else: values whose schema says
//! `"x-secret": true`, taken out of every message, log record and line of output of that executor.

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range};

use serde_json::{Map, Value};

use super::schema::{Schema, Schemas};

/// The keyword of a schema.
const KEYWORD: &str = "x-secret";
/// What stands for a secret.
const COVER: &str = "***";
/// A shorter value would take ordinary words with it, and is no secret to anybody who can count.
const MIN_BYTES: usize = COVER.len() + 1;

/// The secrets of one executor, in every way in which they may be written.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    /// Longest first.
    texts: Vec<String>,
}

impl Secrets {
    /// The secrets in a configuration.
    pub(super) fn of(schema: &Value, config: &Value) -> Self {
        let mut found = Found { schema: Schema::new(schema), texts: BTreeSet::new() };
        found.walk(&found.schema.all(), config);
        let mut texts: Vec<_> = found.texts.into_iter().collect();
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self { texts }
    }

    /// The text without them.
    pub(super) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        // What a cover leaves may, with what stands around it, be a secret again. It ends: each cover
        // is shorter than what it covers.
        while let Some(covered) = self.cover(&text) {
            text = Cow::Owned(covered);
        }
        text
    }

    fn cover(&self, text: &str) -> Option<String> {
        let found = |secret: &String| -> Vec<Range<usize>> {
            let at = text.match_indices(secret.as_str()).map(|(at, _)| at);
            at.map(|at| at..at + secret.len()).collect()
        };
        let mut found: Vec<_> = self.texts.iter().flat_map(found).collect();
        if found.is_empty() {
            return None;
        }
        found.sort_by_key(|range| range.start);
        let (mut covered, mut end) = (String::with_capacity(text.len()), 0);
        for Range { start, end: until } in found {
            // Two that overlap are covered together: the rest of the second would be told otherwise.
            if start >= end {
                covered.push_str(&text[end..start]);
                covered.push_str(COVER);
            }
            end = end.max(until);
        }
        covered.push_str(&text[end..]);
        Some(covered)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.texts.len())
    }
}

struct Found<'s> {
    schema: Schema<'s>,
    texts: BTreeSet<String>,
}

impl<'s> Found<'s> {
    fn walk(&mut self, schemas: &Schemas<'s>, value: &Value) {
        let says = |schema: &&Map<String, Value>| schema.get(KEYWORD) == Some(&Value::Bool(true));
        if schemas.iter().any(says) {
            return self.take(value);
        }
        match value {
            Value::Array(items) => {
                let inner = self.schema.items(schemas);
                items.iter().for_each(|item| self.walk(&inner, item));
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    self.walk(&self.schema.at(schemas, key), value);
                }
            }
            _ => {}
        }
    }

    /// All that is in a secret value is secret. Its keys are not.
    fn take(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text),
            Value::Number(number) => self.add(&number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.take(item)),
            Value::Object(entries) => entries.values().for_each(|value| self.take(value)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn add(&mut self, secret: &str) {
        let quoted = Value::from(secret).to_string();
        let debugged = format!("{secret:?}");
        let inside = |quoted: &str| quoted[1..quoted.len() - 1].to_owned();
        let forms = [inside(&quoted), inside(&debugged), secret.replace('\n', " ")];
        // Output comes line by line, so of a key in several lines each line is one secret.
        let lines = secret.lines().map(|line| line.trim().to_owned());
        let all = forms.into_iter().chain(lines).chain([secret.to_owned()]);
        self.texts.extend(all.filter(|text| text.len() >= MIN_BYTES));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn redacted(schema: &Value, config: &Value, text: &str) -> String {
        Secrets::of(schema, config).redact(text).into_owned()
    }

    #[test]
    fn a_secret_is_found_wherever_its_schema_stands() {
        let secret = json!({"type": "string", "x-secret": true});
        let config = json!({
            "plain": "open-word", "token": "s3cret-1", "hosts": [{"password": "s3cret-2"}],
            "env": {"ANY": "s3cret-3"}, "either": "s3cret-4", "named": {"x-y": "s3cret-5"},
            "referred": {"key": "s3cret-6"}, "whole": {"deep": ["s3cret-7", 70_007, null, true]},
            "pair": ["one-word", "s3cret-8"], "chosen": {"pin": "s3cret-9"},
        });
        let schema = json!({
            "properties": {
                "plain": {"type": "string", "x-secret": false},
                "token": secret,
                "hosts": {"items": {"properties": {"password": secret}}},
                "env": {"additionalProperties": secret},
                "either": {"anyOf": [{"type": "null"}, {"oneOf": [{"allOf": [secret]}]}]},
                "named": {"patternProperties": {"^x-": secret}},
                "referred": {"$ref": "#/$defs/Login"},
                "whole": {"x-secret": true},
                "pair": {"prefixItems": [{}, secret]},
                "chosen": {"if": {}, "then": {"properties": {"pin": secret}}},
            },
            "$defs": {"Login": {"properties": {"key": {"$ref": "#/$defs/Key"}}}, "Key": secret},
        });
        let said = redacted(&schema, &config, &config.to_string());
        assert!(!said.contains("s3cret") && !said.contains("70007"), "{said}");
        assert!(
            said.contains("open-word") && said.contains(r#""deep":["***",***,null,true]"#),
            "{said}"
        );
    }

    #[test]
    fn a_secret_is_covered_in_each_way_it_may_be_written() {
        let schema = json!({"properties": {"key": {"x-secret": true}}});
        let config = json!({"key": "begin \"it\"\n  AbCd\tEf\nEnd."});
        let secrets = Secrets::of(&schema, &config);
        let key = config["key"].as_str().expect("it is text");
        for text in [
            key.to_owned(),
            config["key"].to_string(),
            format!("{key:?}"),
            key.replace('\n', " "),
            "AbCd\tEf".to_owned(),
        ] {
            let said = secrets.redact(&format!("<{text}>")).into_owned();
            assert!(said == "<***>" || said == "<\"***\">", "{text}: {said}");
        }
        assert_eq!(format!("{secrets:?}"), format!("Secrets({})", secrets.texts.len()));
    }

    #[test]
    fn of_secrets_that_overlap_nothing_is_left_and_ordinary_text_stays() {
        let schema = json!({"additionalProperties": {"x-secret": true}});
        let config = json!({"a": "abcdef", "b": "abcd", "c": "efgh", "short": "xyz", "d": "****", "e": "q***r"});
        let said = |text| redacted(&schema, &config, text);
        assert_eq!(said("1 abcdef 2 abcd 3"), "1 *** 2 *** 3");
        assert_eq!(said("abcdefgh"), "***");
        assert_eq!(said("xyz is too short"), "xyz is too short");
        assert_eq!(said("*****"), "***", "what is left of it is no secret again");
        assert_eq!(said("qabcdr"), "***");
        let text = "nothing to hide";
        assert!(matches!(Secrets::of(&schema, &config).redact(text), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn no_secret_survives_in_any_text(
            secrets in prop::collection::vec("[ab*\"\\\\\né]{1,6}", 1..5),
            text in "[ab*\"\\\\\né]{0,40}",
            at in any::<prop::sample::Index>(),
        ) {
            let schema = json!({"items": {"x-secret": true}});
            let told = at.get(&secrets).clone();
            for text in [&text, &format!("{text}{told}{text}"), &format!("{text}{told:?}{}", json!(told))] {
                let said = redacted(&schema, &json!(secrets), text);
                for secret in secrets.iter().filter(|secret| secret.len() >= MIN_BYTES) {
                    prop_assert!(!said.contains(secret.as_str()), "{said:?} has {secret:?}");
                    let quoted = json!(secret).to_string();
                    prop_assert!(!said.contains(&quoted), "{said:?} has {quoted:?}");
                }
            }
        }
    }
}
